"""Options of the writers, as they come from a command line: words, switches, lists of offsets."""

from __future__ import annotations

import math
from collections.abc import Collection


def known(option: str, value: str, values: Collection[str]) -> None:
    """Raise ValueError unless `value` is one of `values`."""
    if value not in values:
        raise ValueError(f"{option} {value!r}: one of {', '.join(values)} expected")


def is_on(option: str, value: bool | str) -> bool:
    """A switch, also in words; ValueError for another word."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).casefold()
    known(option, word, words)
    return words[word]


def finite(option: str, value: float) -> float:
    """A number; ValueError for a word, for none and for an infinite one."""
    if isinstance(value, str) or not math.isfinite(value):
        raise ValueError(f"{option} {value!r}: a number expected")
    return float(value)


def offsets(listed: str) -> dict[str, float]:
    """`A17=5,B3=-2` -> {"A17": 5.0, "B3": -2.0}; ValueError where that is not how it is written."""
    found = {}
    for part in filter(None, listed.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise ValueError(f"{part!r}: written as NAME=NUMBER, as in A17=5") from None
    return found
