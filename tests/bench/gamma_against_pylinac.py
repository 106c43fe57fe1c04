"""Gamma in one and two dimensions beside pylinac's `gamma_2d` and `gamma_geometric`.

`gamma_2d` looks at pixel centers only, up to a whole number of pixels away: 3 % / 3 pixels.  It
divides the image by the dose criterion before it compares it with the threshold, so its
"10 %" is 10 % of 3 %: 0.3 % of the maximum.  `asked_percent` below is what must be asked of it to
get 10 %.  `gamma_geometric` is exact for profiles; it gets the central one, 3 % / 2 mm.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import numpy as np

from analyzers.numerics.gamma import gamma_index
from tests.bench.gamma_inputs import Floats, Pair, plane
from tests.bench.gamma_timing import median_s

DOSE_PERCENT, THRESHOLD_PERCENT = 3.0, 10.0
PIXELS, DISTANCE_MM = 3, 2.0
UNDONE = 100 / DOSE_PERCENT
"""By which pylinac's threshold must be multiplied to mean percent of the maximum."""


def measure() -> dict[str, Any]:
    """Times in seconds, points judged, and how far pylinac's gamma is from ours."""
    pair = plane()
    return {
        "pylinac": version("pylinac"),
        "image_10_percent_as_documented": _image(pair, THRESHOLD_PERCENT),
        "image_10_percent_of_the_maximum": _image(pair, THRESHOLD_PERCENT * UNDONE),
        "profile": _profile(pair),
    }


def _image(pair: Pair, asked_percent: float) -> dict[str, Any]:
    from pylinac.core.gamma import gamma_2d

    start = time.perf_counter()
    theirs = gamma_2d(
        pair.reference,
        pair.evaluated,
        dose_to_agreement=DOSE_PERCENT,
        distance_to_agreement=PIXELS,
        dose_threshold=asked_percent,
    )
    pylinac_s = time.perf_counter() - start
    distance_mm = PIXELS * pair.spacing_mm[0]
    return {"asked_percent": asked_percent, **_compared(pair, theirs, pylinac_s, distance_mm)}


def _profile(pair: Pair) -> dict[str, Any]:
    from pylinac.core.gamma import gamma_geometric

    middle = pair.reference.shape[0] // 2
    line = Pair(pair.reference[middle], pair.evaluated[middle], pair.spacing_mm[1:])
    position_mm = np.arange(line.reference.size) * line.spacing_mm[0]
    start = time.perf_counter()
    theirs = gamma_geometric(
        line.reference,
        line.evaluated,
        position_mm,
        position_mm,
        dose_to_agreement=DOSE_PERCENT,
        distance_to_agreement=DISTANCE_MM,
        dose_threshold=THRESHOLD_PERCENT,
    )
    return _compared(line, theirs, time.perf_counter() - start, DISTANCE_MM)


def _compared(pair: Pair, theirs: Floats, pylinac_s: float, distance_mm: float) -> dict[str, Any]:
    def call() -> Floats:
        return gamma_index(
            pair.reference,
            pair.evaluated,
            pair.spacing_mm,
            dose_percent=DOSE_PERCENT,
            distance_mm=distance_mm,
            threshold_percent=THRESHOLD_PERCENT,
        ).map

    ours, ours_s = call(), median_s(call)
    both = np.isfinite(ours) & np.isfinite(theirs)
    excess = (theirs - ours)[both]
    return {
        "pylinac_s": pylinac_s,
        "ours_s": ours_s,
        "ratio": pylinac_s / ours_s,
        "pylinac_points": int(np.isfinite(theirs).sum()),
        "our_points": int(np.isfinite(ours).sum()),
        "pylinac_pass_percent": _pass_percent(theirs),
        "our_pass_percent": _pass_percent(ours),
        "pylinac_above_ours": {
            "mean": excess.mean(),
            "largest": excess.max(),
            "smallest": excess.min(),
        },
        "differently_judged": int(np.count_nonzero((ours[both] <= 1) != (theirs[both] <= 1))),
    }


def _pass_percent(gamma: Floats) -> float:
    values = gamma[np.isfinite(gamma)]
    return 100.0 * float(np.count_nonzero(values <= 1)) / values.size
