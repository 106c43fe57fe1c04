"""Lists of routine checks of a kV unit: read, refused, judged."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.catalogue import load
from analyzers.core import Context, ReadError, Settings
from analyzers.formats.srt_checks_json import read
from analyzers.output_metrics import METRICS as OUTPUT_METRICS
from analyzers.srt.srt_checks import ANALYZER
from analyzers.srt_routine import BY_ID, ROUTINE
from qa_daemon.model import Verdict
from qa_daemon.store.routine_done import BY_METRIC, OUTPUTS
from qa_daemon.verdict import judge

DOOR = {"id": "SRT.D.SAF.DOOR", "passed": True}
CALIPER = {"id": "SRT.M.US.SPATIAL", "value": 0.1, "unit": "mm"}
WHOLE: dict[str, Any] = {
    "schema": "qa_srt_checks",
    "version": "1.0",
    "unit_id": "SRT1",
    "datetime": "2026-02-03T07:31:00+01:00",
    "operator": "CANARY",
    "comment": "CANARY",
    "items": [DOOR, CALIPER],
}


def written(tmp_path: Path, told: object) -> Path:
    path = tmp_path / "checks.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


def judged(tmp_path: Path, *items: dict[str, Any]) -> dict[str, tuple[float, Verdict]]:
    checks = read(written(tmp_path, WHOLE | {"items": list(items)}))
    found = ANALYZER.analyze(checks, Context("srt", Settings()))
    return {
        m.metric.name: (m.value, judge(m.value, m.metric.limits["srt"])) for m in found.measurements
    }


def test_what_was_done_is_read_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    assert load().recognize(path, "x.json").format.name == "srt-checks-json"
    checks = read(path)
    assert dict(checks.answers) == {"SRT.D.SAF.DOOR": True, "SRT.M.US.SPATIAL": 0.1}
    assert checks.performed_at.isoformat() == "2026-02-03T07:31:00+01:00"
    assert (checks.machine_serial, checks.series) == ("SRT1", "daily+monthly")
    assert "CANARY" not in repr(checks)


def test_what_does_not_work_is_at_action(tmp_path: Path) -> None:
    found = judged(tmp_path, DOOR | {"passed": False}, {"id": "SRT.D.WARMUP", "passed": True})
    assert found == {
        "safety_functions": (0.0, Verdict.ACTION),
        "warm_up": (1.0, Verdict.PASS),
    }


@pytest.mark.parametrize(
    ("name", "unit", "passes", "tolerance", "action"),
    [
        ("SRT.D.TIMER.BACKUP", "%", 1.0, -1.01, 2.01),
        ("SRT.M.MEC.FS", "mm", -1.0, 1.01, -2.01),
        ("SRT.M.US.SPATIAL", "mm", 0.2, 0.21, -0.41),
        ("SRT.M.US.UNIF", "element", 1.0, 2.0, 3.0),
        ("SRT.M.US.DEPTH", "mm", -0.3, 0.6, -0.61),
        ("SRT.A.PDD", "%", 3.0, -5.0, 5.01),
        ("SRT.A.KV", "%", 5.0, 10.0, 10.01),
    ],
)
def test_limits_of_the_routine(
    tmp_path: Path, name: str, unit: str, passes: float, tolerance: float, action: float
) -> None:
    for value, verdict in (
        (passes, Verdict.PASS),
        (tolerance, Verdict.TOLERANCE),
        (action, Verdict.ACTION),
    ):
        found = judged(tmp_path, {"id": name, "value": value, "unit": unit})
        assert found == {BY_ID[name].metric: (value, verdict)}


def test_every_test_is_a_metric_of_one_analyzer_with_limits() -> None:
    assert len({test.id for test in ROUTINE}) == len(ROUTINE) == 32
    by_name = {metric.name: metric for metric in ANALYZER.metrics}
    for test in ROUTINE:
        if test.check_type is None:
            assert by_name[test.metric].limits["srt"].source
        else:
            assert test.limits is not None


def test_limits_of_what_is_measured_stand_in_the_routine_alone() -> None:
    by_name = {metric.name: metric for metric in OUTPUT_METRICS}
    judged_as = {
        "SRT.M.OUT": "output_deviation_monthly",
        "SRT.A.CAL": "output_deviation_annual",
    }
    for test in ROUTINE:
        if test.check_type is not None and test.limits is not None:
            limits = by_name[judged_as.get(test.id, test.metric)].limits["srt"]
            assert limits == replace(test.limits, source=f"{test.limits.source}; {test.id}")
    timer = by_name["timer_accuracy"].limits["srt"]
    assert timer.resolved(100.0).tolerance_high == timer.resolved(10.0).tolerance_high == 1.0
    assert timer.resolved(300.0).tolerance_high == 3.0


def test_every_test_of_the_routine_is_done_by_a_metric_that_there_is() -> None:
    names = {
        "srt_output": {metric.name for metric in OUTPUT_METRICS},
        "srt_checks": {metric.name for metric in ANALYZER.metrics},
    }
    assert all(metric in names[analyzer] for analyzer, metric in BY_METRIC)
    assert {*BY_METRIC.values(), *OUTPUTS.values()} == set(BY_ID)
    assert OUTPUTS == {
        None: "SRT.D.OUT",
        "output_deviation_monthly": "SRT.M.OUT",
        "output_deviation_annual": "SRT.A.CAL",
    }


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"schema": "other"}, "SRT_SCHEMA", "schema is not"),
        ({"version": "2.0"}, "SRT_SCHEMA", "only version 1.0"),
        ({"more": 1}, "SRT_SCHEMA", "leave out keys besides"),
        ({"items": []}, "SRT_SCHEMA", "at least one check"),
        ({"items": {}}, "SRT_SCHEMA", "at least one check"),
        ({"items": [DOOR, DOOR]}, "SRT_SCHEMA", "item 2: SRT.D.SAF.DOOR stands here twice"),
        ({"items": [{"id": "SRT.X"}]}, "SRT_SCHEMA", "no test of the routine"),
        ({"items": [DOOR | {"passed": "yes"}]}, "SRT_SCHEMA", "true or false"),
        ({"items": [DOOR | {"passed": 1}]}, "SRT_SCHEMA", "true or false"),
        ({"items": [CALIPER | {"unit": "cm"}]}, "SRT_UNIT", "is in mm; say so"),
        ({"items": [{"id": "SRT.M.US.SPATIAL", "value": 0.1}]}, "SRT_UNIT", "is in mm; say so"),
        ({"items": [CALIPER | {"value": True}]}, "SRT_SCHEMA", "a number in mm"),
        ({"items": [CALIPER | {"value": "0,1"}]}, "SRT_SCHEMA", "a number in mm"),
        ({"items": [CALIPER | {"value": 1e300}]}, "SRT_UNIT", "-1e\\+06 to 1e\\+06 mm expected"),
        (
            {"items": [{"id": "SRT.M.US.UNIF", "value": -1, "unit": "element"}]},
            "SRT_UNIT",
            "0 to 1e\\+06 element expected",
        ),
        ({"items": [{"id": "SRT.D.OUT", "value": 1, "unit": "%"}]}, "SRT_SCHEMA", "type daily"),
        ({"datetime": "2026-02-03T07:31:00"}, "SRT_TIME", "no offset"),
        ({"datetime": "03.02.2026"}, "SRT_TIME", "written like"),
        ({"datetime": "1999-02-03T07:31:00+01:00"}, "SRT_TIME", "before 2000"),
        ({"unit_id": ""}, "SRT_SCHEMA", "unit_id: a text of 1 to 64"),
        ({"operator": 3}, "SRT_SCHEMA", "operator: a text of 1 to 64"),
        ({"comment": "a\x00b"}, "SRT_SCHEMA", "cannot be printed"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, change: dict[str, Any], code: str, sentence: str
) -> None:
    with pytest.raises(ReadError, match=sentence) as why:
        read(written(tmp_path, WHOLE | change))
    assert why.value.code == code
    assert "CANARY" not in str(why.value)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"schema": "qa_srt_checks", ',
        json.dumps(WHOLE).replace('"unit_id"', '"schema": "x", "unit_id"'),
        json.dumps(WHOLE).replace("0.1", "NaN"),
        json.dumps(WHOLE).replace("0.1", "[" * 100_000),
        json.dumps(WHOLE) + " " * 1_100_000,
    ],
)
def test_what_is_no_whole_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReadError):
        read(written(tmp_path, text))


@given(st.integers(0, 400), st.binary(max_size=6))
def test_whatever_the_bytes_only_a_read_error(at: int, mutated: bytes) -> None:
    content = bytearray(json.dumps(WHOLE).encode())
    content[at : at + len(mutated)] = mutated
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(ReadError):
            read(file.name)
