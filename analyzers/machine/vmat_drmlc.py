"""VMAT, dose rate and leaf speed: segments that get one dose in different ways.

Held against the open image that was taken with it; see `pylinac_vmat` for the limits.
"""

from __future__ import annotations

from pydantic import Field

from analyzers.core import Analysis, Analyzer, Context, Settings
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.pylinac_vmat import (
    MAX_ALONG,
    MAX_DEVIATION,
    MEAN_DEVIATION,
    measure,
    segment_metrics,
)

SEGMENTS = segment_metrics(4)


class VmatDrmlcSettings(Settings):
    """Settings of this analyzer: the segments of the clinic's plan."""

    offsets_mm: tuple[float, float, float, float] = (-45.0, -15.0, 15.0, 45.0)
    """Middles of the segments from the field's middle, by rising x."""
    width_mm: float = Field(5.0, gt=0.0, le=40.0)
    height_mm: float = Field(100.0, gt=0.0, le=300.0)


def analyze(image: PortalImage, context: Context[VmatDrmlcSettings]) -> Analysis:
    """Deviation of each segment from the mean of all, and of its parts from its own."""
    settings = context.settings
    size_mm = settings.width_mm, settings.height_mm
    return measure("DRMLC", image, settings.offsets_mm, size_mm, SEGMENTS)


ANALYZER = Analyzer(
    name="vmat_drmlc",
    title="VMAT: dose rate and leaf speed",
    version="1",
    accepts=PortalImage,
    settings=VmatDrmlcSettings,
    metrics=(MAX_DEVIATION, MAX_ALONG, MEAN_DEVIATION, *SEGMENTS),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.VMAT_DRMLC,
)
