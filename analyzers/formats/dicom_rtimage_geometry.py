"""Where the pixels of an RT Image are: spacing, distances, central axis, angles, collimator.

PS3.3 C.8.8.2.  The image is turned so that columns run along +x and row 0 is at the most positive
y.  `RTImagePosition` gives the first pixel's place in the image plane with the central axis at the
origin; the panel's translation gives the axis a second time, opposite to where the panel went.

The record system MOSAIQ writes the corner of that pixel for its middle: in seventeen real images of
a panel that stood in the middle, the position is half of the image to the micron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.dicom.items import Item
from analyzers.portal_images import DEFAULT_SAD_MM, Aperture

SPACING_MM = (0.05, 2.0)
SID_MM = (500.0, 3000.0)
SAD_MM = (500.0, 2000.0)
SID_SHORT_OF_SAD_MM = 400.0
FURTHEST_MM = 1000.0
FURTHEST_LEAF_MM = 300.0
MOST_PAIRS = 200
ALIGNED = 1e-4
SAME_SID_MM = 10.0
TURNED_PANEL_DEG = 0.5
SAME_AXIS_PX = 1.0
JAWS = {"X": "x", "ASYMX": "x", "Y": "y", "ASYMY": "y"}
USUAL = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
WRITES_CORNERS = "MOSAIQ"
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Turn:
    """How the file's pixels become those of the record: transposed, then turned over."""

    transposed: bool
    up_down: bool
    left_right: bool

    def of(self, stored: NDArray[Any]) -> NDArray[Any]:
        """The image with columns along +x and rows along -y."""
        turned = stored.T if self.transposed else stored
        turned = turned[::-1] if self.up_down else turned
        return turned[:, ::-1] if self.left_right else turned


@dataclass(frozen=True, slots=True)
class Geometry:
    """Distances in mm at the image plane, `axis_px` (row, column) of the turned image."""

    turn: Turn
    spacing_mm: tuple[float, float]
    sid_mm: float | None
    sad_mm: float
    axis_px: tuple[float, float] | None
    panel_shift_mm: tuple[float, float] | None
    is_consistent: bool


def geometry(root: Item, shape: tuple[int, int], *, needs_sid: bool) -> Geometry:
    """The geometry of an image whose pixels have this shape in the file.  Raises `ReadError`."""
    plane = root.code("RTImagePlane")
    if plane not in ("NORMAL", None):
        raise root.error(
            "PLANE", "the image plane is not perpendicular to the beam, which is not read"
        )
    turn = _turn(root)
    spacing_mm = _spacing(root)
    sid_mm, sad_mm = _distances(root, needs_sid=needs_sid)
    shown = shape[::-1] if turn.transposed else shape
    spacing_mm = spacing_mm[::-1] if turn.transposed else spacing_mm
    by_position = _by_position(root, turn, shown, spacing_mm)
    panel_shift_mm = _panel_shift(root)
    by_shift = _by_shift(panel_shift_mm, shown, spacing_mm)
    axis_px, is_consistent = _agreed(root, shown, by_position, by_shift)
    return Geometry(turn, spacing_mm, sid_mm, sad_mm, axis_px, panel_shift_mm, is_consistent)


def _agreed(root: Item, shape: tuple[int, int], *routes: Place | None) -> tuple[Place | None, bool]:
    """The axis by the first route that gives one, and whether nothing contradicts it.

    No panel stands so far aside that the beam's axis misses it: a place beside the image is an
    error of the system that wrote it.
    """
    found, is_consistent = [], True
    for place in filter(None, routes):
        if all(-0.5 <= at <= size - 0.5 for at, size in zip(place, shape, strict=True)):
            found.append(place)
        else:
            is_consistent = False
            root.reading.warn("the central axis is stated to be beside the image: not believed")
    if len(found) == 2:
        apart = max(abs(a - b) for a, b in zip(*found, strict=True))
        if apart > SAME_AXIS_PX:
            is_consistent = False
            root.reading.warn(
                f"RTImagePosition and the panel's translation place the axis {apart:.1f} pixels "
                "apart; RTImagePosition is taken"
            )
    return (found[0] if found else None), is_consistent


