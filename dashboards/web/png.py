"""A map of values as a PNG image, written by hand: it needs no imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import ColorScale, Numbers

SHADES = 255
"""The palette's last entry, number 255, is transparent: no value."""


def png_of(values: Numbers, colors: ColorScale, low: float, high: float) -> bytes:
    """An image with one pixel for each value, the first row at the bottom."""
    span = high - low or 1.0
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low) - low) / span, 0.0, 1.0)
    pixels = np.where(known, (share * (SHADES - 1)).round(), SHADES).astype(np.uint8)[::-1]
    height, width = pixels.shape
    # Each row of a PNG begins with the number of its filter; 0 is none.
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", _palette(colors).tobytes()),
            _chunk(b"tRNS", b"\xff" * SHADES + b"\x00"),
            _chunk(b"IDAT", zlib.compress(rows, 6)),
            _chunk(b"IEND", b""),
        )
    )


def _palette(colors: ColorScale) -> NDArray[np.uint8]:
    at = np.array([position for position, _ in colors])
    stops = np.array([[int(color[k : k + 2], 16) for k in (1, 3, 5)] for _, color in colors])
    shares = np.linspace(0.0, 1.0, SHADES)
    channels = [np.interp(shares, at, stops[:, k]) for k in range(3)]
    return np.vstack([np.stack(channels, axis=1).round(), [[255, 255, 255]]]).astype(np.uint8)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
