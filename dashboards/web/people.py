"""Who looks at a page: signing in and out, and what a page asks of the person in front of it.

`guard` stands before every route: whatever is sent to a page, other than asking for it, must come
from a form of these pages in a session of its own.  A page asks `physicist` for the person.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from dashboards.web import forms
from dashboards.web.forms import Refusal
from dashboards.web.sessions import LONGEST_S, Session, Sessions
from dashboards.web.tries import Tries
from qa_daemon.site import passwords
from qa_daemon.site.settings import Person
from qa_daemon.site.site import Site
from qa_daemon.store import audit
from qa_daemon.store.store import Store

LOG = logging.getLogger(__name__)
SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
BOARD = "/"
MOST_SEEN = 1000
LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,1000}")


class SignInNeeded(Exception):  # noqa: N818 - a fact, not an error of ours
    """The page is for people who are signed in; `back` is where they wanted to be."""

    def __init__(self, back: str) -> None:
        super().__init__()
        self.back = back


class TooManyTries(Exception):  # noqa: N818
    """No try is looked at for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class People:
    """The people of the site file and their sessions; `timer` is monotonic, in seconds."""

    def __init__(self, site: Site, store: Store, timer: Callable[[], float]) -> None:
        self._site = site
        self._store = store
        self._sessions = Sessions(timer)
        self._tries = Tries(timer)
        self._is_https = site.base_url.startswith("https://")
        # With the prefix, browsers take it from this host alone, over TLS.
        self.cookie = "__Host-qa-daemon" if self._is_https else "qa-daemon"

    def session(self, request: Request) -> Session | None:
        """The session of a request; ended when the person's password was changed meanwhile."""
        token = request.cookies.get(self.cookie, "")
        # The board asks again by itself all day: that is no sign of somebody's presence.
        session = self._sessions.find(token, is_use=request.url.path != BOARD)
        if session is None:
            return None
        person = self._site.person_named(session.person)
        line = self._line(person) if person else None
        if line is None or _seal(line) != session.seal:
            self._sessions.end(token)
            return None
        return session

    def person(self, request: Request) -> Person | None:
        """Who is signed in, if anybody."""
        session = self.session(request)
        return self._site.person_named(session.person) if session else None

    def physicist(self, request: Request) -> Person:
        """The physicist who asks.

        Raises `SignInNeeded`, which leads to the sign-in page and back, or `Refusal` for a reader.
        """
        person = self.person(request)
        if person is None:
            raise SignInNeeded(back_to(request))
        if person.role != "physicist":
            raise Refusal(403, "For physicists", "This page is for physicists of the site file.")
        return person

    def enterer(self, request: Request) -> Person:
        """The therapist or physicist who types in a check.

        Raises `SignInNeeded`, which leads to the sign-in page and back, or `Refusal` for a reader.
        """
        person = self.person(request)
        if person is None:
            raise SignInNeeded(back_to(request))
        if not person.may_enter_checks:
            raise Refusal(
                403,
                "For therapists and physicists",
                "This page is for people whose role in the site file is therapist or physicist.",
            )
        return person

    def is_physicist(self, request: Request) -> bool:
        """Whether a physicist is signed in."""
        person = self.person(request)
        return person is not None and person.role == "physicist"

    def tell(self, request: Request, notice: str) -> None:
        """Say a sentence on the next page that shows one."""
        session = self.session(request)
        if session is not None:
            session.notice = notice

    def take_notice(self, request: Request) -> str:
        """The sentence that is to be said on this page; empty where there is none."""
        session = self.session(request)
        return session.take_notice() if session is not None else ""

    def may_see(self, request: Request, subjects: Iterable[str]) -> bool:
        """Whether identity is shown to whoever asks; for a physicist it is written down first.

        Once for each subject (`patient P-…`, `result 12`) and session, so that leafing through
        pages does not flood the audit trail.
        """
        session = self.session(request)
        if session is None or not self.is_physicist(request):
            return False
        new = [subject for subject in dict.fromkeys(subjects) if subject not in session.seen]
        if new:
            with self._store.write() as connection:
                for subject in new:
                    audit.record(
                        connection,
                        at=self._store.now(),
                        actor=session.person,
                        action="identity seen",
                        subject=subject,
                        detail={},
                    )
            if len(session.seen) > MOST_SEEN:
                session.seen.clear()
            session.seen.update(new)
        return True

    async def guard(self, request: Request) -> None:
        """Read and check what is sent, before any page sees it: `form_of` gives it to the page."""
        if request.method in ("GET", "HEAD"):
            return
        forms.refuse_other_sites(request, self._site.base_url)
        form = await forms.read(request, forms.most_fields(request.url.path))
        if request.url.path != SIGN_IN:
            session = self.session(request)
            if session is None:
                raise SignInNeeded(BOARD)
            if not hmac.compare_digest(
                form.get(forms.TOKEN, "").encode(), session.form_token.encode()
            ):
                raise Refusal(
                    403, "Not from this session", "Nothing was done: open the page again, and send."
                )
        request.state.form = form

    def sign_in(self, request: Request, name: str, password: str) -> str | None:
        """Open a session; its token, or None when name and password do not belong together.

        Raises `TooManyTries`.  Everything takes the same time and is written down alike whether
        there is such a person or not.
        """
        wait_s = self._tries.begin(name)
        if wait_s:
            raise TooManyTries(wait_s)
        person = self._site.person_named(name)
        line = self._line(person) if person else None
        is_right = passwords.fits(password, line)
        if person is None or line is None or not is_right:
            LOG.warning("sign-in failed")
            self._audit(
                "nobody", "sign-in failed", f"person {person.name}" if person else "unknown"
            )
            return None
        self._audit(person.name, "signed in", "pages", {"password": _seal(line)[:8]})
        self._tries.succeeded(name)
        self._sessions.end(request.cookies.get(self.cookie, ""))
        return self._sessions.begin(person.name, _seal(line))

    def sign_out(self, request: Request) -> None:
        """End the session of a request."""
        session = self.session(request)
        if session is not None:
            self._sessions.end(request.cookies.get(self.cookie, ""))
            self._audit(session.person, "signed out", "pages")

    def give(self, response: Response, token: str) -> None:
        """Let the browser keep a session's token, out of the reach of scripts and other sites."""
        response.set_cookie(
            self.cookie,
            token,
            max_age=int(LONGEST_S),
            secure=self._is_https,
            httponly=True,
            samesite="strict",
        )

    def take(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self.cookie, secure=self._is_https, httponly=True, samesite="strict")

    def can_somebody_sign_in(self) -> bool:
        """Whether the site file gives anybody a password."""
        return any(person.password_file for person in self._site.file.person)

    def _line(self, person: Person) -> str | None:
        if person.password_file is None:
            return None
        try:
            return passwords.read(self._site.resolve(person.password_file))
        except (OSError, passwords.PasswordError):
            LOG.error("the password_file of %s cannot be used; see `qa-daemon doctor`", person.name)
            return None

    def _audit(
        self, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None
    ) -> None:
        with self._store.write() as connection:
            audit.record(
                connection,
                at=self._store.now(),
                actor=actor,
                action=action,
                subject=subject,
                detail=detail or {},
            )


def form_of(request: Request) -> Mapping[str, str]:
    """The fields that were sent, as `People.guard` let them pass."""
    form: Mapping[str, str] = request.state.form
    return form


def back_to(request: Request) -> str:
    """The page that was asked for, to come back to; the board after anything else."""
    query = f"?{request.url.query}" if request.url.query else ""
    return local(request.url.path + query) if request.method == "GET" else BOARD


def local(path: str) -> str:
    """A path on these pages; the board for anything that could lead elsewhere, or round again."""
    is_local = LOCAL_PATH.fullmatch(path) and not path.startswith((SIGN_IN, SIGN_OUT))
    return path if is_local else BOARD


def sign_in_address(back: str) -> str:
    """Where to sign in, and be led back from."""
    return SIGN_IN if back == BOARD else f"{SIGN_IN}?{urlencode({'next': back})}"


def _seal(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
