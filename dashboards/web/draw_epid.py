"""Portal images with what was measured on them: open field, VMAT segments, star, phantom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Limits
from dashboards.figures import ColorScale, Figure, MapPanel, Numbers, Panel, Series
from dashboards.web.wording import number
from qa_daemon.store.queries import StoredAnalysis

Arrays = Mapping[str, NDArray[Any]]
GREY: ColorScale = ((0.0, "#0c0f12"), (1.0, "#f7f9fa"))
WITHIN, BEYOND_TOLERANCE, BEYOND_ACTION = "#3d9be0", "#e08a00", "#d3202b"
MEASURED, BEFORE = "#3d78ad", "#77838f"
LEVELS = (
    ("within tolerance", WITHIN),
    ("beyond tolerance", BEYOND_TOLERANCE),
    ("beyond action", BEYOND_ACTION),
)
HEIGHT = 470
SIGNAL = ((0.0, "low"), (1.0, "high"))
RATIO_PERCENT = (80.0, 110.0)


def grey_map(
    arrays: Arrays, title: str, series: Sequence[Series], image: str = "image"
) -> MapPanel | None:
    """The image, rows from below; None where the arrays do not fit each other."""
    if not {image, "x_mm", "y_mm"} <= arrays.keys():
        return None
    values = np.asarray(arrays[image], np.float64)
    x_mm, y_mm = (np.asarray(arrays[name], np.float64) for name in ("x_mm", "y_mm"))
    if values.ndim != 2 or values.shape != (len(y_mm), len(x_mm)) or min(values.shape) < 2:
        return None
    if y_mm[0] > y_mm[-1]:
        values, y_mm = values[::-1], y_mm[::-1]
    return MapPanel(title, "", values, x_mm, y_mm, GREY, 0.0, 1.0, SIGNAL, series)


def limits_of(said: StoredAnalysis, *metrics: str) -> Limits:
    """The limits that judged the first of the metrics that was measured."""
    by_name = {m.metric: m.limits for m in said.measurements}
    return next((by_name[name] for name in metrics if name in by_name), Limits())


def levels(values: Numbers, limits: Limits) -> NDArray[np.int64]:
    """0 within tolerance, 1 beyond it, 2 beyond action; by magnitude."""
    size = np.nan_to_num(np.abs(np.asarray(values, np.float64)))
    tolerance = np.inf if limits.tolerance_high is None else limits.tolerance_high
    action = np.inf if limits.action_high is None else limits.action_high
    return np.asarray((size > tolerance).astype(np.int64) + (size > action))


def joined(lines: Iterable[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    """Several lines as one, with gaps between."""
    gap = np.array([np.nan])
    parts = [(np.append(x, gap), np.append(y, gap)) for x, y in lines]
    if not parts:
        return gap, gap
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def circle(x_mm: float, y_mm: float, radius_mm: float) -> tuple[Numbers, Numbers]:
    """A closed line."""
    turn = np.linspace(0.0, 2.0 * np.pi, 73)
    return x_mm + radius_mm * np.cos(turn), y_mm + radius_mm * np.sin(turn)


def _box(x_mm: float, y_mm: float, width_mm: float, height_mm: float) -> tuple[Numbers, Numbers]:
    across = width_mm / 2.0 * np.array([-1.0, 1.0, 1.0, -1.0, -1.0])
    up = height_mm / 2.0 * np.array([-1.0, -1.0, 1.0, 1.0, -1.0])
    return x_mm + across, y_mm + up


def vmat(arrays: Arrays, said: StoredAnalysis) -> Figure | None:
    """Segments on the image, the ratio to the open field along x, and each segment's deviation."""
    wanted = {"segment_x_mm", "segment_y_mm", "segment_size_mm", "deviation"}
    if not wanted | {"profile_x_mm", "profile_percent"} <= arrays.keys():
        return None
    x_mm, y_mm, deviation = (
        np.asarray(arrays[n], np.float64) for n in ("segment_x_mm", "segment_y_mm", "deviation")
    )
    width_mm, height_mm = (float(v) for v in arrays["segment_size_mm"])
    level = levels(deviation, limits_of(said, "max_deviation"))
    boxes = [
        Series(name, *joined(_box(x, y, width_mm, height_mm) for x, y in spots), color)
        for rank, (name, color) in enumerate(LEVELS)
        if (spots := list(zip(x_mm[level == rank], y_mm[level == rank], strict=True)))
    ]
    image = grey_map(arrays, "Segments on the dynamic image", boxes)
    if image is None:
        return None
    at, percent = (np.asarray(arrays[n], np.float64) for n in ("profile_x_mm", "profile_percent"))
    inside = (percent >= RATIO_PERCENT[0]) & (percent <= RATIO_PERCENT[1])
    seen = np.where(inside, percent, np.nan)
    span = float(x_mm.min()) - 3.0 * width_mm, float(x_mm.max()) + 3.0 * width_mm
    bars = [
        Series(name, x_mm, np.where(level == rank, deviation, np.nan), color, "bars")
        for rank, (name, color) in enumerate(LEVELS)
        if (level == rank).any()
    ]
    worst = int(np.abs(deviation).argmax())
    return Figure(
        "Dose of the segments against the open field",
        f"Segment {worst + 1} of {len(deviation)} deviates most from the mean: "
        f"{number(float(deviation[worst]), sign=True)} % at x {number(float(x_mm[worst]))} mm.",
        [
            image,
            Panel(
                "Ratio to the open field",
                "x / mm",
                "% of its median",
                [Series("ratio over the segments' height", at, seen, MEASURED)],
                x_range=span,
                y_range=RATIO_PERCENT,
            ),
            Panel("Deviation of each segment", "x / mm", "%", bars, x_range=span),
        ],
        columns=3,
        row_height=HEIGHT,
    )


