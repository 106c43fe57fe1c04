"""`qa-daemon catalogue`: what there is, from the declarations themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer

from analyzers import catalogue as physics
from analyzers.catalogue import Catalogue
from analyzers.core import Limits, Metric


def catalogue(*, as_json: bool, as_markdown: bool) -> None:
    """Print formats, analyzers, metrics, units, limits and their sources."""
    found = physics.load()
    if as_json:
        typer.echo(json.dumps(form(found), indent=1))
    else:
        typer.echo("\n".join(markdown(found) if as_markdown else _lines(found)))


def form(found: Catalogue) -> dict[str, object]:
    """The catalogue as JSON values."""
    return {
        "formats": [
            {"name": f.name, "yields": f.yields.__name__, "machine_class": f.machine_class}
            for f in found.formats
        ],
        "analyzers": [
            {
                "name": a.name,
                "title": a.title,
                "version": a.version,
                "accepts": a.accepts.__name__,
                "metrics": [
                    {
                        "name": m.name,
                        "unit": m.unit,
                        "meaning": m.meaning,
                        "limits": {c: _limits_form(limits) for c, limits in m.limits.items()},
                        "radiosurgery": _limits_form(m.radiosurgery) if m.radiosurgery else None,
                    }
                    for m in a.metrics
                ],
            }
            for a in found.analyzers
        ],
    }


def markdown(found: Catalogue) -> Iterator[str]:
    """The reference page."""
    yield "# Formats, analyzers, metrics and default limits"
    yield ""
    yield "Written by `qa-daemon catalogue --markdown` from the declarations in the code."
    yield ""
    yield "## Formats"
    yield ""
    yield "| name | record | machine class without a site file |"
    yield "|---|---|---|"
    for f in found.formats:
        yield f"| `{f.name}` | {f.yields.__name__} | {f.machine_class} |"
    for a in found.analyzers:
        yield ""
        yield f"## {a.title} (`{a.name}`, version {a.version})"
        yield ""
        yield "| metric | unit | meaning | default limits (tolerance / action) | source |"
        yield "|---|---|---|---|---|"
        for m in a.metrics:
            yield _row(m)


def _row(metric: Metric) -> str:
    by_name = dict(metric.limits)
    if metric.radiosurgery is not None:
        by_name["radiosurgery plans"] = metric.radiosurgery
    texts = [f"{name}: {_limits_text(limits)}" for name, limits in by_name.items()]
    sources = sorted({limits.source for limits in by_name.values()})
    cells = ("<br>".join(texts) or "trend only", "<br>".join(sources))
    return f"| `{metric.name}` | {metric.unit} | {metric.meaning} | {cells[0]} | {cells[1]} |"


def _lines(found: Catalogue) -> Iterator[str]:
    for f in found.formats:
        yield f"format    {f.name} -> {f.yields.__name__}"
    for a in found.analyzers:
        yield f"analyzer  {a.name} {a.version}: {a.title}"
        for m in a.metrics:
            yield f"          {m.name} ({m.unit}): {m.meaning}"


def _limits_text(limits: Limits) -> str:
    tolerance = _bounds(limits.tolerance_low, limits.tolerance_high, limits.tolerance_percent)
    action = _bounds(limits.action_low, limits.action_high, limits.action_percent)
    return f"{tolerance} / {action}"


def _bounds(low: float | None, high: float | None, percent: float | None) -> str:
    share = f" or {percent:g} %, the greater" if percent is not None else ""
    if low is not None and high is not None:
        return f"±{high:g}{share}"
    if low is None and high is None:
        return "none"
    return f"≥ {low:g}" if low is not None else f"≤ {high:g}"


def _limits_form(limits: Limits) -> dict[str, object]:
    names = ("tolerance_low", "tolerance_high", "action_low", "action_high")
    form_: dict[str, object] = {name: getattr(limits, name) for name in names}
    return form_ | {
        "tolerance_percent": limits.tolerance_percent,
        "action_percent": limits.action_percent,
        "source": limits.source,
    }