def _turn(root: Item) -> Turn:
    given = root.numbers("RTImageOrientation")
    cosines = np.array(USUAL) if given is None else given
    if len(cosines) != 6:
        raise root.error("ORIENTATION", f"{len(cosines)} values of RTImageOrientation, 6 expected")
    along_row, along_column = np.round(cosines[:3]), np.round(cosines[3:])
    is_aligned = np.abs(cosines - np.round(cosines)).max() < ALIGNED
    is_aligned &= sorted(np.abs(along_row)) == sorted(np.abs(along_column)) == [0.0, 0.0, 1.0]
    is_aligned &= not along_row @ along_column and not along_row[2] and not along_column[2]
    if not is_aligned:
        raise root.error("ORIENTATION", "rows and columns do not run along x and y")
    angle_deg = root.number("XRayImageReceptorAngle") or 0.0
    if abs((angle_deg + 180.0) % 360.0 - 180.0) > TURNED_PANEL_DEG:
        raise root.error("ORIENTATION", f"the panel is turned by {angle_deg:g} degrees")
    transposed = bool(along_row[1])
    x, y = (along_column, along_row) if transposed else (along_row, along_column)
    return Turn(transposed, up_down=bool(y[1] > 0.0), left_right=bool(x[0] < 0.0))


def _spacing(root: Item) -> tuple[float, float]:
    given = root.numbers("ImagePlanePixelSpacing")
    if given is None:
        raise root.missing("ImagePlanePixelSpacing")
    if len(given) != 2:
        raise root.error("SPACING", f"{len(given)} values of ImagePlanePixelSpacing, 2 expected")
    if not ((given >= SPACING_MM[0]) & (given <= SPACING_MM[1])).all():
        raise root.error(
            "SPACING", f"a pixel spacing of {given[0]:g} and {given[1]:g} mm, 0.05 to 2 expected"
        )
    return float(given[0]), float(given[1])


def _distances(root: Item, *, needs_sid: bool) -> tuple[float | None, float]:
    sad_mm = root.number("RadiationMachineSAD")
    if sad_mm is None:
        root.reading.warn(f"RadiationMachineSAD is absent: {DEFAULT_SAD_MM:g} mm is assumed")
        sad_mm = DEFAULT_SAD_MM
    if not SAD_MM[0] <= sad_mm <= SAD_MM[1]:
        raise root.error("SAD", f"RadiationMachineSAD is {sad_mm:g} mm, 500 to 2000 expected")
    sid_mm = root.number("RTImageSID")
    if sid_mm is None:
        if needs_sid:
            raise root.error(
                "SID",
                "RTImageSID is absent or empty: without the distance from source to image no "
                "length in it is known",
            )
        return None, sad_mm
    if not SID_MM[0] <= sid_mm <= SID_MM[1] or sid_mm < sad_mm - SID_SHORT_OF_SAD_MM:
        raise root.error(
            "SID",
            f"RTImageSID is {sid_mm:g} mm with an axis at {sad_mm:g} mm, 500 to 3000 expected",
        )
    height_mm = _panel_height(root)
    if height_mm and abs(abs(sid_mm - sad_mm) - abs(height_mm)) > SAME_SID_MM:
        raise root.error(
            "SID",
            f"RTImageSID is {sid_mm:g} mm, and the panel's translation has the panel {height_mm:g} "
            f"mm from the axis at {sad_mm:g} mm: no length in the image is known",
        )
    return sid_mm, sad_mm


def _panel_height(root: Item) -> float | None:
    """Of the panel above the isocenter; systems that do not know it leave it out or at 0."""
    given = root.numbers("XRayImageReceptorTranslation")
    return None if given is None or len(given) != 3 else float(given[2])


