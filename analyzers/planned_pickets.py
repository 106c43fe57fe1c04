"""Where the pickets of a fence are wanted: by its plan, else by what the log says was wanted.

A picket is where more, or less, comes through than beside it; a fence is made of slits at rest, of
a gap that sweeps and pauses, or of strips that meet.  So the meterset for which each place was open
is added up along the leaves' travel; its peaks or its valleys, whichever are narrower, are the
pickets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analyzers.plan_records import Beam
from analyzers.portal_images import Beside
from analyzers.records import Delivery, FloatArray

STEP_MM, REACH_MM = 0.1, 200.0
BLUR_MM = 1.0
"""Standard deviation; as a panel shows them, seams of strips have a width."""
SUBSTEPS = 16
OPEN_MM = 0.6
"""Pairs that never open further shape no picket (`field_shape`: real logs hold them closed so)."""
SAME_MM = 1.0
FEWEST = 3
"""Fewer lines are no fence."""
LEAST_RISE = 0.1
"""Of the largest picket's: what rises less is none."""

Layer = tuple[FloatArray, FloatArray]
"""Banks B and A, `(points, pairs)`."""


def wanted_pickets(beside: Beside, pairs: int) -> NDArray[np.float64] | None:
    """Middles along the collimator's x, rising, in mm from the beam's axis.

    None where neither plan nor log is here, or where they have no fence.  `pairs` tells the layer
    of a head with two.
    """
    layers: Sequence[Layer]
    if beside.planned is not None:
        weight, layers = _of_plan(beside.planned)
    elif beside.log is not None and beside.log.weight is not None:
        weight, layers = _of_log(beside.log)
    else:
        return None
    layer = next((one for one in layers if one[0].shape[1] == pairs), None)
    if layer is None:
        return None
    # Leaves are planned to the tenth of a millimeter: none ends on a place that is looked at.
    x_mm = np.arange(-REACH_MM, REACH_MM, STEP_MM) + STEP_MM / 2.0
    dose = _dose(x_mm, np.asarray(weight, np.float64), layer)
    if dose is None:
        return None
    found = [_peaks(x_mm, sign * dose) for sign in (1.0, -1.0)]
    fences = [(width_mm, middles_mm) for width_mm, middles_mm in found if len(middles_mm) >= FEWEST]
    return min(fences, key=lambda fence: fence[0])[1] if fences else None


def _of_plan(beam: Beam) -> tuple[FloatArray, list[Layer]]:
    points = beam.control_points
    return points.meterset_share, [(one.bank_b_mm, one.bank_a_mm) for one in points.mlc]


def _of_log(log: Delivery) -> tuple[FloatArray, list[Layer]]:
    assert log.weight is not None
    return log.weight.actual, [
        (one.bank_b_mm.reference, one.bank_a_mm.reference) for one in log.mlc
    ]


def _dose(
    x_mm: NDArray[np.float64], weight: NDArray[np.float64], layer: Layer
) -> NDArray[np.float64] | None:
    """Share of the meterset for which each place was open to most pairs, blurred."""
    from scipy.ndimage import gaussian_filter1d

    left_mm, right_mm = (np.asarray(bank, np.float64) for bank in layer)
    used = np.nanmax(right_mm - left_mm, axis=0) > OPEN_MM
    rises = np.flatnonzero(np.diff(weight) > 0.0)
    if not used.any() or not rises.size:
        return None
    left_mm, right_mm = (np.median(bank[:, used], axis=1) for bank in (left_mm, right_mm))
    dose = np.zeros_like(x_mm)
    steps = (np.arange(SUBSTEPS) + 0.5) / SUBSTEPS
    for k in rises:
        low, high = (
            bank[k] + steps[:, np.newaxis] * (bank[k + 1] - bank[k]) for bank in (left_mm, right_mm)
        )
        share = ((x_mm > low) & (x_mm < high)).mean(axis=0)
        dose += (weight[k + 1] - weight[k]) * share
    return np.asarray(gaussian_filter1d(dose, BLUR_MM / STEP_MM))


def _peaks(
    x_mm: NDArray[np.float64], dose: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Median width of the peaks at half of their rise, and the middles between their sides there.

    A width that is not a number where there is none.
    """
    from scipy.signal import find_peaks, peak_widths

    places, said = find_peaks(dose, prominence=max(float(np.ptp(dose)), 1e-9) * LEAST_RISE)
    if not places.size:
        return float("nan"), np.zeros(0)
    keep = said["prominences"] > LEAST_RISE * said["prominences"].max()
    widths, _, left, right = peak_widths(dose, places[keep], rel_height=0.5)
    middles_mm = np.interp((left + right) / 2.0, np.arange(len(x_mm)), x_mm)
    # A flat top with ripples is found once for each of them.
    alone = np.diff(middles_mm, prepend=-np.inf) > SAME_MM
    return float(np.median(widths)) * STEP_MM, middles_mm[alone]
