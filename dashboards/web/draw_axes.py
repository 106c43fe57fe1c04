"""Axes over time: where the controller wanted them, where they were, and by how much they missed.

Errors are drawn while the beam is on; the couch, whose expected translation means nothing in real
logs, is drawn as its way from where it stood at first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import Figure, Numbers, Panel, Series
from dashboards.web.wording import number

COLORS = ("#1f5f99", "#b3541e", "#2c7a4b", "#7a3f98")
HALF_TURN_DEG = 180.0


@dataclass(frozen=True, slots=True)
class Group:
    """Axes that are drawn together."""

    title: str
    unit: str
    members: Mapping[str, str]
    """Trace name to what people call it."""
    has_expected: bool = True


GROUPS = (
    Group("Meterset", "MU", {"meterset_mu": "meterset"}),
    Group("Gantry", "deg", {"gantry_deg": "gantry"}),
    Group("Collimator", "deg", {"collimator_deg": "collimator"}),
    Group(
        "Jaws", "mm", {f"jaw_{name}_mm": f"jaw {name.upper()}" for name in ("x1", "x2", "y1", "y2")}
    ),
    Group("Couch rotation", "deg", {"couch_rotation_deg": "couch rotation"}),
    Group(
        "Couch",
        "mm",
        {f"couch_{name}_mm": f"couch {name}" for name in ("vertical", "longitudinal", "lateral")},
        has_expected=False,
    ),
)


def axes(arrays: Mapping[str, NDArray[Any]]) -> Figure | None:
    """A row for each group of axes: positions at the left, errors at the right."""
    if "time_s" not in arrays or not len(arrays["time_s"]):
        return None
    time_s = np.asarray(arrays["time_s"], np.float64)
    beam_on = _beam_on(arrays, len(time_s))
    panels: list[Panel] = []
    largest: list[str] = []
    for group in GROUPS:
        members = [m for m in group.members if _whole(arrays, m, len(time_s))]
        if not members:
            continue
        errors = {m: _error(arrays, m, group, beam_on) for m in members}
        panels += [
            _positions(group, members, arrays, time_s),
            _errors(group, errors, time_s),
        ]
        largest += [f"{group.members[m]} {_largest(e)} {group.unit}" for m, e in errors.items()]
    if not panels:
        return None
    sentence = f"Largest error drawn: {', '.join(largest)}. Thinned out: the table holds the truth."
    return Figure("Axes over time", sentence, panels, columns=2, row_height=205)


def _whole(arrays: Mapping[str, NDArray[Any]], name: str, samples: int) -> bool:
    return all(
        f"{name}_{kind}" in arrays and len(arrays[f"{name}_{kind}"]) == samples
        for kind in ("expected", "actual")
    )


def _beam_on(arrays: Mapping[str, NDArray[Any]], samples: int) -> NDArray[np.bool_]:
    if not _whole(arrays, "meterset_mu", samples):
        return np.ones(samples, bool)
    meterset_mu = np.asarray(arrays["meterset_mu_actual"], np.float64)
    return np.asarray(np.diff(meterset_mu, prepend=meterset_mu[:1]) > 0.0)


def _error(
    arrays: Mapping[str, NDArray[Any]], name: str, group: Group, beam_on: NDArray[np.bool_]
) -> Numbers:
    actual = np.asarray(arrays[f"{name}_actual"], np.float64)
    if group.has_expected:
        error = actual - np.asarray(arrays[f"{name}_expected"], np.float64)
    else:
        first = np.flatnonzero(beam_on)[:1]
        error = actual - (actual[first] if first.size else actual[:1])
    if group.unit == "deg":
        error = (error + HALF_TURN_DEG) % 360.0 - HALF_TURN_DEG
    return np.where(beam_on, error, np.nan)


def _positions(
    group: Group, members: list[str], arrays: Mapping[str, NDArray[Any]], time_s: Numbers
) -> Panel:
    lines = list(_lines(group, members, arrays, time_s))
    known = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    room = max(0.08 * (high - low), 1.0)
    return Panel(
        group.title,
        "time / s",
        group.unit,
        lines,
        x_range=_reach(time_s),
        y_range=(low - room, high + room),
    )


def _lines(
    group: Group, members: list[str], arrays: Mapping[str, NDArray[Any]], time_s: Numbers
) -> Iterator[Series]:
    for color, name in zip(COLORS, members, strict=False):
        expected: Numbers = np.asarray(arrays[f"{name}_expected"], np.float64)
        actual: Numbers = np.asarray(arrays[f"{name}_actual"], np.float64)
        if group.unit == "deg":
            expected, actual = _angles(expected, actual)
        label = group.members[name] if len(group.members) > 1 else "actual"
        yield Series(label, time_s, actual, color)
        if group.has_expected:
            yield Series("expected", time_s, expected, "#16202a", dash="dot")


def _errors(group: Group, errors: Mapping[str, Numbers], time_s: Numbers) -> Panel:
    title = "actual − expected" if group.has_expected else "way from the start"  # noqa: RUF001
    series = [
        Series(group.members[name] if len(group.members) > 1 else "actual", time_s, error, color)
        for color, (name, error) in zip(COLORS, errors.items(), strict=False)
    ]
    return Panel(
        f"{group.title}, {title}",
        "time / s",
        group.unit,
        series,
        x_range=_reach(time_s),
        y_range=_error_range(errors, group),
    )


def _error_range(errors: Mapping[str, Numbers], group: Group) -> tuple[float, float]:
    """Never so close that the last digit of a still axis looks like a motion."""
    known = [e[np.isfinite(e)] for e in errors.values()]
    largest = max((float(np.abs(e).max()) for e in known if e.size), default=0.0)
    reach = max(1.15 * largest, 0.02 if group.unit == "MU" else 0.05)
    return -reach, reach


def _angles(expected: Numbers, actual: Numbers) -> tuple[Numbers, Numbers]:
    """Angles without a stroke across the chart where they step from 360 to 0 degrees.

    A turn gets a gap there; what stands still about 0 is drawn on both sides of it.
    """
    if np.ptp(np.unwrap(actual, period=360.0)) > HALF_TURN_DEG / 2:
        return _with_gaps(expected), _with_gaps(actual)
    start = float(actual[0])
    return _near(start, expected), _near(start, actual)


def _near(start: float, angle: Numbers) -> Numbers:
    """Angles as their way from `start`, which is drawn below 0 where it is just short of 360."""
    way = (angle - start + HALF_TURN_DEG) % 360.0 - HALF_TURN_DEG
    return way + (start - 360.0 if start > 359.0 else start)


def _with_gaps(angle: Numbers) -> Numbers:
    jumps = np.abs(np.diff(angle, prepend=angle[:1])) > HALF_TURN_DEG
    return np.where(jumps, np.nan, angle)


def _reach(time_s: Numbers) -> tuple[float, float]:
    last = float(time_s[-1])
    return 0.0, last if last > 0.0 else 1.0


def _largest(error: Numbers) -> str:
    known = np.abs(error[np.isfinite(error)])
    return number(float(known.max())) if known.size else "no value of"
