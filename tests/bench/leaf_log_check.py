"""Leaves that stood off their log: how often the image tells, and how often it is wrong.

Simulated logs of a picket fence, a sliding window and an arc; images drawn by a renderer that
shares nothing with the product, each with its own noise and its imager shifted by up to 1 mm,
turned by up to 0.3 degrees and magnified by up to 0.2 %; one leaf stands off.  A hit names that
leaf as the worst and is at ACTION; a false alarm is ACTION for a leaf that does not stand off.
"""

from __future__ import annotations

import os
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np

from analyzers.core import AnalysisError
from analyzers.machine.leaf_log_check import ANALYZER
from analyzers.portal_images import Beside, ImageKind
from analyzers.records import Axis, Delivery
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.plan_shapes import picket_fence, sliding_window, vmat
from tests.machine.epid_pictures import Panel, looked_at, painted_plane, repainted
from tests.machine.judging import run, verdict

OFF_MM = (0.0, 0.2, 0.5, 1.0)
IMAGES = int(os.environ.get("LEAF_LOG_IMAGES", "200"))
PANEL = Panel(pixel_mm=0.5, shape=(360, 320))


def measure() -> dict[str, Any]:
    """Rates in %, by field and by the size of the error."""
    logs = {
        "picket fence": _narrow(deliver(picket_fence("millennium120"), interval_s=0.1)),
        "sliding window": deliver(sliding_window("millennium120"), interval_s=0.1),
        "arc": deliver(vmat("millennium120"), interval_s=0.1),
    }
    return {"images": IMAGES} | {name: _field(log) for name, log in logs.items()}


def _narrow(log: Delivery) -> Delivery:
    """Behind y jaws at 50 mm, as the others: 40 leaves are enough, and faster."""
    assert log.jaw_y1_mm is not None
    jaw_mm = np.full(log.samples, 50.0)
    return replace(log, jaw_y1_mm=Axis(-jaw_mm, -jaw_mm), jaw_y2_mm=Axis(jaw_mm, jaw_mm))


def _field(log: Delivery) -> dict[str, Any]:
    rng = np.random.default_rng(2025)
    plane = painted_plane(log, PANEL, {}, substeps=2)
    found: dict[str, Any] = {}
    seconds: list[float] = []
    for off_mm in OFF_MM:
        tried = [_one(log, plane, off_mm, rng, seconds) for _ in range(IMAGES)]
        errors_mm = np.array([error for *_, error in tried if np.isfinite(error)])
        rates = {
            "false_alarm_percent": 100.0 * np.mean([wrong for _, _, wrong, _, _ in tried]),
            "refused_percent": 100.0 * np.mean([refused for *_, refused, _ in tried]),
        }
        if off_mm:
            rates |= {
                "action_percent": 100.0 * np.mean([hit for hit, *_ in tried]),
                "tolerance_or_worse_percent": 100.0 * np.mean([told for _, told, *_ in tried]),
                "mean_error_mm": float(errors_mm.mean()) if errors_mm.size else float("nan"),
                "largest_error_mm": float(np.abs(errors_mm).max(initial=0.0)),
            }
        found[f"{off_mm:g} mm"] = rates
    return found | {"median_cpu_s": float(np.median(seconds))}


def _one(
    log: Delivery, plane: Any, off_mm: float, rng: np.random.Generator, seconds: list[float]
) -> tuple[bool, bool, bool, bool, float]:
    """Hit, told at all, false alarm, refused, and the error of the leaf's measured offset."""
    panel = replace(
        PANEL,
        shift_mm=tuple(rng.uniform(-1.0, 1.0, 2)),
        rotation_deg=float(rng.uniform(-0.3, 0.3)),
        magnification=float(rng.uniform(-0.002, 0.002)),
        blur_mm=float(rng.uniform(0.9, 1.4)),
        seed=int(rng.integers(1 << 30)),
    )
    leaf, off_mm = f"{rng.choice(['A', 'B'])}{rng.integers(22, 40)}", off_mm * rng.choice([-1, 1])
    drawn = repainted(log, panel, plane, {leaf: off_mm}, 2) if off_mm else plane
    image = looked_at(log, panel, drawn, ImageKind.PICKET_FENCE)
    began = process_time()
    try:
        analysis = run(ANALYZER, replace(image, beside=Beside(log=log)))
    except AnalysisError:
        return False, False, False, True, float("nan")
    finally:
        seconds.append(process_time() - began)
    measured = {m.metric.name: m for m in analysis.measurements}
    alarm = measured["leaves_disagreeing"]
    largest = measured["largest_disagreement"]
    here = bool(off_mm) and largest.at == leaf
    acts = verdict(alarm) == "ACTION"
    assert analysis.leaves is not None
    at = analysis.leaves.leaves.index(leaf)
    seen_mm = float(analysis.leaves.columns["offset_mm"][at])
    others = alarm.value - (1.0 if here and acts else 0.0)
    return acts and here, verdict(largest) != "PASS" and here, others > 0, False, seen_mm - off_mm
