"""Winston-Lutz: how far the field's middle is from a ball at the isocenter, over a set of images.

By pylinac; each ball and field is found a second time by plain centroids, and a set of which the
two disagree is refused.  The shift is the move that brings the ball to the isocenter.  Where the
settings tell an arrangement of several balls, each is held against its own field.

Limits: MPPG 9.a (Halvorsen 2017), Table 1: the target within 1.0 mm of the beam's axis for
radiosurgery, 1.5 mm for SBRT.  TG-142, Table III: rotation isocenters within 1 mm, read as a
radius; pylinac gives diameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analyzers.ball_and_field import BallAndField, find
from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
    Settings,
    for_linacs,
)
from analyzers.image_traces import picture
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.pylinac_targets import Target, measure_targets
from analyzers.pylinac_winston_lutz import Set, Shot, measure, shift_by_least_squares_mm

MOST_APART_MM = 1.0
"""Between the two ways of finding a ball or a field; on real images they are within 0.1 mm."""
CARDINAL_WITHIN_DEG = 10.0
LEAST_NOISE = 0.001
"""Of the signal, from pixel to pixel; real images have 0.005."""
REACH_MM = 25.0


def _at_most(tolerance: float, action: float, source: str) -> dict[str, Limits]:
    return for_linacs(Limits.at_most(tolerance=tolerance, action=action, source=source))


ISOCENTER = _at_most(1.0, 2.0, "TG-142 Table III (1 mm, as a radius); product default")
TARGET = _at_most(1.0, 1.5, "MPPG 9.a Table 1 (1.0 mm radiosurgery, 1.5 mm SBRT)")
RADIOSURGERY = Limits.at_most(
    tolerance=0.75, action=1.0, source="MPPG 9.a Table 1 (1.0 mm); product default"
)

MAX_TO_BALL = Metric(
    "max_2d_cax_to_bb",
    "mm",
    "Largest distance of the ball from the field's middle in any image",
    TARGET,
    RADIOSURGERY,
)
MEDIAN_TO_BALL = Metric(
    "median_2d_cax_to_bb", "mm", "Median distance of the ball from the field's middle"
)
GANTRY_DIAMETER = Metric(
    "gantry_3d_iso_diameter",
    "mm",
    "Diameter of the smallest ball that all beams' axes touch as the gantry turns",
    ISOCENTER,
)
COLLIMATOR_DIAMETER = Metric(
    "coll_2d_iso_diameter",
    "mm",
    "Largest distance between the fields' middles as the collimator turns",
    ISOCENTER,
)
COUCH_DIAMETER = Metric(
    "couch_2d_iso_diameter",
    "mm",
    "Largest distance between the ball's places as the couch turns",
    ISOCENTER,
)
MAX_TO_IMAGER = Metric(
    "max_2d_cax_to_epid", "mm", "Largest distance of the field's middle from the imager's axis"
)
MEDIAN_TO_IMAGER = Metric(
    "median_2d_cax_to_epid", "mm", "Median distance of the field's middle from the imager's axis"
)
SHIFT_LEFT = Metric("shift_left", "mm", "Move that brings the ball to the isocenter, to the left")
SHIFT_IN = Metric("shift_in", "mm", "Move that brings the ball to the isocenter, to the gantry")
SHIFT_UP = Metric("shift_up", "mm", "Move that brings the ball to the isocenter, up")
IMAGES = Metric("images", "1", "Images of the set")
MAX_TO_TARGET = Metric(
    "max_target_distance",
    "mm",
    "Largest distance of any of several balls from the middle of its own field",
    TARGET,
    RADIOSURGERY,
)
MEDIAN_TO_TARGET = Metric(
    "median_target_distance", "mm", "Median distance of the balls from their own fields"
)


class WinstonLutzSettings(Settings):
    """Settings of this analyzer."""

    ball_diameter_mm: float = Field(5.0, ge=1.5, le=30.0)
    missing_angles_are_zero: bool = False
    """Takes collimator and couch for 0 where the image does not tell them.  Never the gantry."""
    targets: tuple[Target, ...] = ()
    """Balls of a phantom with several; sets with one field an image are judged as usual."""


def analyze(image: PortalImage, context: Context[WinstonLutzSettings]) -> Analysis:
    """Measure the whole set that an image belongs to."""
    settings = context.settings
    lacking = image.beside.lacking.get("set")
    if lacking is not None:
        raise AnalysisError(lacking)
    images = _distinct([_with_angles(one, settings) for one in (image, *image.set_with)])
    seen = {id(one): find(one, settings.ball_diameter_mm) for one in images}
    if max(one.fields for one in seen.values()) > 1:
        return _several(images, settings)
    found = measure(images, settings.ball_diameter_mm)
    for shot in found.shots:
        _check(shot, seen[id(shot.image)])
    return Analysis(
        measurements=[*_in_plane(found), *_in_space(found), IMAGES.measured(len(images))],
        traces=_traces(found),
        notes=_notes(found, images),
    )


def _with_angles(image: PortalImage, settings: WinstonLutzSettings) -> PortalImage:
    if image.sid_mm is None:
        raise AnalysisError(
            "an image does not state the distance from source to imager: no length is known"
        )
    if image.gantry_deg is None:
        raise AnalysisError(
            "an image does not tell the gantry angle: export the set with its angles "
            "(no name of a file is taken for an angle)"
        )
    known = image.collimator_deg, image.couch_rotation_deg
    if None in known and not settings.missing_angles_are_zero:
        raise AnalysisError(
            "an image does not tell the angle of collimator or couch: export it with its angles, "
            "or say with `missing_angles_are_zero` that they stood at 0"
        )
    return replace(image, collimator_deg=known[0] or 0.0, couch_rotation_deg=known[1] or 0.0)


def _distinct(images: Sequence[PortalImage]) -> list[PortalImage]:
    """Each image once: no two exposures have the same noise.

    Raises `AnalysisError` where one picture is there with several angles.
    """
    kept: list[PortalImage] = []
    for one in images:
        same = next((k for k in kept if np.array_equal(k.stored, one.stored)), None)
        if same is None or not _is_noisy(one):
            kept.append(one)
        elif _angles_deg(same) != _angles_deg(one):
            raise AnalysisError(
                "one picture is in the set twice, with other angles: export the set anew"
            )
    return kept


def _is_noisy(image: PortalImage) -> bool:
    """Whether the lit part has the noise of a measurement; what is computed may well repeat."""
    low, high = np.percentile(image.values, [1.0, 99.9])
    lit = image.values[:, 1:-1] > (low + high) / 2.0
    bends = np.abs(np.diff(image.values, 2, axis=1))[lit]
    return bool(bends.size) and float(np.median(bends)) > LEAST_NOISE * (high - low)


def _angles_deg(image: PortalImage) -> tuple[float | None, ...]:
    return image.gantry_deg, image.collimator_deg, image.couch_rotation_deg


def _check(shot: Shot, again: BallAndField) -> None:
    """Refuse an image of which ball or field is not where plain centroids have it."""
    for what, one_mm, other_mm in (
        ("field", shot.field_mm, again.field_mm),
        ("ball", shot.ball_mm, again.ball_mm),
    ):
        apart_mm = float(np.hypot(one_mm[0] - other_mm[0], one_mm[1] - other_mm[1]))
        if not apart_mm <= MOST_APART_MM:
            raise AnalysisError(
                f"the {what} of image {shot.name} is found in two places {apart_mm:.1f} mm "
                "apart: look at the image for what else is in the beam or on the imager"
            )


def _in_plane(found: Set) -> list[Measurement]:
    worst = int(np.argmax(found.to_ball_mm))
    return [
        MAX_TO_BALL.measured(found.to_ball_mm[worst], at=found.shots[worst].name),
        MEDIAN_TO_BALL.measured(float(np.median(found.to_ball_mm))),
        MAX_TO_IMAGER.measured(max(found.to_imager_mm)),
        MEDIAN_TO_IMAGER.measured(float(np.median(found.to_imager_mm))),
    ]


def _in_space(found: Set) -> list[Measurement]:
    """What the set's angles determine."""
    said = [
        metric.measured(value)
        for metric, value in (
            (GANTRY_DIAMETER, found.gantry_diameter_mm),
            (COLLIMATOR_DIAMETER, found.collimator_diameter_mm),
            (COUCH_DIAMETER, found.couch_diameter_mm),
        )
        if value is not None
    ]
    if found.shift_mm is not None and _shift_doubt(found) is None:
        right_mm, in_mm, up_mm = found.shift_mm
        said += [
            SHIFT_LEFT.measured(-right_mm),
            SHIFT_IN.measured(in_mm),
            SHIFT_UP.measured(up_mm),
        ]
    return said


