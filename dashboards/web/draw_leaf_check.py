"""An image held against its log: the image with the leaves that disagree, what the log does not
explain of it, and each leaf's offset with the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Limits
from dashboards.figures import Figure, MapPanel, Numbers, Panel, Series
from dashboards.web.draw_fluence import DIFFERENCE, FLUENCE
from dashboards.web.draw_leaves import BEYOND_ACTION, BEYOND_TOLERANCE, PARKED, WITHIN
from dashboards.web.wording import number, plural
from qa_daemon.store.queries import StoredAnalysis

NEEDED = {
    "image",
    "log_picture",
    "x_mm",
    "y_mm",
    "pairs_of_layers",
    "leaf_low_mm",
    "leaf_high_mm",
    "worst_offset_mm",
    "standard_error_mm",
    "leaf_asked",
    "leaf_seen",
    "leaf_disagrees",
}
SMALLEST_REACH_MM = 0.6
DIFFERENCE_REACH = 0.05
"""Smallest range of the difference as a share of the image's: noise is not to look alarming."""


def leaf_check(arrays: Mapping[str, NDArray[Any]], said: StoredAnalysis) -> Figure | None:
    """Two maps, then a panel for each bank; None where there is nothing to draw."""
    if not arrays.keys() >= NEEDED:
        return None
    image, model = (np.asarray(arrays[name], np.float64) for name in ("image", "log_picture"))
    x_mm, y_mm = (np.asarray(arrays[name], np.float64) for name in ("x_mm", "y_mm"))
    pairs = [int(n) for n in arrays["pairs_of_layers"]]
    leaves = {name: arrays[name] for name in NEEDED if name.startswith(("leaf", "worst", "stand"))}
    sizes = {len(values) for values in leaves.values()}
    if image.shape != (len(y_mm), len(x_mm)) or model.shape != image.shape:
        return None
    if sizes != {2 * sum(pairs)} or not np.isfinite(image).any():
        return None
    limits = next(
        (m.limits for m in said.measurements if m.metric == "largest_disagreement"), Limits()
    )
    low, high = (float(v) for v in np.nanpercentile(image, (0.1, 99.9)))
    top = max(DIFFERENCE_REACH * (high - low), float(np.nanmax(np.abs(image - model)))) or 1.0
    marks = list(_marks(leaves, pairs, x_mm))
    panels: list[Panel | MapPanel] = [
        MapPanel("Image", "signal", image, x_mm, y_mm, FLUENCE, low, high, series=marks),
        MapPanel("Image − log", "signal", image - model, x_mm, y_mm, DIFFERENCE, -top, top),  # noqa: RUF001
    ]
    panels += [_bank(bank, leaves, part, limits) for bank, part in _banks(pairs)]
    return Figure(
        "Leaves in the image against their log",
        _summary(leaves, pairs),
        panels,
        columns=2,
        row_height=330,
    )


def _banks(pairs: list[int]) -> Iterator[tuple[str, slice]]:
    start = 0
    for count in pairs:
        layer = "" if len(pairs) == 1 else str(count)
        for bank in "AB":
            yield f"{layer}{bank}", slice(start, start + count)
            start += count


def _marks(leaves: Mapping[str, NDArray[Any]], pairs: list[int], x_mm: Numbers) -> Iterator[Series]:
    """A frame around each leaf that disagrees, on the side that it comes from."""
    middle = float(x_mm[0] + x_mm[-1]) / 2.0
    for bank, part in _banks(pairs):
        end = float(x_mm[-1] if bank.endswith("A") else x_mm[0])
        for leaf in np.flatnonzero(leaves["leaf_disagrees"][part]) + part.start:
            low, high = float(leaves["leaf_low_mm"][leaf]), float(leaves["leaf_high_mm"][leaf])
            yield Series(
                "log and image disagree",
                np.array([middle, end, end, middle, middle]),
                np.array([low, low, high, high, low]),
                BEYOND_ACTION,
            )


def _bank(bank: str, leaves: Mapping[str, NDArray[Any]], part: slice, limits: Limits) -> Panel:
    offset_mm = np.asarray(leaves["worst_offset_mm"], np.float64)
    seen, asked = (np.asarray(leaves[name], bool) for name in ("leaf_seen", "leaf_asked"))
    known = np.abs(offset_mm[seen & np.isfinite(offset_mm)])
    reach = 1.1 * max(float(known.max(initial=0.0)), SMALLEST_REACH_MM)
    at = np.arange(1.0, part.stop - part.start + 1.0)
    series = [*_bars(offset_mm[part], seen[part], leaves["leaf_disagrees"][part], at, limits)]
    for name, which in (
        ("not seen well enough", asked & ~seen),
        ("not in the field", ~asked & ~seen),
    ):
        if which[part].any():
            mark = "triangle-up" if name.startswith("not seen") else "x-thin-open"
            zero = np.zeros(int(which[part].sum()))
            series.append(Series(name, at[which[part]], zero, PARKED, "points", symbol=mark))
    across = np.array([0.0, len(at) + 1.0])
    for name, level, color in (
        ("tolerance", limits.tolerance_high, BEYOND_TOLERANCE),
        ("action", limits.action_high, BEYOND_ACTION),
    ):
        if level is not None:
            series += [
                Series(name, across, np.full(2, side * level), color, dash="dash")
                for side in (-1.0, 1.0)
            ]
    return Panel(
        f"Offset from the log, bank {bank}",
        "leaf",
        "mm",
        series,
        x_range=(0.0, len(at) + 1.0),
        y_range=(-reach, reach),
    )


def _bars(
    offset_mm: Numbers,
    seen: NDArray[np.bool_],
    disagrees: NDArray[Any],
    at: Numbers,
    limits: Limits,
) -> Iterator[Series]:
    tolerance = np.inf if limits.tolerance_high is None else limits.tolerance_high
    beyond = seen & (np.abs(offset_mm) > tolerance)
    wrong = seen & np.asarray(disagrees, bool)
    for name, which, color in (
        ("leaf where its log says", seen & ~beyond & ~wrong, WITHIN),
        ("beyond tolerance", beyond & ~wrong, BEYOND_TOLERANCE),
        ("log and image disagree", wrong, BEYOND_ACTION),
    ):
        if which.any():
            # All leaves are named, so that each bar is as wide as any other.
            yield Series(name, at, np.where(which, offset_mm, np.nan), color, "bars")


def _summary(leaves: Mapping[str, NDArray[Any]], pairs: list[int]) -> str:
    seen = np.asarray(leaves["leaf_seen"], bool)
    asked = plural(int(np.asarray(leaves["leaf_asked"], bool).sum()), "leaf", "leaves")
    told = int((seen & np.asarray(leaves["leaf_asked"], bool)).sum())
    start = f"Frame of the collimator; imager shift, rotation and size fitted out. {told} of "
    if not seen.any():
        return f"{start}{asked} in the field are seen."
    size = np.where(seen, np.abs(leaves["worst_offset_mm"]), -1.0)
    worst = int(size.argmax())
    bank, part = next((b, p) for b, p in _banks(pairs) if p.start <= worst < p.stop)
    return (
        f"{start}{asked} in the field are seen; largest offset of the image from the log "
        f"{number(float(leaves['worst_offset_mm'][worst]), sign=True)} ± "
        f"{number(float(leaves['standard_error_mm'][worst]))} mm, "
        f"leaf {bank}{worst - part.start + 1}; "
        f"{plural(int(np.sum(leaves['leaf_disagrees'])), 'leaf disagrees', 'leaves disagree')}."
    )
