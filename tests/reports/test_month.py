"""A month as data: against an independent reading of the store, at its borders, and by index."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, namedtuple
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects import sqlite

from analyzers import catalogue
from dashboards.reports import month_pages
from dashboards.reports.document import Calendar, Heading, Items, Notice, Paragraph, Table
from dashboards.reports.month_data import OF_NO_MACHINE
from dashboards.reports.month_document import document
from dashboards.reports.month_form import form
from dashboards.reports.month_limits import limits_blocks, own_limits_table
from dashboards.reports.month_pages import machine_blocks
from dashboards.reports.month_tally import Tally
from qa_daemon.model import Report
from qa_daemon.store import audit, chart_limits, month_records, service_events, trend_days
from qa_daemon.store.ledger import Arrival, Fingerprint
from qa_daemon.store.months import Month
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.trend_series import SeriesName
from tests.dashboards.clinic import PATIENT
from tests.reports.months import (
    BERLIN,
    NOW,
    SECRETS,
    MonthClinic,
    leaf_report,
    machine_in,
    read_csv,
    read_json,
)

NUMBERS = """
select coalesce(r.machine, ''), m.analyzer, m.metric, m.verdict, m.value, r.id
from measurements m join results r on r.id = m.result
where r.active = 1 and m.active = 1 and m.verdict is not null and substr(r.performed_at, 1, 7) = ?
"""
"""By the local time that is written in the result; the export goes by instants."""


pytestmark = pytest.mark.xdist_group("month")


def independently(clinic: MonthClinic, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(clinic.site.state_dir / "store.sqlite3")) as connection:
        return connection.execute(query, values).fetchall()


def test_the_table_has_each_judged_number_once(february: Any) -> None:
    clinic, ids, files = february
    rows = read_csv(files["csv"])
    expected = independently(clinic, NUMBERS, "2026-02")
    assert len(rows) == len(expected) > 300
    told = {"": OF_NO_MACHINE} | {m.name: m.name for m in clinic.site.machines}
    assert Counter(
        (row["machine"], row["test"], row["metric"], float(row["value"]), int(row["result"]))
        for row in rows
    ) == Counter(
        (told.get(machine, OF_NO_MACHINE), test, metric, value, result)
        for machine, test, metric, _, value, result in expected
    )
    assert str(ids["old"]) not in {row["result"] for row in rows}
    assert str(ids["new"]) in {row["result"] for row in rows}
    (row,) = [r for r in rows if r["result"] == str(ids["TB1-9-1"]) and "rms" in r["metric"]]
    assert (row["time"], row["verdict"]) == ("2026-02-10T08:15:00+01:00", "ACTION")
    assert (row["tolerance_high"], row["action_high"], row["place"]) == ("0.15", "0.35", "A31")


def test_counts_and_days_are_those_of_the_store(february: Any) -> None:
    clinic, _, files = february
    told = read_json(files["json"])
    answers = """
        select r.machine, a.analyzer, a.verdict, count(*) from analyses a
        join results r on r.id = a.result
        where r.active = 1 and a.verdict is not null and substr(r.performed_at, 1, 7) = '2026-02'
        group by 1, 2, 3"""
    words = ("PASS", "TOLERANCE", "ACTION", "INVALID")
    expected = Counter(
        {(machine, test, words[v]): n for machine, test, v, n in independently(clinic, answers)}
    )
    found: Counter[tuple[str, str, str]] = Counter()
    for name in ("TB1", "TB2"):
        for test in machine_in(told, name)["tests"]:
            found.update({(name, test["test"], word): test[word] for word in words})
    assert +found == Counter({k: n for k, n in expected.items() if k[0] in ("TB1", "TB2")})
    # The trends keep days of their own, made by other code.
    for machine in ("TB1", "TB2"):
        series = machine_in(told, machine)["series"]
        assert {s["energy"] for s in series} == {"6 MV", "10xFFF"}
        for one in series:
            name = trend_days.SeriesName(machine, one["test"], one["metric"], "", one["energy"])
            kept = trend_days.days_of(clinic.store, name, date(2026, 2, 1), date(2026, 2, 28))
            assert [
                (d["day"], d["results"], d["lowest"], d["median"], d["highest"], d["verdict"])
                for d in one["days"]
            ] == [
                (d.day.isoformat(), d.n, d.lowest, d.median, d.highest, d.verdict.name)
                for d in kept
                if d.verdict is not None
            ]


def test_what_was_out_says_who_was_told_and_when_it_was_back(february: Any) -> None:
    _, ids, files = february
    out = machine_in(read_json(files["json"]), "TB1")["out_of_limits"]
    by_result = {(o["result"], o["metric"]): o for o in out}
    breach = by_result[ids["TB1-9-1"], "worst_leaf_rms"]
    assert (breach["verdict"], breach["value"]) == ("ACTION", 0.6)
    assert breach["limits"]["action_high"] == 0.35
    assert [m["sent_to"] for m in breach["messages"]] == ["Physicist A by mailto"]
    assert breach["within_limits_by"] == ids["TB1-9-2"]
    assert breach["within_limits_again"] == "2026-02-10T09:15:00+01:00"
    unanswered = by_result[ids["unanswered"], None]
    assert (unanswered["verdict"], unanswered["value"]) == ("INVALID", None)
    assert [m["sent_to"] for m in unanswered["messages"]] == [None]
    assert unanswered["within_limits_again"] is None
    # The result that was judged again is in its limits; what was told of the old one is no matter.
    assert not [o for o in out if o["result"] in (ids["old"], ids["new"])]
    (unread,) = [
        o
        for o in machine_in(read_json(files["json"]), "TB2")["out_of_limits"]
        if o["test"] == "unreadable file"
    ]
    assert (unread["result"], unread["why"]) == (ids["unreadable"], "code TLOG_CRC")


def test_messages_about_a_result_that_was_replaced_are_told_of_what_replaced_it(
    tmp_path: Path,
) -> None:
    clinic, at = MonthClinic(tmp_path, NOW), datetime(2026, 2, 3, 9, tzinfo=BERLIN)
    first = clinic.deliver("TB1", at, leaf_report(at, 0.5))
    clinic.tell(
        first, "ACTION TB1: MLC leaf positions", "Physicist A by mailto", "2026-02-03T08:01:00Z"
    )
    second = clinic.again("TB1", at, leaf_report(at, 0.5))
    clinic.again("TB1", at, leaf_report(at, 0.5))
    third = clinic.clinic.queries.last_result_id()
    machine = machine_in(clinic.told("2026-02"), "TB1")
    assert first < second < third
    assert {o["result"] for o in machine["out_of_limits"]} == {third}
    assert {o["messages"][0]["sent_at"] for o in machine["out_of_limits"]} == {
        "2026-02-03T08:01:00Z"
    }


def test_messages_name_no_machine_that_only_a_file_knows(tmp_path: Path) -> None:
    clinic, at = MonthClinic(tmp_path, NOW), datetime(2026, 2, 3, 9, tzinfo=BERLIN)
    serial = SECRETS["serial"]
    result = clinic.deliver(serial, at, leaf_report(at, 0.5))
    title, sent_at = "MLC leaf positions", "2026-02-03T08:01:00Z"
    for test in (f"Meterset, {title}", f"{title} of another kind", f"of some {title}"):
        clinic.tell(result, f"ACTION {serial}: {test}", "Physicist A by mailto", sent_at)
    clinic.tell(result, f"INVALID {serial}: result not examined", None, None)
    told = clinic.told("2026-02")
    assert serial not in json.dumps(told)
    (first, *_) = machine_in(told, OF_NO_MACHINE)["out_of_limits"]
    assert [(m["title"], m["sent_at"]) for m in first["messages"]] == [
        (f"ACTION {OF_NO_MACHINE}: {title}", sent_at),
        (f"INVALID {OF_NO_MACHINE}: result not examined", None),
    ]


def test_what_was_open_when_the_month_began_is_told(tmp_path: Path) -> None:
    """No test at all is no all-clear for what was at ACTION on the last evening before."""
    clinic = MonthClinic(tmp_path, NOW)
    times = [datetime(2026, 1, day, 9, tzinfo=BERLIN) for day in (5, 30)]
    for at, rms_mm in zip(times, (0.03, 0.5), strict=True):
        for name in ("TB1", "TB3"):
            last = clinic.deliver(name, at, leaf_report(at, rms_mm))
    old = datetime(2025, 12, 9, 9, tzinfo=BERLIN)
    clinic.deliver("TB2", old, leaf_report(old, 0.7))
    clinic.deliver("TB2", times[0], leaf_report(times[0], 0.03))
    at = datetime(2026, 2, 3, 9, tzinfo=BERLIN)
    again = clinic.deliver("TB1", at, leaf_report(at, 0.03))
    data = clinic.gather("2026-02")
    told = form(data)
    (one,) = machine_in(told, "TB1")["open_before"]
    assert (one["verdict"], one["time"]) == ("ACTION", "2026-01-30T09:00:00+01:00")
    assert one["within_limits_by"] == again
    assert one["within_limits_again"] == "2026-02-03T09:00:00+01:00"
    (one,) = machine_in(told, "TB3")["open_before"]
    assert (one["result"], one["within_limits_again"]) == (last, None)
    assert machine_in(told, "TB2")["open_before"] == []
    said = [block.items for block in document(data).blocks if isinstance(block, Items)]
    still = "TB3, MLC leaf positions: open since before the month, ACTION on 2026-01-30 09:00"
    assert said[0] == [still]


def test_who_was_treated_last_month_is_named_in_no_reason(tmp_path: Path) -> None:
    clinic, at = MonthClinic(tmp_path, NOW), datetime(2026, 1, 30, 9, tzinfo=BERLIN)
    named = leaf_report(at, 0.03).model_copy(
        update={"identity": {"beam_names": "Arc Meyer^Eva, Q7Z"}}
    )
    clinic.deliver("TB1", at, named)
    clinic.again("TB1", at, leaf_report(at, 0.04))
    clinic.clinic.now = datetime(2026, 2, 2, 9, tzinfo=BERLIN)
    said = f"of arc Meyer, q7z and {PATIENT}"
    event = ServiceEvent("TB1", EventKind.OTHER, said, service_events.instant_of(at))
    service_events.enter(clinic.store, [event], "Physicist A")
    clinic.clinic.now = NOW
    (act,) = machine_in(clinic.told("2026-02"), "TB1")["changes"]
    assert act["said"].endswith("of [left out], [left out] and [left out]")


def test_days_without_qa_are_those_without_an_answer(february: Any) -> None:
    _, _, files = february
    told = read_json(files["json"])
    assert machine_in(told, "TB1")["days_without_qa"] == ["2026-02-15", "2026-02-16"]
    assert machine_in(told, "TB2")["days_without_qa"] == []
    assert len(machine_in(told, "TB3")["days_without_qa"]) == 28
    assert machine_in(told, "TB2")["unreadable_files"] == 1


def test_every_day_of_a_test_is_on_paper_with_its_worst_verdict(february: Any) -> None:
    clinic, _, files = february
    query = """
        select substr(r.performed_at, 1, 10), count(*), max(a.verdict) from analyses a
        join results r on r.id = a.result
        where r.active and r.machine = 'TB1' and a.analyzer = 'mlc_positions'
            and a.verdict is not null and substr(r.performed_at, 1, 7) = ? group by 1"""
    expected = {day: (n, worst) for day, n, worst in independently(clinic, query, "2026-02")}
    data = clinic.gather("2026-02")
    (one, *_) = (
        block for block in machine_blocks(data, data.machines[0]) if block.kind == "calendar"
    )
    assert isinstance(one, Calendar) and len(one.days) == 28 and len(expected) == 26
    marks = dict(one.rows)["MLC leaf positions"]
    shapes = ("pass", "tolerance", "action", "invalid")
    assert {
        f"2026-02-{day}": (int(mark.text), shapes.index(mark.mark))
        for day, mark in zip(one.days, marks, strict=True)
        if mark is not None
    } == expected
    tests = {test["test"]: test for test in machine_in(read_json(files["json"]), "TB1")["tests"]}
    days = tests["mlc_positions"]["days"].values()
    assert sum(day["ACTION"] for day in days) == tests["mlc_positions"]["ACTION"] > 0


def test_of_many_processes_the_paper_has_the_worst(
    february: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, _, _ = february
    data = clinic.gather("2026-02")
    monkeypatch.setattr(month_pages, "MOST_PROCESSES", 2)
    blocks = list(machine_blocks(data, data.machines[0]))
    heads = [b.text for b in blocks if isinstance(b, Heading | Paragraph)]
    (said,) = [text for text in heads if text.startswith("The 2 of 4 quantities")]
    assert "the workbook has all" in said
    (table,) = (b for b in blocks if isinstance(b, Table) and "medians" in str(b.columns[0].title))
    worst = sorted(
        data.machines[0].processes,
        key=lambda p: (-(p.worst or 0), -p.beyond - p.average_beyond, p.cpk or 0.0),
    )
    named = [data.site.metrics[f"mlc_positions.{p.name.metric}"].meaning for p in worst[:2]]
    assert len(table.rows) == 2
    for meaning, process in zip(named, worst, strict=False):
        assert any(meaning in str(r[0]) and process.name.energy in str(r[0]) for r in table.rows)


def test_a_process_is_cut_where_the_machine_was_changed(tmp_path: Path) -> None:
    clinic = MonthClinic(tmp_path, NOW)
    values = [0.02, 0.03, 0.025] * 4 + [0.10, 0.12, 0.11] * 4
    for day, value in enumerate(values):
        at = datetime(2026, 2, 1, 8, tzinfo=BERLIN) + timedelta(days=day)
        clinic.deliver("TB1", at, leaf_report(at, value))
    repaired = service_events.instant_of(datetime(2026, 2, 12, 20, tzinfo=BERLIN))
    event = ServiceEvent("TB1", EventKind.REPAIR, "motors", repaired)
    service_events.enter(clinic.store, [event], "Physicist A")
    series = machine_in(clinic.told("2026-02"), "TB1")["series"]
    (rms,) = [one for one in series if one["metric"] == "worst_leaf_rms"]
    assert (rms["days_since_last_change"], rms["changed_in_month"]) == (12, True)
    assert rms["mean"] == pytest.approx(0.11)
    # Moving ranges 0.02, 0.01, 0.01 and so on, 11 of them; Cpk = (USL - mean) / (3 mR / 1.128379).
    ranges = 0.02 * 4 + 0.01 * 7
    assert rms["cpk"] == pytest.approx((0.15 - 0.11) / (3 * (ranges / 11) / 1.1283792), rel=1e-6)


def test_series_are_those_of_the_trends(tmp_path: Path) -> None:
    """Techniques are processes of their own, with control limits of their own."""
    clinic = MonthClinic(tmp_path, NOW)
    for day in range(25):
        for hour, technique, rms_mm in ((8, "dynamic", 0.03), (9, "vmat", 0.09)):
            at = datetime(2026, 1, 10, hour, tzinfo=BERLIN) + timedelta(days=day)
            spread_mm = 0.002 * (day % 3)
            clinic.deliver("TB1", at, leaf_report(at, rms_mm + spread_mm, technique=technique))
    clinic.follow_trends()
    told = machine_in(clinic.told("2026-02"), "TB1")["series"]
    found = {one["technique"]: one for one in told if one["metric"] == "worst_leaf_rms"}
    assert set(found) == {"dynamic", "vmat"}
    kept = trend_days.series_of(clinic.store, "TB1", "mlc_positions", "worst_leaf_rms")
    assert {name.technique for name in kept} == set(found)
    for name in kept:
        (limits,) = chart_limits.of(clinic.store, name)
        one = found[name.technique]
        assert (one["center"], one["sigma"]) == (limits.center, limits.sigma)
        assert [day["results"] for day in one["days"]] == [1, 1, 1]
    assert found["vmat"]["mean"] - found["dynamic"]["mean"] == pytest.approx(0.06)


COLUMNS = (
    *("result", "point_ns", "energy", "analyzer", "version", "metric", "value", "unit", "at"),
    *("verdict", "tolerance_low", "tolerance_high", "action_low", "action_high"),
    *("limits_source", "judged_as", "technique"),
)
ROW: Any = namedtuple("ROW", COLUMNS)  # type: ignore[misc]  # noqa: PYI024


def test_limits_that_follow_a_reference_are_told_by_their_widest_and_narrowest() -> None:
    month = Month.called("2026-02", BERLIN)
    tally = Tally(month, "TB1", lambda at: at or "")
    widths = [1.0 + 0.01 * (37 * n % 100) for n in range(300)] + [0.5, 3.0]
    for n, mu in enumerate(widths):
        of = (None, "meterset", "1", "meterset_error", 0.0, "MU", None, 0)
        tally.add(ROW(n, month.since_ns + n, *of, -mu, mu, -2 * mu, 2 * mu, "default", None, None))
    tally.close()
    (known,) = tally.limits.values()
    told = [one for one in known.values() if not one.is_rest]
    assert len(known) < 70
    assert min(one.limits.tolerance_high or 0 for one in told) == 0.5
    assert max(one.limits.tolerance_high or 0 for one in told) == 3.0
    exact = {mu: widths.count(mu) for mu in widths}
    assert {one.limits.tolerance_high: one.n for one in told}.items() <= exact.items()
    assert sum(one.n for one in known.values()) == len(widths)


def test_a_beam_has_one_value_a_day_whatever_else_its_sessions_held() -> None:
    """The energy of a session of one beam is its own; that of several beams has none."""
    month = Month.called("2026-02", BERLIN)
    tally = Tally(month, "SRT1", lambda at: at or "")
    for hour, energy, value in ((7, "70 kV", 1.0), (12, None, 2.0)):
        at_ns = month.since_ns + hour * 3600 * 10**9
        of = ("srt_output", "1", "output_deviation", value, "%", "70 kV F2 A30", 0)
        tally.add(ROW(hour, at_ns, energy, *of, -3.0, 3.0, -5.0, 5.0, "default", None, None))
    tally.close()
    ((name, days),) = tally.days.items()
    assert (name.place, name.energy) == ("70 kV F2 A30", "")
    assert [(day.n, day.lowest, day.median, day.highest) for day in days] == [(2, 1.0, 1.5, 2.0)]


def test_limits_that_changed_stand_with_their_days(tmp_path: Path) -> None:
    more = """
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB1"
tolerance = 0.2
action = 0.4
effective_from = 2026-02-10
author = "Physicist A"
reason = "new motors"
"""
    clinic = MonthClinic(tmp_path, NOW, more)
    for day in (8, 9, 10, 11):
        at = datetime(2026, 2, day, 8, tzinfo=BERLIN)
        clinic.deliver("TB1", at, leaf_report(at, 0.18))
    month = clinic.told("2026-02")
    told = machine_in(month, "TB1")
    rms = [one for one in told["limits"] if one["metric"] == "worst_leaf_rms"]
    assert [
        (one["limits"]["tolerance_high"], one["first"][:10], one["last"][:10]) for one in rms
    ] == [
        (0.15, "2026-02-08", "2026-02-09"),
        (0.2, "2026-02-10", "2026-02-11"),
    ]
    assert rms[1]["source"] == "site: Physicist A, 2026-02-10, new motors"
    assert [o["metric"] for o in told["out_of_limits"]] == ["worst_leaf_rms", "worst_leaf_rms"]
    entries = month["limits_set"]
    assert [(e["machine"], e["effective_from"]) for e in entries] == [
        ("TB2", "2026-02-01"),
        ("TB1", "2026-02-10"),
    ]
    on_paper = own_limits_table(clinic.gather("2026-02")).rows[1]
    said = "MLC leaf positions: RMS error of the worst leaf that shapes the field"
    assert on_paper == [
        *("2026-02-10", said, "TB1", "\u2264\u202f0.2\u202fmm", "\u2264\u202f0.4\u202fmm"),
        "Physicist A: new motors",
    ]
    (table,) = (b for b in limits_blocks(clinic.gather("2026-02")) if isinstance(b, Table))
    assert [row[1:4] for row in table.rows if row[0] == said] == [
        ["\u2264\u202f0.15\u202fmm", "\u2264\u202f0.35\u202fmm", "TB1; 02-08 to 02-09"],
        ["\u2264\u202f0.2\u202fmm", "\u2264\u202f0.4\u202fmm", "TB1; 02-10 to 02-11"],
    ]


def test_months_end_where_the_clinic_s_calendar_does(tmp_path: Path) -> None:
    """March of 2026 has a day of 23 hours in Berlin; its last evening is one of April nowhere."""
    clinic = MonthClinic(tmp_path, datetime(2026, 4, 2, 12, tzinfo=UTC))
    times = {
        "february": datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC),
        "first": datetime(2026, 2, 28, 23, 0, tzinfo=UTC),
        "before": datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
        "changed": datetime(2026, 3, 29, 1, 1, tzinfo=UTC),
        "midnight": datetime(2026, 3, 29, 21, 59, tzinfo=UTC),
        "next day": datetime(2026, 3, 29, 22, 1, tzinfo=UTC),
        "last": datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
        "april": datetime(2026, 3, 31, 22, 0, tzinfo=UTC),
    }
    ids = {
        name: clinic.deliver("TB1", at.astimezone(BERLIN), leaf_report(at, 0.03))
        for name, at in times.items()
    }
    rows = read_csv(clinic.package("2026-03")["csv"])
    assert {int(row["result"]) for row in rows} == set(ids.values()) - {
        ids["february"],
        ids["april"],
    }
    told = {int(row["result"]): row["time"] for row in rows}
    assert told[ids["before"]] == "2026-03-29T01:59:00+01:00"
    assert told[ids["changed"]] == "2026-03-29T03:01:00+02:00"
    series = machine_in(read_json(clinic.out / "qa-2026-03.json"), "TB1")["series"][0]
    assert {d["day"]: d["results"] for d in series["days"]} == {
        "2026-03-01": 1,
        "2026-03-29": 3,
        "2026-03-30": 1,
        "2026-03-31": 1,
    }
    assert len({int(r["result"]) for r in read_csv(clinic.package("2026-02")["csv"])}) == 1
    assert {int(r["result"]) for r in read_csv(clinic.package("2026-04")["csv"])} == {ids["april"]}


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"])
def test_days_of_a_month_follow_on_one_another(zone: str) -> None:
    month = Month.called("2011-12", ZoneInfo(zone))
    assert len(month.starts_ns) == 32
    assert list(month.starts_ns) == sorted(month.starts_ns)
    assert (month.before.name, month.after.name) == ("2011-11", "2012-01")


@pytest.mark.parametrize("name", ["2026-13", "2026-3", "26-03", "2026-03-01", "../2026-03", ""])
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="written like"):
        Month.called(name, BERLIN)


def test_nothing_is_read_but_by_index(february: Any) -> None:
    """No query walks through results, numbers or messages of other months."""
    clinic, _, _ = february
    month = Month.called("2026-02", BERLIN)
    plans: list[str] = []
    with clinic.store.read() as connection:
        planned: Any = _Planned(connection, plans)
        month_records.machines(planned, month)
        month_records.newest_ns(planned, month)
        month_records.months(planned, BERLIN)
        for machine in ("TB1", None):
            list(month_records.judged(planned, month, machine))
            list(month_records.answers(planned, month, machine))
            list(month_records.answers_before(planned, month, machine))
            month_records.records(planned, month, machine)
            month_records.unreadable(planned, month, machine)
            month_records.made_with(planned, month, machine)
        month_records.messages(planned, range(1, 40))
        list(month_records.acts(planned, month, ["service event entered"]))
        month_records.behind_in_trends(planned)
        month_records.queued_files(planned)
        month_records.identity_words(planned, month)
    assert len(plans) > 15
    assert [plan for plan in plans if "SCAN" in plan] == []


class _Planned:
    """A connection that keeps how the database goes about each query."""

    def __init__(self, connection: Connection, plans: list[str]) -> None:
        self._connection, self._plans = connection, plans

    def execute(self, query: Any, **more: Any) -> Any:
        written = str(
            query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        )
        explained = text("EXPLAIN QUERY PLAN " + written.replace(":", "\\:"))
        self._plans += [row.detail for row in self._connection.execute(explained)]
        return self._connection.execute(query, **more)


def test_acts_are_told_of_their_machines_and_say_what_they_were_about(tmp_path: Path) -> None:
    clinic, at = MonthClinic(tmp_path, NOW), datetime(2026, 2, 3, 9, tzinfo=BERLIN)
    ids = [clinic.deliver(name, at, leaf_report(at, 0.03)) for name in ("TB1", "TB2", "TB1")]
    clinic.clinic.now = at
    event = ServiceEvent("TB2", EventKind.REPAIR, "motors", service_events.instant_of(at))
    service_events.enter(clinic.store, [event], "Physicist A")
    (stored,) = service_events.every(clinic.store, "TB2")
    service_events.withdraw(clinic.store, "TB2", stored.id, "Physicist B", "not done")
    name = SeriesName("TB1", "mlc_positions", "worst_leaf_rms", "", "6 MV", "", "vmat")
    limits = chart_limits.ChartLimits(1, 0.03, 0.01, 30, signed_by="Physicist A", reason="usual")
    chart_limits.sign(clinic.store, name, limits)
    acts = (
        ("output checks signed", "3 checks", {"results": ids, "remark": "seen"}),
        ("choice of plan taken back", "choice 1", {"log": f"{1:064x}", "plan": None}),
        ("image classified", f"result {ids[1]}", {"kind": "picket_fence", "reason": "looked"}),
    )
    with clinic.store.write() as connection:
        for action, subject, detail in acts:
            said: dict[str, Any] = {"actor": "Physicist A", "subject": subject, "detail": detail}
            audit.record(connection, at=clinic.store.now(), action=action, **said)
    clinic.clinic.now = NOW
    told = clinic.told("2026-02")
    assert told["changes"] == []
    found = {
        name: [(c["what"], c["said"]) for c in machine_in(told, name)["changes"]]
        for name in ("TB1", "TB2")
    }
    first, second, third = ids
    assert found["TB1"][0][1].startswith("mlc_positions.worst_leaf_rms (6 MV, vmat): center 0.03")
    assert found["TB1"][1:] == [
        ("Output checks signed", f"results {first}, {third}"),
        ("Choice of plan taken back", f"result {first}"),
    ]
    repair = "repair, 2026-02-03 09:00:00 CET: motors"
    assert found["TB2"] == [
        ("Service event entered", repair),
        ("Service event withdrawn", repair),
        ("Output checks signed", f"result {second}"),
        ("Image classified", f"picket_fence; result {second}"),
    ]


def test_an_unreadable_file_alone_is_no_day_of_qa(tmp_path: Path) -> None:
    clinic, at = MonthClinic(tmp_path, NOW), datetime(2026, 2, 3, 9, tzinfo=BERLIN)
    clinic.deliver("TB1", at, Report(error_code="EMPTY", error_message="the file is empty"))
    told = machine_in(clinic.told("2026-02"), "TB1")
    assert (told["results"], told["unreadable_files"]) == (1, 1)
    assert "2026-02-03" in told["days_without_qa"] and len(told["days_without_qa"]) == 28


def test_files_that_wait_make_a_month_that_is_over_incomplete(tmp_path: Path) -> None:
    clinic = MonthClinic(tmp_path, NOW)
    assert [b for b in document(clinic.gather("2026-02")).blocks if "INCOMPLETE" in str(b)] == []
    written = Fingerprint("/in/TB1/x.bin", 10, 1_000_000_000, "x.bin")
    clinic.clinic.ledger.add(Arrival(written, "/in/TB1", "x.bin", "TB1", "0" * 64))
    data = clinic.gather("2026-02")
    assert form(data)["files_not_read_yet"] == 1
    made = document(data)
    assert made.running.endswith("(incomplete)")
    (said,) = [
        block for block in made.blocks if isinstance(block, Notice) and "1 file" in block.text
    ]
    assert said.text.startswith("INCOMPLETE: 1 file has arrived and has not been read yet")


def test_each_metric_is_told_by_words_that_stand_alone() -> None:
    """Limits and events are listed by them: two of an analyzer that are alike are told apart."""
    for analyzer in catalogue.load().analyzers:
        meanings = [metric.meaning for metric in analyzer.metrics]
        assert not [m for m in meanings if m.startswith("The same")], analyzer.name
        assert [m for m, n in Counter(meanings).items() if n > 1] == [], analyzer.name
