"""The settings page: what it says is what judges, and nothing secret is on it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from analyzers.core import Limits
from dashboards.web.trends_overview import RUN_LENGTH
from qa_daemon.trends.follower import TrendFollower
from tests.dashboards.clinic import NOW, Clinic, Found, delivery_report
from tests.dashboards.serving import Served, serving
from tests.dashboards.visiting import PEOPLE, Visitor

SECRETS = (
    *("hunter2", "smtp.example.org", "physicist@example.org", "T0KEN", "hooks.example.org"),
    *("influx-secret", "influx-user", "a.password", "127.0.0.1:1", "lane-of-TB9", "kept.channels"),
    *("10.1.2.3", "key.pem"),
)
MORE = """
[[machine]]
name = "TB9"
machine_class = "truebeam"
mlc = "hd120"
folders = ["lane-of-TB9/logs", "lane-of-TB9/images"]
radiosurgery = true
[[machine]]
name = "SRT1"
machine_class = "srt"
[[plan_class]]
name = "SRS"
label_contains = ["SRS"]
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB3"
tolerance = 0.11
action = 0.22
effective_from = 2026-04-01
author = "Physicist C"
reason = "not yet"
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB2"
tolerance = 0.4
action = 0.6
effective_from = 2025-01-01
author = "Physicist C"
reason = "older"
[[limits]]
metric = "axes.jaw_largest_error"
machine_class = "truebeam"
tolerance = 0.33
action = 0.66
effective_from = 2026-01-01
author = "Physicist C"
reason = "of the class"
[[person]]
name = "Physicist D"
channels = ["mailtos://hunter2:pass@smtp.example.org?to=physicist@example.org", "https://hooks.example.org/T0KEN"]
[[person]]
name = "Physicist E"
channels_file = "kept.channels"
[rota]
weekly = [{ from = "Mon 08:00", person = "Physicist D" }]
[analyzer.leaf_trust]
fewest_samples = 17
[dicom]
certificate_file = "certificate.pem"
key_file = "key.pem"
[[dicom.peer]]
ae_title = "PORTAL"
addresses = ["10.1.2.3"]
"""
OF_INFLUX = """
user = "influx-user"
password_file = "influx-secret"
"""
"""The site file's last table goes on."""


class Rows:
    """The tables of a page: cells of each row as text."""

    def __init__(self, text: str) -> None:
        self.rows = [
            [
                html.unescape(re.sub(r"<[^>]+>", "", cell)).strip()
                for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)
            ]
            for row in re.findall(r"<tr>(.*?)</tr>", text, re.S)
        ]

    def having(self, *texts: str) -> list[list[str]]:
        return [row for row in self.rows if all(any(t in c for c in row) for t in texts)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, Served]]:
    folder = tmp_path_factory.mktemp("clinic")
    (folder / "kept.channels").write_text("mailto://kept:hunter2@smtp.example.org\n")
    clinic = Clinic(folder, more=OF_INFLUX + PEOPLE + MORE)
    ids = [
        clinic.save(machine, at, delivery_report(Found(), at))
        for day in range(3)
        for machine in ("TB1", "TB2")
        if (at := NOW - timedelta(days=day, hours=1 if machine == "TB1" else 2))
    ]
    TrendFollower(clinic.store, [], clinic.site.zone).write(clinic.queries.results_of(ids))
    with serving(clinic) as served:
        yield clinic, served


@pytest.fixture(scope="module")
def text(told: tuple[Clinic, Served]) -> str:
    answer = told[1].get("/settings")
    assert answer.status == 200
    return answer.text


def test_every_limit_in_force_is_there_with_its_source(
    told: tuple[Clinic, Served], text: str
) -> None:
    clinic, rows = told[0], Rows(text)
    today, told_of = NOW.date(), 0
    for name, machine_class in (("TB1", "truebeam"), ("SRT1", "srt")):
        machine = clinic.site.machine_named(name)
        for metric in clinic.site.metrics:
            limits = clinic.site.limits_for(metric, machine_class, machine, today)
            if limits is None or not limits.bounds:
                continue
            found = [
                row
                for row in rows.having(metric)
                if len(row) == 6 and row[2] == "all" and row[5] == limits.source
            ]
            assert any(_says(row, limits) for row in found), metric
            told_of += 1
    assert told_of > 50


def _says(row: list[str], limits: Limits) -> bool:
    """Whether tolerance and action in words hold the very numbers."""
    pairs = (
        (row[3], limits.tolerance_low, limits.tolerance_high),
        (row[4], limits.action_low, limits.action_high),
    )
    return all(
        float(f"{abs(bound):.4g}") in _numbers(cell)
        for cell, *bounds in pairs
        for bound in bounds
        if bound is not None
    )


