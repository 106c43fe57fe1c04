"""What trends say is told once, in words that hold nothing of a patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import select

from analyzers import catalogue
from qa_daemon.alerts.trend_news import TrendNews
from qa_daemon.site import site as sites
from qa_daemon.store.schema import notifications
from tests.store.stores import NOW
from tests.trends.histories import BEAM, History, quiet

SITE = '[site]\nname = "Test"\ntime_zone = "Europe/Berlin"\nstate_dir = "state"\n'


def _news(history: History, folder: Path) -> TrendNews:
    (folder / "site.toml").write_text(SITE)
    analyzers = catalogue.load().analyzers
    site = sites.load(folder / "site.toml", analyzers, lambda: NOW)
    return TrendNews(history.store, site, sites.metrics_of(analyzers))


def _messages(history: History) -> list[tuple[str, str]]:
    with history.store.read() as connection:
        return [(row.title, row.body) for row in connection.execute(select(notifications))]


def test_signals_of_a_machine_are_one_message_told_once(tmp_path: Path) -> None:
    history = History(tmp_path, empty=True)
    drift = list(0.02 * np.arange(110) + quiet(110, 5))
    history.save_all(drift)
    kinds = [s.kind for s in history.follow(history.save(110, -1.0))]
    assert sorted(kinds) == ["drift", "step"]
    news = _news(history, tmp_path)
    news.look()
    news.look()
    ((title, body),) = _messages(history)
    assert title == "SRT1: a trend to look at"
    assert f"{BEAM}: output_deviation -1 % is not as usual: " in body
    assert f"{BEAM}: output_deviation drifts by +0.6" in body
    assert "crosses 3 % about 2026-0" in body
    assert "/machines/SRT1" in body


def test_a_quiet_clinic_hears_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(history.last)
    _news(history, tmp_path).look()
    assert _messages(history) == []
