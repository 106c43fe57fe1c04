"""Varian XIM: the image file of TrueBeam-class machines, megavolts and kilovolts.

Lengths are in cm and angles on the Varian standard scale, so that IEC = 180 - v; a panel below the
isocenter has a negative height.  Rows and columns run as in the same image's DICOM export.  No XIM
says which patient or machine it is of: the folder does.  `StartTime` is a number in a unit that is
not published, so that the time of the exposure is not told either.

The scales of the jaws and of the panel's shift are not published.  A panel that stands aside leaves
the place of the central axis unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile, ReadError, TruncatedError
from analyzers.formats.varian_xim_layout import (
    CODES,
    EXPORT_AGAIN,
    MAGIC,
    Property,
    blocks,
    error,
)
from analyzers.numerics.picture_polarity import rises
from analyzers.portal_images import DEFAULT_SAD_MM, Polarity, PortalImage
from analyzers.regular_file import opened

LARGEST_FILE = 64 * 1024 * 1024
SPACING_MM = (0.05, 2.0)
SID_MM = (500.0, 3000.0)
MM_PER_CM = 10.0
MOST_MU = 1e6
MOST_FRAMES = 1_000_000
KILOVOLTAGE = "a kilovoltage image: it does not show the treatment beam"
ENERGY = re.compile(r"(\d{1,2}(?:\.\d)?) ?(?:x|MV)?(?: ?-? ?(FFF))?", re.IGNORECASE)
TEXTS = (
    *("AcquisitionMode", "AcquisitionModeId", "AcquisitionNotes", "AcquisitionSystemVersion"),
    *("CalibrationSetId", "ImageMode", "ImageModeId", "ImageSourceId", "MVEnergy"),
)


def recognize(head: bytes) -> bool:
    """True for a file that begins as an XIM image does, whatever its name."""
    return head.startswith(MAGIC)


def read(path: Path | str) -> PortalImage:
    """Read one image.

    A kilovoltage image keeps its values and is not judged.  Raises `ReadError`, for a file that
    ends early `TruncatedError`.
    """
    found = blocks(_content(Path(path)))
    said = _Said(found.properties)
    if found.spare_bytes:
        said.warn(f"{found.spare_bytes} bytes after the last property are not read")
    is_kilovoltage = _is_kilovoltage(said)
    kind = "KV" if is_kilovoltage else "MV"
    stored = found.stored
    if stored.min() == stored.max():
        raise error("FLAT", "all pixels have the same value: this is no image of a beam")
    values, polarity = _intensity(stored, said, is_kilovoltage=is_kilovoltage)
    sid_mm, sad_mm = _distances(said, kind)
    spacing_mm = _spacing(said)
    is_told = _tells_its_place(said, kind, spacing_mm)
    return PortalImage(
        stored=stored,
        values=values,
        polarity=polarity,
        spacing_mm=spacing_mm,
        sid_mm=sid_mm,
        sad_mm=sad_mm,
        geometry_is_consistent=is_told,
        gantry_deg=said.angle_deg("GantryRtn"),
        collimator_deg=said.angle_deg("MVCollimatorRtn"),
        couch_rotation_deg=said.angle_deg("CouchRtn"),
        meterset_mu=None if is_kilovoltage else _meterset_mu(said),
        frames=max(1, said.whole("NumberOfFrames", most=MOST_FRAMES) or 1),
        energy=None if is_kilovoltage else _energy(said),
        texts=said.texts(),
        maker="Varian Medical Systems",
        warnings=tuple(said.warnings),
        not_judged=KILOVOLTAGE if is_kilovoltage else None,
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> PortalImage:  # noqa: ARG001
    return read(file.path)


def _content(path: Path) -> bytes:
    with opened(path) as (stream, size):
        if size > LARGEST_FILE:
            raise ReadError(f"{CODES}_SIZE", f"{size} bytes, {LARGEST_FILE} at most")
        content = stream.read(size)
    if not content:
        raise TruncatedError(f"{CODES}_EMPTY", f"the file is empty; {EXPORT_AGAIN}")
    return content


class _Said:
    """The properties, each of the type that it has to have."""

    def __init__(self, properties: Mapping[str, Property]) -> None:
        self._properties = properties
        self.warnings: list[str] = []

    def warn(self, what: str) -> None:
        self.warnings.append(what)

    def number(self, name: str) -> float | None:
        """A finite number; None when absent."""
        value = self._properties.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise error("PROPERTY", f"{name} is not a number")
        return float(value)

    def whole(self, name: str, *, most: int) -> int | None:
        value = self.number(name)
        if value is None:
            return None
        if not 0 <= value <= most or value != int(value):
            raise error("RANGE", f"{name} is {value:g}, 0 to {most} expected")
        return int(value)

    def text(self, name: str) -> str | None:
        value = self._properties.get(name)
        return value or None if isinstance(value, str) else None

    def texts(self) -> dict[str, str]:
        found = {name: self.text(name) for name in TEXTS}
        return {name: text for name, text in found.items() if text is not None}

    def angle_deg(self, name: str) -> float | None:
        """IEC, 0 up to 360, of an angle on the Varian standard scale."""
        value = self.number(name)
        if value is None:
            return None
        if not -360.0 <= value <= 360.0:
            raise error("RANGE", f"{name} is {value:g} degrees, -360 to 360 expected")
        return (180.0 - value) % 360.0


def _is_kilovoltage(said: _Said) -> bool:
    """By the beam that was on; where neither or both were, by what is told of them."""
    mega, kilo = (bool(said.number(name)) for name in ("MVBeamOn", "KVBeamOn"))
    if mega != kilo:
        return kilo
    if said.text("MVEnergy") is None and said.number("KVKiloVolts"):
        return True
    said.warn("the image does not say which beam was on: it is taken for one of the treatment beam")
    return False


def _intensity(
    stored: NDArray[np.int64], said: _Said, *, is_kilovoltage: bool
) -> tuple[NDArray[np.float64], Polarity]:
    """Values that rise with radiation; the maker's do, and the picture is asked all the same."""
    values = stored.astype(np.float64)
    if is_kilovoltage:
        return values, Polarity.UNKNOWN
    seen = rises(values)
    if seen is None:
        said.warn("the picture does not tell which way its values run; its maker's use does")
    if seen is False:
        said.warn("the values fall with radiation, against their maker's use; they are reflected")
        values = values.max() - values
    return values, Polarity.SEEN


