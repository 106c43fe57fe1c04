"""What a figure shows, and the same figure as Plotly JSON.

A figure is data: panels of lines, points and bars, or maps.  `plotly` turns it into the plain
dictionaries that plotly.js draws in the browser; `web.picture` draws it as a still picture.  The
Plotly package of Python is never imported: it would double the service's memory.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
ColorScale = Sequence[tuple[float, str]]
"""Position from 0 to 1 and color; one position twice is a sharp edge."""

INK, GRID, FRAME = "#1b2733", "#e3e8ed", "#8996a3"
MARK = "#552480"
LABEL_SHARE = 0.12
"""Of a grid's width that the label of a mark takes."""
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One line, row of points or row of bars; NaN is a gap.  `links` are results to click on."""

    name: str
    x: Numbers
    y: Numbers
    color: str
    kind: Literal["line", "step", "points", "bars"] = "line"
    dash: Literal["solid", "dash", "dot"] = "solid"
    symbol: str = "circle"
    hover: Sequence[str] = ()
    links: Sequence[int] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One pair of axes.  Where `x_is_time`, x is local time as milliseconds since 1970."""

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    x_is_time: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MapPanel:
    """Values over a plane in mm: a row of `values` for each y, drawn with equal scales.

    `series` are lines and points drawn over it, in mm.
    """

    title: str
    unit: str
    values: Numbers
    x_mm: Numbers
    y_mm: Numbers
    colors: ColorScale
    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()
    series: Sequence[Series] = ()


