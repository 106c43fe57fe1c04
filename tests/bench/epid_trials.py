"""Simulated images for `epid_errors`: machines in order, and with one stated error.

A machine in order is not perfect: leaves stray by 0.05 mm, a ball is set up to 0.1 mm in each
direction and fields sag by 0.3 mm, segments and output vary by 0.3 %, a star has a wobble of
0.2 mm, and panels stand anywhere within a pixel.  A stated error comes on top, at a place and in a
direction that is drawn.  Where only what is around the axis matters, panels are cut to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from analyzers.portal_images import Beside, ImageKind, PortalImage
from qa_daemon.simulate.epid_beam_profile import Profile
from qa_daemon.simulate.epid_leaves import LeafErrors, leaf_names
from qa_daemon.simulate.epid_open_field import OpenField, open_field
from qa_daemon.simulate.epid_panel import PANELS, Exposure, Imager, Panel
from qa_daemon.simulate.epid_picket_fence import Pickets, picket_fence
from qa_daemon.simulate.epid_starshot import Starshot, starshot
from qa_daemon.simulate.epid_vmat import KINDS, STRIPS, VmatTest, vmat_pair
from qa_daemon.simulate.epid_winston_lutz import Position, WinstonLutz, as_set, winston_lutz

Random = np.random.Generator
MLC, PICKETS = "millennium120", Pickets("millennium120", number=5, half_length_mm=50.0)
LEAVES = [f"{bank}{pair}" for bank in "AB" for pair in range(22, 40)]
"""Those whose middle lies well inside of the pickets."""
GAP_MM = 5.0
STRAY_MM, SETUP_MM, SAG_MM, VARIES_PERCENT, WOBBLE_MM = 0.05, 0.1, 0.3, 0.3, 0.2


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of making images of an analyzer: `make` draws one, with an error of that size.

    Of the sizes, 0 is a machine in order.  `shown` are the metrics whose mean is given.
    """

    analyzer: str
    unit: str
    sizes: tuple[float, ...]
    make: Callable[[Random, float], PortalImage]
    shown: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def imager(random: Random, panel: Panel) -> Imager:
    """A panel that stands somewhere within a pixel."""
    x_mm, y_mm = random.uniform(-0.5, 0.5, 2) * panel.spacing_mm
    return Imager(panel, sag_mm=(float(x_mm), float(y_mm)))


def cut(name: str, width_mm: float, height_mm: float) -> Panel:
    """The middle of a panel, as wide at the isocenter plane as told."""
    whole = PANELS[name]
    per_mm = whole.sid_mm / 1000.0 / whole.spacing_mm
    rows, columns = (2 * round(side * per_mm / 2.0) for side in (height_mm, width_mm))
    return replace(whole, rows=rows, columns=columns)


def exposure(random: Random, kind: ImageKind, mu: float) -> Exposure:
    """An exposure with a seed of its own."""
    return Exposure(kind, mu=mu, seed=int(random.integers(2**31)))


def pickets(random: Random, error_mm: float, *, of_one_leaf: bool) -> PortalImage:
    """A picket fence with one leaf off, or with every gap wider."""
    stray_mm = {name: float(random.normal(0.0, STRAY_MM)) for name in leaf_names(MLC)}
    sign = float(random.choice([-1.0, 1.0]))
    if of_one_leaf:
        stray_mm[str(random.choice(LEAVES))] = sign * error_mm
    errors = LeafErrors(gap_mm=0.0 if of_one_leaf else sign * error_mm, leaf_mm=stray_mm)
    panel = cut("as1000", 100.0, 110.0)
    made = exposure(random, ImageKind.PICKET_FENCE, 100.0)
    return picket_fence(PICKETS, errors, imager(random, panel), made)


def ball(random: Random, error_mm: float) -> PortalImage:
    """Four images of a ball that is off in a direction that is drawn."""
    direction = random.normal(size=3)
    off_mm = direction / np.linalg.norm(direction) * error_mm + random.normal(0.0, SETUP_MM, 3)
    test = WinstonLutz(Position(*map(float, off_mm)), field_sag_mm=SAG_MM)
    panel = cut("as1000", 60.0, 60.0)
    made = exposure(random, ImageKind.WINSTON_LUTZ, 10.0)
    return as_set(winston_lutz(test, imager(random, panel), made))


