"""Several balls at once by pylinac: each against the middle of its own field."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from analyzers.core import AnalysisError, Settings
from analyzers.portal_images import PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work

CANNOT = "balls and fields could not be measured"


class Target(Settings):
    """One ball of an arrangement: its place from the isocenter in the room, in mm."""

    name: str = Field(min_length=1, max_length=40)
    left_mm: float = Field(ge=-200.0, le=200.0)
    up_mm: float = Field(ge=-200.0, le=200.0)
    in_mm: float = Field(ge=-200.0, le=200.0)
    ball_diameter_mm: float = Field(5.0, ge=1.5, le=30.0)
    field_mm: float = Field(20.0, ge=5.0, le=60.0)
    """Side of the field on it."""


def measure_targets(
    images: Sequence[PortalImage], targets: Sequence[Target]
) -> dict[str, list[tuple[float, str]]]:
    """Of each target its distance from its field, in mm, and the image's angles, image by image.

    An image need not show every target.  A target that no image shows is an `AnalysisError`, as is
    an image that shows none, and a set of one image.
    """
    if len(images) < 2:
        raise AnalysisError("several balls are measured over two images or more; one is here")
    with pylinac_at_work(CANNOT):
        from pylinac.winston_lutz import BBConfig, WinstonLutzMultiTargetMultiField

        arrangement = tuple(
            BBConfig(
                name=target.name,
                offset_left_mm=target.left_mm,
                offset_up_mm=target.up_mm,
                offset_in_mm=target.in_mm,
                bb_size_mm=target.ball_diameter_mm,
                rad_size_mm=target.field_mm,
            )
            for target in targets
        )
        found = WinstonLutzMultiTargetMultiField([dicom_stream(image) for image in images])
        found.analyze(bb_arrangement=arrangement)
        distances: dict[str, list[tuple[float, str]]] = {target.name: [] for target in targets}
        for shot in found.images:
            angles = (shot.gantry_angle, shot.collimator_angle, shot.couch_angle)
            name = " ".join(
                f"{axis}{round(angle) % 360}" for axis, angle in zip("GCT", angles, strict=True)
            )
            if not shot.arrangement_matches:
                raise AnalysisError(f"{CANNOT}: image {name} shows none of the balls")
            for target, match in shot.arrangement_matches.items():
                distances[target].append((float(match.bb_field_distance_mm), name))
    unseen = [name for name, rows in distances.items() if not rows]
    if unseen:
        raise AnalysisError(f"{CANNOT}: no image shows {', '.join(unseen)}")
    return distances
