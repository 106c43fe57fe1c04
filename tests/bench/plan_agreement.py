"""An arc of 178 control points, matched with its plan and judged: time on one core.

The log is simulated, two minutes at 20 ms, the plan is read from a DICOM file.  Matching is by
evidence, as for files that come together.  Kernels are compiled before the clock runs.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np

from analyzers.core import Context
from analyzers.formats.dicom_rtplan import read
from analyzers.machine.plan_agreement import ANALYZER, PlanAgreementSettings
from analyzers.plan_choice import with_plan
from analyzers.plan_records import Plan
from analyzers.records import Delivery
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.plan_shapes import Beam, vmat
from qa_daemon.simulate.plan_shapes import Plan as Shapes
from qa_daemon.simulate.rtplan import write_rtplan
from qa_daemon.simulate.trajectory_log import IDENTITY

POINTS, MU, DOSE_RATE = 178, 600.0, 300.0
ROUNDS = 7
TARGET_S = 1.0


def measure() -> dict[str, Any]:
    """Median times in s of reading the plan, matching and judging."""
    numba.set_num_threads(1)
    shapes = arc()
    delivery = deliver(shapes, identity=IDENTITY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.dcm"
        write_rtplan(path, shapes)
        rounds = [_once(delivery, path) for _ in range(ROUNDS + 1)][1:]
    read_s, matched_s, judged_s = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    return {
        "control_points": POINTS,
        "samples": delivery.samples,
        "plan_read_s": read_s,
        "matched_s": matched_s,
        "judged_s": judged_s,
        "matched_and_judged_s": matched_s + judged_s,
        "target_s": TARGET_S,
    }


def arc() -> Shapes:
    """The simulated arc with as many control points, full circle."""
    shapes = vmat("millennium120", MU)
    (beam,) = shapes.beams
    old, new = np.linspace(0.0, 1.0, len(beam.meterset_mu)), np.linspace(0.0, 1.0, POINTS)

    def spread(table: Any) -> Any:
        return np.column_stack([np.interp(new, old, column) for column in table.T])

    assert beam.jaws_mm is not None
    finer = Beam(
        beam.name,
        np.linspace(0.0, MU, POINTS),
        np.linspace(181.0, 539.0, POINTS),
        np.full(POINTS, 30.0),
        spread(beam.jaws_mm),
        tuple(spread(layer) for layer in beam.bank_a_mm),
        tuple(spread(layer) for layer in beam.bank_b_mm),
    )
    return replace(shapes, beams=(finer,), dose_rate_mu_per_min=DOSE_RATE)


def _once(delivery: Delivery, path: Path) -> tuple[float, float, float]:
    start = time.perf_counter()
    plan: Plan = read(path)
    read_at = time.perf_counter()
    matched = with_plan(delivery, [plan], chosen=False)
    matched_at = time.perf_counter()
    assert matched.planned is not None and matched.planned.parts, "the arc was not matched"
    ANALYZER.analyze(matched, Context("truebeam", PlanAgreementSettings()))
    return read_at - start, matched_at - read_at, time.perf_counter() - matched_at


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
