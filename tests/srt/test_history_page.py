"""What trends say on the pages, and service events that cut them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from qa_daemon.store import service_events
from qa_daemon.trends.follower import TrendFollower
from tests.dashboards.serving import Served
from tests.dashboards.visiting import Visitor
from tests.ingest.clinic import Clinic
from tests.srt.units import days_ago, row, table
from tests.srt.visited import pages_of

EVENTS = "/machines/SRT1/events"
METRICS = [("srt_output", "output_deviation")]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def follow(clinic: Clinic) -> None:
    """Look at all results, as the service does."""
    follower = TrendFollower(clinic.store, METRICS, clinic.site.zone)
    follower.write(clinic.queries.results_since(limit=200))


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, Served]]:
    """A month of 0.2 %, and 2.6 % today."""
    rows = [row(days_ago(30 - k), 0.2 * (-1) ** k) for k in range(29)]
    tables = table(*rows), table(row(days_ago(0.1), 2.6))
    with pages_of(tmp_path_factory.mktemp("unit"), *tables) as (clinic, served):
        follow(clinic)
        yield clinic, served


def test_a_trend_that_speaks_is_on_the_board_and_on_the_machines_page(
    stepped: tuple[Clinic, Served],
) -> None:
    _, served = stepped
    visitor = Visitor(served)
    assert "1 trend to look at" in text_of(visitor.get("/").text)
    shown = text_of(visitor.get("/machines/SRT1").text)
    assert "70 kV F2 A30: output_deviation 2.6 % is not as usual: " in shown
    assert "Enter" not in shown


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("kind", "magic", "choose what was done, and when"),
        ("at", "soon", "choose what was done, and when"),
        ("at", "2027-01-01T08:00", "still to come"),
        ("at", "0206-02-01T08:00", "mistake in the year"),
        ("at", "9999-12-31T23:59-23:00", "mistake in the year"),
        ("analyzer", "nothing", "no such test"),
        ("do", "", "choose what to do"),
        ("reason", " ", "reason"),
    ],
)
def test_what_is_no_event_is_refused(
    stepped: tuple[Clinic, Served], field: str, text: str, says: str
) -> None:
    clinic, served = stepped
    physicist = Visitor(served)
    physicist.sign_in()
    answer = physicist.post(EVENTS, _form(physicist) | {field: text})
    assert answer.status == 400 and says in answer.text
    assert service_events.every(clinic.store, "SRT1") == []


def test_an_event_is_entered_by_a_physicist_shown_and_withdrawn(
    stepped: tuple[Clinic, Served],
) -> None:
    clinic, served = stepped
    reader = Visitor(served)
    reader.sign_in("Reader B")
    assert reader.post(EVENTS, _form(reader)).status == 403
    physicist = Visitor(served)
    physicist.sign_in()
    assert physicist.post("/machines/none/events", _form(physicist)).status == 404
    answer = physicist.post(EVENTS, _form(physicist))
    assert (answer.status, answer.headers["location"]) == (303, "/machines/SRT1#events")
    (stored,) = service_events.every(clinic.store, "SRT1")
    assert (stored.event.kind.value, stored.actor) == ("repair", "Physicist A")
    shown = physicist.get("/machines/SRT1").text
    assert "It is entered" in shown and "tube changed &lt;b&gt;" in shown
    follow(clinic)
    assert "is not as usual" not in text_of(reader.get("/machines/SRT1").text)
    form = _form(physicist) | {"do": "withdraw", "event": str(stored.id), "reason": "other unit"}
    assert physicist.post(EVENTS, form).status == 303
    assert physicist.post(EVENTS, form).status == 409
    follow(clinic)
    assert "is not as usual" in text_of(reader.get("/machines/SRT1").text)


def _form(visitor: Visitor) -> dict[str, str]:
    return {
        "token": visitor.token(),
        "do": "enter",
        "kind": "repair",
        "at": f"{days_ago(0.5):%Y-%m-%dT%H:%M}",
        "analyzer": "",
        "reason": "tube changed <b>",
    }


def test_all_trends_of_the_clinic_stand_on_one_page(stepped: tuple[Clinic, Served]) -> None:
    """Thirty values in thirty days: of one chart, 30 / 220 false signals are expected."""
    _, served = stepped
    shown = text_of(Visitor(served).get("/trends").text)
    assert "is not as usual: " in shown
    found = re.search(r"The clinic (\d+) ([\d.]+) ", shown)
    assert found is not None
    values, expected = int(found[1]), float(found[2])
    assert values >= 29
    assert expected == pytest.approx(values / 220, abs=0.05)
