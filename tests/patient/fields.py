"""Portal images in closed form: a field with edges that are error functions, on small panels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analyzers.portal_images import Classified, ImageKind, Pixels, Polarity, PortalImage

Floats = NDArray[np.float64]
CLINICAL = Classified(ImageKind.PORTAL, "test", "it was made for a test")
HALF_MM, BLUR_MM = 30.0, 1.5


def image(values: Floats, **said: Any) -> PortalImage:
    """A calibrated clinical image, 1.2 mm pixels at 1500 mm: 0.8 mm at the isocenter."""
    fields: dict[str, Any] = {
        "spacing_mm": (1.2, 1.2),
        "sid_mm": 1500.0,
        "axis_px": ((values.shape[0] - 1) / 2.0, (values.shape[1] - 1) / 2.0),
        "pixels": Pixels.CALIBRATED,
        "polarity": Polarity.STATED,
        "sign": 1,
        "unit": "CU",
        "meterset_mu": 100.0,
        "energy": "6x",
        "classified": CLINICAL,
    }
    return PortalImage(stored=values, values=values, **(fields | said))


def grid(rows: int = 130, columns: int = 140, step_mm: float = 0.8) -> tuple[Floats, Floats]:
    """x `(1, columns)` and y `(rows, 1)`, y falling, around the axis."""
    x_mm = (np.arange(columns) - (columns - 1) / 2.0) * step_mm
    y_mm = ((rows - 1) / 2.0 - np.arange(rows)) * step_mm
    return x_mm[None, :], y_mm[:, None]


def square(
    dx_mm: float = 0.0,
    dy_mm: float = 0.0,
    half_mm: float = HALF_MM,
    step_mm: float = 0.8,
    **size: int,
) -> Floats:
    """1 in a square whose middle lies at dx, dy; its edges half of it where the square ends."""
    x_mm, y_mm = grid(step_mm=step_mm, **size)

    def side(at_mm: Floats, middle_mm: float) -> Floats:
        inside_mm = half_mm - np.abs(at_mm - middle_mm)
        return np.asarray(0.5 * (1.0 + erf(inside_mm / (BLUR_MM * np.sqrt(2.0)))))

    return side(x_mm, dx_mm) * side(y_mm, dy_mm)
