"""Open field images: size, place, profile and output as stated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from analyzers.portal_images import Aperture, ImageKind, PortalImage
from qa_daemon.simulate.epid_beam_profile import Profile
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_one
from qa_daemon.simulate.epid_panel import Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import jaws_only, on_panel

KIND = "epid-open-field"


@dataclass(frozen=True, slots=True)
class OpenField:
    """A rectangle of jaws.

    `size_mm` is (x, y) as the image states it.  `wider_mm` (x, y) is how much wider the field is,
    `shift_mm` (x, y) how far its middle lies from the axis, in the frame of the collimator;
    `output_percent` by how much more signal a MU gives.
    """

    size_mm: tuple[float, float] = (100.0, 100.0)
    wider_mm: tuple[float, float] = (0.0, 0.0)
    shift_mm: tuple[float, float] = (0.0, 0.0)
    output_percent: float = 0.0
    profile: Profile = field(default_factory=Profile)

    def sides_mm(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where the jaws really are: (low, high) of x and of y."""
        x_mm, y_mm = (
            (shift - (size + more) / 2.0, shift + (size + more) / 2.0)
            for size, more, shift in zip(self.size_mm, self.wider_mm, self.shift_mm, strict=True)
        )
        return x_mm, y_mm


def open_field(
    test: OpenField | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> PortalImage:
    """One open field image; its exposure states the jaws as they were wanted."""
    test, imager = test or OpenField(), imager or Imager()
    exposure = exposure or Exposure(ImageKind.OPEN_FIELD, "Open field")
    share = on_panel(jaws_only(*test.sides_mm()), imager, exposure.collimator_deg)
    output = 1.0 + test.output_percent / 100.0
    signal_cu = share * test.profile.on(imager) * exposure.open_cu * output
    half_x_mm, half_y_mm = (np.array([-size, size]) / 2.0 for size in test.size_mm)
    aperture = Aperture(jaw_x_mm=half_x_mm, jaw_y_mm=half_y_mm)
    return exposed(signal_cu, exposure, imager, aperture)


def simulate(
    out: Path,
    *,
    size_x_mm: float = 100.0,
    size_y_mm: float = 100.0,
    wider_x_mm: float = 0.0,
    wider_y_mm: float = 0.0,
    shift_x_mm: float = 0.0,
    shift_y_mm: float = 0.0,
    output_percent: float = 0.0,
    beam: str = "flattened",
    horn_percent: float = 0.0,
    tilt_x_percent: float = 0.0,
    tilt_y_percent: float = 0.0,
    collimator: float = 0.0,
    mu: float = 100.0,
    energy: str = "6x",
    panel: str = "as1000",
    noise: float = 1.0,
    sag_x_mm: float = 0.0,
    sag_y_mm: float = 0.0,
    label: str = "Open field",
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write one open field image with stated errors and return its path.

    Sizes are those the image states, `wider` and `shift` how much wider the field is and how far
    off the axis, at the isocenter plane.  `beam` is `flattened` or `fff`.  Raises ValueError for an
    unknown beam or panel.
    """
    test = OpenField(
        size_mm=(float(size_x_mm), float(size_y_mm)),
        wider_mm=(float(wider_x_mm), float(wider_y_mm)),
        shift_mm=(float(shift_x_mm), float(shift_y_mm)),
        output_percent=float(output_percent),
        profile=Profile(
            str(beam), float(horn_percent), float(tilt_x_percent), float(tilt_y_percent)
        ),
    )
    exposure = exposure_of(ImageKind.OPEN_FIELD, label, mu, seed, machine, energy)
    exposure = replace(exposure, collimator_deg=float(collimator))
    return write_one(out, open_field(test, panel_of(panel, noise, sag_x_mm, sag_y_mm), exposure))
