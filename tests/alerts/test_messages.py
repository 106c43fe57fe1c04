from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzers.core import Limits
from qa_daemon.alerts.incidents import Reason
from qa_daemon.alerts.messages import UNREADABLE, Text, Wording
from qa_daemon.model import AnalysisReport, Value, Verdict
from qa_daemon.store.queries import StoredMeasurement, StoredResult
from tests.alerts.clinic import CANARY, TITLES, Clinic, analysis

PASS, TOLERANCE, ACTION, INVALID = Verdict


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path, {"web": {"public_url": "https://qa.example"}})


def result_of(clinic: Clinic, *analyses: AnalysisReport, machine: str = "TB1") -> StoredResult:
    result = clinic.queries.result(clinic.put(*analyses, machine=machine))
    assert result is not None
    return result


def alarm(clinic: Clinic, result: StoredResult, test: str, verdict: Verdict) -> Text:
    return Wording(clinic.site, TITLES).alarm(result, [(test, Reason.FIRST, verdict)])


def test_an_alarm_says_site_machine_test_value_limit_time_and_link(clinic: Clinic) -> None:
    text = alarm(clinic, result_of(clinic, analysis(ACTION)), "mlc_positions", ACTION)
    assert text.title == "ACTION TB1: MLC leaf positions"
    assert text.body == (
        "Site: Sample Clinic\n"
        "Machine: TB1\n"
        "Delivered: 2026-11-02 09:14 local time\n"  # 08:14 UTC in Berlin
        "\n"
        "MLC leaf positions: ACTION, new\n"
        "  worst_leaf_rms 1.02 mm at A17, action limit 0.35 mm\n"
        "\n"
        "https://qa.example/results/1"
    )


def test_a_test_that_could_not_be_done_says_so_without_its_words(clinic: Clinic) -> None:
    text = alarm(clinic, result_of(clinic, analysis(INVALID)), "mlc_positions", INVALID)
    assert "MLC leaf positions: INVALID, new" in text.body
    assert "the test applies and could not be done" in text.body
    assert CANARY not in text.body


def test_an_unreadable_file_is_told_by_its_code_alone(clinic: Clinic) -> None:
    result = clinic.queries.result(clinic.put_unreadable())
    assert result is not None
    text = alarm(clinic, result, UNREADABLE, INVALID)
    assert text.title == "INVALID TB1: unreadable file"
    assert "the file cannot be read (TLOG_CRC)" in text.body
    assert "the file does not say when" in text.body
    assert CANARY not in text.body


def test_an_all_clear_shows_the_values(clinic: Clinic) -> None:
    result = result_of(clinic, analysis(PASS))
    text = Wording(clinic.site, TITLES).all_clear(result, ["mlc_positions"])
    assert text.title == "Cleared TB1: MLC leaf positions"
    assert "back within limits\n  worst_leaf_rms 0.02 mm at A17\n" in text.body


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("A17", True),
        ("28B3", True),
        ("X1", True),
        ("sub-beam 2", True),
        ("lat", True),
        ("Smith", False),
        ("beam Doe^Jane", False),
        ("A17 Smith", False),
        (None, False),
    ],
)
def test_only_places_on_the_machine_are_named(clinic: Clinic, at: str | None, shown: bool) -> None:
    text = alarm(clinic, result_of(clinic, analysis(ACTION, at=at)), "mlc_positions", ACTION)
    assert (f"mm at {at}," in text.body) is shown
    assert "Smith" not in text.body and "Doe" not in text.body


@pytest.mark.parametrize(
    ("value", "limits", "line"),
    [
        (1.0, Limits.at_most(tolerance=0.1, action=0.5), "m 1 mm, action limit 0.5 mm"),
        (8.888, Limits.at_least(tolerance=9.5, action=9), "m 8.89 mm, action limit at least 9 mm"),
        (-7.5, Limits.within(tolerance=1, action=2), "m -7.5 mm, action limits -2 to 2 mm"),
        # Rounded to three digits these would stand on the limit, or on its other side.
        (0.35001, Limits.at_most(tolerance=0.1, action=0.35), "m 0.35001 mm, action limit 0.35 mm"),
        (1.0049, Limits.at_most(tolerance=0.1, action=1.002), "m 1.005 mm, action limit 1.002 mm"),
    ],
)  # fmt: skip
def test_a_number_is_short_but_on_its_own_side_of_the_limit(
    clinic: Clinic, value: float, limits: Limits, line: str
) -> None:
    result = result_of(clinic, analysis(ACTION))
    measured = StoredMeasurement("m", value, "mm", None, ACTION, limits)
    said = replace(result.analyses[0], measurements=(measured,))
    text = alarm(clinic, replace(result, analyses=(said,)), "mlc_positions", ACTION)
    assert f"  {line}\n" in text.body


@pytest.mark.parametrize(
    ("leaves", "at", "line"),
    [
        (1.0, "B23", "  log and image disagree: leaf B23\n"),
        (4.0, "28A3", "  log and image disagree: leaf 28A3 and 3 more\n"),
        (1.0, "Doe", "  log and image disagree\n"),
    ],
)
def test_a_leaf_that_is_not_where_its_log_says_is_named(
    clinic: Clinic, leaves: float, at: str, line: str
) -> None:
    result = result_of(clinic, analysis(ACTION))
    limits = Limits.at_most(tolerance=0.0, action=0.0)
    measured = StoredMeasurement("leaves_disagreeing", leaves, "1", at, ACTION, limits)
    said = replace(result.analyses[0], measurements=(measured,))
    text = alarm(clinic, replace(result, analyses=(said,)), "mlc_positions", ACTION)
    assert line in text.body


def test_a_machine_name_cannot_add_lines(clinic: Clinic) -> None:
    report = AnalysisReport(
        analyzer="axes",
        version="1",
        values=(Value(metric="worst_leaf_rms", value=9.0, unit="mm"),),
    )
    text = alarm(clinic, result_of(clinic, report, machine="T\r\nBcc: x"), "axes", ACTION)
    assert text.title == "ACTION T Bcc: x: Axes"
