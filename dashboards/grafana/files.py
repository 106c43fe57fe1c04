"""The folder that Grafana mounts: dashboards as JSON, and what provisions them.

The same catalogue and site give the same bytes: no time, no host and no random id is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from analyzers.catalogue import Catalogue
from dashboards.grafana.dashboard import Dashboard
from dashboards.grafana.panels import Json
from dashboards.grafana.provisioning import provisioning
from dashboards.grafana.subjects import every_dashboard
from qa_daemon.site.site import Site

DASHBOARDS = "dashboards"


def files(catalogue: Catalogue, site: Site) -> dict[str, str]:
    """Every file of the folder by its name in it."""
    found = {f"{DASHBOARDS}/{d.uid}.json": text_of(d) for d in every_dashboard(catalogue, site)}
    return found | provisioning(site.file.influx)


def render(folder: Path, catalogue: Catalogue, site: Site) -> tuple[int, int]:
    """Write what is new or changed, and remove our dashboards that are no more; how many of each.

    What is no file of ours in the folder is left alone.  Raises OSError.
    """
    wanted = files(catalogue, site)
    written = 0
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            written += 1
    old = [
        p for p in (folder / DASHBOARDS).glob("qa-*.json") if f"{DASHBOARDS}/{p.name}" not in wanted
    ]
    for path in old:
        path.unlink()
    return written, len(old)


def text_of(dashboard: Dashboard) -> str:
    """The JSON of a dashboard, a line for each panel, so that a change is seen as one."""
    value = dashboard.json()
    panels = ",\n".join(_panel_lines(value.pop("panels")))
    rest = json.dumps(value, indent=1, ensure_ascii=False)
    return f'{rest[:-2]},\n "panels": [\n{panels}\n ]\n}}\n'


def _panel_lines(panels: list[Json]) -> Iterator[str]:
    for panel in panels:
        inside = panel.get("panels")
        if not inside:
            yield f"  {_compact(panel)}"
            continue
        below = ",\n".join(f"   {_compact(p)}" for p in inside)
        heading = _compact({**panel, "panels": []})
        head, tail = heading.rsplit('"panels":[]', 1)
        yield f'  {head}"panels":[\n{below}\n  ]{tail}'


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
