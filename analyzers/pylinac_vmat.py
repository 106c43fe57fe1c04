"""VMAT tests of Ling by pylinac: dose by segment, as the ratio of the dynamic to the open image.

Limits: Jorgensen 2011 (Med Phys 38:1425) finds segments within 3 % of their mean on machines that
do well; the maker's own procedure, and pylinac by default, ask for 1.5 %.

A segment's mean hides what one end of it lacks where the other has more, and shows little of what
a short part lacks: parts of each segment are held against its mean by the same limits.  In real
pairs they are within 0.8 %, most of it a slope that all segments share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import (
    Analysis,
    AnalysisError,
    Limits,
    Metric,
    for_linacs,
)
from analyzers.image_traces import picture
from analyzers.portal_images import PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work
from analyzers.records import FloatArray

CANNOT = "the segments could not be measured"
SAME_PLANE_MM = 1.0
LEAST_DOSE = 0.5
"""Of the open field's own level: a segment with less lies outside of it."""
REACH_MM = 110.0
MOST_OFF_MIDDLE_MM = 3.0
"""A segment is three times as wide as what is averaged in it."""
MOST_ASLANT_DEG = 3.0
PARTS, LEAST_PART_MM = 5, 10.0
"""Of a segment's length that are looked at by themselves: 20 mm each with the usual plans."""

MAX_DEVIATION = Metric(
    "max_deviation",
    "%",
    "Largest magnitude of a segment's deviation from the mean of all segments",
    for_linacs(
        Limits.at_most(tolerance=1.5, action=3.0, source="maker's procedure; Jorgensen 2011 (3 %)")
    ),
)
MAX_ALONG = Metric(
    "max_deviation_along",
    "%",
    "Largest magnitude of the deviation of a part of a segment's length from the segment's mean",
    for_linacs(
        Limits.at_most(
            tolerance=1.5,
            action=3.0,
            source="product default: as between segments (maker's procedure; Jorgensen 2011, 3 %)",
        )
    ),
)
MEAN_DEVIATION = Metric("mean_deviation", "%", "Mean magnitude of the segments' deviations")


def segment_metrics(count: int) -> tuple[Metric, ...]:
    """One signed deviation a segment, trend-only."""
    return tuple(
        Metric(f"segment_{k}", "%", f"Deviation of segment {k} from the mean, by rising x")
        for k in range(1, count + 1)
    )


def open_field_of(image: PortalImage) -> PortalImage:
    """The open image beside it, of the same geometry.  Raises `AnalysisError`."""
    partner = image.beside.open_image
    if partner is None:
        why = image.beside.lacking.get("open_image", "none was taken with it")
        raise AnalysisError(f"the open image of this test is not here: {why}")
    if partner.shape != image.shape or not np.allclose(partner.spacing_mm, image.spacing_mm):
        raise AnalysisError("the open image has another number or size of pixels")
    if image.sid_mm is None or partner.sid_mm is None:
        raise AnalysisError(
            "an image does not state the distance from source to imager: no segment can be placed"
        )
    if abs(image.sid_mm - partner.sid_mm) > SAME_PLANE_MM:
        raise AnalysisError("the open image was taken with the imager at another distance")
    return partner


def measure(
    test: str,
    image: PortalImage,
    offsets_mm: Sequence[float],
    size_mm: tuple[float, float],
    metrics: Sequence[Metric],
) -> Analysis:
    """Deviations of the segments of a test (`DRGS`, `DRMLC`).

    `offsets_mm` are the segments' middles from the field's middle along x, rising, `size_mm` their
    width and height, all at the isocenter plane.  Raises `AnalysisError`.
    """
    partner = open_field_of(image)
    with pylinac_at_work(CANNOT):
        found = _of_pylinac(test)([dicom_stream(partner), dicom_stream(image)])
        regions = {str(k): {"offset_mm": x_mm} for k, x_mm in enumerate(offsets_mm)}
        found.analyze(segment_size_mm=size_mm, roi_config=regions)
        deviation = np.array([float(segment.r_dev) for segment in found.segments])
        at_px = np.array([(s.center.x, s.center.y) for s in found.segments])
        ratio = np.asarray(found.ratio_image, np.float64)
        opened = np.asarray(found.open_image.array, np.float64)
        dynamic = np.asarray(found.dmlc_image.array, np.float64)
    _check_lit(opened, at_px)
    _check_center(opened, at_px, offsets_mm, image)
    _check_together(opened, dynamic, at_px, image)
    _check_direction(image)
    if not np.isfinite(deviation).all():
        raise AnalysisError(f"{CANNOT}: a pixel of the open image holds no dose")
    x_mm = np.interp(at_px[:, 0], np.arange(image.shape[1]), image.x_mm)
    y_mm = np.interp(at_px[:, 1], np.arange(image.shape[0]), image.y_mm)
    worst = int(np.abs(deviation).argmax())
    along = _along(image, ratio, (x_mm, y_mm), size_mm)
    segment, part = np.unravel_index(int(np.abs(along).argmax()), along.shape)
    part_mm = y_mm[segment] + ((part + 0.5) / along.shape[1] - 0.5) * size_mm[1]
    return Analysis(
        measurements=[
            MAX_DEVIATION.measured(
                abs(deviation[worst]), at=f"segment {worst + 1}, x {x_mm[worst]:.0f} mm"
            ),
            MAX_ALONG.measured(
                abs(along[segment, part]), at=f"segment {segment + 1}, y {part_mm:.0f} mm"
            ),
            MEAN_DEVIATION.measured(float(np.abs(deviation).mean())),
            *(m.measured(value) for m, value in zip(metrics, deviation, strict=True)),
        ],
        traces=picture(image, REACH_MM)
        | _profile(image, ratio, y_mm[0], size_mm)
        | {
            "segment_x_mm": x_mm,
            "segment_y_mm": y_mm,
            "segment_size_mm": np.array(size_mm),
            "deviation": deviation,
            "deviation_along": along,
        },
    )


