"""Portal images for tests: made of edges in closed form, and real ones by way of pydicom alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analyzers.portal_images import Beside, Classified, ImageKind, PortalImage

EDGE_SIGMA_MM = 0.7


def image(values: NDArray[Any], step_mm: float, **known: Any) -> PortalImage:
    """Values from 0 to 1 as an image whose pixels are `step_mm` wide at the isocenter."""
    sid_mm = known.pop("sid_mm", 1500.0)
    stored = np.round(5000.0 + 50000.0 * values).astype(np.uint16)
    return PortalImage(
        stored=stored,
        values=stored.astype(np.float64),
        spacing_mm=(step_mm * sid_mm / 1000.0,) * 2,
        sid_mm=sid_mm,
        **{"gantry_deg": 0.0, "collimator_deg": 0.0, "couch_rotation_deg": 0.0} | known,
    )


def places_mm(count: int, step_mm: float) -> NDArray[np.float64]:
    return (np.arange(count) - (count - 1) / 2.0) * step_mm


def slit(x_mm: Any, low_mm: Any, high_mm: Any, sigma_mm: float = EDGE_SIGMA_MM) -> Any:
    """A slit blurred by a Gaussian, 1 inside."""
    width = sigma_mm * np.sqrt(2.0)
    return 0.5 * (erf((x_mm - low_mm) / width) - erf((x_mm - high_mm) / width))


def judged(record: PortalImage, kind: ImageKind, **beside: Any) -> PortalImage:
    """The image of a kind, with what it is held against."""
    record = record.as_kind(Classified(kind, "pinned", "by the test"))
    return replace(record, beside=Beside(**beside))


def real(path: Path) -> PortalImage:
    """A real image, its values as stored."""
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    stored = dataset.pixel_array

    def number(keyword: str) -> float | None:
        value = dataset.get(keyword)
        return None if value in (None, "") else float(value)

    slope, intercept = number("RescaleSlope"), number("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    shift = dataset.get("XRayImageReceptorTranslation")
    values = stored * slope + intercept
    corners = np.mean([values[:20, :20], values[:20, -20:], values[-20:, :20], values[-20:, -20:]])
    return PortalImage(
        stored=stored,
        # Polarity is the reader's; here the corners decide, which is right for these files.
        values=values.max() - values if corners > values.mean() else values,
        spacing_mm=tuple(map(float, dataset.ImagePlanePixelSpacing)),
        slope=slope,
        intercept=intercept,
        sign=dataset.get("PixelIntensityRelationshipSign"),
        sid_mm=number("RTImageSID"),
        sad_mm=number("RadiationMachineSAD") or 1000.0,
        panel_shift_mm=None if not shift else (float(shift[0]), float(shift[1])),
        gantry_deg=number("GantryAngle"),
        collimator_deg=number("BeamLimitingDeviceAngle"),
        couch_rotation_deg=number("PatientSupportAngle"),
    )
