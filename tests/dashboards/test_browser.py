"""The pages in a real Chromium: charts, console, requests, contrast, and no JavaScript."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.serving import Served
from tests.dashboards.treating import PATIENT, SECRETS, pseudonym_of, treated
from tests.dashboards.visiting import PASSWORD, clinic_with_people
from tests.servers import installed

pytestmark = pytest.mark.xdist_group("chromium")
SHOTS = os.environ.get("QA_DAEMON_SHOTS")
"""Where to leave screenshots to look at, if anywhere."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const color = channels(getComputedStyle(n).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.closest(".unseen, .live, svg") || !node.checkVisibility()) continue;
    const a = light(channels(getComputedStyle(node).color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = installed("chromium", "chromium-browser")
    if os.environ.get("QA_DAEMON_REQUIRE_SERVERS") != "1":
        pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


class Visit:
    """One page in a window of its own, and what happened while it was there."""

    def __init__(self, browser: Any, served: Served, path: str, **options: Any) -> None:
        size = {"width": 1600, "height": 1200}
        self._context = browser.new_context(**{"viewport": size} | options)
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(served.url + path)
        self._url = served.url

    def draw_all(self) -> None:
        """Scroll through the page until every chart in sight is drawn."""
        for chart in self.page.query_selector_all(".chart"):
            if chart.is_visible():
                chart.scroll_into_view_if_needed()
                chart.wait_for_selector(":scope.drawn, .js-plotly-plot .main-svg", timeout=15000)
        self.page.evaluate("window.scrollTo(0, 0)")
        self.page.wait_for_timeout(200)

    def shoot(self, name: str, **options: Any) -> None:
        if SHOTS:
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), **options)

    def close(self) -> None:
        self._context.close()
        assert self.complaints == []
        outside = [u for u in self.requests if not u.startswith((self._url, "data:", "blob:"))]
        assert outside == []


def test_result_figures_are_drawn(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, f"/results/{served.ids['TB2-0']}")
    visit.draw_all()
    page = visit.page
    assert page.locator(".chart.drawn").count() == 3
    # Four maps; a panel for each bank and statistic; two for each of three groups of axes.
    assert page.locator(".chart.drawn .heatmaplayer image").count() == 4
    panels = [chart.locator(".cartesianlayer > .subplot") for chart in page.locator(".chart").all()]
    assert [panel.count() for panel in panels] == [4, 4, 6]
    pixels = page.evaluate(
        """() => [...document.querySelectorAll('.heatmaplayer image')].map((image) => {
          const box = image.getBoundingClientRect();
          return [box.width / 140, box.height / 200];
        })"""
    )
    for across, up in pixels:  # the field is 140 mm by 200 mm: a millimeter is as wide as high
        assert across == pytest.approx(up, rel=0.02) and across > 0.8
    visit.shoot("result", full_page=True)
    visit.close()


def test_machine_trends_are_drawn_and_others_when_unfolded(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, "/machines/TB2")
    visit.draw_all()
    assert visit.page.locator(".chart.drawn").count() == 5
    visit.shoot("machine", full_page=True)
    visit.page.locator("details summary").last.click()
    visit.draw_all()
    assert visit.page.locator(".chart.drawn").count() > 5
    visit.close()


