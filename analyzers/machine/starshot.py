"""Starshot: the smallest circle that all spokes touch, by pylinac, from a film or several images.

pylinac looks for spokes at other radii and heights until the circle is smaller than 2 mm.  That is
left to it only where the usual radius shows no spokes: a poor isocenter is not to be searched away.
The circle is found again from the spokes by linear programming.

Limits: TG-142 (Klein 2009), Table V: spoke shot within 1 mm radius, so 2 mm diameter; pylinac's
own tolerance is 1 mm diameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Metric,
    Settings,
    for_linacs,
)
from analyzers.image_traces import picture
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work

CANNOT = "the spokes could not be measured"
REASONABLE_MM = 2.0
NEAR_MM = 10.0
MOST_APART_MM = 0.1
OTHER_RADIUS, SAME_MM = 0.8, 0.3

DIAMETER = Metric(
    "circle_diameter",
    "mm",
    "Diameter of the smallest circle that all spokes touch",
    for_linacs(
        Limits.at_most(
            tolerance=1.0, action=2.0, source="pylinac's own; TG-142 Table V (1 mm radius)"
        )
    ),
)
CENTER_X = Metric("circle_center_x", "mm", "The circle's middle along +x from the beam's axis")
CENTER_Y = Metric("circle_center_y", "mm", "The circle's middle along +y from the beam's axis")
SPOKES = Metric("spokes", "1", "Spokes found, each through the middle")


class StarshotSettings(Settings):
    """Settings of this analyzer."""

    radius: float = Field(0.85, ge=0.2, le=0.95)
    """Where spokes are looked for, as a share of the way to the nearest edge of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class _Star:
    """In pixels of the image: x with the column, y with the row."""

    radius_px: float
    center_px: tuple[float, float]
    ends_px: NDArray[np.float64]
    """Of each spoke, `(spokes, 2 ends, x and y)`."""
    is_reasonable: bool


def analyze(image: PortalImage, context: Context[StarshotSettings]) -> Analysis:
    """Fit the circle; several images are laid over each other."""
    flat = image.sid_mm is None
    # A film without a distance lies at the isocenter; an imager, further away, would read larger.
    images = [
        replace(one, sid_mm=one.sad_mm) if one.sid_mm is None else one
        for one in (image, *image.set_with)
    ]
    star = _first_or_best(images, context.settings.radius)
    step_mm = images[0].spacing_mm[0] / images[0].magnification
    again_px = _smallest_circle_px(star.ends_px)
    if abs(again_px - star.radius_px) * 2.0 * step_mm > MOST_APART_MM:
        raise AnalysisError(
            f"two ways of fitting the circle give {2 * star.radius_px * step_mm:.2f} and "
            f"{2 * again_px * step_mm:.2f} mm"
        )
    row, column = images[0].center_px
    center_mm = (star.center_px[0] - column) * step_mm, (row - star.center_px[1]) * step_mm
    return Analysis(
        measurements=[
            DIAMETER.measured(2.0 * star.radius_px * step_mm),
            CENTER_X.measured(center_mm[0]),
            CENTER_Y.measured(center_mm[1]),
            SPOKES.measured(len(star.ends_px)),
        ],
        traces=_traces(images, star, step_mm),
        notes=["no distance is stated: the image is taken as at the isocenter"] if flat else [],
    )


def _first_or_best(images: list[PortalImage], radius: float) -> _Star:
    """The usual radius, where its spokes can be told; else what pylinac's search finds.

    A circle beyond 2 mm is taken where another radius gives it too.
    """
    try:
        first = _fit(images, radius, search=False)
    except AnalysisError:
        return _fit(images, radius, search=True)
    if first.is_reasonable:
        return first
    step_mm = images[0].spacing_mm[0] / images[0].magnification
    other = _fit(images, OTHER_RADIUS * radius, search=False)
    sizes_mm = [2.0 * star.radius_px * step_mm for star in (first, other)]
    if abs(sizes_mm[0] - sizes_mm[1]) <= SAME_MM:
        return first
    raise AnalysisError(
        f"the circle is {sizes_mm[0]:.1f} or {sizes_mm[1]:.1f} mm wide, by where the spokes are "
        "looked for: look at the image, and set `radius` to where each spoke stands alone"
    )


def _fit(images: list[PortalImage], radius: float, *, search: bool) -> _Star:
    with pylinac_at_work(CANNOT):
        from pylinac.starshot import Starshot

        streams = [dicom_stream(one) for one in images]
        many = len(streams) > 1
        star = Starshot.from_multiple_images(streams) if many else Starshot(streams[0])
        star.analyze(radius=radius, recursive=search)
        wobble = star.wobble
        near_px = NEAR_MM * star.image.dpmm
        ends = [((s.point1.x, s.point1.y), (s.point2.x, s.point2.y)) for s in star.lines]
        return _Star(
            float(wobble.radius),
            (float(wobble.center.x), float(wobble.center.y)),
            np.array(ends, np.float64),
            bool(
                wobble.diameter_mm < REASONABLE_MM
                and wobble.center.distance_to(star.circle_profile.center) < near_px
            ),
        )


def _smallest_circle_px(ends_px: NDArray[np.float64]) -> float:
    """Radius of the smallest circle that touches all lines: min r, |n p - c| <= r for each."""
    from scipy.optimize import linprog

    along = ends_px[:, 1] - ends_px[:, 0]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    offset = (normal * ends_px[:, 0]).sum(axis=1)
    radius = -np.ones((len(normal), 1))
    found = linprog(
        [0.0, 0.0, 1.0],
        A_ub=np.block([[normal, radius], [-normal, radius]]),
        b_ub=np.concatenate([offset, -offset]),
        bounds=[(None, None), (None, None), (0.0, None)],
    )
    return float(found.fun) if found.success else float("inf")


def _traces(images: list[PortalImage], star: _Star, step_mm: float) -> dict[str, NDArray[Any]]:
    """The images laid over each other, the spokes and the circle, in mm from the beam's axis."""
    image = images[0]
    same = [one for one in images if one.shape == image.shape]
    laid = replace(image, values=np.sum([one.values for one in same], axis=0))
    row, column = image.center_px
    x_mm, y_mm = (star.ends_px[..., 0] - column), (row - star.ends_px[..., 1])
    center = star.center_px[0] - column, row - star.center_px[1]
    return picture(laid) | {
        "spoke_x_mm": x_mm * step_mm,
        "spoke_y_mm": y_mm * step_mm,
        "circle_mm": np.array([*center, star.radius_px]) * step_mm,
    }


ANALYZER = Analyzer(
    name="starshot",
    title="Starshot",
    version="1",
    accepts=PortalImage,
    settings=StarshotSettings,
    metrics=(DIAMETER, CENTER_X, CENTER_Y, SPOKES),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.STARSHOT,
)
