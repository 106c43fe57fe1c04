"""Portal images for tests, made of edges in closed form."""

from __future__ import annotations

from dataclasses import replace
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
