"""Portal images of a planned beam: measured, predicted, and through a patient, with stated errors.

Fluence as planned (and moved by the stated leaf errors), through a patient where there is one,
spread by an imager of known kernel.  The patient is water: a slab with a rounded front, a rod of
bone and a cavity of air, attenuation exp(-mu t) along the ray, no scatter of its own.  Noise is of
the size that is published: the signal of a day varies by 0.4 to 0.65 %, a pixel by 0.3 to 0.5 %,
the panel stands within 0.3 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.imager_model import in_air, shown
from analyzers.imager_records import ImagerModel
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.numerics.imager_kernel import ImagerKernel
from analyzers.plan_records import Beam
from analyzers.portal_images import Classified, ImageKind, Pixels, PortalImage
from qa_daemon.simulate.options import known, offsets
from qa_daemon.simulate.plan_shapes import FIELDS
from qa_daemon.simulate.portal_beam import Errors, planned_beam, with_leaf_errors
from qa_daemon.simulate.rtimage import LARGEST, PANELS, image_of, write_rtimage

KIND = "epid-portal"
Floats = NDArray[np.float64]

KERNEL = ImagerKernel((0.78, 0.13, 0.06), (2.2, 0.28, 0.045), 0.03, 12.0)
"""Of the size of published megavoltage kernels: a tenth of the signal comes from centimeters."""
IMAGER = ImagerModel(
    energy="6x",
    kernel=KERNEL,
    cu_per_mu=0.0105,
    sid_mm=1000.0,
    blur_mm=0.8,
    off_axis_mm=(0.0, 50.0, 100.0, 150.0, 200.0),
    off_axis=(1.0, 1.012, 1.022, 1.025, 1.015),
    leaf_transmission=0.015,
    leaf_gap_mm=0.3,
    machine="TB1",
)
MU_PER_MM = 0.0048
"""Of water for a transmitted 6 MV beam."""
MEASURED = Classified(ImageKind.PORTAL, "simulated", "a beam of a plan was simulated")
PREDICTED = Classified(ImageKind.PREDICTED, "simulated", "a prediction was simulated")


@dataclass(frozen=True, slots=True)
class Panel:
    """The imager's pixels and where it stands; as an aS1200 at 1500 mm unless told otherwise."""

    rows: int = 1280
    columns: int = 1280
    spacing_mm: float = 0.336
    sid_mm: float = 1500.0

    def empty(self) -> PortalImage:
        """An image without signal on these pixels."""
        values = np.zeros((self.rows, self.columns))
        return PortalImage(
            stored=values,
            values=values,
            spacing_mm=(self.spacing_mm, self.spacing_mm),
            sid_mm=self.sid_mm,
            axis_px=((self.rows - 1) / 2.0, (self.columns - 1) / 2.0),
        )


@dataclass(frozen=True, slots=True)
class Patient:
    """What is in the beam; lengths at the isocenter plane, as seen along the beam, mm of water."""

    thickness_mm: float = 200.0
    rounding_per_mm: float = 0.002
    """How fast the front falls off beside the axis: thickness minus this times x squared."""
    bone_mm: float = 12.0
    cavity_mm: float = 25.0
    setup_mm: tuple[float, float] = (0.0, 0.0)
    """How far all of it lies along x and y from where it was planned."""
    pocket_mm: float = 0.0
    """Water that a pocket of air has taken the place of."""
    pocket_at_mm: tuple[float, float] = (-12.0, 8.0)
    pocket_wide_mm: float = 30.0

    def water_mm(self, x_mm: Floats, y_mm: Floats) -> Floats:
        """Water along the ray through each point; shape of the two broadcast."""
        x, y = x_mm - self.setup_mm[0], y_mm - self.setup_mm[1]
        water = self.thickness_mm - self.rounding_per_mm * x**2 + 0.0 * y
        water = water + self.bone_mm * _smooth(8.0 - np.abs(x - 15.0))
        water = water - self.cavity_mm * _smooth(10.0 - np.hypot(x + 20.0, y + 20.0))
        away = np.hypot(x - self.pocket_at_mm[0], y - self.pocket_at_mm[1])
        water = water - self.pocket_mm * _smooth(self.pocket_wide_mm / 2.0 - away)
        return np.asarray(np.maximum(water, 0.0))


def _smooth(inside_mm: Floats) -> Floats:
    """1 inside and 0 outside, over about 3 mm: anatomy has no sharp edges along a beam."""
    return np.asarray(1.0 / (1.0 + np.exp(-inside_mm / 1.5)))


