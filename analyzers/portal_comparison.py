"""Two images of one beam laid over each other: the same plane, the same pixels, one shift.

All lengths are at the isocenter plane.  Signals are brought to the distance of the measured image
by the inverse square; they are never turned over, stretched or normalized, except where an image
has no unit: then only the pattern is compared, and what comes of it is called relative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.numerics.gamma import GammaCriteria, gamma_indices
from analyzers.numerics.gamma_result import PASSES
from analyzers.numerics.image_registration import Shift, shift_between
from analyzers.portal_images import Pixels, Polarity, PortalImage

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MARGIN_MM = 10.0
LEAST_FIELD_MM2 = 25.0
LOOKED_FOR_MM = 30.0
PLATEAU = 0.5
"""Of the maximum: above it the scale of a relative image is taken."""
STEEP = 0.25
"""Of the steepest slope: what is steeper is an edge of the field."""
DIFFERENT = 0.9
"""Below this correlation two patterns need not have a shift."""
BEYOND_MM = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Values `(rows, columns)` at the isocenter plane; x and y in mm, both rising in even steps."""

    values: Floats
    x_mm: Floats
    y_mm: Floats

    @property
    def step_mm(self) -> tuple[float, float]:
        """Distance of the rows and of the columns."""
        return float(self.y_mm[1] - self.y_mm[0]), float(self.x_mm[1] - self.x_mm[0])

    def cut(self, rows: slice, columns: slice) -> Plane:
        """A part of it."""
        return Plane(self.values[rows, columns], self.x_mm[columns], self.y_mm[rows])

    def on(self, other: Plane, dx_mm: float = 0.0, dy_mm: float = 0.0) -> Floats:
        """What it reads at the points of another plane when moved by dx, dy; NaN outside of it."""
        from scipy import ndimage

        row = (other.y_mm - dy_mm - self.y_mm[0]) / self.step_mm[0]
        column = (other.x_mm - dx_mm - self.x_mm[0]) / self.step_mm[1]
        # Positions on the last pixel come out a rounding beyond it.
        places = np.meshgrid(np.round(row, 9), np.round(column, 9), indexing="ij")
        # Straight lines between pixels would flatten every rounded edge.
        found = ndimage.map_coordinates(self.values, places, order=3, mode="constant", cval=np.nan)
        return np.asarray(found, np.float64)


