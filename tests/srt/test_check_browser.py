"""The form of a check in a real Chromium, on a telephone: hints, a lost connection, the verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.serving import Served
from tests.dashboards.test_browser import CONTRASTS, Visit, browser  # noqa: F401 - a fixture
from tests.dashboards.visiting import PASSWORD
from tests.srt.checked import BASELINE, CHECK, signed, unit_of

pytestmark = pytest.mark.xdist_group("chromium")
TELEPHONE = {"width": 390, "height": 844}
SMALL = """() => [...document.querySelectorAll(
  'main a, main button, main input:not([type=hidden]), main select, main summary')]
  .filter((e) => e.checkVisibility() && !e.closest('.unseen'))
  .map((e) => [e.getBoundingClientRect().height, e.outerHTML.slice(0, 80)])
  .filter(([height]) => height < 44)"""
KEPT = "() => Object.keys(localStorage).filter((name) => name.startsWith('qa-check'))"
AGE = """(kept) => { for (const name of Object.keys(localStorage)) {
  if (name.startsWith('qa-check')) {
    localStorage.setItem(name, JSON.stringify({ ...JSON.parse(localStorage[name]), kept }));
  } } }"""


def sign_in(page: Any, served: Served, name: str) -> None:
    page.goto(f"{served.url}/sign-in?next={CHECK}")
    page.locator("#name:focus").wait_for()  # typing before that makes the browser complain
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{CHECK}")


def press(page: Any, name: str) -> None:
    page.locator(".bar").get_by_role("button", name=name).click()


def choose(page: Any, unit: str) -> None:
    page.locator(".units label").filter(has_text=unit).click()


def fill_worked_example(page: Any) -> None:
    page.get_by_label("Temperature").fill("21,4")
    page.get_by_label("Pressure in the room").fill("99.62")
    page.get_by_label("Electrometer").select_option("4567")
    card = page.locator("[data-card='1']")
    for number, reading in enumerate(("2,345", "2.347", "2.344"), 1):
        card.get_by_label(f"Reading {number}").fill(reading)
    page.get_by_role("group", name="Mandatory warm-up").get_by_label("Yes").check()


def is_readable(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]
    assert [pair for pair in page.evaluate(CONTRASTS) if pair[0] < 4.5] == []  # WCAG 2 AA
    assert page.evaluate(SMALL) == []


def test_a_check_survives_a_lost_connection_and_is_judged_at_once(
    browser: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        signed(clinic)
        visit = Visit(browser, served, "/about", viewport=TELEPHONE, has_touch=True)
        page, window = visit.page, visit.page.context
        sign_in(page, served, "Therapist T")
        visit.shoot("check-new", full_page=True)
        is_readable(page)

        # What cannot be is said while it is typed.
        page.get_by_label("Temperature").press_sequentially("74")
        page.locator("#temperature-said", has_text="That looks like °F: 23.3 °C.").wait_for()
        choose(page, "kPa")
        page.get_by_label("Pressure in the room").press_sequentially("760")
        page.locator("#pressure-said", has_text="That looks like mmHg: choose mmHg.").wait_for()
        choose(page, "mmHg")
        page.wait_for_function("!document.getElementById('pressure-said').textContent")
        choose(page, "kPa")
        visit.shoot("check-hints")
        fill_worked_example(page)
        card = page.locator("[data-card='1']")
        card.get_by_role("button", name="+ reading").click()
        card.get_by_label("Reading 4").fill("23.45")
        card.get_by_label("Reading 4").blur()
        page.get_by_text("The largest reading is 10 times the smallest.").wait_for()
        card.get_by_role("button", name="last reading").click()
        page.wait_for_function("!document.getElementById('temperature-said').textContent")

        # The connection goes, then the page itself: nothing that was typed is lost.
        window.set_offline(True)
        press(page, "Check")
        page.get_by_text("Not checked: the server cannot be reached.").wait_for()
        visit.shoot("check-offline")
        window.set_offline(False)
        page.reload()
        page.get_by_text("on this device, not saved yet").wait_for()
        assert page.get_by_label("Pressure in the room").input_value() == "99.62"
        assert card.get_by_label("Reading 3").input_value() == "2.344"
        assert page.locator("[name='t-SRT.D.WARMUP'][value=yes]").is_checked()

        took_s = []
        for _ in range(3):
            page.get_by_label("Remark").fill("again")
            assert page.locator("#verdict").count() == 0  # it was of another form
            began = time.perf_counter()
            press(page, "Check")
            page.locator("#verdict").wait_for()
            took_s.append(time.perf_counter() - began)
        print(f"form to verdict: {', '.join(f'{s:.3f}' for s in took_s)} s")
        said = page.inner_text("#verdict").replace("\u202f", " ")
        assert "PASS for what was checked" in said and "+0.078 %" in said
        visit.shoot("check-verdict")
        is_readable(page)
        assert len(clinic.queries.results_since()) == 1  # the check that was signed

        # Saving with the server away, and again when it is back.
        window.set_offline(True)
        press(page, "Save")
        page.get_by_text("Not saved: the server cannot be reached.").wait_for()
        window.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_url("**/check/saved?**")
        clinic.process()
        page.get_by_text("In its limits.").first.wait_for()
        visit.shoot("check-saved")
        assert page.evaluate(KEPT) == []
        assert len(clinic.queries.results_since()) == 3

        # A new form holds no number of the old one, but the unit of this device's barometer.
        page.get_by_role("link", name="Repeat this check").click()
        page.locator("#check").wait_for()
        assert page.get_by_label("Temperature").input_value() == ""
        assert page.locator("[name='pressure-unit'][value=kPa]").is_checked()

        # Yesterday's form is not filled in by itself, and another person never sees it.
        page.get_by_label("Temperature").fill("22.2")
        page.evaluate(AGE, time.strftime("%Y-%m-%dT12:00:00Z", time.gmtime(time.time() - 86400)))
        page.reload()
        page.get_by_role("button", name="Take it back").wait_for()
        assert page.get_by_label("Temperature").input_value() == ""
        page.get_by_role("button", name="Take it back").click()
        assert page.get_by_label("Temperature").input_value() == "22.2"
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, served, "Physicist A")
        assert page.get_by_label("Temperature").input_value() == ""
        assert page.locator("#kept").is_hidden()
        lost = [text for text in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in text]
        assert lost == []
        visit.complaints.clear()
        visit.close()
