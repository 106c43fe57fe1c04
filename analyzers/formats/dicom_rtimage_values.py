"""What the pixels of an RT Image are worth, and which way they run.

PS3.3 C.11.1 (rescale), C.8.7.1.1.1 (`PixelIntensityRelationshipSign`, of the stored samples).
Makers write the sign seldom, photometric interpretation says how to show an image and not what was
measured, and record systems write the same panel's images either way: so the picture is asked too.

A calibrated image (`RescaleType` CU) keeps its values.  A relative one that falls with radiation is
reflected: `values` is no signal minus the stored value, where no signal is the largest number of
as many bits as the panel uses (16383 of 14 bits).  That keeps differences and ratios of signals;
a reflection about the image's own extremes would make its darkest pixel zero signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.dicom.items import Item
from analyzers.formats.dicom_rtimage_geometry import Geometry
from analyzers.formats.dicom_rtimage_pixels import Samples
from analyzers.numerics.picture_polarity import block_middles, rises
from analyzers.portal_images import Aperture, Pixels, Polarity

CALIBRATED = "CU"
LARGEST_RESCALE = 1e9
SMALLEST_SLOPE = 1e-12
MOST_SATURATED_PERCENT = 5.0
JAW_MARGIN_MM = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Intensity:
    """Values that rise with radiation, shape `(rows, columns)`, and how that is known."""

    values: NDArray[np.float64]
    pixels: Pixels
    polarity: Polarity
    sign: int | None
    unit: str | None
    saturated_percent: float


def intensity(
    root: Item,
    samples: Samples,
    values: NDArray[np.float64],
    blocked: NDArray[np.bool_] | None,
) -> Intensity:
    """Let the rescaled `values` of a measured image's samples rise with radiation.

    `blocked` is what `shielded` gives.  Raises `ReadError` where all pixels are equal, too many
    saturated, or nothing tells which way the values run.
    """
    if samples.stored.min() == samples.stored.max():
        raise root.error("FLAT", "all pixels have the same value: this is no image of a beam")
    slope, intercept = rescale(root)
    sign = _sign(root)
    stated = None if sign is None else sign * slope > 0.0
    seen = rises(values, blocked, no_signal=_no_signals(samples, slope, intercept))
    is_calibrated = root.code("RescaleType") == CALIBRATED
    if is_calibrated:
        polarity = _calibrated(root, stated, seen, by_jaws=blocked is not None)
        does_rise = True
    else:
        does_rise, polarity = _relative(root, stated, seen)
    saturated_percent = _saturated_percent(samples, rising=does_rise == (slope > 0.0))
    if saturated_percent > MOST_SATURATED_PERCENT:
        raise root.error(
            "SATURATED",
            f"{saturated_percent:.1f} % of the pixels are at the largest value that can be stored, "
            f"{MOST_SATURATED_PERCENT:g} % at most: the panel was saturated",
        )
    if not does_rise:
        values = _no_signal(samples, slope, intercept, values) - values
    return Intensity(
        values=values,
        pixels=Pixels.CALIBRATED if is_calibrated else Pixels.RELATIVE,
        polarity=polarity,
        sign=sign,
        unit=CALIBRATED if is_calibrated else None,
        saturated_percent=saturated_percent,
    )


def rescale(root: Item) -> tuple[float, float]:
    """Slope and intercept, 1 and 0 where the image has none.  Raises `ReadError`."""
    slope, intercept = root.number("RescaleSlope"), root.number("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    if not SMALLEST_SLOPE <= abs(slope) <= LARGEST_RESCALE or abs(intercept) > LARGEST_RESCALE:
        raise root.error("RESCALE", f"a rescale slope of {slope:g} and intercept of {intercept:g}")
    return slope, intercept


def rescaled(samples: Samples, slope: float, intercept: float) -> NDArray[np.float64]:
    """The samples as float64 on the image's own scale."""
    values = samples.stored.astype(np.float64)
    if slope != 1.0:
        values *= slope
    if intercept:
        values += intercept
    return values


