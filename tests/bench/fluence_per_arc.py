"""Log fluence of one arc by gantry sector: what the dose calculation asks for, and how exact it is.

A two-minute arc at 20 ms, 60 pairs that move like a VMAT beam, jaws inside the field, 36 sectors,
0.5 mm.  Jaws stand still, as usual, or follow the field.  "rows": one row per leaf pair over 400 mm
along the leaves; "pixels": square ones over the box of the field, 200 x 220 mm.  "shielded": with
transmission of leaves and jaws and with tongues and grooves.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.fluence import delivered_fluence, open_area_mu_mm2
from analyzers.numerics.fluence_rotation import Turned, turned_fluence
from analyzers.numerics.fluence_sectors import fluence_by_gantry_sector
from analyzers.numerics.fluence_transmission import Shielding

Floats = NDArray[np.float64]

SAMPLES, PAIRS, SECTORS = 6000, 60, 36
PIXEL_MM = 0.5
TIMES = 15
TARGET_MS = 50.0
MILLENNIUM_120_MM = np.concatenate(
    [np.arange(-200.0, -100.0, 10.0), np.arange(-100.0, 100.0, 5.0), np.arange(100.0, 201.0, 10.0)]
)
GRIDS_MM = {
    "rows": (np.linspace(-200.0, 200.0, 801), MILLENNIUM_120_MM),
    "pixels": (np.linspace(-100.0, 100.0, 401), np.linspace(-110.0, 110.0, 441)),
}
TRANSMISSIONS = {
    "leaf_transmission": 0.015,
    "jaw_transmission": 0.005,
    "tongue_and_groove_mm": 0.4,
}


def measure() -> dict[str, Any]:
    """Median times in ms, and relative errors of what should be the same."""
    found: dict[str, Any] = {
        "samples": SAMPLES,
        "pairs": PAIRS,
        "sectors": SECTORS,
        "pixel_mm": PIXEL_MM,
        "target_ms": TARGET_MS,
    }
    for moving in (False, True):
        arc = leaves_and_jaws(moving=moving)
        for name, (x_edges_mm, y_edges_mm) in GRIDS_MM.items():
            case = {**arc, "x_edges_mm": x_edges_mm, "y_edges_mm": y_edges_mm}
            found[f"{name}_jaws_{'moving' if moving else 'still'}"] = compared(case, arc)
    x_edges_mm, y_edges_mm = GRIDS_MM["pixels"]
    found["turned_30_deg"] = turned(x_edges_mm, y_edges_mm)
    return found


def compared(case: dict[str, Any], arc: dict[str, Any]) -> dict[str, float]:
    """One map, all sectors, and both with all that lets a little through."""
    gantry_deg = np.linspace(181.0, 539.0, SAMPLES) % 360.0
    fast, one = milliseconds(lambda: delivered_fluence(**case))
    split, sectors = milliseconds(
        lambda: fluence_by_gantry_sector(gantry_deg=gantry_deg, sectors=SECTORS, **case)
    )
    shielded = {**case, **TRANSMISSIONS}
    fast_through, one_through = milliseconds(lambda: delivered_fluence(**shielded))
    split_through, through = milliseconds(
        lambda: fluence_by_gantry_sector(
            gantry_deg=gantry_deg, sectors=SECTORS, shielding=Shielding(**TRANSMISSIONS), **case
        )
    )
    areas_mm2 = np.outer(np.diff(case["y_edges_mm"]), np.diff(case["x_edges_mm"]))
    return {
        "map_ms": fast,
        "sectors_ms": split,
        "map_shielded_ms": fast_through,
        "sectors_shielded_ms": split_through,
        "area_error": abs(float((one * areas_mm2).sum()) / open_area_mu_mm2(**arc) - 1.0),
        "sectors_error": largest_error(sectors.sum(axis=0), one),
        "sectors_shielded_error": largest_error(through.sum(axis=0), one_through),
    }


def turned(x_edges_mm: Floats, y_edges_mm: Floats) -> dict[str, float]:
    """The map of the whole arc in the frame of the gantry."""
    arc = leaves_and_jaws(moving=False)
    own = delivered_fluence(**arc, x_edges_mm=x_edges_mm, y_edges_mm=y_edges_mm)
    wide_mm = np.arange(-160.0, 160.5, PIXEL_MM)
    part = Turned(own, x_edges_mm, y_edges_mm, 30.0)
    taken, there = milliseconds(
        lambda: turned_fluence([part], to_x_edges_mm=wide_mm, to_y_edges_mm=wide_mm)
    )
    return {"map_ms": taken, "area_error": abs(float(there.sum() / own.sum()) - 1.0)}


def leaves_and_jaws(*, moving: bool) -> dict[str, Any]:
    """A gap of 10 to 70 mm that wanders, with jitter; jaws that cut it on all sides."""
    rng = np.random.default_rng(20240603)
    along = np.linspace(0.0, 1.0, SAMPLES)[:, np.newaxis]
    phase = rng.uniform(0, 2 * np.pi, PAIRS)
    middle_mm = 60 * np.sin(2 * np.pi * 3 * along + phase / 4)
    gap_mm = 40 + 30 * np.cos(2 * np.pi * 5 * along + phase)
    jitter_mm = rng.normal(0, 0.03, (2, SAMPLES, PAIRS))
    sway = 12.0 * np.sin(2 * np.pi * 4 * along + np.array([0.0, 1.0])) if moving else 0.0 * along
    return {
        "meterset_mu": np.linspace(0.0, 500.0, SAMPLES),
        "left_mm": middle_mm - gap_mm / 2 + jitter_mm[0],
        "right_mm": middle_mm + gap_mm / 2 + jitter_mm[1],
        "leaf_edges_mm": MILLENNIUM_120_MM,
        "jaw_x_mm": sway + np.array([-83.2, 79.6]),
        "jaw_y_mm": sway + np.array([-92.3, 95.1]),
    }


def milliseconds(run: Callable[[], Floats]) -> tuple[float, Floats]:
    """Median time, and the result; once before the clock runs, to compile."""
    found = run()
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken), found


def largest_error(found: Floats, wanted: Floats) -> float:
    """Relative to the largest value."""
    return float(np.abs(found - wanted).max() / wanted.max())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
