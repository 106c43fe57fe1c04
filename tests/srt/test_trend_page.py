"""The page of one trend."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC
from urllib.parse import urlencode

import numpy as np
import pytest

from qa_daemon.store import chart_limits, service_events
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.follower import TrendFollower
from tests.dashboards.serving import Served
from tests.dashboards.visiting import Visitor
from tests.ingest.clinic import Clinic
from tests.srt.units import days_ago, row, table
from tests.srt.visited import pages_of

BEAM = "70 kV F2 A30"
OTHER = "50 kV F1 A30"
METRIC = "srt_output.output_deviation"
DAYS = 90
NAME = SeriesName("SRT1", "srt_output", "output_deviation", BEAM)


def _off() -> list[float]:
    """A drift of 0.6 % a month under noise of 0.2 %, in whole hundredths."""
    noise = np.random.default_rng(3).normal(0.0, 0.2, DAYS)
    return [round(0.02 * k + float(x), 2) for k, x in enumerate(noise)]


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, Served]]:
    """Ninety days of two beams, one of which drifts, and a repair after 45."""
    rows = [row(days_ago(DAYS - k), x) for k, x in enumerate(_off())]
    rows += [row(days_ago(DAYS - k), 0.1 * (-1) ** k, kvp=50, filter_id="F1") for k in range(DAYS)]
    rows.sort(key=lambda line: line.split(",")[3])
    with pages_of(tmp_path_factory.mktemp("unit"), table(*rows)) as (clinic, served):
        follower = TrendFollower(
            clinic.store, [("srt_output", "output_deviation")], clinic.site.zone
        )
        follower.write(clinic.queries.results_since(limit=500))
        yield clinic, served


def _query(**said: object) -> str:
    return urlencode({"machine": "SRT1", "metric": METRIC, "place": BEAM, "days": 120} | said)


def _numbers(packed: dict[str, str]) -> list[float]:
    raw = base64.b64decode(packed["bdata"])
    return [float(x) for x in np.frombuffer(raw, np.dtype(packed["dtype"]).newbyteorder("<"))]


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_the_page_says_what_the_trend_says(drifting: tuple[Clinic, Served]) -> None:
    _, served = drifting
    shown = text_of(Visitor(served).get(f"/trend?{_query()}").text)
    assert "output_deviation drifts by +0." in shown
    assert "crosses 3 % about 2026-0" in shown
    assert "Drift 0.6" in shown or "Drift 0.5" in shown
    assert "Capability Cp " in shown
    assert f"Of {OTHER} {BEAM}" in shown
    assert "nobody: found from first values" in shown
    assert "Sign the newest" not in shown


def test_the_chart_has_every_day_its_limits_and_its_forecast(
    drifting: tuple[Clinic, Served],
) -> None:
    _, served = drifting
    drawn = json.loads(Visitor(served).get(f"/trend.json?{_query()}").text)
    traces: dict[str, list[float]] = {}
    for trace in drawn["data"]:
        traces.setdefault(trace["name"], []).extend(_numbers(trace["y"]))
    values = [*traces["PASS"], *traces.get("TOLERANCE", [])]
    assert sorted(values) == pytest.approx(sorted(_off()), abs=1e-5)
    assert set(traces["tolerance"]) == {-3.0, 3.0}
    assert {"center line", "control limit", "weighted average", "moving range", "forecast"} <= set(
        traces
    )
    first = np.array(_off()[:30])
    assert traces["center line"][0] == pytest.approx(first.mean(), abs=1e-5)
    picture = Visitor(served).get(f"/trend.svg?{_query()}").text
    assert picture.startswith("<svg")


def test_the_numbers_can_be_taken_along(drifting: tuple[Clinic, Served]) -> None:
    _, served = drifting
    answer = Visitor(served).get(f"/trend.csv?{_query()}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [float(r["median"]) for r in rows] == pytest.approx(_off(), abs=1e-6)
    assert rows[0]["day"] == days_ago(DAYS).astimezone(UTC).date().isoformat()
    assert {r["tolerance_high"] for r in rows} == {"3.0"}


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "srt_output.nothing"},
        {"metric": "nothing"},
        {"machine": "none"},
        {"place": "70 kV F2 A99"},
        {"days": 0},
        {"days": "x"},
        {"since": "2026-02-30"},
        {"since": "1066-10-14"},
        {"until": "9999-12-31"},
        {"since": "2100-01-01"},
        {"since": "2026-02-02", "until": "2026-02-01"},
    ],
)
def test_what_there_is_not_is_not_found(
    drifting: tuple[Clinic, Served], query: dict[str, object]
) -> None:
    _, served = drifting
    for ending in ("", ".json", ".csv"):
        assert Visitor(served).get(f"/trend{ending}?{_query(**query)}").status in (404, 422)


def test_a_quantity_without_a_day_says_so(drifting: tuple[Clinic, Served]) -> None:
    _, served = drifting
    answer = Visitor(served).get("/trend?machine=SRT1&metric=mlc_positions.worst_leaf_rms")
    assert answer.status == 404
    assert "There is no day with a value of this quantity." in answer.text


def test_any_span_of_dates_can_be_asked_for(drifting: tuple[Clinic, Served]) -> None:
    """Both days are in it; a time that is over has no forecast."""
    _, served = drifting
    first, last = (days_ago(k).astimezone(UTC).date().isoformat() for k in (30, 21))
    reader = Visitor(served)
    rows = csv.DictReader(
        io.StringIO(reader.get(f"/trend.csv?{_query(since=first, until=last)}").text)
    )
    assert [row["day"] for row in rows] == [
        days_ago(k).astimezone(UTC).date().isoformat() for k in range(30, 20, -1)
    ]
    shown = text_of(reader.get(f"/trend?{_query(since=first, until=last)}").text)
    assert "10 values" in shown
    assert "Drift not asked" in shown
    to_now = json.loads(reader.get(f"/trend.json?{_query(since=first, until='')}").text)
    assert "forecast" in {trace["name"] for trace in to_now["data"]}
    # The newest ten days before a date.
    rows = csv.DictReader(io.StringIO(reader.get(f"/trend.csv?{_query(days=10, until=last)}").text))
    assert [row["day"] for row in rows][-1] == last


def test_without_a_beam_the_first_there_is_is_shown(drifting: tuple[Clinic, Served]) -> None:
    _, served = drifting
    assert OTHER in Visitor(served).get(f"/trend?{_query(place='')}").text


def test_limits_are_signed_by_a_physicist_from_the_days_shown(
    drifting: tuple[Clinic, Served],
) -> None:
    clinic, served = drifting
    reader = Visitor(served)
    reader.sign_in("Reader B")
    form = {
        "machine": "SRT1",
        "metric": METRIC,
        "place": BEAM,
        "energy": "",
        "judged_as": "",
        "days": "40",
        "do": "shown",
        "reason": "after the repair",
    }
    assert reader.post("/trend", form | {"token": reader.token()}).status == 403
    physicist = Visitor(served)
    physicist.sign_in()
    token = {"token": physicist.token()}
    before = chart_limits.of(clinic.store, NAME)
    assert physicist.post("/trend", form | token | {"days": "9999"}).status == 400
    assert physicist.post("/trend", form | token | {"days": "000365" + 30 * "9"}).status == 400
    assert physicist.post("/trend", form | token | {"days": "10"}).status == 409
    assert physicist.post("/trend", form | token).status == 303
    signed = chart_limits.of(clinic.store, NAME)[-1]
    assert chart_limits.of(clinic.store, NAME)[:-1] == before
    assert (signed.signed_by, signed.reason) == ("Physicist A", "after the repair")
    assert signed.center == pytest.approx(np.mean(_off()[-40:-10]), abs=0.02)
    assert signed.since_ns > service_events.instant_of(days_ago(1))
    assert "Physicist A" in physicist.get(f"/trend?{_query()}").text


def test_limits_end_at_an_event_and_are_found_anew(drifting: tuple[Clinic, Served]) -> None:
    """Ten days after it nothing is usual yet, and the process of before says nothing of them."""
    clinic, served = drifting
    query = _query(place=OTHER, days=60)
    reader = Visitor(served)
    assert "nobody: found from first values" in text_of(reader.get(f"/trend?{query}").text)
    event = ServiceEvent("SRT1", EventKind.REPAIR, "tube", service_events.instant_of(days_ago(9.5)))
    service_events.enter(clinic.store, [event], "A. Physicist")
    shown = text_of(reader.get(f"/trend?{query}").text)
    assert "Usual not known yet 20 days are needed since the last event" in shown
    traces = json.loads(reader.get(f"/trend.json?{query}").text)["data"]
    ends = [
        _numbers(one["x"])[-1]
        for one in traces
        if one["name"] in ("center line", "weighted average")
    ]
    assert ends
    (mark,) = {_numbers(one["x"])[0] for one in traces if one["name"] == "service event"}
    day_ms = 86_400_000.0
    assert max(ends) <= mark + day_ms
    ranges = [one for one in traces if one["name"] == "moving range"]
    assert sum(len(_numbers(one["y"])) for one in ranges) == 58  # none across the event


def test_an_event_is_drawn_where_it_was(drifting: tuple[Clinic, Served]) -> None:
    clinic, served = drifting
    at = service_events.instant_of(days_ago(44.5))
    event = ServiceEvent("SRT1", EventKind.REPAIR, "tube", at)
    service_events.enter(clinic.store, [event], "A. Physicist")
    drawn = json.loads(Visitor(served).get(f"/trend.json?{_query()}").text)
    assert any(trace["name"] == "service event" for trace in drawn["data"])


def test_days_before_an_event_say_nothing_of_limits_from_now_on(
    drifting: tuple[Clinic, Served],
) -> None:
    """Forty of them are shown, and a repair came after."""
    clinic, served = drifting
    event = ServiceEvent(
        "SRT1", EventKind.REPAIR, "tube", service_events.instant_of(days_ago(44.5))
    )
    service_events.enter(clinic.store, [event], "A. Physicist")
    physicist = Visitor(served)
    physicist.sign_in()
    before = chart_limits.of(clinic.store, NAME)
    form = {
        "machine": "SRT1",
        "metric": METRIC,
        "place": BEAM,
        "days": "40",
        "until": days_ago(46).date().isoformat(),
        "do": "shown",
        "reason": "as it was",
        "token": physicist.token(),
    }
    assert physicist.post("/trend", form).status == 409
    assert chart_limits.of(clinic.store, NAME) == before
