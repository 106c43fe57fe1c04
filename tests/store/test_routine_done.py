"""Which tests of a kV unit's routine a result holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from qa_daemon.model import AnalysisReport, Report, Value, Verdict
from qa_daemon.store import routine_done
from qa_daemon.store.results import Provenance
from qa_daemon.verdict import judge_analysis, judge_value
from tests.store.stores import TestStore
from tests.trends.histories import DAILY

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("off_percent", "limits", "verdict"),
    [(0.0, DAILY, Verdict.PASS), (4.0, DAILY, Verdict.TOLERANCE), (4.0, None, None)],
)
def test_what_the_clinic_has_no_limits_for_is_done_and_no_pass(
    tmp_path: Path, off_percent: float, limits: object, verdict: Verdict | None
) -> None:
    made = TestStore(tmp_path)
    value = Value(metric="output_deviation", value=off_percent, unit="%", at="70 kV F2 A30")
    said = AnalysisReport(analyzer="srt_output", version="1", values=(value,))
    outcome = judge_analysis(said, [judge_value(value, DAILY if limits else None)])
    file = made.arrive("check.csv", machine="SRT1")
    report = Report(format="srt-output-csv", analyses=(said,))
    made.results.save(file, [], report, [outcome], Provenance("0", "s", "SRT1", "srt", AT))
    (done,) = routine_done.newest(made.store, "SRT1")
    assert (done.test, done.beam, done.verdict) == ("SRT.D.OUT", "70 kV F2 A30", verdict)
