"""A Winston-Lutz set: ball and field on its worst images, and of all images side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from analyzers.core import Limits
from dashboards.figures import Figure, MapPanel, Numbers, Panel, Series
from dashboards.web.draw_epid import (
    BEFORE,
    BEYOND_TOLERANCE,
    LEVELS,
    Arrays,
    circle,
    grey_map,
    levels,
    limits_of,
)
from dashboards.web.wording import number
from qa_daemon.store.queries import StoredAnalysis

MOST_IMAGES = 7
NEAR_MM = 15.0
FIELD, BALL = "#3d9be0", BEYOND_TOLERANCE


def winston_lutz(arrays: Arrays, said: StoredAnalysis) -> Figure | None:
    """The worst images first; None where there is nothing to draw."""
    wanted = {"images", "x_mm", "y_mm", "field_mm", "ball_mm", "distance_mm", "angles_deg"}
    if not wanted <= arrays.keys() or not len(arrays["images"]):
        return None
    distance_mm = np.asarray(arrays["distance_mm"], np.float64)
    if any(len(arrays[name]) != len(distance_mm) for name in wanted):
        return None
    order = np.argsort(-distance_mm)
    panels: list[Panel | MapPanel] = []
    for index in order[:MOST_IMAGES]:
        panel = _image(arrays, int(index))
        if panel is None:
            return None
        panels.append(panel)
    offset_mm = np.asarray(arrays["ball_mm"], np.float64) - np.asarray(arrays["field_mm"])
    panels.append(_offsets(offset_mm, distance_mm, said))
    worst = int(order[0])
    return Figure(
        "Ball and field",
        f"In {_name(arrays, worst)} the ball is {number(float(distance_mm[worst]))} mm from the "
        f"field's middle, the most of {len(distance_mm)} images; "
        f"median {number(float(np.median(distance_mm)))} mm.",
        panels,
        columns=4,
        row_height=340,
    )


def _image(arrays: Arrays, index: int) -> MapPanel | None:
    x_mm, y_mm = (np.asarray(arrays[name][index], np.float64) for name in ("x_mm", "y_mm"))
    near_x, near_y = np.abs(x_mm) <= NEAR_MM, np.abs(y_mm) <= NEAR_MM
    one = {
        "image": arrays["images"][index][near_y][:, near_x],
        "x_mm": x_mm[near_x],
        "y_mm": y_mm[near_y],
    }
    marks = [
        Series(name, place[:1], place[1:], color, "points", symbol=symbol)
        for name, place, color, symbol in (
            ("middle of the field", np.asarray(arrays["field_mm"][index]), FIELD, "x-thin-open"),
            ("ball", np.asarray(arrays["ball_mm"][index]), BALL, "circle-open"),
        )
    ]
    distance_mm = float(arrays["distance_mm"][index])
    return grey_map(one, f"{_name(arrays, index)}: {number(distance_mm)} mm", marks)


def _offsets(offset_mm: Numbers, distance_mm: Numbers, said: StoredAnalysis) -> Panel:
    limits = limits_of(said, "max_2d_cax_to_bb")
    level = levels(distance_mm, limits)
    reach = 1.15 * max(float(np.abs(offset_mm).max()), limits.tolerance_high or 1.0)
    rings = [
        Series(name, *circle(0.0, 0.0, limit), BEFORE, "line", dash)
        for name, limit, dash in _limit_lines(limits)
        if limit <= reach
    ]
    points = [
        Series(name, offset_mm[level == rank, 0], offset_mm[level == rank, 1], color, "points")
        for rank, (name, color) in enumerate(LEVELS)
        if (level == rank).any()
    ]
    return Panel(
        "Ball from the field, all images",
        "image x / mm",
        "image y / mm",
        [*rings, *points],
        x_range=(-reach, reach),
        y_range=(-reach, reach),
    )


def _limit_lines(limits: Limits) -> Iterator[tuple[str, float, Literal["dash", "solid"]]]:
    if limits.tolerance_high is not None:
        yield "tolerance", limits.tolerance_high, "dash"
    if limits.action_high is not None:
        yield "action", limits.action_high, "solid"


def _name(arrays: Arrays, index: int) -> str:
    gantry, collimator, couch = (round(float(a)) % 360 for a in arrays["angles_deg"][index])
    return f"G{gantry} C{collimator} T{couch}"