def _shift_doubt(found: Set) -> str | None:
    """Why the shift is not given."""
    again_mm = shift_by_least_squares_mm(found.shots)
    if found.shift_mm is None or again_mm is None:
        return "no shift is given: the gantry angles do not determine where the ball is in space"
    apart_mm = float(np.linalg.norm(np.subtract(found.shift_mm, again_mm)))
    if not apart_mm <= MOST_APART_MM:
        return (
            f"no shift is given: with and without the turned couch it differs by {apart_mm:.1f} mm"
        )
    return None


def _notes(found: Set, images: Sequence[PortalImage]) -> list[str]:
    doubt = _shift_doubt(found)
    notes = ["one image alone: the plane is judged, not space"] if len(images) == 1 else []
    notes += [doubt] if doubt else []
    angles = [one.gantry_deg or 0.0 for one in images]
    lacking = [
        f"{cardinal:.0f}"
        for cardinal in (0.0, 90.0, 180.0, 270.0)
        if not any(
            abs((a - cardinal + 180.0) % 360.0 - 180.0) <= CARDINAL_WITHIN_DEG for a in angles
        )
    ]
    if lacking:
        notes.append(f"no image with the gantry at {', '.join(lacking)} deg")
    return notes


def _traces(found: Set) -> dict[str, NDArray[Any]]:
    """Of every image a square around the axis, its angles, and where ball and field are."""
    pictures = [picture(shot.image, REACH_MM) for shot in found.shots]
    sides = [min(p["image"].shape[axis] for p in pictures) for axis in (0, 1)]
    return {
        "images": np.stack([p["image"][: sides[0], : sides[1]] for p in pictures]),
        "x_mm": np.stack([p["x_mm"][: sides[1]] for p in pictures]),
        "y_mm": np.stack([p["y_mm"][: sides[0]] for p in pictures]),
        "field_mm": np.array([shot.field_mm for shot in found.shots]),
        "ball_mm": np.array([shot.ball_mm for shot in found.shots]),
        "distance_mm": np.array(found.to_ball_mm),
        "angles_deg": np.array(
            [
                (s.image.gantry_deg, s.image.collimator_deg, s.image.couch_rotation_deg)
                for s in found.shots
            ],
            np.float64,
        ),
    }