def plane_of(image: PortalImage, pixel_mm: float, values: Floats | None = None) -> Plane:
    """The image in blocks of whole pixels, as near as may be to `pixel_mm` at the isocenter.

    `values` stand in for the image's own, on the same pixels.  Raises `AnalysisError` where the
    distance of the imager is not known, where a value is missing, and where there is no signal.
    """
    if image.sid_mm is None:
        raise AnalysisError("the image does not state the distance of the imager")
    signal = image.values if values is None else values
    if not np.isfinite(signal).all():
        raise AnalysisError("the image holds values that are no numbers")
    if min(signal.shape) < 16:
        raise AnalysisError("the image has less than 16 rows or columns")
    if max(np.abs(image.x_mm).max(), np.abs(image.y_mm).max()) > BEYOND_MM:
        raise AnalysisError("the image reaches further from the axis than any imager")
    steps = [max(1, round(pixel_mm * image.magnification / mm)) for mm in image.spacing_mm]
    rows, columns = (n // step for n, step in zip(signal.shape, steps, strict=True))
    if min(rows, columns) < 16:
        raise AnalysisError("the pixels of the image are too large")
    inner = signal[: rows * steps[0], : columns * steps[1]]
    blocks = inner.reshape(rows, steps[0], columns, steps[1]).mean(axis=(1, 3))
    x_mm = image.x_mm[: columns * steps[1]].reshape(columns, steps[1]).mean(axis=1)
    y_mm = image.y_mm[: rows * steps[0]].reshape(rows, steps[0]).mean(axis=1)
    if blocks.max() <= 0.0:
        raise AnalysisError("the image shows no signal")
    return Plane(np.ascontiguousarray(blocks[::-1]), x_mm, np.ascontiguousarray(y_mm[::-1]))


def refuse_unsure_polarity(image: PortalImage) -> None:
    """Raise `AnalysisError` where it is not sure that the values rise with radiation.

    An image that contradicts what it states of itself has no absolute scale.
    """
    if image.polarity is Polarity.UNKNOWN:
        raise AnalysisError("it is not known which way the pixel values run")
    if image.polarity is Polarity.SEEN and image.sign is not None:
        raise AnalysisError("the pixel values run the other way than the image states")


def is_absolute(*images: PortalImage) -> bool:
    """Whether all of them are in calibrated units."""
    return all(image.pixels is Pixels.CALIBRATED for image in images)


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Measured and expected on the same pixels, laid over each other where that is allowed.

    `dx_mm`, `dy_mm`: how far the measured pattern lies from the expected one, whether or not it was
    moved back.  `factor` is what the expected values were multiplied by; 1 where both are absolute.
    """

    measured: Plane
    expected: Plane
    dx_mm: float
    dy_mm: float
    is_corrected: bool
    correlation: float
    factor: float
    normalization: float
    """The maximum of the expected values."""
    field: Flags
    """Where either is at or above the threshold."""

    @property
    def shift_mm(self) -> float:
        """Length of the shift; NaN where the patterns are not each other's."""
        return float(np.hypot(self.dx_mm, self.dy_mm))

    @property
    def difference_percent(self) -> Floats:
        """Measured minus expected in percent of the normalization, NaN outside the field."""
        difference = 100.0 * (self.measured.values - self.expected.values) / self.normalization
        return np.where(self.field, difference, np.nan)

    @property
    def mean_error_percent(self) -> float:
        """Signal in the field, measured minus expected over expected."""
        expected = float(self.expected.values[self.field].sum())
        return 100.0 * (float(self.measured.values[self.field].sum()) / expected - 1.0)

    def largest_local_percent(self, size_mm: float) -> tuple[float, float, float]:
        """Mean difference over a square, of the normalization, where it is largest; its x and y.

        Also beyond the field: what came through there is no less wrong.
        """
        from scipy import ndimage

        size = tuple(max(1, round(size_mm / step)) for step in self.measured.step_mm)
        difference = self.measured.values - self.expected.values
        mean = ndimage.uniform_filter(difference, size, mode="constant") / self.normalization
        row, column = np.unravel_index(int(np.abs(mean).argmax()), mean.shape)
        place = float(self.measured.x_mm[column]), float(self.measured.y_mm[row])
        return (100.0 * float(mean[row, column]), *place)


def overlay(
    measured: Plane,
    expected: Plane,
    *,
    limit_mm: float,
    threshold_percent: float,
    absolute: bool,
) -> Overlay:
    """Lay two planes over each other; a shift beyond `limit_mm` is told and not taken back.

    Raises `AnalysisError` where the expected image ends inside the field, where there is no field,
    and where no shift can be found between the two.
    """
    there = expected.on(measured)
    share = threshold_percent / 100.0
    bright = measured.values >= share * measured.values.max()
    rows, columns = _box(bright | (np.nan_to_num(there) >= share * expected.values.max()), measured)
    seen, wanted = measured.cut(rows, columns), there[rows, columns]
    if np.isnan(wanted[bright[rows, columns]]).any():
        raise AnalysisError("the expected image ends inside the measured field")
    dx_mm, dy_mm, correlation = _shift_mm(seen, np.nan_to_num(wanted))
    moves = float(np.hypot(dx_mm, dy_mm)) <= limit_mm  # NaN is not
    if moves:
        wanted = expected.on(seen, dx_mm, dy_mm)
    wanted = np.nan_to_num(wanted)
    top = float(wanted.max())
    factor = 1.0
    if not absolute:
        plateau = wanted >= PLATEAU * top
        factor = float(np.median(seen.values[plateau] / wanted[plateau]))
        if factor <= 0.0:
            raise AnalysisError("the measured image shows no signal where the field is expected")
        wanted, top = wanted * factor, top * factor
    field = (seen.values >= share * top) | (wanted >= share * top)
    if np.count_nonzero(field) * seen.step_mm[0] * seen.step_mm[1] < LEAST_FIELD_MM2:
        raise AnalysisError("there is no field to compare")
    return Overlay(
        measured=seen,
        expected=Plane(wanted, seen.x_mm, seen.y_mm),
        dx_mm=dx_mm,
        dy_mm=dy_mm,
        is_corrected=moves,
        correlation=correlation,
        factor=factor,
        normalization=top,
        field=field,
    )


def _shift_mm(measured: Plane, expected: Floats) -> tuple[float, float, float]:
    """Shift and correlation; NaN for the shift of patterns that are not each other's.

    Raises `AnalysisError` where they are alike and nothing tells a shift: a field without edges.
    """
    mask = edges_of(expected)
    found = shift_of(measured, expected, mask)
    if found is not None:
        step_mm = measured.step_mm
        return found.columns * step_mm[1], found.rows * step_mm[0], found.correlation
    here, there = measured.values[mask], expected[mask]
    flat = not (np.ptp(here) > 0.0 and np.ptp(there) > 0.0)
    correlation = np.nan if flat else float(np.corrcoef(here, there)[0, 1])
    if not correlation < DIFFERENT:
        raise AnalysisError("the two images cannot be laid over each other: nothing tells a shift")
    return np.nan, np.nan, correlation


def shift_of(measured: Plane, expected: Floats, mask: Flags | None = None) -> Shift | None:
    """The shift of the measured pattern, in pixels, by the edges of the field unless told where."""
    if mask is None:
        mask = edges_of(expected)
    return shift_between(
        expected, measured.values, mask, reach=LOOKED_FOR_MM / min(measured.step_mm)
    )


def edges_of(values: Floats, wider: int = 4) -> Flags:
    """Where the signal is steep, and so many pixels around it."""
    from scipy import ndimage

    slope = ndimage.gaussian_gradient_magnitude(values, 1.5)
    return np.asarray(ndimage.binary_dilation(slope >= STEEP * slope.max(), iterations=wider))


@dataclass(frozen=True, slots=True, eq=False)
class FieldGamma:
    """Gamma over the field: reference is the measured image, evaluated the expected one.

    Points count where either image is at or above the threshold: a part of the field that was not
    delivered at all has no measured signal, and must not be left out for it.
    """

    criteria: GammaCriteria
    map: Floats
    """NaN outside the field."""
    pass_percent: float
    mean: float
    points: int

    def __str__(self) -> str:
        """What has to be said with a pass rate."""
        return (
            f"gamma {self.criteria.dose_percent:g} %/{self.criteria.distance_mm:g} mm global, "
            f"where either image is above the threshold: {self.points} points, mean "
            f"{self.mean:.3f}; reference measured, evaluated expected, normalization the maximum "
            "of the expected; lengths at the isocenter plane"
        )


def gammas_of(found: Overlay, criteria: list[tuple[float, float]]) -> list[FieldGamma]:
    """Gamma by several (percent, mm), in their order.  Raises `AnalysisError`: no dose at all."""
    wanted = [
        GammaCriteria(
            dose_percent=percent,
            distance_mm=mm,
            threshold_percent=0.0,
            normalization=found.normalization,
        )
        for percent, mm in criteria
    ]
    # Noise around zero is no dose, and gamma knows none below zero.
    reference = np.maximum(found.measured.values, 0.0)
    evaluated = np.maximum(found.expected.values, 0.0)
    try:
        results = gamma_indices(
            reference, evaluated, found.measured.step_mm, wanted, names=("measured", "expected")
        )
    except ValueError as why:
        raise AnalysisError(f"no gamma: {why}") from None
    answers = []
    for result in results:
        inside = result.map[found.field]
        answers.append(
            FieldGamma(
                criteria=result.criteria,
                map=np.where(found.field, result.map, np.nan),
                pass_percent=100.0 * float(np.count_nonzero(inside <= PASSES)) / inside.size,
                mean=float(inside.mean()),
                points=int(inside.size),
            )
        )
    return answers


def mean_image(images: Sequence[PortalImage]) -> PortalImage:
    """The mean of several images of one beam, to be signed off as its baseline.

    On the first one's pixels, in its unit.  Raises `AnalysisError` where they are not alike:
    shape, pixels, distance, axis, unit.
    """
    if not images:
        raise AnalysisError("there is no image to take the mean of")
    first = images[0]

    def likeness(image: PortalImage) -> tuple[object, ...]:
        return image.shape, image.spacing_mm, image.sid_mm, image.center_px, image.pixels

    if any(likeness(image) != likeness(first) for image in images):
        raise AnalysisError("the images differ in pixels, distance, axis or unit: no mean of them")
    values = np.mean([image.values for image in images], axis=0)
    return replace(first, values=values, saturated_percent=max(i.saturated_percent for i in images))


def _box(bright: Flags, plane: Plane) -> tuple[slice, slice]:
    """Rows and columns around all that is bright, with a margin."""
    found = []
    for axis, step_mm in enumerate(plane.step_mm):
        lit = np.flatnonzero(bright.any(axis=1 - axis))
        wider = round(MARGIN_MM / step_mm)
        found.append(slice(max(int(lit[0]) - wider, 0), int(lit[-1]) + wider + 1))
    return found[0], found[1]


def drawn(found: Overlay, gamma: FieldGamma) -> dict[str, NDArray[np.float32]]:
    """The maps for the eye."""
    maps = {
        "measured": found.measured.values,
        "expected": found.expected.values,
        "difference_percent": found.difference_percent,
        "gamma": gamma.map,
        "x_mm": found.measured.x_mm,
        "y_mm": found.measured.y_mm,
    }
    return {name: values.astype(np.float32) for name, values in maps.items()}
