"""Winston-Lutz sets: a small field with a metal ball in it, from several sides.

The stated error is where the ball lies from the radiation isocenter with the couch at zero, in mm,
as seen from the foot of the couch facing the gantry: left (IEC -x), in (towards the gantry, IEC +y)
and up (IEC +z).  The move that brings the ball to the isocenter is the opposite one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from analyzers.portal_images import DEFAULT_SAD_MM, ImageKind, PortalImage
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_all
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import (
    JAW_TRANSMISSION,
    jaws_only,
    on_panel,
    painted,
)
from qa_daemon.simulate.options import is_on, known

KIND = "epid-winston-lutz"

Axes = tuple[float, float, float]
"""Gantry, collimator and couch rotation in degrees, IEC 61217."""

CARDINAL: tuple[Axes, ...] = ((0, 0, 0), (90, 0, 0), (180, 0, 0), (270, 0, 0))
EIGHT: tuple[Axes, ...] = tuple((45.0 * k, 0.0, 0.0) for k in range(8))
SIXTEEN: tuple[Axes, ...] = (
    *EIGHT,
    (0, 45, 0),
    (0, 90, 0),
    (0, 270, 0),
    (0, 315, 0),
    (0, 0, 30),
    (0, 0, 60),
    (0, 0, 300),
    (0, 0, 330),
)
"""Eight gantry angles, then four of the collimator and four of the couch at gantry 0."""
SETS = {4: CARDINAL, 8: EIGHT, 16: SIXTEEN}
ATTENUATION_PER_MM = 0.095
"""Of tungsten for 6 MV."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the room from the isocenter, in mm, from the foot of the couch."""

    left_mm: float = 0.0
    in_mm: float = 0.0
    up_mm: float = 0.0

    def __add__(self, other: Position) -> Position:
        """Both displacements one after the other."""
        return Position(
            self.left_mm + other.left_mm, self.in_mm + other.in_mm, self.up_mm + other.up_mm
        )

    def seen(self, axes: Axes) -> tuple[float, float, float]:
        """x and y at the isocenter plane as seen from the source, and the magnification there.

        The couch turns counterclockwise from above, the gantry clockwise from the foot of the couch
        (IEC 61217).
        """
        gantry, couch = np.deg2rad(axes[0]), np.deg2rad(axes[2])
        x_mm = -self.left_mm * np.cos(couch) - self.in_mm * np.sin(couch)
        y_mm = -self.left_mm * np.sin(couch) + self.in_mm * np.cos(couch)
        across_mm = x_mm * np.cos(gantry) - self.up_mm * np.sin(gantry)
        towards_mm = x_mm * np.sin(gantry) + self.up_mm * np.cos(gantry)
        scale = DEFAULT_SAD_MM / (DEFAULT_SAD_MM - towards_mm)
        return float(across_mm * scale), float(y_mm * scale), float(scale)


ISOCENTER = Position()


@dataclass(frozen=True, slots=True)
class WinstonLutz:
    """What is set up: fields of the same size around each target, and a ball in each.

    `ball` is how far each ball lies from the middle of its target.  `field_sag_mm` moves the field
    along y as the gantry goes down, by so much between gantry 0 and 180: the fields then have an
    isocenter of that size of their own.
    """

    ball: Position = ISOCENTER
    targets: tuple[Position, ...] = (ISOCENTER,)
    axes: Sequence[Axes] = CARDINAL
    field_mm: float = 20.0
    is_cone: bool = False
    ball_diameter_mm: float = 5.0
    field_sag_mm: float = 0.0