def _of_pylinac(test: str) -> Any:
    """pylinac's class, told which image is which: it would tell them by their spread."""
    import pylinac.vmat

    class Told(getattr(pylinac.vmat, test)):  # type: ignore[misc]
        def _identify_images(self, image1: Any, image2: Any) -> None:
            self.open_image, self.dmlc_image = image1, image2

    return Told


def _check_lit(opened: FloatArray, at_px: NDArray[np.float64]) -> None:
    """A segment outside the open field would be a ratio of two backgrounds."""
    columns, rows = np.round(at_px).astype(int).T
    inside = (columns >= 0) & (columns < opened.shape[1]) & (rows >= 0) & (rows < opened.shape[0])
    level = LEAST_DOSE * float(np.percentile(opened, 99))
    dark = [
        str(k)
        for k, (row, column, ok) in enumerate(zip(rows, columns, inside, strict=True), start=1)
        if not ok or opened[row, column] < level
    ]
    if dark:
        raise AnalysisError(
            f"segment {', '.join(dark)} lies outside the open field: "
            "the plan has other segments (offsets_mm), or the images are of another test"
        )


def _check_center(
    opened: FloatArray, at_px: NDArray[np.float64], offsets_mm: Sequence[float], image: PortalImage
) -> None:
    """The segments are placed from the field's middle: it is looked for again, at half height."""
    step_mm = image.spacing_mm[1] / image.magnification
    taken_px = float(at_px[:, 0].mean()) - float(np.mean(offsets_mm)) / step_mm
    off_mm = (_middle_px(opened, at_px) - taken_px) * step_mm
    if abs(off_mm) > MOST_OFF_MIDDLE_MM:
        raise AnalysisError(
            f"{CANNOT}: the middle of the open field was taken {abs(off_mm):.1f} mm from where its "
            "edges have it"
        )


def _check_together(
    opened: FloatArray, dynamic: FloatArray, at_px: NDArray[np.float64], image: PortalImage
) -> None:
    """Between the two images neither imager nor field may move: segments are placed on both."""
    step_mm = image.spacing_mm[1] / image.magnification
    apart_mm = (_middle_px(dynamic, at_px) - _middle_px(opened, at_px)) * step_mm
    if abs(apart_mm) > MOST_OFF_MIDDLE_MM:
        raise AnalysisError(
            f"the middle of this field lies {abs(apart_mm):.1f} mm from that of the open image: "
            "the imager or the field has moved between the two"
        )


def _middle_px(values: FloatArray, at_px: NDArray[np.float64]) -> float:
    """Column in the middle of the field at half height, along the row of the segments."""
    row = round(float(at_px[0, 1]))
    line = values[max(row - 5, 0) : row + 6].mean(axis=0)
    lit = np.flatnonzero(line > 0.5 * np.percentile(line, 90))
    return float(lit[0] + lit[-1]) / 2.0


def _check_direction(image: PortalImage) -> None:
    """Segments across the strips would each be a mean of all of them, and alike."""
    from analyzers.numerics.image_patterns import picture_of
    from analyzers.numerics.image_stripes import seams

    spacing_mm = float(np.mean(image.spacing_mm)) / image.magnification
    shown = picture_of(image.values, spacing_mm, image.center_px, None)
    found = None if shown is None or shown.field is None else seams(shown, shown.field)
    if found is None or not found.pitch_mm:
        return
    aslant_deg = min(found.angle_deg, 180.0 - found.angle_deg)
    if aslant_deg > MOST_ASLANT_DEG:
        raise AnalysisError(
            f"the strips lie side by side {aslant_deg:.0f} deg from the image's x, along which "
            "the segments are: check the collimator angle and the turn of the image"
        )


def _along(
    image: PortalImage,
    ratio: FloatArray,
    middles_mm: tuple[FloatArray, FloatArray],
    size_mm: tuple[float, float],
) -> FloatArray:
    """In percent, of each segment's parts by rising y against their mean; `(segments, parts)`.

    NaN where the image has no pixel in a part.
    """
    width_mm, height_mm = size_mm
    parts = int(np.clip(height_mm // LEAST_PART_MM, 2, PARTS))
    found = np.full((len(middles_mm[0]), parts), np.nan)
    for k, (x_mm, y_mm) in enumerate(zip(*middles_mm, strict=True)):
        columns = np.abs(image.x_mm - x_mm) <= width_mm / 2.0
        share = (image.y_mm - y_mm) / height_mm + 0.5
        for part in range(parts):
            inside = ratio[(share >= part / parts) & (share < (part + 1) / parts)][:, columns]
            found[k, part] = inside.mean() if inside.size else np.nan
    return np.asarray(100.0 * (found / found.mean(axis=1, keepdims=True) - 1.0))


def _profile(
    image: PortalImage, ratio: FloatArray, y_mm: float, size_mm: tuple[float, float]
) -> dict[str, NDArray[Any]]:
    """The ratio along x, mean over the segments' height, in % of its median there."""
    rows = np.abs(image.y_mm - y_mm) <= size_mm[1] / 2.0
    columns = np.abs(image.x_mm) <= REACH_MM
    with np.errstate(all="ignore"):
        line = ratio[rows][:, columns].mean(axis=0)
    usual = float(np.nanmedian(line[np.isfinite(line)])) if np.isfinite(line).any() else 1.0
    return {
        "profile_x_mm": image.x_mm[columns].astype(np.float32),
        "profile_percent": (100.0 * line / (usual or 1.0)).astype(np.float32),
    }
