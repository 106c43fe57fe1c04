"""`/metrics`: how the daemon itself stands, in the text format of Prometheus.

Names begin with `qa_daemon_`, units are base units; no label holds anything of a patient, a file or
a folder's name.  Quality data of the machines goes to the time-series database and not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response

from dashboards.web.clinic import Clinic
from qa_daemon.store import trend_signals
from qa_daemon.store.outbox import Outbox

FOLLOWERS = ("alerts", "trends")


def router(clinic: Clinic) -> APIRouter:
    """The address that a monitoring system asks."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Health(clinic))

    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    routes = APIRouter()
    routes.add_api_route("/metrics", metrics, methods=["GET", "HEAD"], response_model=None)
    return routes


class Health(Collector):
    """Asks the service each time that somebody looks."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic

    def describe(self) -> list[Metric]:
        """Nothing is asked of the store when the address is set up."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        clinic, status = self._clinic, self._clinic.status()
        yield InfoMetricFamily(
            "qa_daemon_build", "Version of QA Daemon", {"version": version("qa-daemon")}
        )
        yield _one(
            "qa_daemon_ready", "1 while files are taken in and pages answered", clinic.ready()
        )
        yield _by("qa_daemon_files", "Files in the ledger", "state", _part(status, "files"))
        yield _one("qa_daemon_results", "Results in force", status.get("results"))
        alerts = _part(status, "alerts")
        yield _one("qa_daemon_alerts_open", "Alerts that are not cleared", alerts.get("open"))
        signals = len(trend_signals.open_of(clinic.store))
        yield _one("qa_daemon_trend_signals_open", "Trends and charts that say something", signals)
        yield from self._outboxes(_part(status, "sinks"))
        yield self._last_results(_part(status, "machines"))
        yield self._folders(status.get("folders"))

    def _outboxes(self, sinks: Mapping[str, object]) -> Iterator[Metric]:
        behind = GaugeMetricFamily(
            "qa_daemon_outbox_results", "Results that a follower has still to do", labels=["sink"]
        )
        done = GaugeMetricFamily(
            "qa_daemon_sink_last_success_timestamp_seconds",
            "When a follower took something last",
            labels=["sink"],
        )
        own = {name: Outbox(self._clinic.store, name).status() for name in FOLLOWERS}
        for name, said in {**own, **sinks}.items():
            if isinstance(said, Mapping):
                behind.add_metric([name], _number(said.get("behind")))
                if isinstance(said.get("last_success"), str):
                    done.add_metric([name], _instant(said["last_success"]))
        yield behind
        yield done

    def _last_results(self, machines: Mapping[str, object]) -> Metric:
        family = GaugeMetricFamily(
            "qa_daemon_last_result_timestamp_seconds",
            "When the newest result of a machine was delivered",
            labels=["machine"],
        )
        for name, said in machines.items():
            if isinstance(said, Mapping) and isinstance(said.get("last_result"), str):
                family.add_metric([name], _instant(said["last_result"]))
        return family

    def _folders(self, folders: object) -> Metric:
        """A machine may have several folders: the worst of them is told."""
        family = GaugeMetricFamily(
            "qa_daemon_folder_reachable",
            "1 while every watched folder of a machine can be listed",
            labels=["machine"],
        )
        worst: dict[str, float] = {}
        for said in folders if isinstance(folders, list) else []:
            machine = str(said.get("machine") or "")
            reachable = float(bool(said.get("is_reachable")))
            worst[machine] = min(worst.get(machine, 1.0), reachable)
        for machine, reachable in worst.items():
            family.add_metric([machine], reachable)
        return family


def _one(name: str, meaning: str, value: object) -> Metric:
    return GaugeMetricFamily(name, meaning, value=_number(value))


def _by(name: str, meaning: str, label: str, values: Mapping[str, object]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], _number(value))
    return family


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _instant(text: object) -> float:
    at = datetime.fromisoformat(str(text))
    return at.timestamp() if at.tzinfo is not None else float("nan")


def _part(status: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = status.get(name)
    return found if isinstance(found, Mapping) else {}