def _distances(said: _Said, kind: str) -> tuple[float, float]:
    """Source to image plane and to axis, mm; the panel's height counts from the isocenter."""
    source_cm, panel_cm = said.number(f"{kind}SourceVrt"), said.number(f"{kind}DetectorVrt")
    if panel_cm is None:
        raise error(
            "SID",
            f"{kind}DetectorVrt is absent: without the distance from source to image no length in "
            "it is known",
        )
    if source_cm is None:
        said.warn(f"{kind}SourceVrt is absent: {DEFAULT_SAD_MM:g} mm is assumed")
        source_cm = DEFAULT_SAD_MM / MM_PER_CM
    sad_mm = source_cm * MM_PER_CM
    sid_mm = sad_mm - panel_cm * MM_PER_CM
    if not 500.0 <= sad_mm <= 2000.0 or not SID_MM[0] <= sid_mm <= SID_MM[1]:
        raise error("SID", f"the image plane is {sid_mm:g} mm from the source, the axis {sad_mm:g}")
    return sid_mm, sad_mm


def _spacing(said: _Said) -> tuple[float, float]:
    spacing_mm = []
    for name in ("PixelHeight", "PixelWidth"):
        value_cm = said.number(name)
        if value_cm is None:
            raise error("MISSING", f"{name} is absent")
        if not SPACING_MM[0] <= value_cm * MM_PER_CM <= SPACING_MM[1]:
            raise error("SPACING", f"{name} is {value_cm:g} cm, 0.005 to 0.2 expected")
        spacing_mm.append(value_cm * MM_PER_CM)
    return spacing_mm[0], spacing_mm[1]


def _tells_its_place(said: _Said, kind: str, spacing_mm: tuple[float, float]) -> bool:
    """Whether the middle of the image may stand for the central axis."""
    aside_mm = [
        abs(said.number(f"{kind}Detector{way}") or 0.0) * MM_PER_CM for way in ("Lng", "Lat")
    ]
    is_aside = any(mm > step_mm for mm, step_mm in zip(aside_mm, spacing_mm, strict=True))
    if is_aside:
        said.warn(
            f"the panel stands {max(aside_mm):.1f} mm aside, to a side that is not published: "
            "where the central axis is in the image is not known"
        )
    is_flipped = bool(said.number("ImageFlipped"))
    if is_flipped:
        said.warn("the image says that it was turned over, but not how")
    return not is_aside and not is_flipped


def _meterset_mu(said: _Said) -> float | None:
    start_mu, stop_mu = said.number("MVDoseStart"), said.number("MVDoseStop")
    if start_mu is None or stop_mu is None:
        return None
    if not 0.0 <= stop_mu - start_mu <= MOST_MU:
        raise error("METERSET", f"a meterset of {stop_mu - start_mu:g} MU")
    return stop_mu - start_mu


def _energy(said: _Said) -> str | None:
    written = ENERGY.fullmatch(said.text("MVEnergy") or "")
    if written is None:
        return None
    return f"{float(written[1]):g}x{'FFF' if written[2] else ''}"


FORMAT = Format(
    name="varian-xim",
    yields=PortalImage,
    recognize=recognize,
    read=_read,
    machine_class="truebeam",
)
