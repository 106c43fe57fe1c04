"""When a file has stopped growing: decided by looking at it, never by an event or its own times.

A copy that keeps the original's time of writing looks old from its first byte on, so only what was
observed counts: the same size, times and inode at two looks at least the settle time apart.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

EMPTY_AFTER_S = 60.0
"""A file without a byte is normal for a while; after this long it is taken as an empty file."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a file looks like from outside, without opening it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Look:
        """What `stat` says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is watched until it stops changing: how it looks, and since when."""

    look: Look
    since: float

    def looked_at(self, look: Look, now: float) -> Waiting:
        """After a further look: unchanged, or waiting from now on."""
        return self if look == self.look else Waiting(look, now)

    def settles_at(self, settle_time: float) -> float:
        """When it may be taken if it stays as it is."""
        if self.look.size == 0:
            return self.since + max(settle_time, EMPTY_AFTER_S)
        return self.since + settle_time


def pause_between_looks(settle_time: float) -> float:
    """How often to look at a file that is still settling."""
    return min(max(settle_time / 4.0, 0.1), 1.0)
