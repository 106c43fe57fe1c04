"""Pairs of VMAT test images: strips of equal dose by different dose rates and speeds, and open.

Strips as in the RapidArc commissioning tests (Ling et al. 2008): seven 20 mm apart for dose rate
against gantry speed (DRGS), four 30 mm apart for dose rate against leaf speed (DRMLC).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from analyzers.portal_images import Beside, ImageKind, PortalImage
from qa_daemon.simulate.epid_beam_profile import Profile
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_all
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import FAR_MM, Openings, jaws_only, on_panel
from qa_daemon.simulate.options import known, offsets

KIND = "epid-vmat"

STRIPS = {"drgs": (7, 20.0), "drmlc": (4, 30.0)}
"""Number of strips, and how far apart their middles are in mm."""
KINDS = {"drgs": ImageKind.VMAT_DRGS, "drmlc": ImageKind.VMAT_DRMLC}
SEAM_MM = {"drgs": 0.6, "drmlc": -0.6}
"""Left dark between two strips; negative where they overlap.  As in real images: seams a quarter
darker, or brighter, than the strips."""


@dataclass(frozen=True, slots=True)
class VmatTest:
    """One of the two tests; `segment_percent` is the stated error of a strip's dose.

    Strips count from 1 at IEC -x.  The mean of all of them is what the test compares with.
    """

    name: str = "drgs"
    segment_percent: Mapping[int, float] = field(default_factory=dict)
    length_mm: float = 140.0
    shift_mm: float = 0.0
    profile: Profile = field(default_factory=Profile)

    @property
    def centers_mm(self) -> Array:
        """Middles of the strips."""
        number, apart_mm = STRIPS[self.name]
        return np.asarray((np.arange(number) - (number - 1) / 2.0) * apart_mm) + self.shift_mm

    @property
    def doses(self) -> Array:
        """What each strip gets of the open field's dose.

        Raises ValueError for a strip that the test does not have.
        """
        number, _ = STRIPS[self.name]
        unknown = set(self.segment_percent) - set(range(1, number + 1))
        if unknown:
            raise ValueError(f"{self.name} has strips 1 to {number}, not {sorted(unknown)}")
        errors = [self.segment_percent.get(k + 1, 0.0) for k in range(number)]
        return 1.0 + np.array(errors) / 100.0


def vmat_pair(
    test: VmatTest | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> tuple[PortalImage, PortalImage]:
    """The open image, and the one with strips, which has the open one beside it."""
    test, imager = test or VmatTest(), imager or Imager()
    exposure = exposure or Exposure(KINDS[test.name])
    half_x_mm, half_y_mm = float(_half_width_mm(test)), test.length_mm / 2.0
    jaw_x_mm = (test.shift_mm - half_x_mm, test.shift_mm + half_x_mm)
    jaw_y_mm = (-half_y_mm, half_y_mm)
    profile = test.profile.on(imager) * exposure.open_cu

    flat = on_panel(jaws_only(jaw_x_mm, jaw_y_mm), imager, exposure.collimator_deg)
    own = replace(exposure, kind=ImageKind.VMAT_OPEN, label="OpenBeam")
    open_image = exposed(flat * profile, own, imager)

    strips = on_panel(_openings(test, jaw_x_mm, jaw_y_mm), imager, exposure.collimator_deg)
    own = replace(
        exposure,
        label=exposure.label or test.name.upper(),
        performed_at=exposure.performed_at + timedelta(minutes=2),
        seed=exposure.seed + 1,
    )
    image = exposed(strips * profile, own, imager)
    return open_image, replace(image, beside=Beside(open_image=open_image))


def _half_width_mm(test: VmatTest) -> float:
    number, apart_mm = STRIPS[test.name]
    return number * apart_mm / 2.0


def _openings(
    test: VmatTest, jaw_x_mm: tuple[float, float], jaw_y_mm: tuple[float, float]
) -> Openings:
    _, apart_mm = STRIPS[test.name]
    half_mm = (apart_mm - SEAM_MM[test.name]) / 2.0
    middle_mm = test.centers_mm[:, np.newaxis]
    return Openings(
        share=test.doses,
        left_mm=middle_mm - half_mm,
        right_mm=middle_mm + half_mm,
        leaf_edges_mm=np.array([-FAR_MM, FAR_MM]),
        jaw_x_mm=jaw_x_mm,
        jaw_y_mm=jaw_y_mm,
        # A strip's stated dose is all of it.
        leaks=False,
    )


def simulate(
    out: Path,
    *,
    test: str = "drgs",
    segment: str = "",
    shift_mm: float = 0.0,
    mu: float = 200.0,
    beam: str = "flattened",
    panel: str = "as1000",
    noise: float = 1.0,
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write the pair of images into the folder `out` and return it.

    `segment` lists errors of the strips' dose in percent (`2=3,7=-1.5`), counted from IEC -x.
    Raises ValueError for an unknown test, strip or beam.
    """
    known("test", test, STRIPS)
    try:
        segment_percent = {int(strip): error for strip, error in offsets(str(segment)).items()}
    except ValueError:
        raise ValueError(f"{segment!r}: written as STRIP=PERCENT, as in 2=3") from None
    wanted = VmatTest(
        str(test), segment_percent, shift_mm=float(shift_mm), profile=Profile(str(beam))
    )
    exposure = exposure_of(KINDS[wanted.name], "", mu, seed, machine)
    return write_all(out, vmat_pair(wanted, panel_of(panel, noise), exposure))
