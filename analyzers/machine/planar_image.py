"""Planar imaging phantoms by pylinac: contrast, noise and resolution of an imager.

Nothing is judged by itself: TG-142 (Klein 2009), Table VI, asks for constancy from baseline, which
is what the trend of each number shows.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Analysis, AnalysisError, Analyzer, Context, Metric, Settings
from analyzers.image_traces import picture
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work

CANNOT = "the phantom could not be measured"
Phantom = Literal[
    "LeedsTOR",
    "LeedsTORBlue",
    "LasVegas",
    "ElektaLasVegas",
    "StandardImagingQC3",
    "StandardImagingQCkV",
    "SNCkV",
    "SNCMV",
    "SNCMV12510",
    "PTWEPIDQC",
    "IBAPrimusA",
    "DoselabMC2kV",
    "DoselabMC2MV",
]
"""By the names that pylinac has for them."""
ALSO_CALLED: dict[str, Phantom] = {
    "leeds": "LeedsTOR",
    "leedstor18fg": "LeedsTOR",
    "qc3": "StandardImagingQC3",
    "qckv": "StandardImagingQCkV",
    "epidqc": "PTWEPIDQC",
    "primusa": "IBAPrimusA",
    "mc2kv": "DoselabMC2kV",
    "mc2mv": "DoselabMC2MV",
}
CONTRAST = Metric("median_contrast", "1", "Median Michelson contrast of the low-contrast discs")
CNR = Metric("median_cnr", "1", "Median contrast-to-noise ratio of the low-contrast discs")
SEEN = Metric("num_contrast_rois_seen", "1", "Low-contrast discs above pylinac's visibility")
UNIFORMITY = Metric("percent_integral_uniformity", "%", "Integral uniformity of the image")
AREA = Metric("phantom_area", "mm²", "Area of the phantom as it was found")
RESOLUTION = Metric("rmtf_50", "lp/mm", "Where the relative modulation falls to 50 %")


class PlanarImageSettings(Settings):
    """Settings of this analyzer."""

    phantom: Phantom | None = None
    """The clinic's phantom; else the one that the image's label names."""


def analyze(image: PortalImage, context: Context[PlanarImageSettings]) -> Analysis:
    """Measure the phantom that the settings or the image name."""
    phantom = context.settings.phantom or _named(image.classified.phantom)
    if phantom is None:
        raise AnalysisError(
            "it is not known which phantom this is: set `phantom`, "
            f"one of {', '.join(get_args(Phantom))}"
        )
    with pylinac_at_work(f"{CANNOT} as {phantom}"):
        import pylinac.planar_imaging

        found = getattr(pylinac.planar_imaging, phantom)(dicom_stream(image))
        found.analyze()
        said = found.results_data()
        resolution = None if found.mtf is None else found.mtf.relative_resolution(50)
        discs_px = [(d.center.x, d.center.y, d.radius) for d in found.low_contrast_rois or []]
        seen = [bool(disc.passed_visibility) for disc in found.low_contrast_rois or []]
    values = (
        (CONTRAST, said.median_contrast),
        (CNR, said.median_cnr),
        (SEEN, said.num_contrast_rois_seen),
        (RESOLUTION, resolution),
        (UNIFORMITY, said.percent_integral_uniformity),
        (AREA, said.phantom_area if image.sid_mm is not None else None),
    )
    return Analysis(
        measurements=[
            metric.measured(float(value)) for metric, value in values if value is not None
        ],
        traces=_traces(image, np.array(discs_px, np.float64).reshape(-1, 3), seen),
        notes=[f"measured as {phantom}"],
    )


def _named(phantom: str | None) -> Phantom | None:
    """The phantom of a name as people write it (`Las Vegas`, `QC-3`)."""
    plain = re.sub(r"[^a-z0-9]", "", (phantom or "").lower())
    if plain in ALSO_CALLED:
        return ALSO_CALLED[plain]
    return next((known for known in get_args(Phantom) if known.lower() == plain), None)


def _traces(
    image: PortalImage, discs_px: NDArray[np.float64], seen: list[bool]
) -> dict[str, NDArray[Any]]:
    """The image, and where discs were looked for: x, y and radius in mm, and which were seen."""
    step_mm = image.spacing_mm[0] / image.magnification
    row, column = image.center_px
    return picture(image) | {
        "disc_mm": np.stack(
            [
                (discs_px[:, 0] - column) * step_mm,
                (row - discs_px[:, 1]) * step_mm,
                discs_px[:, 2] * step_mm,
            ],
            axis=1,
        ),
        "disc_seen": np.array(seen, np.bool_),
    }


ANALYZER = Analyzer(
    name="planar_image",
    title="Planar imaging phantom",
    version="1",
    accepts=PortalImage,
    settings=PlanarImageSettings,
    metrics=(CONTRAST, CNR, SEEN, RESOLUTION, UNIFORMITY, AREA),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.PLANAR_PHANTOM,
)
