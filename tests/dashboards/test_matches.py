"""The list of logs that need a match, and a physicist's choice on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon.model import DeliveryKeys, State
from qa_daemon.store import audit
from qa_daemon.store.schema import audit as audit_rows
from qa_daemon.store.schema import files, plan_choices, results
from tests.dashboards.serving import Answer, Served, serving
from tests.dashboards.test_pages import words
from tests.dashboards.treating import (
    COPY_LABEL,
    LABEL,
    PATIENT,
    SECRETS,
    Log,
    TreatingClinic,
    pseudonym_of,
    treated,
)
from tests.dashboards.visiting import Visitor

REASON = "the copy was never released"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with treated(tmp_path) as pages:
        yield pages


def sha256_of(served: Served, name: str) -> str:
    found = served.clinic.queries.result(served.ids[name])
    assert found is not None
    return found.sha256


def state_of(served: Served, name: str) -> State:
    with served.clinic.store.read() as connection:
        query = select(files.c.state).join(results, results.c.file == files.c.id)
        return State(connection.execute(query.where(results.c.id == served.ids[name])).scalar_one())


def section(served: Served, page: str, name: str) -> str:
    found = re.search(
        rf'<section class="match" id="result-{served.ids[name]}">.*?</section>', page, re.DOTALL
    )
    assert found is not None
    return found[0]


def choose(visitor: Visitor, served: Served, name: str, **fields: str) -> Answer:
    filled = {"token": visitor.token(), "reason": REASON} | fields
    return visitor.post(f"/matches/{served.ids[name]}", filled)


def choices(served: Served) -> list[tuple[str | None, str, bool, str]]:
    with served.clinic.store.read() as connection:
        assert audit.verify(connection) is None
        rows = connection.execute(select(plan_choices).order_by(plan_choices.c.id)).all()
    return [(r.plan_sha256, r.actor, r.field_key is not None, r.reason) for r in rows]


def test_everybody_sees_which_logs_need_a_match_and_why(served: Served) -> None:
    page = served.get("/matches").text
    log = section(served, page, "unsure")
    text = words(log)
    pseudonym = pseudonym_of(served, PATIENT)
    assert "TB1, 2026-03-02 03:30:00 CET (6 h ago)" in text
    assert f'href="/treatments/{pseudonym}"' in log and "planned by the log: 100 MU" in text
    assert "Why: 2 planned beams fit about as well." in text
    # Rounded down, so that nothing looks as if it agreed more than it does.
    said = text.replace(pseudonym, "")  # of random letters and digits
    assert "75 %" in said and "76" not in said and "50 %" in said
    assert "leaves 0.02 mm off, jaws 0.00 mm off; plan unknown, patient agrees" in text
    for plan in ("plan", "copy"):
        assert f'<a href="/results/{served.ids[plan]}">plan of result' in log
    # Each plan once, with the beams that were compared; best first.
    assert log.count('scope="rowgroup" rowspan="2"') == 2
    assert "<form" not in page and "radio" not in page and "Sign in as a physicist" in words(page)


def test_a_reader_who_signed_in_sees_what_everybody_sees(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in("Reader B")
    page = visitor.get("/matches").text
    assert "radio" not in page and not any(secret in page for secret in SECRETS)
    answer = choose(visitor, served, "unsure", plan=sha256_of(served, "plan"))
    assert answer.status == 403 and "For physicists" in answer.text
    assert choices(served) == []


def test_a_physicist_sees_who_it_is_and_which_plans(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    page = visitor.get("/matches").text
    text = words(section(served, page, "unsure"))
    for told in (PATIENT, LABEL, COPY_LABEL, "1 CANARY-BEAM-A"):
        assert told in text
    assert "also for later fractions" not in text
    assert re.search(r'name="of_field" value="yes" checked', section(served, page, "nameless"))


def test_a_choice_is_audited_and_the_log_judged_again(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    plan = sha256_of(served, "plan")
    answer = choose(visitor, served, "unsure", plan=plan, of_field="yes")
    assert (answer.status, answer.headers["location"]) == (303, "/matches")
    # The log says whose it is: a choice for it is for no other log.
    assert choices(served) == [(plan, "Physicist A", False, REASON)]
    assert state_of(served, "unsure") is State.QUEUED and state_of(served, "nameless") is State.DONE
    # It is queued, and off the list; nobody has to wait for that.
    assert "1 log needs a match" in served.get("/").text
    said = f"Your choice for result {served.ids['unsure']} is written down; 1 log is judged again."
    page = visitor.get("/matches").text
    assert said in words(page)
    assert f"/matches/{served.ids['unsure']}" not in page
    assert said not in words(visitor.get("/matches").text)
    with served.clinic.store.read() as connection:
        (row,) = connection.execute(select(audit_rows).where(audit_rows.c.action == "plan chosen"))
    assert (row.actor, row.object) == ("Physicist A", f"result {served.ids['unsure']}")
    assert json.loads(row.detail)["reason"] == REASON
    # It was sent twice: the log is queued already.
    again = choose(visitor, served, "unsure", plan=plan)
    assert again.status == 409 and "look again" in again.text and len(choices(served)) == 1


@pytest.mark.parametrize("of_field", [True, False])
def test_a_choice_holds_for_the_field_only_where_that_is_ticked(
    served: Served, *, of_field: bool
) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    fields = {"plan": sha256_of(served, "plan")} | ({"of_field": "yes"} if of_field else {})
    assert choose(visitor, served, "nameless", **fields).status == 303
    assert [row[2] for row in choices(served)] == [of_field]


def test_none_of_these_is_a_choice_too(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    assert choose(visitor, served, "unsure", plan="none").status == 303
    assert choices(served) == [(None, "Physicist A", False, REASON)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"plan": ""},
        {"plan": "0" * 64},
        {"plan": "none", "reason": ""},
        {"plan": "none", "reason": "   "},
        {"plan": "none", "reason": "two\nlines"},
        {"plan": "none", "reason": "x" * 201},
        {"plan": "none", "reason": "it is canary - patient-1 again"},
    ],
)
def test_what_is_not_a_choice_is_refused(served: Served, fields: dict[str, str]) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    answer = choose(visitor, served, "unsure", **fields)
    assert answer.status == 400 and "Nothing was done" in answer.text
    assert choices(served) == [] and state_of(served, "unsure") is State.DONE


def test_a_plan_that_is_not_held_against_this_log_cannot_be_chosen(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    answer = choose(visitor, served, "unsure", plan=sha256_of(served, "other plan"))
    assert answer.status == 400 and choices(served) == []


@pytest.mark.parametrize("name", ["whole", "plan", "record"])
def test_a_result_that_needs_no_match_cannot_be_decided_on(served: Served, name: str) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    assert choose(visitor, served, name, plan="none").status == 404
    assert choices(served) == []
    for number in (999999, 10**30):
        answer = visitor.post(
            f"/matches/{number}", {"token": visitor.token(), "plan": "none", "reason": REASON}
        )
        assert answer.status == 404


def test_board_and_result_lead_to_the_list(served: Served) -> None:
    board = served.get("/").text
    assert '<a href="/matches">2 logs need a match</a>' in board
    page = served.result("unsure").text
    assert f'href="/matches#result-{served.ids["unsure"]}"' in page
    assert "This log needs a match" in page
    assert "This log needs a match" not in served.result("whole").text


def test_the_list_and_its_count_are_bounded(tmp_path: Path) -> None:
    clinic = TreatingClinic(tmp_path)
    with serving(clinic) as pages:
        assert "need a match" not in pages.get("/").text
        assert "None: no log waits" in pages.get("/matches").text
        for hours in range(102):
            clinic.log(Log(keys=DeliveryKeys(field="f", planned_mu=1.0 + hours)), 1.0 + hours)
        assert "100 and more logs need a match" in pages.get("/").text
        page = pages.get("/matches").text
        assert page.count('class="match"') == 100 and "There are more" in page
        assert "No plan here has a beam that could be it." in page


def test_a_choice_can_be_taken_back(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    choose(visitor, served, "unsure", plan=sha256_of(served, "plan"))
    page = visitor.get("/matches").text
    (back,) = re.findall(r'action="(/matches/choices/\d+/back)"', page)
    assert REASON in words(page) and "Physicist A" in words(page)
    assert "choices" not in served.get("/matches").text
    answer = visitor.post(back, {"token": visitor.token()})
    assert (answer.status, answer.headers["location"]) == (303, "/matches")
    assert back not in visitor.get("/matches").text
    again = visitor.post(back, {"token": visitor.token()})
    assert again.status == 409 and "not in force any more" in again.text
    with served.clinic.store.read() as connection:
        assert audit.verify(connection) is None
        where = audit_rows.c.action == "choice of plan taken back"
        (row,) = connection.execute(select(audit_rows).where(where))
    assert row.actor == "Physicist A"
