"""The expected course of a delivery: a plan sampled over time.

Every segment takes as long as its slowest part: meterset by the dose rate, gantry, collimator,
jaws and leaves by their speed.  Between beams everything moves with the beam off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa_daemon.simulate.plan_shapes import Array, Beam, Plan

GANTRY_DEG_PER_S = 6.0
COLLIMATOR_DEG_PER_S = 15.0
LEAF_MM_PER_S = 25.0
JAW_MM_PER_S = 25.0
SHORTEST_S = 0.02
BEAM_ON, BEAM_HELD = 0, 2
ROWS_AROUND_BEAM = 3


@dataclass(frozen=True, eq=False)
class Course:
    """`values` is `(rows, quantities)`, cut into named blocks of columns."""

    values: Array
    beam_hold: NDArray[np.int64]
    columns: Mapping[str, slice]

    def __getitem__(self, name: str) -> Array:
        return self.values[:, self.columns[name]]

    def rows(self, chosen: NDArray[np.int64], beam_hold: NDArray[np.int64]) -> Course:
        """These rows, with their state of the beam."""
        return Course(self.values[chosen], beam_hold, self.columns)


def sampled(plan: Plan, interval_s: float) -> Course:
    """The whole plan at the sampling interval, with a few rows before and after the beam."""
    points, columns = _control_points(plan)
    duration_s = _durations(points, columns, plan.dose_rate_mu_per_min / 60.0)
    at_s = np.concatenate([[0.0], np.cumsum(duration_s)])
    time_s = np.append(np.arange(0.0, at_s[-1], interval_s), at_s[-1])
    segment = np.clip(np.searchsorted(at_s, time_s, side="right") - 1, 0, len(at_s) - 2)
    share = ((time_s - at_s[segment]) / duration_s[segment])[:, np.newaxis]
    values = points[segment] * (1.0 - share) + points[segment + 1] * share
    rises = np.diff(values[:, columns["meterset"]][:, 0], append=np.nan) > 0.0
    beam_hold = np.where(rises | np.append(False, rises[:-1]), BEAM_ON, BEAM_HELD)
    rows = np.pad(np.arange(len(values)), ROWS_AROUND_BEAM, mode="edge")
    held = np.pad(beam_hold, ROWS_AROUND_BEAM, constant_values=BEAM_HELD)
    return Course(values, beam_hold, columns).rows(rows, held)


def _control_points(plan: Plan) -> tuple[Array, dict[str, slice]]:
    """All beams below one another; meterset and control point run on through the log."""
    tables, before_mu, before = [], 0.0, 0
    columns: dict[str, slice] = {}
    for beam in plan.beams:
        blocks = _blocks(beam, before_mu, before)
        tables.append(np.hstack(list(blocks.values())))
        before_mu += float(beam.meterset_mu[-1])
        before += len(beam.meterset_mu)
        widths = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        columns = {
            name: slice(int(a), int(b))
            for name, a, b in zip(blocks, widths[:-1], widths[1:], strict=True)
        }
    return np.vstack(tables), columns


def _blocks(beam: Beam, before_mu: float, before: int) -> dict[str, Array]:
    points = len(beam.meterset_mu)
    return {
        "meterset": before_mu + beam.meterset_mu[:, np.newaxis],
        "control_point": before + np.arange(points, dtype=np.float64)[:, np.newaxis],
        "gantry": beam.gantry_deg[:, np.newaxis],
        "collimator": beam.collimator_deg[:, np.newaxis],
        "jaws": np.empty((points, 0)) if beam.jaws_mm is None else beam.jaws_mm,
        "bank_a": np.hstack(beam.bank_a_mm),
        "bank_b": np.hstack(beam.bank_b_mm),
    }


def _durations(points: Array, columns: Mapping[str, slice], mu_per_s: float) -> Array:
    """Seconds from each control point to the next."""
    step = np.abs(np.diff(points, axis=0))
    speeds = {
        "meterset": mu_per_s,
        "gantry": GANTRY_DEG_PER_S,
        "collimator": COLLIMATOR_DEG_PER_S,
        "jaws": JAW_MM_PER_S,
        "bank_a": LEAF_MM_PER_S,
        "bank_b": LEAF_MM_PER_S,
    }
    slowest: Array = np.max(
        [step[:, columns[name]].max(axis=1, initial=0.0) / speed for name, speed in speeds.items()],
        axis=0,
    )
    return np.maximum(slowest, SHORTEST_S)


def held(course: Course, pauses: Iterable[tuple[float, float]], interval_s: float) -> Course:
    """Let the beam wait: `pauses` are (meterset in MU, seconds)."""
    rows = np.arange(len(course.values))
    hold = course.beam_hold
    for at_mu, seconds in pauses:
        meterset_mu = course["meterset"][rows, 0]
        if not 0.0 <= at_mu <= meterset_mu[-1] or seconds < 0.0:
            raise ValueError(f"held at {at_mu:g} MU for {seconds:g} s: outside the delivery")
        first = int(np.argmax(meterset_mu >= at_mu))
        count = round(seconds / interval_s)
        rows = np.insert(rows, first + 1, np.full(count, rows[first]))
        hold = np.insert(hold, first + 1, np.full(count, BEAM_HELD))
    return course.rows(rows, hold)


def interrupted(course: Course, at_mu: float) -> Course:
    """Stop at a meterset, for good."""
    if at_mu < 0.0:
        raise ValueError(f"interrupted at {at_mu:g} MU: 0 or more expected")
    delivered = np.flatnonzero(course["meterset"][:, 0] <= at_mu)
    if len(delivered) == len(course.values):
        return course
    rows = np.pad(delivered, (0, ROWS_AROUND_BEAM), mode="edge")
    hold = np.pad(course.beam_hold[delivered], (0, ROWS_AROUND_BEAM), constant_values=BEAM_HELD)
    return course.rows(rows, hold)
