"""Planar phantoms as an imager sees them: Las Vegas and QC-3, by simple geometry.

A plate lies in an open field at the isocenter plane.  Where its details lie is what pylinac looks
for, which has it from the phantoms; their contrast is what is stated here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.portal_images import Classified, ImageKind, PortalImage
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_one
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import jaws_only, on_panel, painted
from qa_daemon.simulate.options import known

KIND = "epid-planar-phantom"


@dataclass(frozen=True, slots=True)
class Plate:
    """A phantom's plate: sides in mm, how it is turned, what it lets through.

    `unit_mm` is the length in which the places of its details are given; details are drawn `larger`
    than the regions that are looked at.
    """

    name: str
    sides_mm: tuple[float, float]
    turned_deg: float
    through: float
    unit_mm: float
    larger: float


PLATES: Mapping[str, Plate] = {
    "las-vegas": Plate("Las Vegas", (142.0, 142.0), 0.0, 0.85, 231.0, 1.3),
    "qc-3": Plate("QC-3", (138.0, 100.0), 45.0, 0.7, 15.05, 1.25),
}


@dataclass(frozen=True, slots=True)
class Detail:
    """A disk of a phantom: middle in IEC x and y, radius, and what it changes.

    Bars of `pairs_per_mm` go to and fro between no change and twice of it.
    """

    x_mm: float
    y_mm: float
    radius_mm: float
    change: float
    pairs_per_mm: float | None = None


@dataclass(frozen=True, slots=True)
class PlanarPhantom:
    """One phantom; `contrast_percent` is by how much its strongest detail differs."""

    name: str = "las-vegas"
    contrast_percent: float = 6.0
    field_mm: float = 190.0

    def details(self) -> Iterator[Detail]:
        """What is in the plate.  Raises ValueError for a phantom that is not in `PLATES`."""
        known("phantom", self.name, PLATES)
        plate = PLATES[self.name]
        low, high = _places(self.name)
        for number, place in enumerate(low):
            # As their depths do, contrasts fall to a seventh within the same size.
            change = self.contrast_percent / 100.0 * (1.0 - (number % 5) / 5.5)
            yield _detail(place, plate, change)
        for place in high:
            half = self.contrast_percent / 100.0
            yield replace(_detail(place, plate, half), pairs_per_mm=place["lp/mm"])


def planar_phantom(
    test: PlanarPhantom | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> PortalImage:
    """An image of a planar phantom."""
    test, imager = test or PlanarPhantom(), imager or Imager()
    known("phantom", test.name, PLATES)
    plate = PLATES[test.name]
    exposure = exposure or Exposure(ImageKind.PLANAR_PHANTOM, plate.name)
    half_mm = test.field_mm / 2.0
    share = on_panel(jaws_only((-half_mm, half_mm), (-half_mm, half_mm)), imager)
    sides_mm = ((-side / 2.0, side / 2.0) for side in plate.sides_mm)
    covered = on_panel(jaws_only(*sides_mm), imager, plate.turned_deg)
    share = share * (1.0 - (1.0 - plate.through) * covered)
    for detail in test.details():
        share = _with(share, detail, plate.turned_deg, imager)
    image = exposed(share * exposure.open_cu, exposure, imager)
    told = Classified(exposure.kind, "simulated", "it was simulated as one", plate.name)
    return image.as_kind(told)


def _places(name: str) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Low- and high-contrast details by distance, angle and radius, the angle clockwise."""
    from pylinac.planar_imaging import LasVegas, StandardImagingQC3

    phantom: Any = LasVegas if name == "las-vegas" else StandardImagingQC3
    return (
        list(phantom.low_contrast_roi_settings.values()),
        list(phantom.high_contrast_roi_settings.values()),
    )


def _detail(place: Mapping[str, float], plate: Plate, change: float) -> Detail:
    # Turning the plate counterclockwise takes its details with it; image angles run clockwise.
    angle = np.deg2rad(-place["angle"] + plate.turned_deg)
    distance_mm = place["distance from center"] * plate.unit_mm
    return Detail(
        float(distance_mm * np.cos(angle)),
        float(distance_mm * np.sin(angle)),
        place["roi radius"] * plate.unit_mm * plate.larger,
        change,
    )


def _with(share: Array, detail: Detail, turned_deg: float, imager: Imager) -> Array:
    turn = np.deg2rad(turned_deg)

    def factor(x_mm: Array, y_mm: Array) -> Array:
        inside = x_mm**2 + y_mm**2 <= detail.radius_mm**2
        change = np.full(inside.shape, detail.change)
        if detail.pairs_per_mm is not None:
            along_mm = x_mm * np.cos(turn) + y_mm * np.sin(turn)
            change = detail.change * (
                1.0 + np.sign(np.sin(2.0 * np.pi * detail.pairs_per_mm * along_mm))
            )
        return np.where(inside, 1.0 + change, 1.0)

    return painted(share, imager, (detail.x_mm, detail.y_mm), detail.radius_mm, factor)


def simulate(
    out: Path,
    *,
    phantom: str = "las-vegas",
    contrast_percent: float = 6.0,
    mu: float = 10.0,
    panel: str = "as1000",
    noise: float = 1.0,
    blur_mm: float = 0.6,
    label: str | None = None,
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write one image of a planar phantom and return its path.

    Raises ValueError for an unknown phantom or panel.
    """
    known("phantom", phantom, PLATES)
    test = PlanarPhantom(str(phantom), float(contrast_percent))
    named = PLATES[test.name].name if label is None else str(label)
    exposure = exposure_of(ImageKind.PLANAR_PHANTOM, named, mu, seed, machine)
    return write_one(out, planar_phantom(test, panel_of(panel, noise, blur_mm=blur_mm), exposure))
