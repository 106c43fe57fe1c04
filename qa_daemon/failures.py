"""Which failure ends a command with which exit code."""

from __future__ import annotations


class Unavailable(Exception):  # noqa: N818 - a fact about a service
    """A service that is needed does not answer: exit 69."""


class Damaged(Exception):  # noqa: N818
    """A check found damage: exit 74."""


def exit_code_of(why: Exception) -> tuple[int, str | None]:
    """Exit code and sentence of a known failure; no sentence for a bug, which keeps its trace."""
    # Imported here: help must not wait for the settings' models.
    from qa_daemon.lock import AlreadyRunning
    from qa_daemon.site.site import SiteError
    from qa_daemon.store.store import StoreError

    if isinstance(why, SiteError):
        return 78, str(why)
    if isinstance(why, StoreError | Damaged):
        return 74, str(why)
    if isinstance(why, Unavailable | AlreadyRunning):
        return 69, str(why)
    if isinstance(why, OSError):
        return 74, f"input or output failed: {why.strerror}"
    return 70, None
