"""Pictures of portal images with known content: simple, of any number, for classification.

Everything is drawn in mm at the isocenter, x and y turned by the collimator, as smooth edges of a
stated width; then comes the beam's own profile, scatter around the field, noise and bad pixels.
Nothing here is taken from the tests of content that it is put to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.portal_images import Polarity, PortalImage

Array = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Panel:
    """Rows, columns, size of a pixel and distance from the source, in mm."""

    rows: int
    columns: int
    pixel_mm: float
    sid_mm: float


AS500 = Panel(384, 512, 0.784, 1500.0)
SMALL_PANELS = (AS500, Panel(384, 512, 0.784, 1050.0), Panel(320, 320, 1.344, 1000.0))
TINY_PANELS = (Panel(192, 256, 1.568, 1500.0), Panel(256, 256, 1.344, 1050.0))
"""Of about a millimeter at the isocenter: small enough for many."""
PANELS = (
    *SMALL_PANELS,
    Panel(768, 1024, 0.392, 1000.0),
    Panel(768, 1024, 0.392, 1500.0),
    Panel(1190, 1190, 0.336, 1000.0),
    Panel(1280, 1280, 0.336, 1500.0),
    Panel(1024, 1024, 0.4, 1600.0),
    Panel(1280, 1280, 0.336, 1800.0),
)


@dataclass(frozen=True, eq=False)
class Plane:
    """Where each pixel lies at the isocenter: beam's frame and collimator's frame."""

    panel: Panel
    beam_x: Array
    beam_y: Array
    x: Array
    y: Array
    blur_mm: float

    @property
    def half_mm(self) -> float:
        """Half the shorter side of the panel at the isocenter."""
        side = min(self.panel.rows, self.panel.columns) * self.panel.pixel_mm
        return 500.0 * side / self.panel.sid_mm

    def edge(self, distance: Array) -> Array:
        """1 where a distance in mm is well above 0, and 0 well below."""
        return 0.5 * (1.0 + np.tanh(distance / self.blur_mm))

    def rectangle(self, x: tuple[float, float], y: tuple[float, float]) -> Array:
        """Open between two x and between two y, in the collimator's frame."""
        across = self.edge(self.x - x[0]) * self.edge(x[1] - self.x)
        return across * self.edge(self.y - y[0]) * self.edge(y[1] - self.y)

    def disc(self, center: tuple[float, float], radius: float) -> Array:
        """1 inside of a circle."""
        return self.edge(radius - np.hypot(self.x - center[0], self.y - center[1]))


def plane(rng: Rng, panels: tuple[Panel, ...], collimator_deg: float | None = None) -> Plane:
    """A panel, roughly centered, under a collimator at an angle."""
    panel = panels[rng.integers(len(panels))]
    if collimator_deg is None:
        collimator_deg = float(rng.choice([0.0, 0.0, 90.0, 90.0, 45.0, 315.0, rng.uniform(0, 360)]))
        collimator_deg += rng.normal(0.0, 0.3)
    step = panel.pixel_mm * 1000.0 / panel.sid_mm
    shift = rng.normal(0.0, 1.0, 2)
    columns = (np.arange(panel.columns) - (panel.columns - 1) / 2.0) * step + shift[0]
    rows = ((panel.rows - 1) / 2.0 - np.arange(panel.rows)) * step + shift[1]
    beam_x, beam_y = np.meshgrid(columns, rows)
    turn = np.deg2rad(collimator_deg)
    x = beam_x * np.cos(turn) + beam_y * np.sin(turn)
    y = beam_y * np.cos(turn) - beam_x * np.sin(turn)
    return Plane(panel, beam_x, beam_y, x, y, float(rng.uniform(1.0, 2.2)))


