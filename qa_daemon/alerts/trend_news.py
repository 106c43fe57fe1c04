"""What trends say of themselves is told once, as a message to read and not to wake anybody."""

from __future__ import annotations

from collections.abc import Mapping

from analyzers.core import Metric
from qa_daemon.alerts.evaluate import notify
from qa_daemon.alerts.messages import trend_news
from qa_daemon.site.site import Site
from qa_daemon.store import trend_signals
from qa_daemon.store.store import Store
from qa_daemon.store.trend_signals import StoredSignal
from qa_daemon.trend_sentences import sentence


class TrendNews:
    """Puts signals that nobody knows of into messages, one for each machine.

    `metrics` by `analyzer.metric`; of a quantity that is no longer measured nothing is told.
    """

    def __init__(self, store: Store, site: Site, metrics: Mapping[str, Metric]) -> None:
        self._store = store
        self._site = site
        self._metrics = metrics

    def look(self) -> None:
        """Tell what is new."""
        with self._store.read() as connection:
            new = trend_signals.untold(connection)
        if not new:
            return
        machines: dict[str, list[StoredSignal]] = {}
        for signal in new:
            machines.setdefault(signal.series.machine, []).append(signal)
        at = self._store.now()
        with self._store.write() as connection:
            for machine, signals in machines.items():
                lines = [line for signal in signals if (line := self._line(signal))]
                if lines:
                    notify(connection, None, trend_news(self._site, machine, lines), at)
            trend_signals.tell(connection, new, at)

    def _line(self, signal: StoredSignal) -> str:
        name = f"{signal.series.analyzer}.{signal.series.metric}"
        metric = self._metrics.get(name)
        return "" if metric is None else sentence(signal, metric, self._site.zone)