def winston_lutz(
    test: WinstonLutz | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> tuple[PortalImage, ...]:
    """One image for each of the axes, half a minute after another."""
    test, imager = test or WinstonLutz(), imager or Imager()
    exposure = exposure or Exposure(ImageKind.WINSTON_LUTZ)
    images = []
    for number, axes in enumerate(test.axes):
        gantry_deg, collimator_deg, couch_deg = axes
        at = exposure.performed_at + timedelta(seconds=30 * number)
        label = exposure.label or f"WL G{gantry_deg:g} C{collimator_deg:g} T{couch_deg:g}"
        own = replace(
            exposure,
            label=label,
            gantry_deg=float(gantry_deg),
            collimator_deg=float(collimator_deg),
            couch_rotation_deg=float(couch_deg),
            performed_at=at,
        )
        images.append(exposed(_share(test, axes, imager) * own.open_cu, own, imager))
    return tuple(images)


def as_set(images: Sequence[PortalImage]) -> PortalImage:
    """The first of the images, with the others beside it."""
    first, *others = images
    return replace(first, set_with=tuple(others))


def _share(test: WinstonLutz, axes: Axes, imager: Imager) -> Array:
    sag_mm = -test.field_sag_mm * np.cos(np.deg2rad(axes[0])) / 2.0
    share = np.zeros((imager.panel.rows, imager.panel.columns))
    for target in test.targets:
        x_mm, y_mm, _ = target.seen(axes)
        center_mm = (x_mm, y_mm + sag_mm)
        half_mm = test.field_mm / 2.0
        if test.is_cone:
            one = _cone(half_mm, center_mm, imager)
        else:
            one = _square(half_mm, center_mm, axes[1], imager)
        share = np.maximum(share, one)
    for target in test.targets:
        x_mm, y_mm, scale = (target + test.ball).seen(axes)
        share = _with_ball(share, (x_mm, y_mm), test.ball_diameter_mm / 2.0 * scale, imager)
    return share


def _square(
    half_mm: float, center_mm: tuple[float, float], turn_deg: float, imager: Imager
) -> Array:
    """A square of jaws that turns about the axis with the collimator, around a point."""
    turn = np.deg2rad(turn_deg)
    x_mm = center_mm[0] * np.cos(turn) + center_mm[1] * np.sin(turn)
    y_mm = -center_mm[0] * np.sin(turn) + center_mm[1] * np.cos(turn)
    jaws_mm = (x_mm - half_mm, x_mm + half_mm), (y_mm - half_mm, y_mm + half_mm)
    return on_panel(jaws_only(*jaws_mm), imager, turn_deg)


def _cone(radius_mm: float, center_mm: tuple[float, float], imager: Imager) -> Array:
    def shielded(x_mm: Array, y_mm: Array) -> Array:
        return np.where(x_mm**2 + y_mm**2 <= radius_mm**2, JAW_TRANSMISSION, 1.0)

    # What is drawn is the hole that the cone leaves in a shielded panel.
    everywhere = np.ones((imager.panel.rows, imager.panel.columns))
    return 1.0 + JAW_TRANSMISSION - painted(everywhere, imager, center_mm, radius_mm, shielded)


def _with_ball(
    share: Array, center_mm: tuple[float, float], radius_mm: float, imager: Imager
) -> Array:
    def comes_through(x_mm: Array, y_mm: Array) -> Array:
        chord_mm = 2.0 * np.sqrt(np.maximum(radius_mm**2 - x_mm**2 - y_mm**2, 0.0))
        return np.exp(-ATTENUATION_PER_MM * chord_mm)

    return painted(share, imager, center_mm, radius_mm, comes_through)


def simulate(
    out: Path,
    *,
    left_mm: float = 0.0,
    in_mm: float = 0.0,
    up_mm: float = 0.0,
    images: int = 4,
    targets: str = "",
    field_mm: float = 20.0,
    cone: bool | str = False,
    ball_mm: float = 5.0,
    field_sag_mm: float = 0.0,
    mu: float = 10.0,
    panel: str = "as1000",
    noise: float = 1.0,
    sag_x_mm: float = 0.0,
    sag_y_mm: float = 0.0,
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write a set of images into the folder `out` and return it.

    `left_mm`, `in_mm` and `up_mm` are where the ball lies from the isocenter; `images` is 4, 8 or
    16.  `targets` lists further ones by (left, in, up), as in `-30/20/0,15/0/10`; the ball of each
    is off by the same.  Raises ValueError for another number, and for what is no number.
    """
    known("images", str(int(images)), [str(number) for number in SETS])
    test = WinstonLutz(
        ball=Position(float(left_mm), float(in_mm), float(up_mm)),
        targets=(ISOCENTER, *_positions(str(targets))),
        axes=SETS[int(images)],
        field_mm=float(field_mm),
        is_cone=is_on("cone", cone),
        ball_diameter_mm=float(ball_mm),
        field_sag_mm=float(field_sag_mm),
    )
    exposure = exposure_of(ImageKind.WINSTON_LUTZ, "", mu, seed, machine)
    imager = panel_of(panel, noise, sag_x_mm, sag_y_mm)
    return write_all(out, winston_lutz(test, imager, exposure))


def _positions(listed: str) -> list[Position]:
    found = []
    for part in filter(None, listed.replace(" ", "").split(",")):
        try:
            left_mm, in_mm, up_mm = map(float, part.split("/"))
        except ValueError:
            raise ValueError(f"{part!r}: written as LEFT/IN/UP, as in -30/20/0") from None
        found.append(Position(left_mm, in_mm, up_mm))
    return found
