"""Gamma on the test images of Agnew and McGarry (doi 10.1016/j.radonc.2015.11.034).

`python -m tests.bench.gamma_agnew_mcgarry` prints the tables of
docs/reference/gamma-agnew-mcgarry.md anew.  1 mm pixels, 20 % threshold, gamma at most 2, ours
certified to 1e-6.  pymedphys takes ten samples per distance criterion, its default, and a hundred
where that is said.  Where the two do not agree whether a point passes, brute force decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.numerics.gamma import GammaResult, gamma_index
from tests import real_data
from tests.bench.gamma_inputs import Floats, Pair
from tests.bench.gamma_oracle import BruteForce
from tests.bench.gamma_peer import PeerCall, pymedphys_gamma

FOLDER = Path("gamma", "agnew-mcgarry")
IMAGES = {
    "Head and neck VMAT": ("HandN_VMAT_Reference_1mmPx", "HandN_VMAT_Evaluated_1mmPx"),
    "Prostate IMRT": ("ProstateIMRT_Reference_1mmPx", "ProstateIMRT_Evaluated_1mmPx"),
    "Square, dose": (
        "GeometricSquare_Reference_1mmPx",
        "GeometricSquare_Evaluated_1mmPx_DD_Test",
    ),
    "Square, distance": (
        "GeometricSquare_Reference_1mmPx",
        "GeometricSquare_Evaluated_1mmPx_DTA_Test",
    ),
}
CLINICAL = ("Head and neck VMAT", "Prostate IMRT")
THRESHOLD_PERCENT, MAX_GAMMA, TOLERANCE = 20.0, 2.0, 1e-6
DEFAULT_SAMPLES, MANY_SAMPLES = 10, 100
ORACLE_STEP_MM = 0.005


@dataclass(frozen=True)
class Criterion:
    """What a point must keep."""

    dose_percent: float
    distance_mm: float
    local: bool = False

    def __str__(self) -> str:
        kind = "local" if self.local else "global"
        return f"{self.dose_percent:g} % / {self.distance_mm:g} mm {kind}"


TIGHT, TIGHT_LOCAL = Criterion(1, 1), Criterion(1, 1, local=True)
CRITERIA = (Criterion(3, 3), Criterion(3, 2), Criterion(2, 2), TIGHT, TIGHT_LOCAL)
STATED = {
    ("Square, distance", TIGHT): "92.3 (a)",
    ("Square, dose", TIGHT): "96 (a)",
    ("Head and neck VMAT", TIGHT_LOCAL): "93.6 (b)",
}
"""Pass rates in percent; the document says by whom."""


def measure() -> dict[str, Any]:
    """Both results for each pair and criterion, and whether brute force sides with ours."""
    if not here():
        return {"agnew_mcgarry": "left out: the test images are not here"}
    rows = [
        {"images": images, "criterion": str(criterion), **compared(pair, criterion, theirs)}
        for images, pair in ((images, load(images)) for images in IMAGES)
        for criterion, theirs in zip(CRITERIA, peers(pair), strict=True)
    ]
    return {
        "rows": rows,
        **{
            name: sum(row[name] for row in rows)
            for name in ("only_we_pass", "only_pymedphys_passes", "brute_force_passes")
        },
        "our_error_there": max(row["our_error_there"] for row in rows),
        "smallest_pymedphys_above_ours": min(row["smallest_pymedphys_above_ours"] for row in rows),
    }


def here() -> bool:
    root = real_data.folder()
    return root is not None and (root / FOLDER).is_dir()


def load(images: str, swapped: bool = False) -> Pair:
    """The two dose planes in Gy; swapped, the image called evaluated is the reference."""
    reference, evaluated = map(_dose, IMAGES[images])
    spacing_mm = (1.0, 1.0)
    return (
        Pair(evaluated, reference, spacing_mm)
        if swapped
        else Pair(reference, evaluated, spacing_mm)
    )


def our_gamma(pair: Pair, criterion: Criterion) -> GammaResult:
    return gamma_index(
        pair.reference,
        pair.evaluated,
        pair.spacing_mm,
        dose_percent=criterion.dose_percent,
        distance_mm=criterion.distance_mm,
        local=criterion.local,
        threshold_percent=THRESHOLD_PERCENT,
        max_gamma=MAX_GAMMA,
        tolerance=TOLERANCE,
    )


def peers(
    pair: Pair,
    criteria: tuple[Criterion, ...] = CRITERIA,
    samples: int = DEFAULT_SAMPLES,
) -> list[PeerCall]:
    """pymedphys on the same pair."""
    return pymedphys_gamma(
        pair,
        [
            {
                "dose_percent_threshold": criterion.dose_percent,
                "distance_mm_threshold": criterion.distance_mm,
                "local_gamma": criterion.local,
                "lower_percent_dose_cutoff": THRESHOLD_PERCENT,
                "interp_fraction": samples,
                "max_gamma": MAX_GAMMA,
            }
            for criterion in criteria
        ],
    )


def compared(pair: Pair, criterion: Criterion, theirs: PeerCall) -> dict[str, Any]:
    """Both results, and the points that pass in only one of them."""
    ours = our_gamma(pair, criterion)
    judged = np.isfinite(ours.map)
    if not np.array_equal(judged, np.isfinite(theirs.map)):
        raise AssertionError("pymedphys and we judge different points")
    differs = judged & ((ours.map <= 1) != (theirs.map <= 1))
    oracle = BruteForce(
        pair,
        criterion.dose_percent,
        criterion.distance_mm,
        step_mm=ORACLE_STEP_MM,
        local=criterion.local,
    )
    truth = np.array([oracle.gamma(tuple(point)) for point in np.argwhere(differs)])
    return {
        "points": ours.points,
        "our_pass_percent": ours.pass_percent,
        "pymedphys_pass_percent": theirs.pass_percent,
        "our_mean": ours.mean,
        "pymedphys_mean": theirs.mean,
        "smallest_pymedphys_above_ours": float((theirs.map - ours.map)[judged].min()),
        "largest_pymedphys_above_ours": float((theirs.map - ours.map)[judged].max()),
        "only_we_pass": int((differs & (ours.map <= 1)).sum()),
        "only_pymedphys_passes": int((differs & (ours.map > 1)).sum()),
        "brute_force_passes": int(np.count_nonzero(truth <= 1)),
        "our_error_there": float(np.abs(ours.map[differs] - truth).max(initial=0.0)),
    }


def _dose(name: str) -> Floats:
    import pydicom

    root = real_data.folder()
    assert root is not None
    data = pydicom.dcmread(root / FOLDER / f"{name}.dcm")
    assert [float(h) for h in data.PixelSpacing] == [1.0, 1.0]
    dose: Floats = data.pixel_array * float(data.DoseGridScaling)
    return dose


def _stated() -> Iterator[str]:
    titles = ("Images", "Criterion", "Stated", "Ours", "pymedphys", "Ours, swapped")
    yield from _head(*titles, "pymedphys, swapped")
    for (images, criterion), stated in STATED.items():
        cells = []
        for swapped in (False, True):
            pair = load(images, swapped)
            theirs = peers(pair, (criterion,))[0].pass_percent
            cells += [f"{our_gamma(pair, criterion).pass_percent:.4f}", f"{theirs:.4f}"]
        yield f"| {images} | {criterion} | {stated} | {' | '.join(cells)} |"


def _everything() -> Iterator[str]:
    titles = ("Images", "Criterion", "Points", "Ours, %", "pymedphys, %", "Ours, mean")
    yield from _head(*titles, "pymedphys, mean", "Only we pass", "Only pymedphys passes")
    for images in IMAGES:
        pair = load(images)
        for criterion, theirs in zip(CRITERIA, peers(pair), strict=True):
            found = compared(pair, criterion, theirs)
            yield (
                f"| {images} | {criterion} | {found['points']}"
                f" | {found['our_pass_percent']:.4f} | {found['pymedphys_pass_percent']:.4f}"
                f" | {found['our_mean']:.5f} | {found['pymedphys_mean']:.5f}"
                f" | {found['only_we_pass']} | {found['only_pymedphys_passes']} |"
            )


def _more_samples() -> Iterator[str]:
    titles = ("Images", "Criterion", "pymedphys 10, %", "pymedphys 100, %", "Ours, %")
    yield from _head(*titles, "10, mean", "100, mean", "Ours, mean")
    for images in CLINICAL:
        pair = load(images)
        few, many = peers(pair), peers(pair, samples=MANY_SAMPLES)
        for criterion, coarse, fine in zip(CRITERIA, few, many, strict=True):
            three = (coarse, fine, our_gamma(pair, criterion))
            rates = " | ".join(f"{one.pass_percent:.4f}" for one in three)
            means = " | ".join(f"{one.mean:.5f}" for one in three)
            yield f"| {images} | {criterion} | {rates} | {means} |"


def _head(*titles: str) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"


if __name__ == "__main__":
    for table in (_stated, _everything, _more_samples):
        print("\n".join(table()), end="\n\n")
