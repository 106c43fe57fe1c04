"""Who is signed in: sessions in memory, found by a random token that only the browser keeps."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_S = 30 * 60.0
LONGEST_S = 12 * 3600.0
MOST = 100


@dataclass(slots=True)
class Session:
    """One person at one browser.

    `seal` is the fingerprint of the password that opened it, `form_token` what its forms carry.
    `seen` are the patients whose identity was shown, as the audit trail calls them; `notice` is a
    sentence for the next page.
    """

    person: str
    seal: str
    begun_s: float
    used_s: float
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    seen: set[str] = field(default_factory=set)
    notice: str = ""

    def take_notice(self) -> str:
        """The sentence for this page, which no later one repeats."""
        notice, self.notice = self.notice, ""
        return notice


class Sessions:
    """At most `MOST` sessions, which end unused, of age, or with the service.

    `timer` is monotonic, in seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._open: dict[bytes, Session] = {}
        self._lock = threading.Lock()

    def begin(self, person: str, seal: str) -> str:
        """Open a session; its token.  The one that was unused for longest makes room for it."""
        token, now = secrets.token_urlsafe(32), self._timer()
        with self._lock:
            self._open = {k: s for k, s in self._open.items() if _lives(s, now)}
            if len(self._open) >= MOST:
                del self._open[min(self._open, key=lambda k: self._open[k].used_s)]
            self._open[_key(token)] = Session(person, seal, begun_s=now, used_s=now)
        return token

    def find(self, token: str, *, is_use: bool) -> Session | None:
        """The session of a token; `is_use` starts its idle time anew."""
        key, now = _key(token), self._timer()
        with self._lock:
            session = self._open.get(key)
            if session is not None and not _lives(session, now):
                del self._open[key]
                return None
            if session is not None and is_use:
                session.used_s = now
            return session

    def end(self, token: str) -> None:
        """Close a session; the token opens nothing any more."""
        with self._lock:
            self._open.pop(_key(token), None)


def _lives(session: Session, now_s: float) -> bool:
    return now_s - session.used_s < IDLE_S and now_s - session.begun_s < LONGEST_S


def _key(token: str) -> bytes:
    # By its hash: how long a look-up takes then tells nothing about the token.
    return hashlib.sha256(token.encode()).digest()