@dataclass(frozen=True, slots=True, eq=False)
class GridPanel(MapPanel):
    """Values over days: a row of `values` for each of `names`, drawn as wide as there is room.

    `x_mm` is local time as milliseconds since 1970 of the middle of each column, `column_ms` wide,
    `y_mm` the number of the row.  `marks` are times with what happened then: lines from top to
    bottom.
    """

    names: Sequence[str] = ()
    y_title: str = ""
    marks: Sequence[tuple[float, str]] = ()
    column_ms: float = 86_400_000.0

    @property
    def x_edges(self) -> Numbers:
        """The edges of the columns, one more than there are."""
        return np.append(self.x_mm, self.x_mm[-1:] + self.column_ms) - self.column_ms / 2.0

    @property
    def labels(self) -> list[tuple[str, bool]]:
        """What stands beside each mark, and whether to its left, where the right has no room.

        Nothing where it would lie upon the one before.
        """
        begin, end = float(self.x_edges[0]), float(self.x_edges[-1])
        room = LABEL_SHARE * (end - begin)
        said, free_from = [], begin
        for at, text in self.marks:
            is_left = at + room > end
            fits = (at - room if is_left else at) >= free_from
            said.append((text if fits else "", is_left))
            if fits:
                free_from = at if is_left else at + room
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Panels in rows of `columns`; `summary` says in a sentence what the eye would see.

    `width` is that of the still picture; the chart in the browser takes what there is.
    """

    title: str
    summary: str
    panels: Sequence[Panel | MapPanel]
    columns: int = 1
    row_height: int = 300
    width: int = 1450
    legend: bool = True

    @property
    def rows(self) -> int:
        """How many rows of panels there are."""
        return -(-len(self.panels) // self.columns)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.rows * self.row_height + (40 if self.legend else 10)


def plotly(figure: Figure) -> dict[str, object]:
    """The figure as `data` and `layout` for plotly.js."""
    data: list[dict[str, object]] = []
    layout: dict[str, Any] = _layout(figure)
    named: set[str] = set()
    for number, panel in enumerate(figure.panels, start=1):
        suffix = "" if number == 1 else str(number)
        box = _box(figure, number - 1)
        layout["annotations"].append(_heading(panel.title, box))
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        if isinstance(panel, MapPanel):
            data.append(_heatmap(panel, box) | axes)
        data += [_trace(series, named) | axes for series in panel.series]
        x_axis, y_axis = _axes(panel, box, suffix)
        layout[f"xaxis{suffix}"], layout[f"yaxis{suffix}"] = x_axis, y_axis
        if isinstance(panel, GridPanel):
            layout["shapes"] += [_mark(at, suffix) for at, _ in panel.marks]
            layout["annotations"] += _labels(panel, suffix)
    return {"data": data, "layout": layout}


def _layout(figure: Figure) -> dict[str, Any]:
    return {
        "height": figure.height,
        "margin": {"l": 62, "r": 16, "t": 10, "b": 8},
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hovermode": "closest",
        "dragmode": "zoom",
        "barmode": "overlay",
        "showlegend": figure.legend,
        "legend": {"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container"},
        "annotations": [],
        "shapes": [],
    }


def _mark(at: float, suffix: str) -> dict[str, object]:
    return {
        "type": "line",
        "xref": f"x{suffix}",
        "yref": f"y{suffix} domain",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "line": {"color": MARK, "dash": "dot", "width": 1.6},
    }


def _labels(panel: GridPanel, suffix: str) -> list[dict[str, object]]:
    return [
        {
            "text": escape(text),
            "x": at,
            "y": 1,
            "xref": f"x{suffix}",
            "yref": f"y{suffix} domain",
            "xanchor": "right" if is_left else "left",
            "yanchor": "top",
            "showarrow": False,
            "bgcolor": "#ffffff",
            "font": {"color": MARK, "size": 12},
        }
        for (at, _), (text, is_left) in zip(panel.marks, panel.labels, strict=True)
        if text
    ]


def _box(figure: Figure, index: int) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a panel, as shares of the drawing."""
    row, column = divmod(index, figure.columns)
    width, height = 1.0 / figure.columns, 1.0 / figure.rows
    is_map = isinstance(figure.panels[index], MapPanel)
    right_gap = 0.05 if is_map else 0.0 if column == figure.columns - 1 else 0.06
    pixels = figure.rows * figure.row_height
    above, below = (26 if figure.panels[index].title else 6) / pixels, 46 / pixels
    top = 1.0 - row * height - above
    beside_map = column > 0 and isinstance(figure.panels[index - 1], MapPanel)
    left_gap = 0.03 if beside_map and not is_map else 0.0  # the map's bar has its text there
    return (
        column * width + left_gap,
        (column + 1) * width - right_gap,
        top - height + above + below,
        top,
    )