def exposed(at: Plane, fluence: Array, rng: Rng, noise: float = 0.004) -> PortalImage:
    """The image of a fluence of 0 to 1: profile, scatter, noise, bad pixels, any scale."""
    radius = np.hypot(at.beam_x, at.beam_y)
    filter_free = rng.random() < 0.4
    if filter_free:
        # Without a flattening filter: a peak, round at its top.
        profile = 1.0 / (1.0 + (np.hypot(radius, 30.0) - 30.0) / rng.uniform(200.0, 450.0))
    else:
        profile = 1.0 + rng.uniform(0.0, 0.05) * np.minimum(radius / 150.0, 1.2) ** 2
    signal = fluence * profile
    coarse = ndimage.zoom(signal, 0.125, order=1)
    wide = ndimage.gaussian_filter(coarse, 25.0 / (8.0 * at.panel.pixel_mm), mode="constant")
    scatter = ndimage.zoom(wide, np.array(signal.shape) / np.array(wide.shape), order=1)
    signal = signal + rng.uniform(0.0, 0.12) * scatter
    signal = signal + rng.normal(0.0, rng.uniform(0.2, 1.0) * noise, signal.shape)
    for _ in range(rng.integers(0, 30)):
        signal[rng.integers(signal.shape[0]), rng.integers(signal.shape[1])] = rng.uniform(0, 1.5)
    if rng.random() < 0.2:
        signal[:, rng.integers(signal.shape[1])] = rng.uniform(0.0, 1.2)
    if rng.random() < 0.2:
        signal[: rng.integers(1, 4)] = 0.0
    values = signal * 10.0 ** rng.uniform(-1, 5) + rng.choice([0.0, 100.0])
    return PortalImage(
        stored=values,
        values=values,
        spacing_mm=(at.panel.pixel_mm, at.panel.pixel_mm),
        sid_mm=at.panel.sid_mm,
        polarity=Polarity.STATED,
        energy="6xFFF" if filter_free else "6x",
    )