def field(arrays: Arrays, _: StoredAnalysis) -> Figure | None:
    """The field's edges on the image, and both profiles, with the baseline's where there is one."""
    if "edges_mm" not in arrays or "profile_x" not in arrays or "profile_y" not in arrays:
        return None
    left, right, low, high = (float(v) for v in arrays["edges_mm"])
    edge = _box((left + right) / 2, (low + high) / 2, right - left, high - low)
    axis = Series("beam's axis", np.zeros(1), np.zeros(1), BEYOND_TOLERANCE, "points")
    image = grey_map(arrays, "Edges on the image", [Series("edges", *edge, WITHIN), axis])
    if image is None:
        return None
    panels: list[Panel | MapPanel] = [image]
    for name in "xy":
        lines = [
            Series(title, arrays[f"{kind}profile_{name}_mm"], arrays[f"{kind}profile_{name}"], ink)
            for kind, title, ink in (
                ("baseline_", "baseline", BEFORE),
                ("", "this image", MEASURED),
            )
            if f"{kind}profile_{name}" in arrays
        ]
        panels.append(Panel(f"Profile along {name}", f"{name} / mm", "% of the middle", lines))
    return Figure(
        "The open field",
        f"Edges at x {number(left)} and {number(right)} mm, y {number(low)} and {number(high)} mm "
        "from the beam's axis.",
        panels,
        columns=3,
        row_height=HEIGHT,
    )


def starshot(arrays: Arrays, _: StoredAnalysis) -> Figure | None:
    """Spokes on the image, and the circle that they touch, magnified."""
    if not {"spoke_x_mm", "spoke_y_mm", "circle_mm"} <= arrays.keys():
        return None
    x_mm, y_mm, radius_mm = (float(v) for v in arrays["circle_mm"])
    ends = np.stack([arrays["spoke_x_mm"], arrays["spoke_y_mm"]], axis=-1).astype(np.float64)
    spokes = Series("spokes", *joined((end[:, 0], end[:, 1]) for end in ends), WITHIN)
    fitted = Series("smallest circle", *circle(x_mm, y_mm, radius_mm), BEYOND_ACTION)
    image = grey_map(arrays, "Spokes on the image", [spokes, fitted])
    if image is None:
        return None
    reach_mm = max(3.0 * radius_mm, 1.0)
    near = []
    for start, stop in ends:
        along = (stop - start) / np.hypot(*(stop - start))
        foot = start + along * float(np.dot((x_mm, y_mm) - start, along))
        near.append((foot + np.outer([-2.0, 2.0], along * reach_mm)).T)
    lines = [Series("spokes", *joined((x, y) for x, y in near), WITHIN), fitted]
    middle_mm = x_mm, y_mm
    spans = [(at - reach_mm, at + reach_mm) for at in middle_mm]
    panel = Panel(
        "The middle, magnified",
        "x / mm",
        "y / mm",
        _clipped(lines, middle_mm, reach_mm),
        x_range=spans[0],
        y_range=spans[1],
    )
    return Figure(
        "Spokes and the circle that they touch",
        f"{len(ends)} spokes; the circle is {number(2.0 * radius_mm)} mm wide, its middle at "
        f"x {number(x_mm)} mm, y {number(y_mm)} mm.",
        [image, panel],
        columns=3,
        row_height=HEIGHT,
    )


def _clipped(
    lines: Sequence[Series], middle_mm: tuple[float, float], reach_mm: float
) -> list[Series]:
    """The lines within a square: drawn in short steps, of which those outside are left out."""
    kept = []
    for line in lines:
        x, y = _in_steps(line.x), _in_steps(line.y)
        inside = np.maximum(np.abs(x - middle_mm[0]), np.abs(y - middle_mm[1])) <= reach_mm
        kept.append(
            Series(line.name, np.where(inside, x, np.nan), np.where(inside, y, np.nan), line.color)
        )
    return kept


def _in_steps(values: Numbers, steps: int = 60) -> Numbers:
    share = np.linspace(0.0, 1.0, steps, endpoint=False)
    between = values[:-1, None] + np.diff(values)[:, None] * share
    return np.append(between.ravel(), values[-1])


def planar(arrays: Arrays, _: StoredAnalysis) -> Figure | None:
    """Where discs were looked for on the phantom, and which were seen."""
    if not {"disc_mm", "disc_seen"} <= arrays.keys():
        return None
    discs, seen = np.asarray(arrays["disc_mm"], np.float64), np.asarray(arrays["disc_seen"], bool)
    if discs.ndim != 2 or len(discs) != len(seen):
        return None
    rings = [
        Series(name, *joined(circle(*disc) for disc in discs[which]), color)
        for name, color, which in (
            ("seen", WITHIN, seen),
            ("not seen", BEYOND_TOLERANCE, ~seen),
        )
        if which.any()
    ]
    image = grey_map(arrays, "Low-contrast discs", rings)
    if image is None:
        return None
    return Figure(
        "The phantom",
        f"{int(seen.sum())} of {len(seen)} low-contrast discs are seen.",
        [image],
        columns=2,
        row_height=HEIGHT,
    )
