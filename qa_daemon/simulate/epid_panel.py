"""Portal imagers to simulate: where each pixel lies, what a panel adds, what record results.

All that is simulated lies at the isocenter plane, IEC 61217, as seen from the source: x to the
right, y towards the gantry.  A signal is in calibrated units, 1 CU for 100 MU in the middle of an
open field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from analyzers.portal_images import (
    DEFAULT_SAD_MM,
    Aperture,
    Classified,
    ImageKind,
    Pixels,
    PortalImage,
)
from qa_daemon.simulate.dicom_file import ROOT
from qa_daemon.simulate.options import known
from qa_daemon.simulate.rtimage import LARGEST, image_of

Array = NDArray[np.float64]

CU_PER_MU = 0.01
FILLED = 0.9
"""Share of the range of stored values that the brightest pixel takes."""
PERFORMED_AT = datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001 - a machine's wall time has no zone


@dataclass(frozen=True, slots=True)
class Panel:
    """A make of imager; spacing at the panel, `sid_mm` where it usually stands."""

    rows: int
    columns: int
    spacing_mm: float
    sid_mm: float
    maker: str
    model: str
    calibrated: bool = True


PANELS: Mapping[str, Panel] = {
    "as500": Panel(384, 512, 0.784, 1500.0, "Varian Medical Systems", "aS500"),
    "as1000": Panel(768, 1024, 0.392, 1500.0, "Varian Medical Systems", "aS1000"),
    "as1200": Panel(1280, 1280, 0.336, 1500.0, "Varian Medical Systems", "aS1200"),
    "iview": Panel(1024, 1024, 0.4, 1600.0, "ELEKTA", "iViewGT", calibrated=False),
}
"""Pixel sizes and numbers as the makers publish them; distances as they are used in practice."""


@dataclass(frozen=True, slots=True)
class Imager:
    """A panel, where it stands, and what is wrong with it.

    `shift_mm` (x, y) at the panel is what the image states of its position, `sag_mm` what it does
    not.  Noise is the standard deviation of a pixel in percent of 1 CU: of the counts at 1 CU,
    falling with the root of the signal, and of the electronics everywhere.  `blur_mm` is the
    standard deviation of the penumbra at the isocenter plane.  Real images of Varian and Elekta
    panels have penumbras of 0.8 to 1.2 mm and, in open fields of 100 MU, 0.04 to 0.1 % of noise.
    """

    panel: Panel = PANELS["as1000"]
    sid_mm: float | None = None
    shift_mm: tuple[float, float] = (0.0, 0.0)
    sag_mm: tuple[float, float] = (0.0, 0.0)
    blur_mm: float = 1.0
    noise_percent: float = 0.1
    electronic_percent: float = 0.02
    dead_pixels: int = 0

    @property
    def distance_mm(self) -> float:
        """From the source to the panel."""
        return self.sid_mm or self.panel.sid_mm

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel at the isocenter plane."""
        return self.panel.spacing_mm * DEFAULT_SAD_MM / self.distance_mm

    @property
    def x_edges_mm(self) -> Array:
        """Where the columns really end, rising; `(columns + 1,)`."""
        return self._edges_mm(self.panel.columns, 0)

    @property
    def y_edges_mm(self) -> Array:
        """Where the rows really end, rising, so from the last row to the first; `(rows + 1,)`."""
        return self._edges_mm(self.panel.rows, 1)

    @property
    def axis_px(self) -> tuple[float, float]:
        """Row and column of the central axis, as the stated shift has it."""
        x_px, y_px = (shift / self.panel.spacing_mm for shift in self.shift_mm)
        return (self.panel.rows - 1) / 2.0 + y_px, (self.panel.columns - 1) / 2.0 - x_px

    def _edges_mm(self, pixels: int, axis: int) -> Array:
        away_mm = (self.shift_mm[axis] + self.sag_mm[axis]) * DEFAULT_SAD_MM / self.distance_mm
        return np.asarray((np.arange(pixels + 1) - pixels / 2.0) * self.pixel_mm + away_mm)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an image says of the beam it was made with."""

    kind: ImageKind
    label: str = ""
    mu: float = 100.0
    gantry_deg: float = 0.0
    collimator_deg: float = 0.0
    couch_rotation_deg: float = 0.0
    energy: str = "6x"
    machine_name: str = "TB1"
    machine_serial: str = "1234"
    performed_at: datetime = PERFORMED_AT
    seed: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def open_cu(self) -> float:
        """Signal in the middle of an open field."""
        return self.mu * CU_PER_MU


def imager_of(
    panel: str = "as1000",
    sid_mm: float | None = None,
    noise: float = 1.0,
    dead_pixels: int = 0,
    sag_mm: tuple[float, float] = (0.0, 0.0),
    shift_mm: tuple[float, float] = (0.0, 0.0),
) -> Imager:
    """An imager by the name of its panel, `noise` times as noisy as usual; numbers may be text.

    Raises ValueError for an unknown panel, and where no panel can stand.
    """
    known("panel", panel, PANELS)
    usual = Imager(PANELS[panel])
    distance_mm = None if sid_mm is None else float(sid_mm)
    if distance_mm is not None and not 900.0 <= distance_mm <= 2000.0:
        raise ValueError(f"sid_mm {distance_mm:g}: 900 to 2000 expected")
    if float(noise) < 0.0 or int(dead_pixels) < 0:
        raise ValueError("noise and dead_pixels: 0 or more expected")
    return replace(
        usual,
        sid_mm=distance_mm,
        sag_mm=(float(sag_mm[0]), float(sag_mm[1])),
        shift_mm=(float(shift_mm[0]), float(shift_mm[1])),
        noise_percent=usual.noise_percent * float(noise),
        electronic_percent=usual.electronic_percent * float(noise),
        dead_pixels=int(dead_pixels),
    )


def exposed(
    signal_cu: Array, exposure: Exposure, imager: Imager, aperture: Aperture | None = None
) -> PortalImage:
    """The image that a panel makes of a signal, `(rows, columns)`, first row at the largest y.

    Noise is drawn from the exposure's seed.  Values are whole steps of what is stored; a panel that
    is not calibrated fills its range whatever was delivered.
    """
    random = np.random.default_rng([exposure.seed, round(10.0 * exposure.gantry_deg), 7])
    seen_cu = _with_noise(signal_cu, imager, random)
    dead = random.choice(seen_cu.size, imager.dead_pixels, replace=False)
    seen_cu.flat[dead] = 0.0
    is_calibrated = imager.panel.calibrated
    if not is_calibrated:
        seen_cu *= FILLED * LARGEST / max(float(seen_cu.max()), 1e-9)
    return image_of(
        seen_cu,
        (imager.panel.spacing_mm, imager.panel.spacing_mm),
        pixels=Pixels.CALIBRATED if is_calibrated else Pixels.RELATIVE,
        falls=not is_calibrated,
        sid_mm=imager.distance_mm,
        axis_px=imager.axis_px,
        panel_shift_mm=imager.shift_mm,
        gantry_deg=exposure.gantry_deg,
        collimator_deg=exposure.collimator_deg,
        couch_rotation_deg=exposure.couch_rotation_deg,
        meterset_mu=exposure.mu,
        aperture=aperture,
        label=exposure.label or None,
        texts=exposure.texts,
        maker=imager.panel.maker,
        model=imager.panel.model,
        machine_name=exposure.machine_name,
        machine_serial=exposure.machine_serial,
        energy=exposure.energy,
        performed_at=exposure.performed_at,
        study_uid=f"{ROOT}.2.{exposure.performed_at:%Y%m%d}.{crc32(exposure.machine_name.encode())}",
        sop_instance_uid=_uid(exposure),
        classified=Classified(exposure.kind, "simulated", "it was simulated as one"),
    )


def _with_noise(signal_cu: Array, imager: Imager, random: np.random.Generator) -> Array:
    counts = imager.noise_percent / 100.0 * np.sqrt(np.maximum(signal_cu, 0.0))
    electronic = imager.electronic_percent / 100.0
    deviation_cu = np.hypot(counts, electronic)
    if not deviation_cu.any():
        return signal_cu.copy()
    return np.asarray(signal_cu + deviation_cu * random.standard_normal(signal_cu.shape))


def _uid(exposure: Exposure) -> str:
    """Of its own for every machine, label, seed, angle and second."""
    at = f"{exposure.performed_at:%Y%m%d%H%M%S}".lstrip("0")
    angles = (exposure.gantry_deg, exposure.collimator_deg, exposure.couch_rotation_deg)
    turned = ".".join(str(round(10.0 * angle) % 3600) for angle in angles)
    said = f"{exposure.machine_name}/{exposure.label}/{exposure.seed}"
    return f"{ROOT}.5.{at}.{turned}.{crc32(said.encode())}"