def segments(random: Random, error_percent: float, *, name: str) -> PortalImage:
    """A VMAT test with one segment off."""
    number, _ = STRIPS[name]
    doses = {k: float(random.normal(0.0, VARIES_PERCENT)) for k in range(1, number + 1)}
    doses[int(random.integers(1, number + 1))] += float(random.choice([-1, 1])) * error_percent
    made = exposure(random, KINDS[name], 200.0)
    _, image = vmat_pair(VmatTest(name, doses), imager(random, PANELS["as500"]), made)
    return image


def star(random: Random, error_mm: float) -> PortalImage:
    """A starshot with more wobble than usual."""
    center_mm = tuple(map(float, random.normal(0.0, 0.3, 2)))
    first_deg = float(random.uniform(0.0, 36.0))
    test = Starshot(5, WOBBLE_MM + error_mm, (center_mm[0], center_mm[1]), first_deg=first_deg)
    panel = cut("as500", 180.0, 180.0)
    return starshot(test, imager(random, panel), exposure(random, ImageKind.STARSHOT, 100.0))


def square(random: Random, size: float, *, of: str) -> PortalImage:
    """An open field whose output, place, size or symmetry is off, beside one in order."""
    sign = float(random.choice([-1.0, 1.0]))
    varies = float(random.normal(0.0, VARIES_PERCENT))
    sides: dict[str, tuple[float, float]] = {}
    if of in ("shift_mm", "wider_mm"):
        sides[of] = (sign * size, 0.0) if random.random() < 0.5 else (0.0, sign * size)
    test = OpenField(
        output_percent=varies + (sign * size if of == "output" else 0.0),
        profile=Profile(tilt_x_percent=sign * size if of == "symmetry" else 0.0),
        **sides,
    )
    own = imager(random, cut("as500", 160.0, 160.0))
    image = open_field(test, own, exposure(random, ImageKind.OPEN_FIELD, 100.0))
    signed_off = open_field(OpenField(), own, exposure(random, ImageKind.OPEN_FIELD, 100.0))
    return replace(image, beside=Beside(baseline=signed_off))


LEAF_SIZES_MM = (0.2, 0.5, 1.0)
COMBINED = ("max_error",)
SEPARATE = ("max_leaf_error", "max_leaf_deviation", "gap_deviation")
NOMINAL = {"nominal_gap_mm": GAP_MM}
TRIALS: Mapping[str, Trial] = {
    "picket_fence, one leaf off": Trial(
        "picket_fence",
        "mm",
        (0.0, *LEAF_SIZES_MM),
        partial(pickets, of_one_leaf=True),
        COMBINED + SEPARATE,
        NOMINAL,
    ),
    "picket_fence, every gap off": Trial(
        "picket_fence",
        "mm",
        LEAF_SIZES_MM,
        partial(pickets, of_one_leaf=False),
        COMBINED + SEPARATE,
        NOMINAL,
    ),
    "winston_lutz, ball off": Trial(
        "winston_lutz", "mm", (0.0, 0.5, 1.0), ball, ("max_2d_cax_to_bb", "median_2d_cax_to_bb")
    ),
    "vmat_drgs, one segment off": Trial(
        "vmat_drgs", "%", (0.0, 1.0, 2.0, 3.0), partial(segments, name="drgs"), ("max_deviation",)
    ),
    "vmat_drmlc, one segment off": Trial(
        "vmat_drmlc", "%", (0.0, 1.0, 2.0, 3.0), partial(segments, name="drmlc"), ("max_deviation",)
    ),
    "starshot, more wobble": Trial("starshot", "mm", (0.0, 0.5, 1.0), star, ("circle_diameter",)),
    "field, output off": Trial(
        "field", "%", (0.0, 1.0, 2.0, 3.0), partial(square, of="output"), ("output_change",)
    ),
    "field, off the axis": Trial(
        "field", "mm", (2.0,), partial(square, of="shift_mm"), ("center_shift",)
    ),
    "field, wider": Trial(
        "field", "mm", (2.0,), partial(square, of="wider_mm"), ("field_size_error_horizontal",)
    ),
    "field, tilted": Trial(
        "field", "%", (2.0,), partial(square, of="symmetry"), ("symmetry_change",)
    ),
}
