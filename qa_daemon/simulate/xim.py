"""Write Varian XIM images, compressed as the machines do or plain."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_daemon.simulate.options import is_on, known
from qa_daemon.simulate.rtimage import PANELS, open_field

KIND = "varian-xim"
MAGIC = b"VMS.XI\0\0"
Property = int | float | str | NDArray[Any]


def compressed(pixels: NDArray[np.integer[Any]]) -> tuple[bytes, bytes]:
    """The table and the body of an image, shape `(rows, columns)` with two rows or more.

    The body is the first row and one pixel as 4 bytes each, then differences in as few bytes as
    hold them; the table has two bits for each, and for one more.
    """
    columns = pixels.shape[1]
    flat = pixels.astype(np.int64).ravel()
    steps = flat[columns + 1 :] - flat[columns:-1] - flat[1:-columns] + flat[: -columns - 1]
    codes = np.select([abs(2 * steps + 1) < 2**8, abs(2 * steps + 1) < 2**16], [0, 1], 2)
    padded = np.zeros(-(-(codes.size + 1) // 4) * 4, np.uint8)
    padded[: codes.size] = codes
    table = (padded.reshape(-1, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1)
    bytes_of = steps.astype("<i4").view(np.uint8).reshape(-1, 4)
    body = bytes_of[np.arange(4) < (1 << codes)[:, None]]
    return table.astype(np.uint8).tobytes(), flat[: columns + 1].astype("<i4").tobytes() + bytes(
        body
    )


def xim_content(
    pixels: NDArray[np.integer[Any]],
    properties: dict[str, Property],
    *,
    is_compressed: bool = True,
    size: int = 4,
) -> bytes:
    """The bytes of a file; `size` bytes hold a pixel."""
    rows, columns = pixels.shape
    parts = [MAGIC, struct.pack("<6i", 1, columns, rows, 8 * size, size, int(is_compressed))]
    if is_compressed:
        for block in compressed(pixels):
            parts += [struct.pack("<i", len(block)), block]
        parts.append(struct.pack("<i", pixels.size * size))
    else:
        content = pixels.astype(f"<i{size}").tobytes()
        parts += [struct.pack("<i", len(content)), content]
    histogram = np.bincount((pixels.ravel() >> 8).clip(0, 255), minlength=256).astype("<i4")
    parts += [struct.pack("<i", histogram.size), histogram.tobytes()]
    parts.append(struct.pack("<i", len(properties)))
    for name, value in properties.items():
        parts += [struct.pack("<i", len(name)), name.encode(), _property(value)]
    return b"".join(parts)


def _property(value: Property) -> bytes:
    if isinstance(value, str):
        return struct.pack("<2i", 2, len(value.encode())) + value.encode()
    if isinstance(value, int):
        return struct.pack("<2i", 0, value)
    if isinstance(value, float):
        return struct.pack("<id", 1, value)
    kind, written = (4, "<f8") if value.dtype.kind == "f" else (5, "<i4")
    content = value.astype(written).tobytes()
    return struct.pack("<2i", kind, len(content)) + content


def properties_of(
    *,
    spacing_mm: float,
    sid_mm: float,
    gantry: float,
    collimator: float,
    couch: float,
    energy: str,
    mu: float,
    beam: str = "mv",
) -> dict[str, Property]:
    """What an image says of itself; the angles are IEC degrees, written on Varian's scale."""
    is_mega = beam == "mv"
    found: dict[str, Property] = {
        "AcquisitionMode": "Dosimetry" if is_mega else "Fluoro",
        "AcquisitionSystemVersion": "2.7.304.16",
        "CouchRtn": (180.0 - couch) % 360.0,
        "GantryRtn": (180.0 - gantry) % 360.0,
        "HistogramRoi": np.array([0, 0, 1, 1], np.int32),
        "KVBeamOn": int(not is_mega),
        "MLCLeafsA": np.linspace(1.0, 2.0, 60),
        "MVBeamOn": int(is_mega),
        "MVCollimatorRtn": (180.0 - collimator) % 360.0,
        "NumberOfFrames": 10,
        "PixelHeight": spacing_mm / 10.0,
        "PixelWidth": spacing_mm / 10.0,
    }
    source, panel = (
        ("MVSourceVrt", "MVDetectorVrt") if is_mega else ("KVSourceVrt", "KVDetectorVrt")
    )
    found |= {source: 100.0, panel: (1000.0 - sid_mm) / 10.0}
    if is_mega:
        found |= {"MVEnergy": energy, "MVDoseStart": 0.0, "MVDoseStop": mu}
    else:
        found |= {"KVKiloVolts": 100.0}
    return found


def simulate(
    out: Path,
    *,
    panel: str = "as1200",
    field_x_mm: float = 100.0,
    field_y_mm: float = 100.0,
    shift_x_mm: float = 0.0,
    shift_y_mm: float = 0.0,
    sid_mm: float = 1500.0,
    gantry: float = 0.0,
    collimator: float = 0.0,
    couch: float = 0.0,
    energy: str = "6x",
    mu: float = 100.0,
    beam: str = "mv",
    signal: float = 40000.0,
    noise_percent: float = 0.2,
    compress: bool | str = True,
    without: str = "",
    seed: int = 1,
) -> Path:
    """Write one image of an open field and return its path.

    `out` is the file, or a folder.  Sizes and shifts of the field are at the isocenter; `without`
    lists properties (`MVDetectorVrt`) that are left out.  Raises ValueError for an unknown panel
    or beam (`mv`, `kv`).
    """
    known("panel", panel, PANELS)
    known("beam", beam, ("mv", "kv"))
    shape = open_field(
        panel,
        size_mm=(float(field_x_mm), float(field_y_mm)),
        shift_mm=(float(shift_x_mm), float(shift_y_mm)),
        sid_mm=float(sid_mm),
    )
    shape *= 1.0 + np.random.default_rng(seed).normal(0.0, float(noise_percent) / 100, shape.shape)
    properties = properties_of(
        spacing_mm=PANELS[panel][2],
        sid_mm=float(sid_mm),
        gantry=float(gantry),
        collimator=float(collimator),
        couch=float(couch),
        energy=str(energy),
        mu=float(mu),
        beam=beam,
    )
    for name in filter(None, str(without).split(",")):
        known("without", name, properties)
        del properties[name]
    path = out / "simulated.xim" if out.is_dir() else out
    pixels = np.round(shape * float(signal)).astype(np.int32)
    path.write_bytes(xim_content(pixels, properties, is_compressed=is_on("compress", compress)))
    return path
