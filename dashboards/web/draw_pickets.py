"""A picket fence: the gaps on the image, and the largest error of every leaf."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import Figure, MapPanel, Numbers, Panel, Series
from dashboards.web.draw_epid import HEIGHT, LEVELS, Arrays, grey_map, joined, levels, limits_of
from dashboards.web.wording import number
from qa_daemon.store.queries import StoredAnalysis

TABLES = ("gap_x_mm", "gap_y_mm", "error_a_mm", "error_b_mm")


def pickets(arrays: Arrays, said: StoredAnalysis) -> Figure | None:
    """None where there is nothing to draw."""
    if not {*TABLES, "pairs"} <= arrays.keys():
        return None
    x_mm, y_mm, error_a, error_b = (np.asarray(arrays[name], np.float64) for name in TABLES)
    pairs = np.asarray(arrays["pairs"], np.float64)
    if x_mm.ndim != 2 or any(np.shape(arrays[n]) != x_mm.shape for n in TABLES) or not x_mm.size:
        return None
    limits = limits_of(said, "max_leaf_error", "max_leaf_deviation")
    error_mm = np.fmax(np.abs(error_a), np.abs(error_b))
    level = levels(error_mm, limits)
    found = Series(
        "measured middles of the gaps",
        *joined((x_mm[:, k], y_mm[:, k]) for k in range(x_mm.shape[1])),
        LEVELS[0][1],
    )
    image = grey_map(arrays, "Gaps on the image", [found, *_beyond((x_mm, y_mm), error_mm, level)])
    if image is None:
        return None
    panels: list[Panel | MapPanel] = [image]
    top = 1.1 * max(float(np.nan_to_num(error_mm).max()), limits.tolerance_high or 0.1)
    for bank, error in (("A", error_a), ("B", error_b)):
        known = np.nan_to_num(error)
        furthest = np.abs(known).argmax(axis=1)[:, None]
        worst = np.take_along_axis(known, furthest, axis=1)[:, 0]
        rank = levels(worst, limits)
        bars = [
            Series(name, pairs, np.where(rank == k, worst, np.nan), color, "bars")
            for k, (name, color) in enumerate(LEVELS)
            if (rank == k).any()
        ]
        panels.append(
            Panel(
                f"Largest error of each leaf, bank {bank}",
                "leaf",
                "mm",
                bars,
                x_range=(float(pairs.min()) - 1.0, float(pairs.max()) + 1.0),
                y_range=(-top, top),
            )
        )
    return Figure(
        "Leaves at the pickets",
        _summary(pairs, error_a, error_b, level),
        panels,
        columns=3,
        row_height=HEIGHT,
    )


def _beyond(
    places_mm: tuple[Numbers, Numbers], error_mm: Numbers, level: NDArray[np.int64]
) -> list[Series]:
    """Points where a leaf is beyond a limit."""
    x_mm, y_mm = places_mm
    return [
        Series(
            name,
            x_mm[level == rank],
            y_mm[level == rank],
            color,
            "points",
            hover=[f"{number(float(e))} mm" for e in error_mm[level == rank]],
        )
        for rank, (name, color) in enumerate(LEVELS)
        if rank and (level == rank).any()
    ]


def _summary(pairs: Numbers, error_a: Numbers, error_b: Numbers, level: NDArray[np.int64]) -> str:
    both = np.stack([np.nan_to_num(error_a), np.nan_to_num(error_b)])
    bank, pair, picket = np.unravel_index(int(np.abs(both).argmax()), both.shape)
    return (
        f"Largest error {number(float(both[bank, pair, picket]), sign=True)} mm by leaf "
        f"{'AB'[bank]}{int(pairs[pair])} at picket {picket + 1} of {both.shape[2]}; "
        f"{int((level > 0).sum())} of {level.size} gaps have a leaf beyond tolerance."
    )
