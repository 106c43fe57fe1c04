"""How often somebody may try to sign in: a bound for each name, and one for all names together.

Names are counted as they were typed, known or not: an answer that comes late, or not at all, does
not tell who can sign in.  Nobody is locked out for good: a failed try is forgotten in time.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable

MOST_FOR_A_NAME = 5
MOST_OVERALL = 100
FORGOTTEN_AFTER_S = 15 * 60.0


class Tries:
    """Failed tries of the last quarter of an hour, at most `MOST_OVERALL`; `timer` in seconds."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._failed: deque[tuple[float, bytes]] = deque()
        self._lock = threading.Lock()

    def begin(self, name: str) -> float:
        """Count a try as failed before it is looked at, so that tries side by side count too.

        0 when it may go on, else the seconds until one may; then nothing was counted.
        """
        now, key = self._timer(), _key(name)
        with self._lock:
            while self._failed and now - self._failed[0][0] >= FORGOTTEN_AFTER_S:
                self._failed.popleft()
            of_name = [at for at, other in self._failed if other == key]
            oldest_of_too_many = [
                tries[0]
                for tries, most in (
                    (of_name, MOST_FOR_A_NAME),
                    ([at for at, _ in self._failed], MOST_OVERALL),
                )
                if len(tries) >= most
            ]
            if oldest_of_too_many:
                return max(oldest_of_too_many) + FORGOTTEN_AFTER_S - now
            self._failed.append((now, key))
            return 0.0

    def succeeded(self, name: str) -> None:
        """Forget the failed tries of a name: its owner was there."""
        key = _key(name)
        with self._lock:
            self._failed = deque(one for one in self._failed if one[1] != key)


def _key(name: str) -> bytes:
    # What is typed here may be a password by mistake, and long: neither is kept.
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
