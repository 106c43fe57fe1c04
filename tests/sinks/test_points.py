from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, State, Value, Verdict
from qa_daemon.sinks.points import line_of, lines_of
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement, StoredResult
from tests.alerts.clinic import CANARY, Clinic, analysis

AT = 1_793_607_240_000_000_000  # 2026-11-02 08:14 UTC


def lines(clinic: Clinic, identity: int) -> list[str]:
    result = clinic.queries.result(identity)
    assert result is not None
    return lines_of(result, clinic.site.name)


def test_a_result_becomes_its_own_point_one_an_analysis_and_one_a_number(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    of = r"machine=TB1"
    number = rf"qa,analyzer=mlc_positions,energy=none,{of}"
    assert lines(clinic, clinic.put(analysis(Verdict.ACTION))) == [
        rf"qa_result,{of},site=Sample\ Clinic verdict=2i {AT}",
        rf"qa_analysis,analyzer=mlc_positions,{of},site=Sample\ Clinic verdict=2i {AT}",
        rf"{number},metric=worst_leaf_rms,site=Sample\ Clinic,unit=mm "
        rf"action_high=0.35,tolerance_high=0.15,value=1.02,verdict=2i {AT}",
        rf"{number},metric=parked_largest_error,site=Sample\ Clinic,unit=mm "
        rf"value=0.5 {AT}",
    ]


def test_a_failed_analysis_is_seen_as_invalid_and_not_as_a_number(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    written = lines(clinic, clinic.put(analysis(Verdict.INVALID)))
    assert [line.split(",")[0] for line in written] == ["qa_result", "qa_analysis"]
    assert all("verdict=3i" in line for line in written)


def test_nothing_judged_writes_no_verdict(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    assert lines(clinic, clinic.put(analysis(None))) == []
    trend = AnalysisReport(
        analyzer="beam_holds",
        version="1",
        values=(Value(metric="count", value=2.0, unit=""),),
    )
    (written,) = lines(clinic, clinic.put(trend, minutes=1))
    assert "verdict" not in written
    assert "unit=1" in written


def test_a_machine_nobody_names_is_called_unknown(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    written = lines(clinic, clinic.put(analysis(Verdict.PASS), machine=None))
    assert all(",machine=unknown," in line for line in written)


def test_a_machine_name_cannot_break_out_of_its_tag(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    name = "T,B=1 \n\\"
    written = lines(clinic, clinic.put(analysis(Verdict.PASS), machine=name))
    assert all(r"machine=T\,B\=1\ \n\ ," in line and "\n" not in line for line in written)


def test_the_time_of_a_record_without_one_is_its_file_s(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    (first, *_) = lines(clinic, clinic.put(analysis(Verdict.PASS), says_when=False))
    assert first.endswith(
        " 1760000000123000000"
    )  # whole milliseconds: VictoriaMetrics keeps no more


def test_no_identifier_no_file_name_and_no_free_text_gets_out(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    written = lines(clinic, clinic.put(analysis(Verdict.ACTION), analysis(Verdict.INVALID, "axes")))
    written += lines(clinic, clinic.put_unreadable())
    assert written
    assert CANARY not in "\n".join(written)


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        (None, "none"),
        ("", "none"),
        ("6x", "6x"),
        ("6X", "6x"),
        ("6x-FFF", "6xFFF"),
        ("10xFFF", "10xFFF"),
        ("6.0X SRS", "6xSRS"),
        ("6eHDTSE", "6eHDTSE"),
        ("18e", "18e"),
        ("6", "other"),
        ("6x Mustermann", "other"),
        ("666x", "other"),
        ("6x\n", "6x"),
    ],
)
def test_an_energy_is_one_of_few_tags(said: str | None, tag: str, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    result = clinic.queries.result(clinic.put(analysis(Verdict.PASS)))
    assert result is not None
    numbers = [x for x in lines_of(replace(result, energy=said), "S") if x.startswith("qa,")]
    assert numbers and all(f",energy={tag}," in line for line in numbers)


def test_two_energies_are_two_series(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    result = clinic.queries.result(clinic.put(analysis(Verdict.PASS)))
    assert result is not None
    series = {
        line.split(" ")[0]
        for energy in ("6x", "15x")
        for line in lines_of(replace(result, energy=energy), "S")
        if line.startswith("qa,") and "worst_leaf_rms" in line
    }
    assert len(series) == 2


@pytest.mark.parametrize("order", [(0.02, 1.02, 0.2), (1.02, 0.2, 0.02), (0.02, 0.2, 1.02)])
def test_of_several_places_the_worst_is_the_point(tmp_path: Path, order: tuple[float, ...]) -> None:
    """A target that is out must not be written over by the next one, which is not."""
    clinic = Clinic(tmp_path)
    values = [Value(metric="worst_leaf_rms", value=v, unit="mm", at=f"B{v}") for v in order]
    said = AnalysisReport(analyzer="winston_lutz", version="1", values=tuple(values))
    (number,) = [x for x in lines(clinic, clinic.put(said)) if x.startswith("qa,")]
    assert "value=1.02,verdict=2i" in number


NUMBERS = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats())
TAGS = st.dictionaries(st.sampled_from(["machine", "site", "at"]), st.text(max_size=8))


@settings(deadline=None)
@given(TAGS, st.dictionaries(st.sampled_from(["value", "verdict", "x"]), NUMBERS))
def test_a_line_is_what_the_client_s_own_point_writes(
    tags: dict[str, str], fields: dict[str, float | int | None]
) -> None:
    point = Point("qa").time(AT)
    for name, value in tags.items():
        point.tag(name, value)
    for name, number in fields.items():
        point.field(name, number)
    assert line_of("qa", tags, fields, AT) == point.to_line_protocol()


BOUNDS = st.one_of(st.none(), st.floats().map(lambda x: x + 0.0))  # a limit of -0.0 is one of 0
MEASURED = st.builds(
    StoredMeasurement,
    metric=st.text(min_size=1, max_size=8),
    value=st.floats(),
    unit=st.sampled_from(["", "mm", "cGy/min", "%"]),
    at=st.none(),
    verdict=st.sampled_from([None, *Verdict]),
    limits=st.builds(Limits, BOUNDS, BOUNDS, BOUNDS, BOUNDS),
)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=8), MEASURED)
def test_a_number_s_line_is_what_the_client_s_own_point_writes(
    machine: str, measured: StoredMeasurement
) -> None:
    said = StoredAnalysis("axes", "1", None, None, None, (), (measured,))
    point = Point("qa").time(AT).tag("site", "S").tag("machine", machine).tag("analyzer", "axes")
    point.tag("energy", "6x").tag("metric", measured.metric).tag("unit", measured.unit or "1")
    verdict = None if measured.verdict is None else int(measured.verdict)
    point.field("value", measured.value).field("verdict", verdict)
    for name in ("tolerance_low", "tolerance_high", "action_low", "action_high"):
        point.field(name, getattr(measured.limits, name))
    written = "".join(lines_of(_result(machine, said), "S"))
    assert written == point.to_line_protocol()


def test_equal_limits_are_written_alike_whichever_came_first() -> None:
    lines = [
        "".join(lines_of(_result("TB1", _of_limit(bound)), "S")) for bound in (-0.0, 0.0, -0.0)
    ]
    assert len(set(lines)) == 1


def _of_limit(bound: float) -> StoredAnalysis:
    measured = StoredMeasurement("m", 1.0, "mm", None, Verdict.ACTION, Limits(action_high=bound))
    return StoredAnalysis("axes", "1", None, None, None, (), (measured,))


def _result(machine: str, said: StoredAnalysis) -> StoredResult:
    return StoredResult(
        id=1,
        file=1,
        active=True,
        superseded_by=None,
        path="/in/1",
        companions=(),
        sha256="0",
        format=None,
        machine=machine,
        machine_class=None,
        performed_at=None,
        point_ns=AT,
        energy="6x",
        series=None,
        verdict=None,
        not_judged=None,
        error_code=None,
        error_message=None,
        warnings=(),
        arrays=None,
        software="0",
        site_hash="0",
        created_at="",
        arrived_at="",
        file_state=State.DONE,
        analyses=(said,),
    )
