"""A figure as a still SVG picture: what is seen without JavaScript, on paper, and at once."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from dashboards.figures import (
    FONT,
    FRAME,
    GRID,
    INK,
    MARK,
    Figure,
    GridPanel,
    MapPanel,
    Numbers,
    Panel,
    Series,
)
from dashboards.web.png import png_of
from dashboards.web.ticks import number_ticks, time_ticks

LEFT, RIGHT, ABOVE, BELOW = 62, 16, 26, 46
BAR_ROOM = 64
DASHES = {"solid": "", "dash": ' stroke-dasharray="8 5"', "dot": ' stroke-dasharray="2 4"'}
RADIUS = 4.5


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to positions; `start` may be greater than `stop`, as for y."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Where a value is."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def svg(figure: Figure) -> str:
    """The whole picture."""
    foot = [] if not figure.legend else [_legend(figure)]
    body = "".join([*_panels(figure), *foot])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {figure.width} {figure.height}" '
        f'font-family="{FONT}" font-size="13" fill="{INK}" role="img">'
        f"<title>{escape(figure.title)}</title><desc>{escape(figure.summary)}</desc>"
        f'<rect width="{figure.width}" height="{figure.height}" fill="#ffffff"/>{body}</svg>'
    )


def _panels(figure: Figure) -> Iterator[str]:
    for index, panel in enumerate(figure.panels):
        row, column = divmod(index, figure.columns)
        top = row * figure.row_height + (ABOVE if panel.title else RIGHT)
        bottom = (row + 1) * figure.row_height - BELOW
        if isinstance(panel, MapPanel):
            # The maps of a row share one y axis, at the left.
            width = (figure.width - LEFT) / figure.columns
            left = LEFT + column * width
            yield from _map(panel, left, left + width - BAR_ROOM - RIGHT, top, bottom, column == 0)
        else:
            width = figure.width / figure.columns
            left = column * width + LEFT
            yield from _axes_and_series(panel, left, left + width - LEFT - RIGHT, top, bottom)
        yield _text(left, top - 8, panel.title, ' font-weight="bold"')


def _axes_and_series(
    panel: Panel, left: float, right: float, top: float, bottom: float
) -> Iterator[str]:
    x = Scale(*(panel.x_range or _span([s.x for s in panel.series], 0.0)), left, right)
    y_span = panel.y_range or _span([s.y for s in panel.series], 0.06)
    y = Scale(*y_span, bottom, top)
    x_ticks = time_ticks(x.low, x.high) if panel.x_is_time else number_ticks(x.low, x.high, 8)
    yield from _frame(x, y, x_ticks, number_ticks(y.low, y.high, 5), GRID)
    yield _text((left + right) / 2, bottom + 36, panel.x_title, ' text-anchor="middle"')
    yield _turned(left - 48, (top + bottom) / 2, panel.y_title)
    for series in panel.series:
        yield _drawn(series, x, y)


def _frame(
    x: Scale,
    y: Scale,
    x_ticks: list[tuple[float, str]],
    y_ticks: list[tuple[float, str]],
    grid: str = "none",
) -> Iterator[str]:
    for value, text in x_ticks:
        at = x.at(value)
        yield f'<path d="M{at:.1f} {y.start:.1f}V{y.stop:.1f}" stroke="{grid}"/>'
        yield _text(at, y.start + 18, text, ' text-anchor="middle"')
    for value, text in y_ticks:
        at = y.at(value)
        yield f'<path d="M{x.start:.1f} {at:.1f}H{x.stop:.1f}" stroke="{grid}"/>'
        yield _text(x.start - 6, at + 4, text, ' text-anchor="end"')
    yield (
        f'<rect x="{x.start:.1f}" y="{y.stop:.1f}" width="{x.stop - x.start:.1f}" '
        f'height="{y.start - y.stop:.1f}" fill="none" stroke="{FRAME}"/>'
    )


def _drawn(series: Series, x: Scale, y: Scale) -> str:
    inside = np.isfinite(series.x) & np.isfinite(series.y)
    inside &= (series.x >= x.low) & (series.x <= x.high)
    xs = [x.at(float(value)) for value in series.x]
    ys = [y.at(min(max(float(v), y.low), y.high)) if np.isfinite(v) else 0.0 for v in series.y]
    if series.kind == "points":
        marks = "".join(
            _mark(series.symbol, a, b) for a, b, ok in zip(xs, ys, inside, strict=True) if ok
        )
        hollow = series.symbol.endswith("open")
        paint = (
            f'fill="none" stroke="{series.color}" stroke-width="1.6"'
            if hollow
            else f'fill="{series.color}" stroke="#ffffff"'
        )
        return f"<g {paint}>{marks}</g>"
    if series.kind == "bars":
        half, zero = _bar_half_width(series.x, x), y.at(min(max(0.0, y.low), y.high))
        bars = "".join(
            f"M{a - half:.1f} {zero:.1f}V{b:.1f}H{a + half:.1f}V{zero:.1f}Z"
            for a, b, ok in zip(xs, ys, inside, strict=True)
            if ok
        )
        return f'<path d="{bars}" fill="{series.color}"/>'
    path = _path(xs, ys, inside.tolist(), stepped=series.kind == "step")
    dash = DASHES[series.dash]
    return f'<path d="{path}" fill="none" stroke="{series.color}" stroke-width="1.6"{dash}/>'


def _path(xs: list[float], ys: list[float], inside: list[bool], *, stepped: bool) -> str:
    parts, pen_down = [], False
    for a, b, ok in zip(xs, ys, inside, strict=True):
        if ok and not pen_down:
            parts.append(f"M{a:.1f} {b:.1f}")
        elif ok:
            parts.append(f"H{a:.1f}V{b:.1f}" if stepped else f"L{a:.1f} {b:.1f}")
        pen_down = ok
    return "".join(parts)


def _mark(symbol: str, x: float, y: float) -> str:
    r = RADIUS
    if symbol.startswith("circle"):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    shapes = {
        "triangle-up": ((0, -r - 1), (r + 1, r), (-r - 1, r)),
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "diamond": ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
        "line-ew-open": ((-5, 0), (5, 0)),
        "x-thin-open": ((-3, -3), (3, 3), (0, 0), (3, -3), (-3, 3), (0, 0)),
    }
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in shapes[symbol])
    return f'<polygon points="{points}"/>'


def _map(
    panel: MapPanel, left: float, right: float, top: float, bottom: float, with_y: bool
) -> Iterator[str]:
    (x_low, x_high), (y_low, y_high) = _edges(panel.x_mm), _edges(panel.y_mm)
    if isinstance(panel, GridPanel):
        x_low, x_high = float(panel.x_edges[0]), float(panel.x_edges[-1])
    x, y = Scale(x_low, x_high, left, right), Scale(y_low, y_high, bottom, top)
    if not isinstance(panel, GridPanel):
        per_mm = min((right - left) / (x_high - x_low), (bottom - top) / (y_high - y_low))
        x = Scale(x_low, x_high, left, left + (x_high - x_low) * per_mm)
        y = Scale(y_low, y_high, top + (y_high - y_low) * per_mm, top)
    image = base64.b64encode(png_of(panel.values, panel.colors, panel.low, panel.high)).decode()
    yield _image(image, x.start, y.stop, x.stop - x.start, y.start - y.stop)
    for series in panel.series:
        yield _drawn(series, x, y)
    if isinstance(panel, GridPanel):
        step = max(1, len(panel.names) // 12)
        rows = [(float(k), name) for k, name in enumerate(panel.names) if k % step == 0]
        yield from _frame(x, y, time_ticks(x_low, x_high), rows)
        yield from _marks(panel, x, y)
        yield _turned(left - 48, (y.start + y.stop) / 2, panel.y_title)
    else:
        y_ticks = number_ticks(y_low, y_high) if with_y else []
        yield from _frame(x, y, number_ticks(x_low, x_high, 4), y_ticks)
        yield _text((x.start + x.stop) / 2, y.start + 36, "x / mm", ' text-anchor="middle"')
        yield _turned(left - 48, (y.start + y.stop) / 2, "y / mm" if with_y else "")
    ramp = np.linspace(panel.low, panel.high, 128)[:, None]
    bar = base64.b64encode(png_of(ramp, panel.colors, panel.low, panel.high)).decode()
    yield _image(bar, x.stop + 12, y.stop, 13, y.start - y.stop)
    along = Scale(panel.low, panel.high, y.start, y.stop)
    for value, text in panel.ticks or number_ticks(panel.low, panel.high, 5):
        yield _text(x.stop + 29, along.at(value) + 4, text, "")
    yield _text(x.stop + 29, y.stop - 8, panel.unit, "")


def _marks(panel: GridPanel, x: Scale, y: Scale) -> Iterator[str]:
    """Lines from top to bottom, with what they are of beside them."""
    for (at, _), (text, is_left) in zip(panel.marks, panel.labels, strict=True):
        yield (
            f'<path d="M{x.at(at):.1f} {y.start:.1f}V{y.stop:.1f}" stroke="{MARK}" '
            f'stroke-width="1.6"{DASHES["dot"]}/>'
        )
        white = ' stroke="#ffffff" stroke-width="4" paint-order="stroke"'
        anchor = "end" if is_left else "start"
        look = f' fill="{MARK}" font-size="12" text-anchor="{anchor}"{white}'
        yield _text(x.at(at) + (-5 if is_left else 5), y.stop + 14, text, look)


def _image(png: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="none" image-rendering="pixelated" '
        f'href="data:image/png;base64,{png}"/>'
    )


def _legend(figure: Figure) -> str:
    shown: dict[str, Series] = {}
    for panel in figure.panels:
        for series in panel.series:
            if series.name:
                shown.setdefault(series.name, series)
    lines = _lines(shown, figure.width)
    parts = []
    for k, names in enumerate(lines):
        # Two lines share the room of one.
        y = figure.height - 14.0 if len(lines) == 1 else figure.height - 24.0 + 17.0 * k
        at = float(LEFT)
        for name in names:
            parts.append(_key(shown[name], at, y))
            at += _key_width(name)
    return "".join(parts)


def _lines(names: Iterable[str], width: int) -> list[list[str]]:
    """Keys in lines that are not wider than the picture."""
    lines: list[list[str]] = [[]]
    at = float(LEFT)
    for name in names:
        if lines[-1] and at + _key_width(name) > width:
            lines.append([])
            at = float(LEFT)
        lines[-1].append(name)
        at += _key_width(name)
    return lines


def _key_width(name: str) -> float:
    return 28 + 7.4 * len(name) + 22


def _key(series: Series, at: float, y: float) -> str:
    key = Scale(0.0, 1.0, at, at + 22), Scale(0.0, 1.0, y + 4, y - 12)
    spot = np.array([0.5]) if series.kind in ("points", "bars") else np.array([0.0, 1.0])
    sample = Series(
        "", spot, np.full(len(spot), 0.5), series.color, series.kind, series.dash, series.symbol
    )
    return _drawn(sample, *key) + _text(at + 28, y, series.name, "")


def _bar_half_width(x: Numbers, scale: Scale) -> float:
    steps = np.diff(np.sort(x))
    step = float(steps[steps > 0].min()) if (steps > 0).any() else (scale.high - scale.low) * 0.4
    return 0.4 * abs(scale.at(step) - scale.at(0.0))


def _span(rows: list[Numbers], margin: float) -> tuple[float, float]:
    known = [row[np.isfinite(row)] for row in rows]
    known = [row for row in known if row.size]
    if not known:
        return 0.0, 1.0
    low, high = min(float(r.min()) for r in known), max(float(r.max()) for r in known)
    room = (high - low) * margin if high > low else max(abs(high) * 0.1, 0.5)
    return low - room, high + room


def _edges(at: Numbers) -> tuple[float, float]:
    half = 0.5 * float(at[1] - at[0]) if len(at) > 1 else 0.5
    return float(at[0]) - half, float(at[-1]) + half


def _text(x: float, y: float, text: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>' if math.isfinite(x) else ""


def _turned(x: float, y: float, text: str) -> str:
    turn = f' text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})"'
    return _text(x, y, text, turn) if text else ""