def picket_fence(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """5 to 12 pickets, one perhaps missing, leaves off by tenths of a mm and one by millimeters."""
    at = plane(rng, panels)
    room = 1.7 * at.half_mm
    pitch = float(rng.choice([p for p in (10.0, 15.0, 20.0, 25.0, 30.0) if 4.5 * p < room]))
    count = int(rng.integers(5, min(12, int(room / pitch)) + 1))
    gap = rng.uniform(1.5, min(5.0, 0.3 * pitch))
    leaf = float(rng.choice([2.5, 5.0, 10.0]))
    pair = np.floor(at.y / leaf).astype(np.int64)
    pair -= pair.min()
    fence = np.zeros(at.x.shape)
    gone = int(rng.integers(1, count - 1)) if count >= 6 and rng.random() < 0.2 else -1
    start = -(count - 1) / 2.0 * pitch + rng.uniform(-0.3, 0.3) * pitch
    for k in range(count):
        off = rng.normal(0.0, rng.uniform(0.05, 0.3), int(pair.max()) + 1)
        off[rng.integers(len(off))] += rng.uniform(-3.0, 3.0) * (rng.random() < 0.5)
        middle = start + k * pitch + off[pair]
        if k != gone:
            fence += at.edge(at.x - middle + gap / 2.0) * at.edge(middle + gap / 2.0 - at.x)
    length = rng.uniform(35.0, 200.0)
    jaws = (start - rng.uniform(5, 30), start + (count - 1) * pitch + rng.uniform(5, 30))
    leak = rng.uniform(0.02, 0.2) * (1.0 + 0.1 * np.cos(2.0 * np.pi * at.y / leaf))
    return exposed(at, (leak + fence) * at.rectangle(jaws, (-length, length)), rng)


def _small(rng: Rng, at: Plane) -> tuple[Array, float]:
    side = rng.uniform(12.0, 38.0)
    center = rng.normal(0.0, 0.7, 2)
    if rng.random() < 0.4:
        return at.disc((center[0], center[1]), side / 2.0), side
    other = side * rng.uniform(0.85, 1.0)
    x = (center[0] - side / 2.0, center[0] + side / 2.0)
    return at.rectangle(x, (center[1] - other / 2.0, center[1] + other / 2.0)), other


def winston_lutz(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """A cone or a square with a ball up to 4 mm off its center."""
    at = plane(rng, panels)
    field, side = _small(rng, at)
    diameter = rng.uniform(3.0, min(9.0, 0.4 * side))
    free = max(0.0, side / 2.0 - diameter / 2.0 - 2.0)
    off, way = rng.uniform(0.0, min(4.0, free)), rng.uniform(0.0, 2.0 * np.pi)
    away = np.hypot(at.x - off * np.cos(way), at.y - off * np.sin(way))
    path = np.sqrt(np.clip(1.0 - (2.0 * away / diameter) ** 2, 0.0, None))
    shadow = ndimage.gaussian_filter(path, 0.6 / at.panel.pixel_mm)
    depth = rng.uniform(0.04, 0.45)
    return exposed(at, field * (1.0 - depth * shadow), rng)


def small_field(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """The same without a ball."""
    at = plane(rng, panels)
    return exposed(at, _small(rng, at)[0], rng)


def _strips(rng: Rng, panels: tuple[Panel, ...], count: int, pitch: float) -> PortalImage:
    while True:
        at = plane(rng, panels)
        if at.half_mm > 0.57 * count * pitch:
            break
    half = count * pitch / 2.0
    length = rng.uniform(70.0, 200.0)
    middle = rng.normal(0.0, 3.0)
    step = np.clip(np.floor((at.x - middle + half) / pitch), 0, count - 1).astype(np.int64)
    level = 1.0 + rng.normal(0.0, rng.uniform(0.0, 0.02), count)
    levels = ndimage.gaussian_filter1d(level[step], 1.0)
    depth = rng.uniform(0.04, 0.3) * rng.choice([-1.0, 1.0])
    width = rng.uniform(0.8, 1.5)
    for k in range(1, count):
        levels += depth * np.exp(-0.5 * ((at.x - middle + half - k * pitch) / width) ** 2)
    field = at.rectangle((middle - half, middle + half), (-length, length))
    return exposed(at, 0.75 * field * levels + 0.02 * at.rectangle((-110, 110), (-150, 150)), rng)


def drgs(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """Seven strips 20 mm wide."""
    return _strips(rng, panels, 7, 20.0)


def drmlc(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """Four strips 30 mm wide."""
    return _strips(rng, panels, 4, 30.0)


def open_field(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """5 x 5 to 40 x 40 cm, half beams among them; corners of the largest are cut off."""
    at = plane(rng, panels)
    most = min(200.0, 0.93 * at.half_mm)
    x, y = rng.uniform(25.0, most, 2)
    low = 0.0 if rng.random() < 0.2 and x > 50.0 else -x
    field = at.rectangle((low, x), (-y, y)) * at.edge(260.0 - np.hypot(at.beam_x, at.beam_y))
    return exposed(at, field, rng)


def slit(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """One spoke of a starshot."""
    at = plane(rng, panels, float(rng.uniform(0.0, 180.0)))
    width = rng.uniform(1.5, 6.0)
    length = rng.uniform(max(30.0, 7.0 * width), 0.9 * at.half_mm)
    off = rng.normal(0.0, 1.0)
    return exposed(at, at.rectangle((off - width, off + width), (-length, length)), rng)


def starshot(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """3 to 8 lines through one point within a mm or two."""
    at = plane(rng, panels, 0.0)
    width, lines = rng.uniform(1.5, 4.5), int(rng.integers(3, 9))
    turn = rng.uniform(0.0, np.pi) + np.arange(lines) * np.pi / lines
    center = rng.normal(0.0, 3.0, 2)
    total = np.zeros(at.x.shape)
    for angle in turn:
        off = rng.normal(0.0, 0.5)
        across = (at.x - center[0]) * np.sin(angle) - (at.y - center[1]) * np.cos(angle) - off
        along = (at.x - center[0]) * np.cos(angle) + (at.y - center[1]) * np.sin(angle)
        arm = at.edge(width - np.abs(across)) * at.edge(0.9 * at.half_mm - np.abs(along))
        total += arm * rng.uniform(0.8, 1.0)
    saturation = rng.uniform(0.8, 4.0)
    return exposed(at, 1.0 - np.exp(-total / saturation), rng)


def noise_only(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """No beam, or the beam in the whole panel: nothing to see."""
    at = plane(rng, panels)
    return exposed(at, np.full(at.x.shape, float(rng.choice([0.0, 0.5]))), rng)


MACHINE: dict[str, Callable[[Rng, tuple[Panel, ...]], PortalImage]] = {
    "PICKET_FENCE": picket_fence,
    "WINSTON_LUTZ": winston_lutz,
    "VMAT_DRGS": drgs,
    "VMAT_DRMLC": drmlc,
    "OPEN_FIELD": open_field,
    "STARSHOT slit": slit,
    "STARSHOT": starshot,
}
NOTHING = {"bare small field": small_field, "noise": noise_only}
