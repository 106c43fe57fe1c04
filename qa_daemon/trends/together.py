"""Steps of a kV unit whose beams were checked in one session.

What the set-up, the barometer or the tube does to one beam it does to all of them: their mean shows
it with less noise, and each beam beside the others shows what is its own.  By simulation of units
(`docs/reference/detection.md`) this finds a step of 3 % of one beam as surely as of all, with a
third of the false alarms of each beam by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_daemon.trends.signals import SPREAD_OF, Series, StepSeen, is_outside, level_of, step

Numbers = NDArray[np.floating[Any]]
WILD_SIGMAS = 6.0
"""Robust spreads, from which on a day-to-day change has a cause of its own."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Of each beam in order, and of all of them together; None: as usual."""

    of_beams: tuple[StepSeen | None, ...]
    of_all: StepSeen | None


def steps_together(beams: Sequence[Series]) -> Steps:
    """The steps of the newest session; `beams`, two or more, have the same sessions, in order.

    Raises ValueError for series of different lengths or fewer than two.
    """
    if len(beams) < 2 or len({series.values.size for series in beams}) != 1:
        raise ValueError("beams are looked at together in the sessions that they share")
    values = np.column_stack([series.values for series in beams])
    process = np.sum([series.process for series in beams], axis=0)
    is_known = all(series.expected is not None for series in beams)
    expected = 0.0 if is_known else None
    mean = replace(beams[0], values=values.mean(axis=1), process=process, expected=expected)
    found = []
    for k, series in enumerate(beams):
        others = np.delete(values, k, axis=1).mean(axis=1)
        share = _share(series.values, others, process)
        own = replace(
            series, values=series.values - share * others, process=process, expected=expected
        )
        seen = None if is_outside(series) else step(own, judged_elsewhere=True)
        if seen is not None:
            beside = float(share * others[-1])
            seen = StepSeen(float(series.values[-1]), seen.usual + beside, seen.reach)
        found.append(seen)
    said_already = any(is_outside(series) for series in beams)
    return Steps(_that_moved(beams, found), None if said_already else step(mean))


def _that_moved(
    beams: Sequence[Series], found: Sequence[StepSeen | None]
) -> tuple[StepSeen | None, ...]:
    """Without beams that stand apart only because another one moved away from them."""
    levels = [level_of(series) for series in beams]
    moved = [
        0.0 if level is None else abs(float(series.values[-1]) - level[0])
        for series, level in zip(beams, levels, strict=True)
    ]
    most = max(moved)
    return tuple(
        seen if size >= 0.5 * most else None for seen, size in zip(found, moved, strict=True)
    )


def _share(values: Numbers, others: Numbers, process: NDArray[np.integer[Any]]) -> float:
    """How much of a change of the others a beam makes too, from day to day, between 0 and 1."""
    same = (process[1:] == process[:-1])[-SPREAD_OF:]
    own, theirs = np.diff(values)[-SPREAD_OF:][same], np.diff(others)[-SPREAD_OF:][same]
    # The change to the newest value is what is asked about.
    own, theirs = own[:-1], theirs[:-1]
    if own.size < 2:
        return 0.0
    calm = (_calm(own)) & (_calm(theirs))
    squares = float(theirs[calm] @ theirs[calm])
    if squares == 0.0:
        return 0.0
    return float(np.clip(own[calm] @ theirs[calm] / squares, 0.0, 1.0))


def _calm(changes: Numbers) -> NDArray[np.bool_]:
    spread = float(np.median(np.abs(changes))) / 0.6745
    inside: NDArray[np.bool_] = np.abs(changes) <= WILD_SIGMAS * spread
    return inside if spread > 0.0 else np.ones(changes.size, dtype=bool)
