"""Starshot images: spokes that touch a circle of the stated wobble.

Every spoke is a tangent of one circle, on sides that alternate from spoke to spoke, so that no
smaller circle touches all of them: its diameter is the wobble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_all, write_one
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import JAW_TRANSMISSION, window
from qa_daemon.simulate.options import is_on

KIND = "epid-starshot"
FINER = 2
"""Parts of a pixel, each way, of which the mean is taken."""


@dataclass(frozen=True, slots=True)
class Starshot:
    """Narrow fields through the axis, at equal angles over half a turn.

    `wobble_mm` is a diameter and `center_mm` (x, y) where its circle lies, at the isocenter plane.
    The first spoke runs `first_deg` counterclockwise from IEC x.
    """

    spokes: int = 5
    wobble_mm: float = 0.3
    center_mm: tuple[float, float] = (0.0, 0.0)
    width_mm: float = 6.0
    length_mm: float = 300.0
    first_deg: float = 12.0

    @property
    def angles_deg(self) -> Array:
        """Counterclockwise from IEC x."""
        return np.asarray(self.first_deg + np.arange(self.spokes) * 180.0 / self.spokes)

    @property
    def offsets_mm(self) -> Array:
        """How far each spoke passes the circle's center, on the left of its direction positive.

        Raises ValueError for fewer spokes than tell a circle.
        """
        if self.spokes < 3:
            raise ValueError(f"{self.spokes} spokes: 3 or more expected")
        return np.asarray((-1.0) ** np.arange(self.spokes) * self.wobble_mm / 2.0)


def starshot(
    test: Starshot | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> PortalImage:
    """All spokes on one image; each gets an equal share of the meterset."""
    test, imager = test or Starshot(), imager or Imager()
    exposure = exposure or Exposure(ImageKind.STARSHOT, "Starshot")
    share = np.mean(_spokes(test, imager), axis=0)
    return exposed(share * exposure.open_cu, exposure, imager)


def starshot_set(
    test: Starshot | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> tuple[PortalImage, ...]:
    """One image for each spoke, a minute after another, with the collimator where it stood."""
    test, imager = test or Starshot(), imager or Imager()
    exposure = exposure or Exposure(ImageKind.STARSHOT, "Starshot")
    images = []
    for number, share in enumerate(_spokes(test, imager)):
        own = replace(
            exposure,
            collimator_deg=float(test.angles_deg[number]),
            performed_at=exposure.performed_at + timedelta(minutes=number),
            seed=exposure.seed + number,
        )
        images.append(exposed(share * exposure.open_cu, own, imager))
    return tuple(images)


def _spokes(test: Starshot, imager: Imager) -> Sequence[Array]:
    """Each spoke as a share of an open field's signal."""
    x_mm = _finer(imager.x_edges_mm) - test.center_mm[0]
    y_mm = _finer(imager.y_edges_mm)[::-1, np.newaxis] - test.center_mm[1]
    found = []
    for angle_deg, offset_mm in zip(test.angles_deg, test.offsets_mm, strict=True):
        sine, cosine = np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))
        across_mm = -x_mm * sine + y_mm * cosine - offset_mm
        along_mm = x_mm * cosine + y_mm * sine
        drawn = _band(across_mm, test.width_mm, imager) * _band(along_mm, test.length_mm, imager)
        rows, columns = imager.panel.rows, imager.panel.columns
        mean = drawn.reshape(rows, FINER, columns, FINER).mean(axis=(1, 3))
        found.append(JAW_TRANSMISSION + (1.0 - JAW_TRANSMISSION) * mean)
    return found


def _band(away_mm: Array, width_mm: float, imager: Imager) -> Array:
    """How open a band is at distances from its middle, read from a fine table of its profile."""
    step_mm = imager.blur_mm / 100.0
    reach_mm = width_mm / 2.0 + 6.0 * imager.blur_mm
    edges_mm = np.arange(-reach_mm, reach_mm + step_mm, step_mm)
    table = window(edges_mm, -width_mm / 2.0, width_mm / 2.0, imager.blur_mm)
    middles_mm = (edges_mm[:-1] + edges_mm[1:]) / 2.0
    return np.interp(away_mm, middles_mm, table, left=0.0, right=0.0)


def _finer(edges_mm: Array) -> Array:
    """Middles of the parts of each pixel."""
    parts = (np.arange(FINER) + 0.5) / FINER
    return np.asarray(
        (edges_mm[:-1, np.newaxis] + np.diff(edges_mm)[:, np.newaxis] * parts).ravel()
    )


def simulate(
    out: Path,
    *,
    spokes: int = 5,
    wobble_mm: float = 0.3,
    center_x_mm: float = 0.0,
    center_y_mm: float = 0.0,
    width_mm: float = 6.0,
    apart: bool | str = False,
    mu: float = 100.0,
    panel: str = "as1000",
    noise: float = 1.0,
    label: str = "Starshot",
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write a starshot image and return its path; `apart`, one image a spoke into a folder.

    `wobble_mm` is the diameter of the circle that all spokes touch.  Raises ValueError for fewer
    than three spokes.
    """
    test = Starshot(
        int(spokes), float(wobble_mm), (float(center_x_mm), float(center_y_mm)), float(width_mm)
    )
    exposure = exposure_of(ImageKind.STARSHOT, label, mu, seed, machine)
    imager = panel_of(panel, noise)
    if is_on("apart", apart):
        return write_all(out, starshot_set(test, imager, exposure))
    return write_one(out, starshot(test, imager, exposure))
