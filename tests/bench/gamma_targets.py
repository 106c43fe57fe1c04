"""A target beside what was found, so that the table shows at a glance what is missed."""

from __future__ import annotations

from typing import Any


def at_least(wanted: float, found: float, aim: float | None = None) -> dict[str, Any]:
    """The target is met from `wanted` up; `aim` is what would be better still."""
    return {
        "found": found,
        "at_least": wanted,
        **({} if aim is None else {"aim": aim}),
        "met": bool(found >= wanted),
    }


def at_most(wanted: float, found: float) -> dict[str, Any]:
    """The target is met up to `wanted`."""
    return {"found": found, "at_most": wanted, "met": bool(found <= wanted)}