def test_a_click_on_a_point_opens_its_result(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, "/machines/TB2")
    visit.draw_all()
    point = visit.page.locator("section:has(#mlc_positions) .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.wait_for_timeout(200)
    visit.page.mouse.down()
    visit.page.mouse.up()
    visit.page.wait_for_url("**/results/*", timeout=5000)
    visit.close()


def test_board_is_readable(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, "/")
    text = visit.page.inner_text("main")
    for word in ("PASS", "TOLERANCE", "ACTION", "INVALID", "STALE", "no result yet"):
        assert word in text
    # Read from two metres: verdicts of 30 px and more, values of 26.
    for what, least in ((".tile:not(.none) .word", 30), (".tile .value", 26)):
        size = "node => parseFloat(getComputedStyle(node).fontSize)"
        assert visit.page.locator(what).first.evaluate(size) >= least
    visit.shoot("board")
    visit.close()


@pytest.mark.parametrize("path", ["/", "/machines/TB1", "/results", "/quarantine", "/about"])
def test_text_stands_out_from_what_is_behind_it(browser: Any, served: Served, path: str) -> None:
    visit = Visit(browser, served, path)
    found = visit.page.evaluate(CONTRASTS)
    assert len(found) > 20
    assert [pair for pair in found if pair[0] < 4.5] == []  # WCAG 2 AA
    visit.close()


def test_everything_is_there_without_javascript(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, f"/results/{served.ids['TB2-0']}", java_script_enabled=False)
    pictures = visit.page.locator(".chart img")
    assert pictures.count() == 3
    for k in range(3):
        pictures.nth(k).scroll_into_view_if_needed()
        visit.page.wait_for_timeout(150)
        assert pictures.nth(k).bounding_box()["height"] > 150
    assert sum(url.endswith("?v=0.1.0") or ".svg?" in url for url in visit.requests) == 3
    assert not any(url.endswith(".js") for url in visit.requests)
    assert "TOLERANCE" in visit.page.inner_text("main")
    visit.close()


def test_hostile_names_stay_text_in_the_browser(browser: Any, served: Served) -> None:
    visit = Visit(browser, served, "/")
    visit.page.get_by_role("link", name='<script>alert("x")</script>').first.click()
    visit.draw_all()
    assert visit.page.inner_text("h1").startswith('<script>alert("x")</script>')
    visit.close()


def test_somebody_signs_in_and_out(browser: Any, tmp_path: Path) -> None:
    with clinic_with_people(tmp_path) as served:
        visit = Visit(browser, served, "/results", viewport={"width": 1280, "height": 800})
        page = visit.page
        page.get_by_role("link", name="Sign in").click()
        page.locator("#name:focus").wait_for()  # the page puts the cursor there itself
        visit.shoot("sign-in")
        page.get_by_label("Name").fill("Physicist A")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/results")
        assert "Physicist A" in page.inner_text("header")
        (cookie,) = page.context.cookies()
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert page.evaluate("document.cookie") == ""
        visit.shoot("signed-in")
        page.goto(served.url + "/")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").wait_for()
        assert "Physicist A" not in page.inner_text("header")
        assert page.context.cookies() == []
        visit.close()


def sign_in(page: Any, served: Served, back: str) -> None:
    page.goto(f"{served.url}/sign-in?next={back}")
    page.locator("#name:focus").wait_for()
    page.get_by_label("Name").fill("Physicist A")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{back}")


def test_a_physicist_chooses_a_plan(browser: Any, tmp_path: Path) -> None:
    with treated(tmp_path) as served:
        visit = Visit(browser, served, "/", viewport={"width": 1280, "height": 900})
        page = visit.page
        page.get_by_role("link", name="2 logs need a match").click()
        assert page.get_by_role("radio").count() == 0
        visit.shoot("matches", full_page=True)
        sign_in(page, served, "/matches")
        visit.shoot("matches-physicist", full_page=True)
        log = page.locator(f"#result-{served.ids['unsure']}")
        # The browser itself asks for a plan and a reason.
        log.get_by_role("button", name="Choose").click()
        assert page.get_by_role("status").count() == 0
        log.get_by_role("radio", name="CANARY-LABEL").check()
        log.get_by_label("Reason").fill("the copy was never released")
        log.get_by_role("button", name="Choose").click()
        said = page.get_by_role("status")
        said.wait_for()
        assert "1 log is judged again" in said.inner_text()
        assert page.url == f"{served.url}/matches"
        visit.shoot("matches-chosen")
        visit.close()
        assert not any(secret in url for url in visit.requests for secret in SECRETS)


def test_the_treatment_view_tells_states_by_word_shape_and_color(
    browser: Any, tmp_path: Path
) -> None:
    with treated(tmp_path) as served:
        path = f"/treatments/{pseudonym_of(served, PATIENT)}"
        visit = Visit(browser, served, "/treatments", viewport={"width": 1280, "height": 900})
        page = visit.page
        page.get_by_role("link", name=pseudonym_of(served, PATIENT)).click()
        page.wait_for_url(f"**{path}")
        visit.shoot("treatment", full_page=True)
        states = page.locator(".fraction td .verdict").filter(has_text="not all of it")
        assert states.locator("svg").count() == 1
        assert states.evaluate("node => getComputedStyle(node).color") == "rgb(168, 16, 26)"
        assert not any(secret in page.content() for secret in SECRETS)
        sign_in(page, served, "/treatments")
        page.get_by_label("Patient ID").fill(PATIENT)
        page.get_by_role("button", name="Find").click()
        page.wait_for_url(f"**{path}")
        assert PATIENT in page.inner_text("main") and "CANARY-BEAM-A" in page.inner_text("main")
        visit.shoot("treatment-physicist", full_page=True)
        visit.close()
        assert not any(secret in url for url in visit.requests for secret in SECRETS)


def test_treatments_and_matches_fit_a_telephone_and_stand_out(browser: Any, tmp_path: Path) -> None:
    with treated(tmp_path) as served:
        visit = Visit(browser, served, "/", viewport={"width": 400, "height": 800})
        paths = {
            "treatments": "/treatments",
            "treatment": f"/treatments/{pseudonym_of(served, PATIENT)}",
            "matches": "/matches",
            "log": f"/results/{served.ids['unsure']}",
        }
        for who in ("stranger", "physicist"):
            if who == "physicist":
                sign_in(visit.page, served, "/treatments")
            for name, path in paths.items():
                visit.page.goto(served.url + path)
                visit.shoot(f"telephone-{name}-{who}", full_page=True)
                assert visit.page.evaluate("document.documentElement.scrollWidth") <= 400, path
                found = visit.page.evaluate(CONTRASTS)
                assert len(found) > 20
                assert [pair for pair in found if pair[0] < 4.5] == [], path
        visit.close()


def test_a_form_on_another_site_does_nothing_in_a_browser(browser: Any, tmp_path: Path) -> None:
    with clinic_with_people(tmp_path) as served:
        visit = Visit(browser, served, "/sign-in")
        page = visit.page
        # The same computer by another name: to the browser, another site.
        other = served.url.replace("127.0.0.1", "localhost")
        page.route(
            f"{other}/trap",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"""<form method="post" action="{served.url}/sign-in">
                <input name="name" value="Physicist A"><input name="password" value="{PASSWORD}">
                <button>Win</button></form>""",
            ),
        )
        page.goto(f"{other}/trap")
        page.get_by_role("button", name="Win").click()
        page.get_by_text("Not from these pages").wait_for()
        assert page.context.cookies() == []
        page.context.close()


def test_pages_fit_a_telephone(browser: Any, served: Served) -> None:
    size = {"width": 400, "height": 800}
    for path in ("/", f"/results/{served.ids['TB2-0']}"):
        visit = Visit(browser, served, path, viewport=size)
        visit.page.wait_for_timeout(300)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 400, path
        visit.shoot(f"telephone-{path.strip('/').partition('/')[0] or 'board'}")
        visit.close()


def test_signing_in_fits_a_telephone_and_stands_out(browser: Any, tmp_path: Path) -> None:
    with clinic_with_people(tmp_path) as served:
        visit = Visit(browser, served, "/sign-in", viewport={"width": 400, "height": 800})
        for name in ("telephone-sign-in", "telephone-signed-in"):
            visit.shoot(name)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= 400
            found = visit.page.evaluate(CONTRASTS)
            assert [pair for pair in found if pair[0] < 4.5] == []
            if name == "telephone-sign-in":
                visit.page.get_by_label("Name").fill("Physicist A")
                visit.page.get_by_label("Password").fill(PASSWORD)
                visit.page.get_by_role("button", name="Sign in").click()
                visit.page.get_by_role("button", name="Sign out").wait_for()
        visit.close()
