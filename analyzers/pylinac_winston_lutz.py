"""Winston-Lutz sets by pylinac: ball and field of every image, and what they make together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analyzers.core import AnalysisError
from analyzers.portal_images import PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work

CANNOT = "ball and field could not be measured"


@dataclass(frozen=True, slots=True)
class Shot:
    """One image: places in mm at the isocenter plane from the central axis, IEC x and y."""

    image: PortalImage
    field_mm: tuple[float, float]
    ball_mm: tuple[float, float]
    kind: str
    """What pylinac takes it for: `Reference`, `Gantry`, `Collimator`, `Couch` or a combination."""

    @property
    def ball_from_field_mm(self) -> tuple[float, float]:
        """The ball's place against the field's middle."""
        return self.ball_mm[0] - self.field_mm[0], self.ball_mm[1] - self.field_mm[1]

    @property
    def name(self) -> str:
        """Its angles, as a place to name."""
        angles = (self.image.gantry_deg, self.image.collimator_deg, self.image.couch_rotation_deg)
        told = zip("GCT", angles, strict=True)
        return " ".join(f"{axis}{round(angle or 0.0) % 360}" for axis, angle in told)


@dataclass(frozen=True, slots=True)
class Set:
    """What a set of images says together; None where the set has not the images for it."""

    shots: tuple[Shot, ...]
    to_ball_mm: tuple[float, ...]
    to_imager_mm: tuple[float, ...]
    """Field to the imager's axis; what pylinac gives of a whole set by that name is of the ball."""
    gantry_diameter_mm: float | None = None
    collimator_diameter_mm: float | None = None
    couch_diameter_mm: float | None = None
    shift_mm: tuple[float, float, float] | None = None
    """The move that brings the ball to the isocenter: IEC x, y, z of the room (right, in, up)."""


def measure(images: Sequence[PortalImage], ball_diameter_mm: float) -> Set:
    """All images of a set, in the order of pylinac.  Raises `AnalysisError`.

    A single image is measured by itself.  pylinac gives 0 for the size of an axis that the set has
    no images of; here it is None.
    """
    streams = [dicom_stream(image, InstanceNumber=k) for k, image in enumerate(images)]
    with pylinac_at_work(CANNOT):
        from pylinac.winston_lutz import Axis, WinstonLutz, WinstonLutz2D

        if len(images) == 1:
            alone = WinstonLutz2D(streams[0])
            alone.analyze(bb_size_mm=ball_diameter_mm)
            return _set([alone], images)
        found = WinstonLutz(streams)
        if len(found.images) != len(images):
            raise AnalysisError(f"{CANNOT}: not every image was taken")
        found.analyze(bb_size_mm=ball_diameter_mm)
        counts = {
            axis: sum(i.variable_axis in (axis, Axis.REFERENCE) for i in found.images)
            for axis in (Axis.GANTRY, Axis.COLLIMATOR, Axis.COUCH)
        }
        shift = found.bb_shift_vector
        return _set(
            found.images,
            images,
            gantry_diameter_mm=float(found.gantry_iso_size) if counts[Axis.GANTRY] > 1 else None,
            collimator_diameter_mm=(
                float(found.collimator_iso_size) if counts[Axis.COLLIMATOR] > 1 else None
            ),
            couch_diameter_mm=float(found.couch_iso_size) if counts[Axis.COUCH] > 1 else None,
            shift_mm=(float(shift.x), float(shift.y), float(shift.z)),
        )


def _set(found: Sequence[Any], images: Sequence[PortalImage], **more: Any) -> Set:
    return Set(
        tuple(_shot(one, images[int(one.metadata.InstanceNumber)]) for one in found),
        tuple(float(one.cax2bb_distance) for one in found),
        tuple(float(one.cax2epid_distance) for one in found),
        **more,
    )


def _shot(found: Any, image: PortalImage) -> Shot:
    match = found.arrangement_matches["Iso"]
    middle = found.center
    # pylinac may have cut the same off every side: the middle stays where it is.
    rows, columns = ((n - 1) / 2.0 for n in image.shape)

    def place_mm(point: Any) -> tuple[float, float]:
        row, column = rows + point.y - middle.y, columns + point.x - middle.x
        steps_mm = [step / image.magnification for step in image.spacing_mm]
        axis_row, axis_column = image.center_px
        return (column - axis_column) * steps_mm[1], (axis_row - row) * steps_mm[0]

    return Shot(image, place_mm(match.field), place_mm(match.bb), str(found.variable_axis.value))


def shift_by_least_squares_mm(
    shots: Sequence[Shot], most_couch_deg: float = 1.0
) -> tuple[float, float, float] | None:
    """The same move from the images with the couch at zero; None where they do not determine it.

    With the gantry at g, image x runs along (cos g, 0, -sin g) and image y along (0, 1, 0) of the
    room (IEC 61217: x to the right of one who faces the gantry, y towards it, z up).
    """
    rows: list[tuple[float, float, float]] = []
    wanted: list[float] = []
    for shot in shots:
        couch_deg = (shot.image.couch_rotation_deg or 0.0) % 360.0
        if min(couch_deg, 360.0 - couch_deg) > most_couch_deg or shot.image.gantry_deg is None:
            continue
        angle = np.radians(shot.image.gantry_deg)
        rows += [(np.cos(angle), 0.0, -np.sin(angle)), (0.0, 1.0, 0.0)]
        wanted += shot.ball_from_field_mm
    if len(rows) < 4 or np.linalg.svd(np.array(rows), compute_uv=False)[-1] < LEAST_SINGULAR:
        return None
    ball_mm = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    right, inward, up = (-ball_mm).tolist()
    return right, inward, up


LEAST_SINGULAR = 0.7
"""Two images 60 degrees apart; two at 0 and 180 say nothing of height."""
