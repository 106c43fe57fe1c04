"""Write a scanned film as TIFF: a starshot whose spokes miss their middle by a stated distance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_daemon.simulate.options import known

KIND = "tiff-image"
MM_PER_INCH = 25.4
SPOKE_MM = 2.0
COLORS = {"L": 1, "RGB": 3, "LA": 2, "RGBA": 4}
FAINTEST, DARKEST = 235.0, 60.0


def star(
    side_px: int, spacing_mm: float, *, spokes: int, miss_mm: float = 0.0
) -> NDArray[np.float64]:
    """Radiation from 0 to 1 of as many spokes, square; each passes the middle at `miss_mm`."""
    place_mm = (np.arange(side_px) - (side_px - 1) / 2.0) * spacing_mm
    x_mm, y_mm = place_mm[None, :], -place_mm[:, None]
    signal = np.zeros((side_px, side_px))
    for angle in np.pi * np.arange(spokes) / spokes:
        off_mm = x_mm * np.sin(angle) - y_mm * np.cos(angle) - miss_mm
        signal = np.maximum(signal, np.exp(-0.5 * (off_mm / SPOKE_MM) ** 2))
    # The film is larger than the field.
    reach_mm = np.hypot(x_mm, y_mm) / (0.8 * place_mm[-1])
    return np.asarray(signal / (1.0 + reach_mm**24), np.float64)


def write_film(
    path: Path, radiation: NDArray[Any], *, dpi: float | None, mode: str = "L", darkens: bool = True
) -> None:
    """Write radiation from 0 to 1 as a scan in one of Pillow's modes; None leaves the dpi out."""
    from PIL import Image

    light = FAINTEST + (DARKEST - FAINTEST) * np.asarray(radiation)
    gray = np.round(light if darkens else 255.0 - light).astype(np.uint8)
    channels = [gray] * COLORS[mode]
    if mode.endswith("A"):
        channels[-1] = np.full(gray.shape, 255, np.uint8)
    scan = Image.fromarray(gray if len(channels) == 1 else np.dstack(channels))
    said = {} if dpi is None else {"dpi": (dpi, dpi)}
    scan.save(path, format="TIFF", compression="tiff_lzw", **said)


def simulate(
    out: Path,
    *,
    dpi: float = 150.0,
    side_px: int = 900,
    spokes: int = 5,
    miss_mm: float = 0.3,
    mode: str = "L",
) -> Path:
    """Write a starshot on film and return its path.

    `out` is the file, or a folder; `miss_mm` is the distance at which each spoke passes the middle,
    so that the circle that touches all of them has this radius.  Raises ValueError for a mode that
    is none of L, LA, RGB and RGBA.
    """
    known("mode", mode, COLORS)
    path = out / "starshot.tif" if out.is_dir() else out
    radiation = star(
        int(side_px), MM_PER_INCH / float(dpi), spokes=int(spokes), miss_mm=float(miss_mm)
    )
    write_film(path, radiation, dpi=float(dpi), mode=mode)
    return path
