"""File names: which are left alone, and how any name is written as valid text.

Paths are `str` with Python's surrogate escapes inside the service, so that their bytes survive.
"""

from __future__ import annotations

import os

IGNORED_ENDINGS = (".tmp", ".part", ".filepart", ".crdownload")
IGNORED_BEGINNINGS = (".", "~$")
# The file system's own folders, which a reader may not list.
IGNORED_NAMES = ("thumbs.db", "lost+found", "$recycle.bin", "system volume information")


def is_ignored(name: str) -> bool:
    """Whether a file of that name is unfinished or no data; renamed, it counts as new."""
    lower = name.lower()
    return (
        lower.startswith(IGNORED_BEGINNINGS)
        or lower.endswith(IGNORED_ENDINGS)
        or lower in IGNORED_NAMES
    )


def as_text(path: str) -> str:
    r"""A path as text that any store accepts, different for different paths.

    A byte that is not UTF-8 is written as `\xe9`, a backslash of the path itself as `\\`.
    """
    if path.isascii() and "\\" not in path:
        return path
    return os.fsencode(path.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
