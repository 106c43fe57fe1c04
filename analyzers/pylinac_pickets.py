"""Picket fences by pylinac: the numbers of every leaf at every picket, in IEC 61217.

pylinac counts leaves and names banks by their place in the image.  Here leaf 1 is at the most
negative y of the collimator and bank A on its positive x (X2), whatever its angle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.portal_images import PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work
from analyzers.records import FloatArray

CANNOT = "the pickets could not be measured"
MOST_OFF_CARDINAL_DEG = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Pickets:
    """What was measured; lengths in mm at the isocenter plane, errors actual minus expected.

    Pickets are in the order of their place on the image's x (y where leaves move along y), the most
    negative first; pairs in the order of their numbers.  NaN where a pair has no such picket.
    """

    pairs: NDArray[np.int64]
    """Numbers of the leaf pairs, `(pairs,)`."""
    moves_along_x: bool
    place_mm: FloatArray
    """Of each picket on the axis of leaf travel, from the middle of the image, `(pickets,)`."""
    pair_error_mm: FloatArray
    """Middle of the gap minus the picket's fitted line, along +x or +y, `(pairs, pickets)`."""
    gap_mm: FloatArray
    """Width of the gap at half height, `(pairs, pickets)`."""
    across_mm: FloatArray
    """Of each pair on the axis across the travel, `(pairs,)`."""
    error_a_mm: FloatArray
    """Leaf of bank A minus line and half the nominal gap, along the collimator's +x."""
    error_b_mm: FloatArray
    slope: FloatArray
    """Of each picket's line: mm along the travel by mm across it, `(pickets,)`."""
    nominal_gap_mm: float
    bank_a_is_positive: bool
    """Whether bank A is on the positive side of the image's axis of travel."""

    @property
    def spacing_mm(self) -> float:
        """Mean distance of neighbors; NaN where there is one picket."""
        return float(np.mean(np.diff(self.place_mm))) if len(self.place_mm) > 1 else float("nan")


def measure(image: PortalImage, leaf_edges_mm: FloatArray, nominal_gap_mm: float | None) -> Pickets:
    """Measure both ways: pairs as one, and each leaf against half the gap from the picket's line.

    Where no nominal gap is given, the median gap of the image stands in.  Raises `AnalysisError`.
    """
    with pylinac_at_work(CANNOT):
        from pylinac.picketfence import Orientation, PicketFence

        fence = PicketFence(
            dicom_stream(_centered(image, leaf_edges_mm)), mlc=_arrangement(leaf_edges_mm)
        )
        fence.analyze()
        along_x = fence.orientation is Orientation.UP_DOWN
        together = _table(fence)
        gap_mm = float(np.nanmedian(together.gap_mm)) if nominal_gap_mm is None else nominal_gap_mm
        _judge_separately(fence, gap_mm)
        each = _table(fence)
    travel_sign, across_sign = _signs(image, along_x)
    count = len(leaf_edges_mm) - 1
    # pylinac gives the first place in the image the highest number.
    numbers = together.numbers if across_sign > 0 else count + 1 - together.numbers
    order, ranks = np.argsort(numbers), np.argsort(together.place_mm * travel_of_image(along_x))
    at = np.ix_(order, ranks)
    low, high = each.errors_mm[0][at], each.errors_mm[1][at]
    return Pickets(
        pairs=numbers[order],
        moves_along_x=along_x,
        place_mm=(together.place_mm * travel_of_image(along_x))[ranks],
        pair_error_mm=together.errors_mm[0][at] * travel_of_image(along_x),
        gap_mm=together.gap_mm[at],
        across_mm=together.across_mm[order] * (-1.0 if along_x else 1.0),
        # `low` is the edge at the lower pixel number; bank A is there where +x runs the other way.
        error_a_mm=travel_sign * (high if travel_sign > 0 else low),
        error_b_mm=travel_sign * (low if travel_sign > 0 else high),
        slope=(-together.slope)[ranks],
        nominal_gap_mm=gap_mm,
        bank_a_is_positive=travel_sign * travel_of_image(along_x) > 0,
    )


def _judge_separately(fence: Any, gap_mm: float) -> None:
    """The same as a second `analyze` with `separate_leaves`, without measuring all gaps again.

    The edges of a gap are in its profile already; pylinac fits the pickets through them and gives
    the errors by its own code.
    """
    from pylinac.picketfence import Picket

    fence.separate_leaves = True
    for found in fence.mlc_meas:
        start_px = max(found._approximate_idx - found._spacing / 2, 0)  # noqa: SLF001
        edges_px = (found.profile.field_edge_idx(side=side) for side in ("left", "right"))
        found.position = [start_px + edge_px for edge_px in edges_px]
        found._separate_leaves, found._nominal_gap_mm = True, gap_mm  # noqa: SLF001
    fence.pickets = [
        Picket(
            [found for found in fence.mlc_meas if found.picket_num == number],
            log_fits=None,
            orientation=fence.orientation,
            image=fence.image,
            tolerance=fence.tolerance,
            separate_leaves=True,
            nominal_gap=gap_mm,
        )
        for number in range(len(fence.pickets))
    ]