def portal_image(
    beam: Beam,
    panel: Panel,
    errors: Errors | None = None,
    *,
    patient: Patient | None = None,
    imager: ImagerModel = IMAGER,
    seed: int = 0,
) -> PortalImage:
    """What the panel measures of a beam, in CU, with the same noise for the same seed."""
    errors = errors or Errors()
    random = np.random.default_rng(seed)
    told = panel.empty()
    row, column = told.center_px
    step_mm = panel.spacing_mm / told.magnification
    # The axis lies where the panel is not: its pixels move against the field.
    real = replace(
        told,
        axis_px=(row + errors.panel_mm[1] / step_mm, column - errors.panel_mm[0] / step_mm),
    )
    fluence = in_air(with_leaf_errors(beam, errors), real, imager)
    if patient is not None:
        water_mm = patient.water_mm(real.x_mm[np.newaxis, :], real.y_mm[:, np.newaxis])
        fluence = fluence * np.exp(-MU_PER_MM * water_mm)
    share = (1 + errors.output_percent / 100) * (1 - errors.lost_frames_percent / 100)
    noise = random.standard_normal(fluence.shape) * errors.pixel_noise_percent / 100.0
    points = beam.control_points
    image = image_of(
        shown(fluence, real, imager) * share * (1.0 + noise),
        told.spacing_mm,
        pixels=Pixels.CALIBRATED,
        sid_mm=panel.sid_mm,
        axis_px=told.axis_px,
        meterset_mu=beam.meterset_mu,
        frames=round(10 * (beam.meterset_mu or 100.0) * (1 - errors.lost_frames_percent / 100)),
        energy=imager.energy,
        gantry_deg=float(points.gantry_deg[0]),
        collimator_deg=float(points.collimator_deg[0]),
        couch_rotation_deg=0.0,
        label="MV_1",
        classified=MEASURED,
    )
    return image if errors.saturated_cu is None else _saturated(image, errors.saturated_cu)


def _saturated(image: PortalImage, at_cu: float) -> PortalImage:
    """Stored such that `at_cu` and all above is the largest value there is."""
    slope = float(f"{at_cu / LARGEST:.9e}")
    stored = np.clip(np.round(image.values / slope), 0, LARGEST).astype(np.uint16)
    share = 100.0 * float(np.mean(stored == LARGEST))
    return replace(
        image,
        stored=stored,
        values=np.asarray(stored * slope, np.float64),
        slope=slope,
        saturated_percent=share,
    )


def predicted_image(beam: Beam, panel: Panel, imager: ImagerModel = IMAGER) -> PortalImage:
    """What a planning system would export for the beam: no noise, no exposure."""
    image = portal_image(beam, panel, Errors(pixel_noise_percent=0.0), imager=imager)
    return replace(image, meterset_mu=None, frames=1, label="Predicted Image", classified=PREDICTED)


def simulate(
    out: Path,
    *,
    what: str = "measured",
    field: str = "vmat",
    mlc: str = "millennium120",
    mu: float = 200.0,
    panel: str = "as1200",
    output_percent: float = 0.0,
    gap_mm: float = 0.0,
    bank_mm: float = 0.0,
    leaf: str = "",
    panel_x_mm: float = 0.0,
    panel_y_mm: float = 0.0,
    setup_x_mm: float = 0.0,
    setup_y_mm: float = 0.0,
    pocket_mm: float = 0.0,
    lost_frames_percent: float = 0.0,
    fraction: int = 1,
    seed: int = 0,
) -> Path:
    """Write one portal image of a beam as a DICOM file and return its path.

    `what`: `measured` with nothing in the beam, `predicted`, or `transit` through a patient.
    `gap_mm` and `bank_mm` move all open leaves, `leaf` single ones (`A30=1,B12=-0.5`); lengths at
    the isocenter plane.  Raises ValueError for an unknown word or leaf.
    """
    known("what", str(what), ("measured", "predicted", "transit"))
    known("field", str(field), FIELDS)
    known("mlc", str(mlc), LEAF_EDGES_MM)
    known("panel", str(panel), PANELS)
    beam = planned_beam(FIELDS[field](mlc, float(mu)))
    pixels = Panel(*PANELS[panel])
    errors = Errors(
        output_percent=float(output_percent),
        gap_mm=float(gap_mm),
        bank_mm=float(bank_mm),
        leaf_mm=offsets(leaf),
        panel_mm=(float(panel_x_mm), float(panel_y_mm)),
        lost_frames_percent=float(lost_frames_percent),
    )
    patient = Patient(setup_mm=(float(setup_x_mm), float(setup_y_mm)), pocket_mm=float(pocket_mm))
    if what == "predicted":
        image = predicted_image(beam, pixels)
    else:
        through = patient if what == "transit" else None
        image = portal_image(beam, pixels, errors, patient=through, seed=int(seed))
    write_rtimage(out, replace(image, fraction=int(fraction)))
    return out
