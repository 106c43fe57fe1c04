"""What the pages say, what they never say, and what they cost."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from markupsafe import escape
from sqlalchemy import event

from qa_daemon.model import Verdict
from qa_daemon.store.queries import Queries
from tests.dashboards.clinic import HOSTILE, PATIENT, Clinic, Found, delivery_report, fill
from tests.dashboards.serving import Served, serving


def words(page: str) -> str:
    """The text of a page, without tags, in single spaces."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    return re.sub(r"\s+", " ", text)


def tiles(page: str) -> list[str]:
    return [words(t) for t in re.findall(r'<a class="tile.*?</a>', page, re.DOTALL)]


def test_board_names_verdict_value_limit_and_age(served: Served) -> None:
    tile = next(t for t in tiles(served.get("/").text) if "TOLERANCE" in t)
    # TB2 drifts to 0.05 + 0.3 mm; the site's own limits are 0.25 and 0.5 mm.
    assert "MLC leaf positions" in tile
    assert re.search(r"0\.\d+ mm", tile)
    assert "tolerance ≤ 0.2 mm action ≤ 0.5 mm" in tile
    assert "47 min ago" in tile


def test_board_puts_the_worst_test_of_a_machine_first(served: Served) -> None:
    first = tiles(served.get("/").text)[0]
    assert "INVALID" in first and "gantry has no position in 4 samples" in first