def travel_of_image(along_x: bool) -> float:
    """Which way the image's axis of travel runs with the pixel number: x with it, y against it."""
    return 1.0 if along_x else -1.0


def _signs(image: PortalImage, along_x: bool) -> tuple[float, float]:
    """Whether the collimator's +x runs with the pixel number, and its +y against it.

    With the collimator at c its axes lie along (cos c, sin c) and (-sin c, cos c) of the gantry's
    (IEC 61217), which are the image's.  An angle that is not told is taken as 0 or 90, whichever
    has the leaves move as they do.
    """
    angle_deg = image.collimator_deg
    if angle_deg is None:
        angle_deg = 0.0 if along_x else 90.0
    if abs((angle_deg + 45.0) % 90.0 - 45.0) > MOST_OFF_CARDINAL_DEG:
        raise AnalysisError(
            "the collimator stands between 0, 90, 180 and 270 degrees: leaves cannot be told apart"
        )
    turn = round(angle_deg / 90.0) % 4
    if (turn % 2 == 0) != along_x:
        raise AnalysisError(
            f"the leaves move along {'x' if along_x else 'y'} of the image, which is not where the "
            f"collimator angle of the file has them: check the angle and the turn of the image"
        )
    return (1.0, -1.0, -1.0, 1.0)[turn], (1.0, 1.0, -1.0, -1.0)[turn]


def _arrangement(leaf_edges_mm: FloatArray) -> Any:
    from pylinac.picketfence import MLCArrangement

    widths_mm = np.diff(leaf_edges_mm)
    starts = np.flatnonzero(np.diff(widths_mm, prepend=-1.0))
    counts = np.diff([*starts, len(widths_mm)])
    return MLCArrangement(
        [(int(n), float(widths_mm[at])) for n, at in zip(counts, starts, strict=True)]
    )


def is_off_middle(image: PortalImage, leaf_edges_mm: FloatArray) -> bool:
    """Whether the beam's axis is so far from the image's middle that leaves would be mistaken."""
    rows, columns = _off_middle_px(image, leaf_edges_mm)
    return bool(rows or columns)


def _off_middle_px(image: PortalImage, leaf_edges_mm: FloatArray) -> tuple[int, int]:
    """How far the axis is from the middle across the leaves' travel, in rows and columns."""
    if image.axis_px is None or not image.geometry_is_consistent:
        return 0, 0
    off = [at - (n - 1) / 2.0 for at, n in zip(image.axis_px, image.shape, strict=True)]
    steps_mm = [step / image.magnification for step in image.spacing_mm]
    most_mm = 0.2 * float(np.diff(leaf_edges_mm).min())
    rows, columns = (
        round(o) if abs(o * step) > most_mm else 0 for o, step in zip(off, steps_mm, strict=True)
    )
    profiles = (image.values.mean(axis=0), image.values.mean(axis=1))
    along_x = np.abs(np.diff(profiles[0])).mean() > np.abs(np.diff(profiles[1])).mean()
    return (rows, 0) if along_x else (0, columns)


def _centered(image: PortalImage, leaf_edges_mm: FloatArray) -> PortalImage:
    """pylinac puts the middle of the MLC on the middle of the image: there the axis has to be."""
    rows, columns = _off_middle_px(image, leaf_edges_mm)
    cut = tuple(
        slice(2 * max(off, 0), n + 2 * min(off, 0))
        for off, n in zip((rows, columns), image.shape, strict=True)
    )
    return replace(image, stored=image.stored[cut], values=image.values[cut])


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    numbers: NDArray[np.int64]
    errors_mm: list[NDArray[np.float64]]
    gap_mm: NDArray[np.float64]
    across_mm: NDArray[np.float64]
    place_mm: NDArray[np.float64]
    slope: NDArray[np.float64]


def _table(fence: Any) -> _Table:
    """The measurements as tables, in pylinac's own order and along the pixel number."""
    numbers = np.array(sorted({m.leaf_num for m in fence.mlc_meas}), np.int64)
    row = {number: index for index, number in enumerate(numbers.tolist())}
    shape = len(numbers), len(fence.pickets)
    errors_mm = [np.full(shape, np.nan) for _ in range(2 if fence.separate_leaves else 1)]
    gap_mm, across_mm = np.full(shape, np.nan), np.zeros(len(numbers))
    # Leaves are placed by the edges of pixels, pickets by their middles.
    rows, columns = fence.image.shape
    for found in fence.mlc_meas:
        at = row[found.leaf_num], found.picket_num
        for table, error_mm in zip(errors_mm, found.error, strict=True):
            table[at] = error_mm
        gap_mm[at] = found.profile.field_width_mm
        where = found.marker_lines[0].center
        along_x = fence.orientation.name == "UP_DOWN"
        off_px = where.y - rows / 2.0 if along_x else where.x - columns / 2.0
        across_mm[at[0]] = off_px / fence.image.dpmm
    return _Table(
        numbers,
        errors_mm,
        gap_mm,
        across_mm,
        np.array([-picket.dist2cax for picket in fence.pickets]),
        np.array([float(picket.fit.coefficients[0]) for picket in fence.pickets]),
    )
