"""Sessions and tries by themselves, on a clock that the test moves."""

from __future__ import annotations

import pytest

from dashboards.web import sessions, tries
from dashboards.web.people import local
from dashboards.web.sessions import Sessions
from dashboards.web.tries import Tries

MINUTE_S = 60.0
HOUR_S = 3600.0


class Timer:
    """Seconds, moved by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_session_ends_after_half_an_hour_without_use() -> None:
    timer = Timer()
    opened = Sessions(timer)
    token = opened.begin("A", "seal")
    timer.now_s += 29 * MINUTE_S
    assert opened.find(token, is_use=True) is not None
    timer.now_s += 29 * MINUTE_S
    assert opened.find(token, is_use=False) is not None
    timer.now_s += MINUTE_S
    assert opened.find(token, is_use=True) is None
    timer.now_s -= 30 * MINUTE_S
    assert opened.find(token, is_use=True) is None


def test_a_session_ends_after_twelve_hours_of_use() -> None:
    timer = Timer()
    opened = Sessions(timer)
    token = opened.begin("A", "seal")
    for _ in range(35):
        timer.now_s += 20 * MINUTE_S
        assert opened.find(token, is_use=True) is not None
    timer.now_s += 20 * MINUTE_S  # 36 times 20 minutes
    assert opened.find(token, is_use=True) is None


def test_tokens_are_long_and_none_is_another() -> None:
    opened = Sessions(Timer())
    tokens = {opened.begin("A", "seal") for _ in range(50)}
    found = [opened.find(token, is_use=False) for token in tokens]
    assert len(tokens | {s.form_token for s in found if s}) == 100
    assert min(map(len, tokens)) >= 43  # 256 bits in base64
    for wrong in ("", "x", next(iter(tokens))[:-1]):
        assert opened.find(wrong, is_use=True) is None


def test_sessions_are_bounded_and_the_longest_unused_one_goes() -> None:
    timer = Timer()
    opened = Sessions(timer)
    tokens = []
    for _ in range(sessions.MOST):
        timer.now_s += 1.0
        tokens.append(opened.begin("A", "seal"))
    opened.find(tokens[0], is_use=True)
    opened.begin("B", "seal")
    assert len(opened._open) == sessions.MOST
    assert opened.find(tokens[0], is_use=False) is not None
    assert opened.find(tokens[1], is_use=False) is None


def test_the_sixth_failed_try_for_a_name_waits_until_the_first_is_forgotten() -> None:
    timer = Timer()
    failed = Tries(timer)
    for _ in range(tries.MOST_FOR_A_NAME):
        assert failed.begin("A") == 0.0
        timer.now_s += MINUTE_S
    assert failed.begin("A") == 10 * MINUTE_S  # the first was 5 of 15 minutes ago
    assert failed.begin("B") == 0.0
    timer.now_s += 10 * MINUTE_S
    assert failed.begin("A") == 0.0
    assert failed.begin("A") == MINUTE_S


def test_success_forgets_the_failures_of_that_name_alone() -> None:
    failed = Tries(Timer())
    for _ in range(4):
        failed.begin("A")
    for _ in range(5):
        failed.begin("B")
    failed.begin("A")
    failed.succeeded("A")
    assert failed.begin("A") == 0.0
    assert failed.begin("B") > 0.0


def test_all_names_together_are_bounded_in_tries_and_memory() -> None:
    timer = Timer()
    failed = Tries(timer)
    waits = [failed.begin(f"name {k}" * 100) for k in range(5000)]
    assert waits.count(0.0) == tries.MOST_OVERALL == len(failed._failed)
    assert set(waits[tries.MOST_OVERALL :]) == {15 * MINUTE_S}
    assert all(len(key) == 32 for _, key in failed._failed)
    timer.now_s += 15 * MINUTE_S
    assert failed.begin("name") == 0.0


@pytest.mark.parametrize("path", ["/", "/results?before=3", "/machines/TB%201", "/matches/4#x"])
def test_local_paths_are_kept(path: str) -> None:
    assert local(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "/a\r\nSet-Cookie: a=b",
        "/ /evil.example",
        "/a\\..\\evil",
        "javascript:alert(1)",
        "results",
        "/" + "x" * 1100,
        "/sign-in?next=/sign-in",
        "/sign-out",
    ],
)
def test_what_could_lead_elsewhere_leads_to_the_board(path: str) -> None:
    assert local(path) == "/"