def _numbers(cell: str) -> list[float]:
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", cell)]


def test_limits_of_the_site_file_say_whose_they_are_and_whether_they_hold(text: str) -> None:
    rows = Rows(text)
    (row,) = rows.having("mlc_positions.worst_leaf_rms", "TB2", "Physicist A, 2026-02-01")
    assert _numbers(row[3]) == [0.25]
    assert _numbers(row[4]) == [0.5]
    states = {
        row[2]: row[5] for row in rows.having("mlc_positions.worst_leaf_rms") if len(row) == 7
    }
    assert states == {"0.25": "in force", "0.11": "to come", "0.4": "replaced"}
    (row,) = [row for row in rows.having("axes.jaw_largest_error") if len(row) == 6]
    assert (row[2], row[5]) == ("all", "site: Physicist C, 2026-01-01, of the class")
    assert not any("0.11" in row[3] for row in rows.rows if len(row) == 6)


def test_radiosurgery_has_limits_of_its_own(told: tuple[Clinic, Served], text: str) -> None:
    clinic, rows = told[0], Rows(text)
    metric, declared = next(
        (name, m) for name, m in clinic.site.metrics.items() if m.radiosurgery and m.limits
    )
    assert declared.radiosurgery is not None
    of_plans = [row for row in rows.having(metric) if row[2] == "plans of class SRS"]
    assert of_plans
    assert _says(of_plans[0], declared.radiosurgery)


def test_false_signals_of_a_month_are_those_of_the_values(
    told: tuple[Clinic, Served], text: str
) -> None:
    clinic, rows = told[0], Rows(text)
    found = delivery_report(Found(), NOW)
    judged = sum(
        bool(clinic.site.metrics[f"{a.analyzer}.{v.metric}"].limits)
        for a in found.analyses
        for v in a.values
    )
    # One value a series and day is what a chart lays down: three days of two machines.
    (clinic_row,) = [row for row in rows.rows if row and row[0] == "The clinic"]
    assert clinic_row[1:] == [str(6 * judged), f"{6 * judged / RUN_LENGTH:.1f}"]
    assert "python -m tests.bench run_lengths" in text


def test_who_is_told_by_kind_of_channel_alone(text: str) -> None:
    rows = Rows(text)
    (row,) = [row for row in rows.having("Physicist D") if len(row) == 4]
    assert row[1:] == ["mailtos, https", "no", "physicist"]
    (row,) = [row for row in rows.having("Physicist E") if len(row) == 4]
    assert row[1] == "kept in a file of their own"
    assert ["Mon 08:00", "Physicist D"] in rows.rows


def test_nothing_secret_and_no_path_is_shown(told: tuple[Clinic, Served], text: str) -> None:
    clinic, _ = told
    site_file = clinic.site.path.read_text()
    for secret in SECRETS:
        assert secret in site_file
        assert secret not in text
    assert str(clinic.site.path.parent) not in text
    assert clinic.site.fingerprint in text
    (row,) = [row for row in Rows(text).having("TB9") if len(row) == 5]
    assert row == ["TB9", "truebeam", "hd120", "2", "treats by radiosurgery"]


def test_it_is_read_and_not_written_and_leads_from_every_page(
    told: tuple[Clinic, Served],
) -> None:
    _, served = told
    assert 'href="/settings"' in served.get("/about").text
    assert served.get("/settings", "HEAD").status == 200
    assert Visitor(served).post("/settings", {}).status == 405
    assert served.get("/settings/limits").status == 404


def test_servers_and_the_clinics_own_settings_of_tests(text: str) -> None:
    rows = Rows(text)
    assert ["Time-series database", "v1, /write, database qa", "with every leaf"] in rows.rows
    assert [
        "Objects over the network",
        "received as QA_DAEMON",
        "from 1 sender, with TLS",
    ] in rows.rows
    assert ["leaf_trust.fewest_samples", "17", "Leaf trust"] in rows.rows
    assert ["File is taken", "5 seconds", "after it changed last"] in rows.rows


def test_an_empty_store_and_a_clinic_of_nothing(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    with serving(clinic) as served:
        answer = served.get("/settings")
    assert answer.status == 200
    (row,) = [row for row in Rows(answer.text).rows if row and row[0] == "The clinic"]
    assert row[1:] == ["0", "0.0"]
    assert "Nobody: no message is sent." in answer.text