def shielded(
    geometry: Geometry,
    shape: tuple[int, int],
    aperture: Aperture | None,
    collimator_deg: float | None,
) -> NDArray[np.bool_] | None:
    """Which blocks of pixels the stated jaws shield; None where they are not all stated."""
    if aperture is None or aperture.jaw_x_mm is None or aperture.jaw_y_mm is None:
        return None
    if collimator_deg is None or geometry.sid_mm is None:
        return None
    axis_px = geometry.axis_px or ((shape[0] - 1) / 2.0, (shape[1] - 1) / 2.0)
    scale = geometry.sad_mm / geometry.sid_mm
    y_mm = (axis_px[0] - block_middles(shape[0])[:, None]) * geometry.spacing_mm[0] * scale
    x_mm = (block_middles(shape[1])[None, :] - axis_px[1]) * geometry.spacing_mm[1] * scale
    turn = np.deg2rad(collimator_deg)
    along_x = x_mm * np.cos(turn) + y_mm * np.sin(turn)
    along_y = y_mm * np.cos(turn) - x_mm * np.sin(turn)
    outside = np.zeros(along_x.shape, np.bool_)
    for along, jaw_mm in ((along_x, aperture.jaw_x_mm), (along_y, aperture.jaw_y_mm)):
        outside |= (along < jaw_mm[0] - JAW_MARGIN_MM) | (along > jaw_mm[1] + JAW_MARGIN_MM)
    return outside


def _sign(root: Item) -> int | None:
    sign = root.packed_integer("PixelIntensityRelationshipSign")
    if sign not in (1, -1, None):
        root.reading.warn(f"PixelIntensityRelationshipSign is {sign}, 1 or -1 expected")
        return None
    return sign


def _calibrated(root: Item, stated: bool | None, seen: bool | None, *, by_jaws: bool) -> Polarity:
    if stated is False:
        raise root.error(
            "POLARITY",
            "calibrated values that PixelIntensityRelationshipSign says to fall with radiation",
        )
    if seen is not False:
        return Polarity.STATED
    if by_jaws:
        raise root.error(
            "POLARITY", "calibrated values that are highest where the stated jaws block the beam"
        )
    root.reading.warn("calibrated values that are highest at the border of the image")
    return Polarity.UNKNOWN


def _relative(root: Item, stated: bool | None, seen: bool | None) -> tuple[bool, Polarity]:
    if stated is not None:
        if seen is None or seen == stated:
            return stated, Polarity.STATED
        root.reading.warn(
            "PixelIntensityRelationshipSign contradicts the picture, where what is blocked shows "
            "which way the values run; the picture is believed"
        )
        return seen, Polarity.SEEN
    if seen is not None:
        return seen, Polarity.SEEN
    by_maker = _usual_of_maker(root)
    if by_maker is None:
        raise root.error(
            "POLARITY",
            "neither PixelIntensityRelationshipSign nor the picture tells whether values rise or "
            "fall with radiation",
        )
    root.reading.warn("the picture does not tell which way its values run; its maker's use does")
    return by_maker, Polarity.SEEN


def _usual_of_maker(root: Item) -> bool | None:
    """How the panel of a known acquisition system writes; from images of each of the three."""
    maker = (root.text("Manufacturer") or "").casefold()
    model = root.text("ManufacturerModelName") or ""
    if maker.startswith("varian") and model.startswith("VMS.XI"):
        return True if root.code("PhotometricInterpretation") == "MONOCHROME1" else None
    if maker.startswith("varian") and "Scan Mode IDU" in (root.text("RTImageDescription") or ""):
        return False
    return False if maker.startswith("elekta") and "iView" in model else None


def _saturated_percent(samples: Samples, *, rising: bool) -> float:
    """Share of pixels at the end of what can be stored where there is most radiation."""
    if samples.ends is None:
        return 0.0
    return 100.0 * float((samples.stored == samples.ends[1 if rising else 0]).mean())


def _no_signals(samples: Samples, slope: float, intercept: float) -> tuple[float, float] | None:
    """The value of no signal if values rise, and if they fall; None where none is known."""
    if samples.ends is None or samples.stored.dtype.kind == "i":
        return None
    low, high = sorted(end * slope + intercept for end in samples.ends)
    return low, high


def _no_signal(
    samples: Samples, slope: float, intercept: float, values: NDArray[np.float64]
) -> float:
    if samples.ends is None:
        return float(values.max())
    return samples.ends[1 if slope > 0.0 else 0] * slope + intercept