def _by_position(
    root: Item, turn: Turn, shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> Place | None:
    """The axis (row, column) from the place of the first pixel that is transmitted."""
    given = root.numbers("RTImagePosition")
    if given is None:
        return None
    if len(given) != 2 or np.abs(given).max() > FURTHEST_MM:
        raise root.error("POSITION", "RTImagePosition is not two numbers within 1 m")
    first_row = shape[0] - 1 if turn.up_down else 0
    first_column = shape[1] - 1 if turn.left_right else 0
    to_middle = 0.5 if root.text("ManufacturerModelName") == WRITES_CORNERS else 0.0
    return (
        first_row + float(given[1]) / spacing_mm[0] - to_middle,
        first_column - float(given[0]) / spacing_mm[1] - to_middle,
    )


def _by_shift(
    panel_shift_mm: tuple[float, float] | None,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> Place | None:
    """The axis (row, column): opposite to where the panel went from the middle."""
    if panel_shift_mm is None:
        return None
    return (
        (shape[0] - 1) / 2.0 + panel_shift_mm[1] / spacing_mm[0],
        (shape[1] - 1) / 2.0 - panel_shift_mm[0] / spacing_mm[1],
    )


def _panel_shift(root: Item) -> tuple[float, float] | None:
    given = root.numbers("XRayImageReceptorTranslation")
    if given is None:
        return None
    if len(given) != 3 or np.abs(given[:2]).max() > FURTHEST_MM:
        raise root.error("POSITION", "XRayImageReceptorTranslation is not a place within 1 m")
    return float(given[0]), float(given[1])


def angle_deg(root: Item, exposure: Item | None, keyword: str) -> float | None:
    """An IEC angle from 0 up to 360, of the image or else of its exposure.  Raises `ReadError`."""
    for item in (root, exposure):
        given = item.number(keyword) if item is not None else None
        if given is not None:
            if not 0.0 <= given <= 360.0:
                raise root.error("RANGE", f"{keyword} is {given:g} degrees, 0 to 360 expected")
            return given % 360.0
    return None


def aperture(exposure: Item) -> Aperture | None:
    """The collimator that an exposure states, at the isocenter plane; None where it states none.

    Leaves that move along y, and two layers of leaves, are left out.  Raises `ReadError`.
    """
    jaws: dict[str, NDArray[np.float64]] = {}
    leaves: list[tuple[NDArray[np.float64], NDArray[np.float64] | None]] = []
    for item in exposure.items("BeamLimitingDeviceSequence", "device", most=8):
        kind = item.code("RTBeamLimitingDeviceType") or ""
        positions_mm = _positions(item, kind)
        if positions_mm is None:
            continue
        if kind in JAWS:
            if JAWS[kind] in jaws:
                raise item.error("DUPLICATE", "a pair of jaws stands there twice")
            jaws[JAWS[kind]] = positions_mm
        elif kind in ("MLCX", "MLCX1", "MLCX2"):
            leaves.append((positions_mm, _edges(item, len(positions_mm) // 2)))
    positions_mm, edges_mm = leaves[0] if len(leaves) == 1 else (None, None)
    if not jaws and positions_mm is None:
        return None
    pairs = 0 if positions_mm is None else len(positions_mm) // 2
    return Aperture(
        jaw_x_mm=jaws.get("x"),
        jaw_y_mm=jaws.get("y"),
        leaf_edges_mm=edges_mm,
        bank_a_mm=None if positions_mm is None else positions_mm[pairs:],
        bank_b_mm=None if positions_mm is None else positions_mm[:pairs],
    )


def _positions(item: Item, kind: str) -> NDArray[np.float64] | None:
    positions_mm = item.numbers("LeafJawPositions")
    if positions_mm is None:
        return None
    pairs = item.integer("NumberOfLeafJawPairs")
    most = 1 if kind in JAWS else MOST_PAIRS
    if pairs is None or not 1 <= pairs <= most or len(positions_mm) != 2 * pairs:
        raise item.error("DEVICES", f"{len(positions_mm)} positions of {pairs} pairs")
    if np.abs(positions_mm).max() > FURTHEST_LEAF_MM:
        raise item.error("RANGE", "a jaw or leaf is beyond 300 mm")
    if (positions_mm[:pairs] > positions_mm[pairs:] + 0.1).any():
        raise item.error("CROSSING", "a pair of jaws or leaves overlaps itself")
    return positions_mm


def _edges(item: Item, pairs: int) -> NDArray[np.float64] | None:
    edges_mm = item.numbers("LeafPositionBoundaries")
    if edges_mm is None:
        return None
    if len(edges_mm) != pairs + 1 or not (np.diff(edges_mm) > 0.0).all():
        raise item.error("BOUNDARIES", f"{len(edges_mm)} leaf boundaries of {pairs} pairs")
    return edges_mm
