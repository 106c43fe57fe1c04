"""How verdicts, numbers, limits and times are written for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from analyzers.core import Limits
from qa_daemon.model import Verdict

MINUS = "\N{MINUS SIGN}"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
CONTROLLER_REPORTED = "controller-reported, not an independent measurement"
UNITS = {"deg": "°", "1": ""}
MOST_DECIMALS = 6
SMALLEST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True)
class Look:
    """A verdict for the eye: a word, a shape and a color, never a color alone."""

    word: str
    name: str
    color: str
    symbol: str
    """In charts, by Plotly's names; the same shapes stand beside the words."""


LOOKS: dict[Verdict | None, Look] = {
    Verdict.PASS: Look("PASS", "pass", "#1a7a46", "circle"),
    Verdict.TOLERANCE: Look("TOLERANCE", "tolerance", "#c77700", "triangle-up"),
    Verdict.ACTION: Look("ACTION", "action", "#b3141c", "square"),
    Verdict.INVALID: Look("INVALID", "invalid", "#5b2a86", "diamond"),
    None: Look("not judged", "none", "#5a6572", "circle-open"),
}


def badness(verdict: Verdict | None) -> int:
    """By which the worst of several is chosen: not judged, PASS, TOLERANCE, ACTION, INVALID."""
    return -1 if verdict is None else int(verdict)


def number(value: float, *bounds: float | None, sign: bool = False) -> str:
    """A value in three or four sensible digits, and as many more as it takes to tell its side.

    A value beyond a bound never looks as if it were on it.
    """
    if not math.isfinite(value):
        return "no number"
    size = abs(value)
    decimals = 3 if size < 1 else 2 if size < 100 else 1 if size < 1000 else 0
    while decimals < MOST_DECIMALS and _moves(value, decimals, bounds):
        decimals += 1
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    if float(text) == 0.0:
        text = text.lstrip("+-")
    if float(text).is_integer():
        text = text.partition(".")[0]
    return text.replace("-", MINUS)


def _moves(value: float, decimals: int, bounds: tuple[float | None, ...]) -> bool:
    shown = round(value, decimals)
    hides_all = shown == 0.0 and abs(value) >= SMALLEST_SHOWN
    return hides_all or any(
        (shown < b) != (value < b) or (shown > b) != (value > b) for b in bounds if b is not None
    )


def unit(name: str) -> str:
    """A unit as it is written behind a number, with the space it takes."""
    text = UNITS.get(name, name)
    return f"{THIN_SPACE}{text}" if text and text != "°" else text


def quantity(value: float, unit_name: str, limits: Limits | None = None) -> str:
    """A value with its unit; signed where the limits have two sides."""
    bounds = _bounds(limits)
    signed = bounds[0] is not None and bounds[1] is not None
    if unit_name == "%":
        bounds = (*bounds, 100.0)  # 99.996 % is not all of it
    return number(value, *bounds, sign=signed) + unit(unit_name)


def allowed(low: float | None, high: float | None, unit_name: str) -> str:
    """What lies between two bounds: `≤ 0.15 mm`, `≥ 99 %`, `± 0.1 MU`; empty without bounds."""
    if low is None and high is None:
        return ""
    if low is None:
        return f"≤{THIN_SPACE}{_bound(high)}{unit(unit_name)}"
    if high is None:
        return f"≥{THIN_SPACE}{_bound(low)}{unit(unit_name)}"
    if low == -high:
        return f"±{THIN_SPACE}{_bound(high)}{unit(unit_name)}"
    return f"{_bound(low)} to {_bound(high)}{unit(unit_name)}"


def tolerance_of(limits: Limits, unit_name: str) -> str:
    """The tolerance in words."""
    return allowed(limits.tolerance_low, limits.tolerance_high, unit_name)


def action_of(limits: Limits, unit_name: str) -> str:
    """The action level in words."""
    return allowed(limits.action_low, limits.action_high, unit_name)


def _bound(value: float | None) -> str:
    return f"{value:.4g}".replace("-", MINUS) if value is not None else ""


def _bounds(limits: Limits | None) -> tuple[float | None, ...]:
    if limits is None:
        return (None, None, None, None)
    return limits.tolerance_low, limits.tolerance_high, limits.action_low, limits.action_high


def instant(point_ns: int) -> datetime:
    """An instant of the store."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=point_ns // 1000)


def local(when: datetime | str | None, zone: ZoneInfo) -> str:
    """A time as the clinic's clock showed it; what is no time is repeated as it is."""
    if when is None:
        return "unknown"
    if isinstance(when, str):
        text = when
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return text
    if when.tzinfo is None:
        return f"{when:%Y-%m-%d %H:%M:%S} (zone unknown)"
    return f"{when.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def age(when: datetime, now: datetime) -> str:
    """How long ago, in one unit."""
    seconds = (now - when).total_seconds()
    if seconds < -60:
        return "ahead of this computer's clock"
    if seconds < 60:
        return "just now"
    for limit, size, name in ((3600, 60, "min"), (48 * 3600, 3600, "h"), (None, 86400, "days")):
        if limit is None or seconds < limit:
            return f"{int(seconds // size)}{THIN_SPACE}{name} ago"
    raise AssertionError("the last unit has no limit")


def match_reason(reason: str) -> str:
    """Why a log needs a match, without what is said to somebody at a command line."""
    return reason.removeprefix("needs a match: ").partition("; choose its plan")[0]


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"