def test_board_keeps_what_was_worse_within_a_day_in_sight(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    for hours, planned_error_mu in ((30, -9.0), (6, -8.0), (3, -1.0), (1, 0.0)):
        when = clinic.now - timedelta(hours=hours)
        saved = clinic.save(
            "TB1", when, delivery_report(Found(planned_error_mu=planned_error_mu), when)
        )
        if hours == 6:
            worst = saved
    with serving(clinic) as pages:
        page = pages.get("/").text
    hidden = re.findall(r'<p class="earlier">.*?</p>', page, re.DOTALL)
    assert len(hidden) == 1 and hidden[0].count("<a ") == 1
    assert "ACTION Meterset, 6 h ago" in words(hidden[0]) and f"/results/{worst}" in hidden[0]
    assert all("PASS" in tile for tile in tiles(page))


def test_board_marks_old_results_and_machines_without_any(served: Served) -> None:
    page = served.get("/").text
    hostile = page[page.index(str(escape(HOSTILE))) :]
    assert all("STALE" in t and "5 days ago" in t for t in tiles(hostile))
    assert len(tiles(hostile)) == 4
    assert "no result yet" in words(page[page.index(">TB3<") : page.index(str(escape(HOSTILE)))])


def test_board_tells_unreadable_files_backlog_sinks_and_alerts(served: Served) -> None:
    page = words(served.get("/").text)
    for fact in ("2 files could not be read", "0 open alerts", "0 files queued"):
        assert fact in page
    assert re.search(r"influx: 1\d\d results behind", page)
    assert "controller-reported, not an independent measurement" in page


def test_board_tells_a_watched_folder_that_cannot_be_reached(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    with serving(clinic) as pages:
        clinic.folders = [
            {"machine": "TB1", "is_reachable": False, "last_scan_s_ago": 720.0},
            {"machine": "TB1", "is_reachable": False, "last_scan_s_ago": None},
            {"machine": "TB2", "is_reachable": True, "last_scan_s_ago": 3.0},
            {"machine": None, "is_reachable": False, "last_scan_s_ago": None},
        ]
        facts = re.findall(r'<li class="bad">.*?</li>', pages.get("/").text, re.DOTALL)
        lost = [words(fact).strip() for fact in facts if "watched folder" in fact]
        assert lost == [
            "! TB1: watched folder cannot be reached last looked through 12 min ago",
            "! Several machines: watched folder cannot be reached",
        ]
        clinic.folders[:2] = [{"machine": "TB1", "is_reachable": True, "last_scan_s_ago": 0.0}]
        assert "TB1: watched folder" not in words(pages.get("/").text)


def test_board_refreshes_itself_without_script(served: Served) -> None:
    page = served.get("/").text
    assert '<meta http-equiv="refresh" content="30">' in page
    assert "<script" not in page


@pytest.mark.parametrize("path", ["/", f"/machines/{quote(HOSTILE)}", "/results", "/quarantine"])
def test_names_out_of_files_are_text_not_markup(served: Served, path: str) -> None:
    page = served.get(path).text
    assert HOSTILE not in page and "<b>& Sons" not in page and "<b>differs" not in page
    assert "Clinic &lt;b&gt;&amp; Sons&lt;/b&gt;" in page
    if path != "/quarantine":
        assert str(escape(HOSTILE)) in page


def test_no_page_holds_an_inline_script_or_handler(served: Served) -> None:
    for path in ("/", "/machines/TB2", f"/results/{served.ids['TB2-0']}", "/quarantine", "/about"):
        page = served.get(path).text
        assert all('src="/static/' in tag for tag in re.findall(r"<script[^>]*>", page))
        assert not re.search(r"\son\w+=|style=|javascript:", page)


def test_result_gives_every_number_with_the_limits_that_judged_it(served: Served) -> None:
    page = words(served.result("TB2-0").text)
    assert "TOLERANCE by MLC leaf positions." in page
    assert "site: Physicist A, 2026-02-01, new motors" in page
    assert "≤ 0.25 mm" in page and "A31" in page
    assert "Controller-reported, not an independent measurement" in page
    assert "varian-trajectory-log" in page and "2026-03-02 08:43:00 CET" in page
    stored = served.clinic.queries.result(served.ids["TB2-0"])
    assert stored is not None and stored.sha256 in page and stored.site_hash in page


def test_an_interrupted_delivery_is_called_so(served: Served) -> None:
    page = words(served.result("TB1-2").text)
    assert (
        "The delivery was interrupted: control point 41.30; \N{MINUS SIGN}85.60 MU against the plan"
        in page
    )
    assert "ACTION by Meterset" in page


def test_a_test_that_could_not_answer_says_why(served: Served) -> None:
    page = words(served.result("invalid").text)
    assert "INVALID by Axes." in page
    assert "Could not be answered: gantry has no position in 4 samples." in page


def test_a_result_without_a_verdict_says_why(served: Served) -> None:
    assert "Nothing was judged: an imaging log." in words(served.result("imaging").text)


def test_an_unreadable_file_has_code_sentence_and_advice(served: Served) -> None:
    for page in (served.result("unreadable").text, served.get("/quarantine").text):
        text = words(page)
        assert "TLOG_CRC" in text and "the checksum <b>differs</b>" in text
        assert "Copy the file from the machine again" in text


def test_a_superseded_result_points_to_its_successor(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    first = clinic.save("TB1", clinic.now, delivery_report(Found(), clinic.now))
    stored = clinic.queries.result(first)
    assert stored is not None
    file = clinic.ledger.file(stored.file)
    report = delivery_report(Found(), clinic.now)
    from qa_daemon.pipeline import judge
    from qa_daemon.store.results import Provenance

    made = Provenance("0.1.0", "x", "TB1", "truebeam", clinic.now)
    second = clinic.results.save(file, [], report, judge(report, clinic.site, None), made)
    with serving(clinic) as pages:
        page = pages.get(f"/results/{first}").text
        assert f'superseded by <a href="/results/{second}"' in page


def test_machine_page_goes_back_in_pages_of_fifty(served: Served) -> None:
    first = served.get("/machines/TB2").text
    older = re.search(r'href="(\?days=90&amp;before=\d+)#results"', first)
    assert older is not None
    second = served.get("/machines/TB2" + html.unescape(older[1])).text
    ids = [re.findall(r"/results/(\d+)\">result", page) for page in (first, second)]
    # 60 days, an imaging log and an unreadable file, none twice and none left out.
    assert len(ids[0]) == 50 and len(set(ids[0] + ids[1])) == len(ids[0] + ids[1]) == 62


def test_results_at_one_instant_stay_on_one_page() -> None:
    from dashboards.web.machine_page import page_of

    class At:
        def __init__(self, point_ns: int) -> None:
            self.point_ns = point_ns

    found: Any = [At(n) for n in (9, 8, 7, 7, 7)]
    shown, following = page_of(found, 3)
    assert [r.point_ns for r in shown] == [9, 8] and following == 8


def test_trend_steps_where_the_limits_changed(served: Served) -> None:
    query = "?machine=TB2&days=90"
    answer = served.get(f"/trends/mlc_positions/worst_leaf_rms.json{query}")
    figure = json.loads(answer.text)
    names = {trace["name"] for trace in figure["data"]}
    assert {"tolerance", "action", "PASS", "TOLERANCE"} <= names
    symbols = {t["name"]: t["marker"]["symbol"] for t in figure["data"] if "marker" in t}
    assert symbols == {"PASS": "circle", "TOLERANCE": "triangle-up"}
    assert served.get(f"/trends/mlc_positions/worst_leaf_rms.svg{query}").status == 200


def test_limits_that_go_with_each_delivery_are_dashes_not_steps(tmp_path: Path) -> None:
    # The tolerance of the meterset is the greater of 0.1 MU and 0.2 % of the expected MU.
    clinic = Clinic(tmp_path)
    for day in range(20):
        when = clinic.now - timedelta(days=day)
        clinic.save("TB1", when, delivery_report(Found(reference_mu=100.0 + 50 * day), when))
    with serving(clinic) as pages:
        text = pages.get("/trends/meterset/delivered_error.json?machine=TB1").text
    traces = [t for t in json.loads(text)["data"] if t["name"] == "tolerance"]
    assert [t["mode"] for t in traces] == ["markers", "markers"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/results/999999", 404),
        (f"/results/{10**30}", 404),
        ("/results/abc", 404),
        ("/machines/none", 404),
        ("/machines/TB1?days=soon", 422),
        ("/machines/TB1?before=-1", 422),
        ("/trends/axes/none.json?machine=TB1", 404),
        ("/results/1/figures/none.svg", 404),
        ("/results/1/figures/fluence.json", 404),
        ("/static/../app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
    ],
)
def test_what_is_not_there_is_said_in_a_page(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert answer.status == status
    assert "Back to today" in answer.text and "Traceback" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_nothing_can_be_written_through_the_pages(served: Served) -> None:
    assert served.get("/", method="POST").status == 405
    assert served.get("/", method="HEAD").status == 200


def test_a_bug_in_a_page_shows_no_trace_and_keeps_its_headers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Queries):
        def board(self) -> Any:
            raise RuntimeError(f"no such column: {PATIENT}")

    clinic = Clinic(tmp_path)
    clinic.queries = Broken(clinic.store)
    with serving(clinic) as pages:
        answer = pages.get("/")
    assert answer.status == 500
    assert PATIENT not in answer.text and "Traceback" not in answer.text
    logged = [r.getMessage() for r in caplog.records if r.name == "dashboards.web.answers"]
    assert len(logged) == 1 and "error=RuntimeError at=test_pages.py:" in logged[0]
    assert PATIENT not in logged[0]
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_damaged_array_file_costs_the_figures_alone(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    report = delivery_report(Found(), clinic.now, clinic.draw())
    saved = clinic.save("TB1", clinic.now, report)
    stored = clinic.queries.result(saved)
    assert stored is not None and stored.arrays is not None
    path = clinic.archive.arrays_path(stored.arrays)
    path.unlink()
    path.write_bytes(b"not what it was")
    with serving(clinic) as pages:
        page = words(pages.get(f"/results/{saved}").text)
        assert pages.get(f"/results/{saved}/figures/axes.json").status == 404
    assert "arrays is damaged or gone" in page and "PASS" in page


def test_every_answer_carries_the_security_headers(served: Served) -> None:
    for path in ("/", "/static/style.css", "/healthz", f"/results/{served.ids['TB2-0']}"):
        headers = served.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "script-src" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert served.get("/").headers["cache-control"] == "no-store"


def test_the_patient_is_nowhere(served: Served) -> None:
    # Not even in the path of the file, which holds it here.
    for path in ("/", "/machines/TB2", "/results", "/quarantine", "/about"):
        assert PATIENT not in served.get(path).text
    page = served.result("TB2-0").text
    assert PATIENT not in page and "/in/TB2" not in page
    stored = served.clinic.queries.result(served.ids["TB2-0"])
    assert stored is not None and f"Number of the file {stored.file}" in words(page)
    for name in ("fluence", "leaves", "axes"):
        assert PATIENT not in served.result("TB2-0", f"/figures/{name}.json").text


def test_health_and_readiness(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    with serving(clinic) as pages:
        assert (pages.get("/healthz").status, pages.get("/readyz").status) == (200, 200)
        clinic.is_ready = False
        assert (pages.get("/healthz").status, pages.get("/readyz").status) == (200, 503)
        assert "Not taking in files now" in pages.get("/").text


def test_the_board_costs_the_same_with_ten_times_the_results(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    cost = {"statements": 0, "steps": 0}

    @event.listens_for(clinic.store._engine, "before_cursor_execute")
    def _statement(*_: Any) -> None:
        cost["statements"] += 1

    @event.listens_for(clinic.store._engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        def step() -> int:
            cost["steps"] += 1
            return 0

        connection.set_progress_handler(step, 20)

    clinic.store._engine.dispose()

    def board_cost() -> tuple[int, int]:
        pages.get("/")
        cost.update(statements=0, steps=0)
        pages.get("/")
        return cost["statements"], cost["steps"]

    with serving(clinic) as pages:
        fill(clinic, days=3)
        small = board_cost()
        clinic.now += timedelta(days=60)
        fill(clinic, days=30)
        large = board_cost()
    assert small[0] == large[0]
    assert large[1] < 1.5 * small[1] + 10


def test_the_pages_load_nothing_heavy() -> None:
    heavy = "['pandas', 'plotly', 'matplotlib', 'numba', 'h5py', 'scipy', 'pylinac']"
    code = f"import sys, dashboards.web.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_verdict_has_a_word_a_shape_and_a_color_of_its_own() -> None:
    from dashboards.web.wording import LOOKS

    assert set(LOOKS) == {*Verdict, None}
    for part in ("word", "color", "symbol", "name"):
        assert len({getattr(look, part) for look in LOOKS.values()}) == len(LOOKS)