def _several(images: Sequence[PortalImage], settings: WinstonLutzSettings) -> Analysis:
    if not settings.targets:
        raise AnalysisError(
            "several fields are seen: tell the arrangement of the balls with `targets`"
        )
    distances = measure_targets(images, settings.targets)
    name, worst_mm, shot = max(
        ((name, mm, shot) for name, rows in distances.items() for mm, shot in rows),
        key=lambda found: found[1],
    )
    every = [mm for rows in distances.values() for mm, _ in rows]
    return Analysis(
        measurements=[
            MAX_TO_TARGET.measured(worst_mm, at=f"{name}, image {shot}"),
            MEDIAN_TO_TARGET.measured(float(np.median(every))),
            IMAGES.measured(len(images)),
        ],
        notes=[
            f"{name}: at most {max(rows)[0]:.2f} mm, seen in {len(rows)} of {len(images)} images"
            for name, rows in distances.items()
        ],
    )


ANALYZER = Analyzer(
    name="winston_lutz",
    title="Winston-Lutz",
    version="1",
    accepts=PortalImage,
    settings=WinstonLutzSettings,
    metrics=(
        MAX_TO_BALL,
        MEDIAN_TO_BALL,
        GANTRY_DIAMETER,
        COLLIMATOR_DIAMETER,
        COUCH_DIAMETER,
        MAX_TO_IMAGER,
        MEDIAN_TO_IMAGER,
        SHIFT_LEFT,
        SHIFT_IN,
        SHIFT_UP,
        IMAGES,
        MAX_TO_TARGET,
        MEDIAN_TO_TARGET,
    ),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.WINSTON_LUTZ,
)
