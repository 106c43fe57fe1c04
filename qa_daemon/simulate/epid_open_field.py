"""Open field images: size, place, profile and output as stated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyzers.portal_images import Aperture, ImageKind, PortalImage
from qa_daemon.simulate.epid_beam_profile import Profile
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
