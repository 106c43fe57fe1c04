"""The committed dashboards are what the catalogue declares: `make check` runs this."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from analyzers import catalogue
from dashboards.grafana.files import files
from qa_daemon.site.site import without_file

MOUNT = Path(__file__).resolve().parents[3] / "dashboards/grafana/mount"


def test_no_drift_between_the_catalogue_and_the_committed_dashboards() -> None:
    found = catalogue.load()
    site = without_file(found.analyzers, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    wanted = files(found, site)
    there = {str(p.relative_to(MOUNT)): p for p in MOUNT.rglob("*") if p.is_file()}
    stale = [name for name, text in wanted.items() if not _is(there.get(name), text)]
    assert not stale + sorted(there.keys() - wanted.keys()), (
        "write them anew: .venv/bin/qa-daemon grafana render dashboards/grafana/mount"
    )


def _is(path: Path | None, text: str) -> bool:
    return path is not None and path.read_text("utf-8") == text