def _heading(text: str, box: tuple[float, float, float, float]) -> dict[str, object]:
    return {
        "text": f"<b>{escape(text)}</b>",
        "x": box[0],
        "y": box[3],
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _axes(
    panel: Panel | MapPanel, box: tuple[float, float, float, float], suffix: str
) -> tuple[dict[str, object], dict[str, object]]:
    shown = {"gridcolor": GRID, "linecolor": FRAME, "zerolinecolor": FRAME, "mirror": True}
    x_axis: dict[str, Any] = shown | {"domain": box[:2], "anchor": f"y{suffix}", "showline": True}
    y_axis: dict[str, Any] = shown | {"domain": box[2:], "anchor": f"x{suffix}", "showline": True}
    if isinstance(panel, GridPanel):
        x_axis |= {"type": "date", "showgrid": False}
        y_axis |= {"type": "category", "title": _title(panel.y_title), "showgrid": False}
        return x_axis, y_axis | {"nticks": 24}
    if isinstance(panel, MapPanel):
        bare = {"constrain": "range", "showgrid": False, "zeroline": False}
        x_axis |= bare | {"title": _title("x / mm")}
        y_axis |= bare | {"title": _title("y / mm")}
        y_axis |= {"scaleanchor": f"x{suffix}", "scaleratio": 1}
        if suffix:
            x_axis["matches"], y_axis["matches"] = "x", "y"
            del y_axis["scaleanchor"], y_axis["scaleratio"]
        if box[0] > 0.0:
            y_axis |= {"title": None, "showticklabels": False}
        return x_axis, y_axis
    x_axis |= {"title": _title(panel.x_title), "type": "date" if panel.x_is_time else "linear"}
    y_axis |= {"title": _title(panel.y_title)}
    for axis, limits in ((x_axis, panel.x_range), (y_axis, panel.y_range)):
        if limits is not None:
            axis["range"] = list(limits)
    return x_axis, y_axis


def _title(text: str) -> dict[str, object]:
    return {"text": escape(text), "standoff": 6}


def _heatmap(panel: MapPanel, box: tuple[float, float, float, float]) -> dict[str, object]:
    _, right, bottom, top = box
    bar: dict[str, Any] = {
        "x": right + 0.006,
        "xpad": 0,
        "y": (top + bottom) / 2,
        "len": top - bottom,
        "thickness": 13,
        "title": {"text": escape(panel.unit), "side": "top"},
    }
    if panel.ticks:
        bar |= {"tickvals": [t[0] for t in panel.ticks], "ticktext": [t[1] for t in panel.ticks]}
    is_grid = isinstance(panel, GridPanel)
    said = f"x %{{x:.1f}} mm, y %{{y:.1f}} mm: %{{z:.3g}} {escape(panel.unit)}"
    if is_grid:
        said = f"%{{x|%Y-%m-%d}}, %{{y}}: %{{z:.3g}} {escape(panel.unit)}<extra></extra>"
    return {
        "type": "heatmap",
        "z": _packed(panel.values, np.float32),
        "x": _packed(panel.x_edges, np.float64)
        if isinstance(panel, GridPanel)
        else _packed(panel.x_mm, np.float32),
        "y": list(panel.names) if isinstance(panel, GridPanel) else _packed(panel.y_mm, np.float32),
        "zmin": panel.low,
        "zmax": panel.high,
        "colorscale": [list(stop) for stop in panel.colors],
        "colorbar": bar,
        "name": panel.title,
        "hovertemplate": said,
        "hoverongaps": False,
    }


def _trace(series: Series, named: set[str]) -> dict[str, object]:
    trace: dict[str, Any] = {
        "name": escape(series.name),
        "x": _packed(series.x, np.float64),
        "y": _packed(series.y, np.float64),
        "legendgroup": series.name,
        "showlegend": bool(series.name) and series.name not in named,
    }
    named.add(series.name)
    if series.hover:
        trace |= {"text": [escape(text) for text in series.hover], "hovertemplate": "%{text}"}
    if not series.name:
        trace["hoverinfo"] = "skip"  # it only joins points that speak for themselves
    if series.links:
        trace["customdata"] = list(series.links)
    if series.kind == "bars":
        return trace | {"type": "bar", "marker": {"color": series.color}}
    trace["type"] = "scatter"
    if series.kind == "points":
        marker: Mapping[str, object] = {
            "symbol": series.symbol,
            "size": 8,
            "color": series.color,
            "line": {"width": 2 if series.symbol.endswith("open") else 1, "color": "#ffffff"},
        }
        return trace | {"mode": "markers", "marker": marker}
    line: dict[str, object] = {"color": series.color, "dash": series.dash, "width": 1.6}
    if series.kind == "step":
        line["shape"] = "hv"
        trace["hoverinfo"] = "name+y"
    return trace | {"mode": "lines", "line": line}


def _packed(values: Numbers, kind: type[np.floating[Any]]) -> dict[str, str]:
    """Numbers as plotly.js takes them in one piece; NaN stays a gap."""
    packed = np.ascontiguousarray(values, dtype=kind)
    form = {
        "dtype": f"f{packed.itemsize}",
        "bdata": base64.b64encode(packed.tobytes()).decode(),
    }
    if packed.ndim > 1:
        form["shape"] = ", ".join(map(str, packed.shape))
    return form
