"""`/metrics`: what a monitoring system reads of the daemon."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards.clinic import NOW, PATIENT, Clinic, Found, delivery_report
from tests.dashboards.serving import serving
from tests.dashboards.visiting import Visitor


def _read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_it_says_how_the_daemon_stands(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    clinic.folders = [
        {"machine": "TB1", "is_reachable": True, "last_scan_s_ago": 1.0},
        {"machine": "TB1", "is_reachable": False, "last_scan_s_ago": None},
        {"machine": "TB2", "is_reachable": True, "last_scan_s_ago": 1.0},
    ]
    at = NOW - timedelta(hours=2)
    clinic.save("TB1", at, delivery_report(Found(), at))
    with serving(clinic) as served:
        answer = Visitor(served).get("/metrics")
        found = _read(answer.text)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert found["qa_daemon_ready", ()] == 1.0
        assert found["qa_daemon_results", ()] == 1.0
        assert found["qa_daemon_outbox_results", (("sink", "influx"),)] == 1.0
        assert found["qa_daemon_outbox_results", (("sink", "alerts"),)] == 1.0
        stamp = found["qa_daemon_last_result_timestamp_seconds", (("machine", "TB1"),)]
        assert stamp == at.timestamp()
        assert found["qa_daemon_folder_reachable", (("machine", "TB1"),)] == 0.0
        assert found["qa_daemon_folder_reachable", (("machine", "TB2"),)] == 1.0
        assert found["process_resident_memory_bytes", ()] > 1e6
        assert PATIENT not in answer.text and str(tmp_path) not in answer.text
        clinic.is_ready = False
        assert _read(Visitor(served).get("/metrics").text)["qa_daemon_ready", ()] == 0.0
