"""The treatment view: every beam of every fraction, by pseudonym."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dashboards.web import treatments
from qa_daemon.model import DeliveryKeys
from qa_daemon.store import audit
from qa_daemon.store.schema import audit as audit_rows
from tests.dashboards.serving import Served, serving
from tests.dashboards.test_pages import words
from tests.dashboards.treating import (
    LABEL,
    OTHER_PATIENT,
    PATIENT,
    SECRETS,
    UID,
    Log,
    TreatingClinic,
    pseudonym_of,
    treated,
)
from tests.dashboards.visiting import Visitor


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with treated(tmp_path) as pages:
        yield pages


def address(served: Served, patient: str = PATIENT) -> str:
    return f"/treatments/{pseudonym_of(served, patient)}"


def plan_section(page: str, result: int) -> str:
    sections = re.findall(r'<section class="plan">.*?</section>', page, re.DOTALL)
    (found,) = [
        s for s in sections if f'href="/results/{result}">result' in s.partition("</h2>")[0]
    ]
    return found


def fractions(section: str) -> list[tuple[str, list[list[str]]]]:
    """Title and rows of each fraction, top to bottom."""
    found = []
    for title, body in re.findall(r"<h3>(.*?)</h3>.*?<tbody>(.*?)</tbody>", section, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
        found.append((words(title).strip(), [[words(c).strip() for c in row] for row in cells]))
    return found


def looks(section: str) -> list[str]:
    """The looks of all states in the tables, top to bottom."""
    return re.findall(r'<td><span class="verdict (\w+)">', section)


def seen(served: Served) -> list[tuple[str, str]]:
    with served.clinic.store.read() as connection:
        assert audit.verify(connection) is None
        rows = connection.execute(
            select(audit_rows)
            .where(audit_rows.c.action == "identity seen")
            .order_by(audit_rows.c.seq)
        ).all()
    return [(row.actor, row.object) for row in rows]


def test_every_beam_of_every_fraction_is_told(served: Served) -> None:
    ids = served.ids
    section = plan_section(served.get(address(served)).text, ids["plan"])
    under_way, short, whole = fractions(section)
    assert "2 beams, 150 MU in each fraction" in words(section)
    assert "1 of 3 planned fractions delivered; 1 not as planned; 1 under way." in words(section)

    assert whole[0] == "2026-02-28 08:30:00 CET delivered"
    first, second = whole[1]
    assert first == ["1", "delivered", "100 MU", "100 MU", f"result {ids['whole']} PASS"]
    assert second[:4] == ["2", "delivered in parts", "50 MU", "50 MU"]
    assert second[4].count("PASS") == 2 and f"result {ids['resumed']} PASS" in second[4]

    assert short[0] == ("2026-03-01 08:30:00 CET fraction 2 by the treatment record not as planned")
    assert short[1][0][:4] == ["1", "not all of it", "61.50 MU", "100 MU"]
    assert f"result {ids['short']} ACTION" in short[1][0][4]
    told = ["2", "treated, no log arrived", "50 MU", "50 MU", f"result {ids['record']} not judged"]
    assert short[1][1] == told

    assert under_way[0] == "2026-03-02 09:00:00 CET under way"
    assert [row[1] for row in under_way[1]] == ["delivered", "not yet"]
    assert looks(section) == ["pass", "none", "action", "action", "pass", "pass"]


def test_a_beam_is_missing_once_its_fraction_is_over(served: Served) -> None:
    ids = served.ids
    for hours, state, look in ((2.4, "not yet", "none"), (2.6, "missing", "action")):
        served.clinic.now = served.clinic.now.replace(hour=8, minute=30) + timedelta(hours=hours)
        section = plan_section(served.get(address(served)).text, ids["plan"])
        assert fractions(section)[0][1][1][1] == state
        assert looks(section)[1] == look
    assert "1 of 3 planned fractions delivered; 2 not as planned." in words(section)


def test_a_beam_delivered_twice_and_more_fractions_than_planned_stand_out(tmp_path: Path) -> None:
    clinic = TreatingClinic(tmp_path)
    plan = clinic.plan(UID, LABEL)
    for fraction in range(4):
        for beam, mu in ((1, 100.0), (2, 50.0)):
            clinic.log(Log(beam, (0.0, mu)), 24.0 * fraction + 10.0 - beam / 10)
    clinic.log(Log(1, (0.0, 100.0)), 9.5)
    with serving(clinic) as served:
        section = plan_section(served.get(address(served)).text, plan)
    newest = fractions(section)[0]
    assert newest[1][0][1:4] == ["more than once", "200 MU", "100 MU"]
    assert looks(section)[0] == "action" and newest[0].endswith("not as planned")
    assert "3 of 3 planned fractions delivered; 1 not as planned." in words(section)
    assert "more sessions than the plan has fractions" in words(section)


@pytest.mark.parametrize(("leaf_mm", "said"), [(0.2, "TOLERANCE"), (9.0, "ACTION")])
def test_a_whole_fraction_is_no_better_than_its_logs(
    tmp_path: Path, leaf_mm: float, said: str
) -> None:
    clinic = TreatingClinic(tmp_path)
    plan = clinic.plan(UID, LABEL)
    clinic.log(Log(1, (0.0, 100.0)), 2.0)
    clinic.log(Log(2, (0.0, 50.0), leaf_mm=leaf_mm), 1.9)
    with serving(clinic) as served:
        section = plan_section(served.get(address(served)).text, plan)
    (only,) = fractions(section)
    assert only[0].endswith(f"delivered; a log is {said}")
    assert f'<span class="verdict {said.lower()}">' in section.partition("<table")[0]
    assert "1 of 3 planned fractions delivered; 1 of them with a log that is not PASS." in words(
        section
    )


def test_logs_that_count_to_no_plan_are_told(served: Served) -> None:
    page = served.get(address(served)).text
    assert "Logs that count to no plan" in page
    text = words(page)
    assert f"result {served.ids['unsure']} PASS needs a match : 2 planned beams fit" in text
    assert f'href="/matches#result-{served.ids["unsure"]}"' in page
    assert "Logs that count" not in served.get(address(served, OTHER_PATIENT)).text


def test_plans_come_newest_first(served: Served) -> None:
    page = served.get(address(served)).text
    places = [
        page.index(f'<a href="/results/{served.ids[name]}">result {served.ids[name]}</a>, 2 beams')
        for name in ("copy", "plan")
    ]
    assert places == sorted(places)
    assert "Nothing of this plan has been delivered." in page


def test_patients_are_listed_by_pseudonym_the_newest_first(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [pseudonym_of(served, patient) for patient in (PATIENT, OTHER_PATIENT)]
    page = served.get("/treatments").text
    assert re.findall(r'href="/treatments/(P-\w+)"', page) == names
    assert "2026-03-02 09:00:00 CET" in page and "<form" not in page
    monkeypatch.setattr(treatments, "PAGE", 1)
    first = served.get("/treatments").text
    assert re.findall(r'href="/treatments/(P-\w+)"', first) == names[:1]
    older = re.search(r'href="(/treatments\?before=\d+)"', first)
    assert older is not None
    second = served.get(older[1]).text
    assert re.findall(r'href="/treatments/(P-\w+)"', second) == names[1:]
    assert "?before=" not in second and "Newest" in second


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/treatments/P-AAAAAAAAAA", 404),
        ("/treatments/CANARY-PATIENT-1", 404),
        ("/treatments/" + "P" * 300, 422),
        ("/treatments?before=soon", 422),
    ],
)
def test_who_is_not_here_is_said_in_a_page(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert answer.status == status and "Back to today" in answer.text
    assert "CANARY" not in answer.text.replace("%2Ftreatments%2FCANARY-PATIENT-1", "")


def test_results_lead_to_the_treatment(served: Served) -> None:
    link = f'href="{address(served)}"'
    for name in ("whole", "plan", "record", "unsure"):
        assert link in served.result(name).text
    assert f'plan of <a href="/results/{served.ids["plan"]}">' in served.result("whole").text
    assert "/treatments/" not in served.result("nameless").text


def test_nobody_but_a_physicist_sees_identity_anywhere(served: Served) -> None:
    stranger, reader = Visitor(served), Visitor(served)
    reader.sign_in("Reader B")
    start = ["/", "/treatments", "/matches", "/results", "/quarantine", "/about", "/machines/TB1"]
    for visitor in (stranger, reader):
        # Every page that can be reached from these, and the addresses on them.
        waiting, visited = list(start), set[str]()
        while waiting:
            path = waiting.pop().partition("#")[0]
            if path in visited or path.startswith(("/static", "/sign")):
                continue
            visited.add(path)
            page = visitor.get(path).text
            assert not any(secret in page for secret in SECRETS), path
            waiting += re.findall(r'(?:href|action)="(/[^"]*)"', page)
        assert len(visited) > 15 and address(served) in visited
    assert seen(served) == []


def test_a_physicist_sees_identity_and_that_is_written_down_once_in_a_session(
    served: Served,
) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    page = visitor.get(address(served)).text
    for told in (PATIENT, LABEL, "CANARY-BEAM-A"):
        assert told in page
    mine, other = (f"patient {pseudonym_of(served, p)}" for p in (PATIENT, OTHER_PATIENT))
    assert seen(served) == [("Physicist A", mine)]
    text = words(visitor.get(f"/results/{served.ids['whole']}").text)
    assert f"Patient ID {PATIENT}" in text and "Beam CANARY-BEAM-A" in text
    assert "/in/TB1/CANARY_2.bin" in text
    visitor.get(address(served))
    assert seen(served) == [("Physicist A", mine)]
    visitor.get(f"/results/{served.ids['nameless']}")
    visitor.get("/matches")
    visitor.get(address(served, OTHER_PATIENT))
    nameless = f"result {served.ids['nameless']}"
    assert [subject for _, subject in seen(served)] == [mine, nameless, other]
    visitor.post("/sign-out", {"token": visitor.token()})
    assert PATIENT not in visitor.get(address(served)).text
    visitor.sign_in()
    visitor.get(address(served))
    assert [subject for _, subject in seen(served)] == [mine, nameless, other, mine]


def test_identity_that_cannot_be_written_down_is_not_shown(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(served)
    visitor.sign_in()

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(audit, "record", full)
    for path in (address(served), "/matches", f"/results/{served.ids['whole']}"):
        answer = visitor.get(path)
        assert answer.status == 500 and "CANARY" not in answer.text


def test_a_physicist_finds_a_patient_by_the_id_and_no_address_holds_it(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    assert 'name="patient_id"' in visitor.get("/treatments").text

    def find(patient: str) -> tuple[int, str]:
        answer = visitor.post("/treatments", {"token": visitor.token(), "patient_id": patient})
        assert "CANARY" not in answer.text
        return answer.status, answer.headers.get("location", "")

    assert find(" canary-patient-1 ") == (303, address(served))
    for nobody in ("CANARY-PATIENT-9", "", "   ", "x" * 5000):
        assert find(nobody)[0] == 404
    reader = Visitor(served)
    reader.sign_in("Reader B")
    assert 'name="patient_id"' not in reader.get("/treatments").text
    answer = reader.post("/treatments", {"token": reader.token(), "patient_id": PATIENT})
    assert answer.status == 403


def test_a_log_of_nobody_is_in_no_treatment(tmp_path: Path) -> None:
    clinic = TreatingClinic(tmp_path)
    log = clinic.log(Log(keys=DeliveryKeys(field="f", planned_mu=9.0)), 1.0)
    with serving(clinic) as served:
        assert "None: no plan" in served.get("/treatments").text
        assert "/treatments/" not in served.get(f"/results/{log}").text
