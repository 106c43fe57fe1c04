"""Output checks in the daemon: sessions of one table, baselines, what blocks a unit, signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from qa_daemon.model import Verdict
from qa_daemon.store import check_signatures, output_baselines, routine_done, unit_blocks
from qa_daemon.store.queries import StoredResult
from tests.ingest.clinic import NOW, Clinic
from tests.srt.units import SITE, clinic_of, days_ago, row, table


@contextmanager
def unit(tmp_path: Path, text: str = SITE) -> Iterator[Clinic]:
    clinic = clinic_of(tmp_path, text)
    try:
        yield clinic
        clinic.assert_sound()
    finally:
        clinic.close()


def deviations(clinic: Clinic) -> list[tuple[str | None, float, Verdict | None]]:
    """When, how much and the verdict of every output deviation, the newest first."""
    return [
        (result.performed_at, pytest.approx(m.value, abs=1e-9), m.verdict)
        for result in clinic.queries.results_since()
        for analysis in result.analyses
        for m in analysis.measurements
        if m.metric == "output_deviation"
    ]


def newest(clinic: Clinic) -> StoredResult:
    return next(r for r in clinic.queries.results_since() if r.analyses)


def judged(tmp_path: Path, *rows: str, text: str = SITE) -> StoredResult:
    with unit(tmp_path, text) as clinic:
        clinic.drop("t.csv", table(*rows))
        clinic.process()
        (result,) = clinic.queries.results_since()
        return result


def test_a_growing_table_gives_a_result_for_each_session(tmp_path: Path) -> None:
    first, second, third = (row(days_ago(d), off) for d, off in ((3, 0.5), (2, 1.0), (1, 4.0)))
    with unit(tmp_path) as clinic:
        clinic.drop("t.csv", table(first))
        clinic.process()
        assert [(off, verdict) for _, off, verdict in deviations(clinic)] == [(0.5, Verdict.PASS)]
        clinic.drop("t.csv", table(first, second))
        clinic.process()
        clinic.drop("t.csv", table(first, second, third))
        clinic.process()
        found = deviations(clinic)
        assert [(off, verdict) for _, off, verdict in found] == [
            (4.0, Verdict.TOLERANCE),
            (1.0, Verdict.PASS),
            (0.5, Verdict.PASS),
        ]
        assert found[0][0] == (days_ago(1) + timedelta(hours=1)).isoformat().replace("+00", "+01")
        holder = next(r for r in clinic.queries.results_since() if not r.analyses)
        assert (holder.verdict, holder.error_code) == (None, None)
        assert holder.not_judged == "holds 3 records, each of which has a result of its own"
        # A row that was mistyped and put right is a revision of its own session alone.
        made = clinic.queries.last_result_id()
        clinic.drop("t.csv", table(first, row(days_ago(2), 2.0), third))
        clinic.process()
        assert [off for _, off, _ in deviations(clinic)] == [4.0, 2.0, 0.5]
        assert clinic.queries.last_result_id() == made + 2  # the table's, and that session's


GROWN = [("t.csv", "t.csv"), ("monday.csv", "year.csv")]


@pytest.mark.parametrize("grown_first", [False, True])
@pytest.mark.parametrize(("one", "two"), GROWN)
def test_a_session_is_one_record_in_a_table_of_its_own_and_as_part_of_one(
    tmp_path: Path, one: str, two: str, *, grown_first: bool
) -> None:
    """One result, one point of the trend and one signature, whichever form comes first."""
    at, signed = "2026-02-28T10:00:00+01:00", 0
    tables = [(one, (row(days_ago(2), 1.0),)), (two, (row(days_ago(2), 1.0), row(days_ago(1))))]
    with unit(tmp_path) as clinic:
        for name, rows in tables[:: -1 if grown_first else 1]:
            clinic.drop(name, table(*rows))
            clinic.process()
            (of_first,) = (r for r in clinic.queries.results_since() if r.performed_at == at)
            if check_signatures.signature_of(clinic.store, of_first.id) is None:
                assert signed == 0
                signed = check_signatures.sign(clinic.store, [of_first.id], "Physicist A", "seen")
        assert [off for _, off, _ in deviations(clinic)] == [0.0, 1.0]
        assert len(check_signatures.unsigned(clinic.store, "SRT1")) == 1
        trend = clinic.queries.trend("SRT1", "srt_output", "output_deviation", 0, limit=9)
        assert [p.value for p in trend] == [pytest.approx(v, abs=1e-9) for v in (1.0, 0.0)]


def test_a_table_with_a_row_in_the_time_to_come_is_refused_whole(tmp_path: Path) -> None:
    result = judged(tmp_path, row(days_ago(2)), row(days_ago(-1)))
    assert (result.error_code, result.analyses) == ("SRT_TIME", ())


def test_a_table_of_several_sessions_may_lie_in_the_folder_of_a_unit_with_a_serial(
    tmp_path: Path,
) -> None:
    text = SITE.replace("[machine.srt]", 'serial = "77"\n[machine.srt]')
    rows = (row(days_ago(2), unit_id="77"), row(days_ago(1), 1.0, unit_id="77"))
    with unit(tmp_path, text) as clinic:
        clinic.drop("t.csv", table(*rows))
        clinic.process()
        assert [off for _, off, _ in deviations(clinic)] == [1.0, 0.0]


def test_a_signed_baseline_goes_before_what_a_row_says(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(5), 2.0)))
        clinic.process()
        first = newest(clinic).id
        assert (
            output_baselines.sign(clinic.store, first, ["70 kV F2 A30"], "P", "commissioned") == 1
        )
        clinic.drop("2.csv", table(row(days_ago(4), 2.0, reference_output="")))
        clinic.process()
        assert deviations(clinic)[0][1:] == (0.0, Verdict.PASS)
        # The table still repeats the old reference.
        clinic.drop("3.csv", table(row(days_ago(3), 2.0)))
        clinic.process()
        assert deviations(clinic)[0][1:] == (0.0, Verdict.PASS)
        assert any("the baseline was taken" in said for said in newest(clinic).warnings)
        # Judged again, a check from before the baseline keeps what it was held against.
        clinic.drop("0.csv", table(row(days_ago(6), 2.0)))
        clinic.process()
        assert deviations(clinic)[-1][1:] == (2.0, Verdict.PASS)
        (baseline,) = output_baselines.every(clinic.store, "SRT1")
        assert baseline.gy_per_min == pytest.approx(4.79 * 1.02)
        output_baselines.withdraw(clinic.store, "SRT1", baseline.id, "P", "wrong chamber")
        clinic.drop("4.csv", table(row(NOW, 1.0)))
        clinic.process()
        assert deviations(clinic)[0][1:] == (1.0, Verdict.PASS)


@pytest.mark.parametrize("called", ["srt-1 (old name)", "Alias", "srt1"])
def test_a_unit_that_is_called_otherwise_is_held_against_its_own_baseline(
    tmp_path: Path, called: str
) -> None:
    text = SITE.replace("[machine.srt]", 'plan_names = ["Alias"]\n[machine.srt]')
    with unit(tmp_path, text) as clinic:
        clinic.drop("1.csv", table(row(days_ago(5))))
        clinic.process()
        output_baselines.sign(clinic.store, newest(clinic).id, ["70 kV F2 A30"], "P", "r")
        # By the reference that the row repeats it would be in its limits.
        clinic.drop("2.csv", table(row(days_ago(4), 6.0, unit_id=called, reference_output=5.07)))
        clinic.process()
        assert deviations(clinic)[0][1:] == (6.0, Verdict.ACTION)
        clinic.drop("3.csv", table(row(days_ago(3), unit_id=called, filter_id="F1")))
        clinic.process()
        assert clinic.queries.results_since()[0].error_code == "SRT_ENERGY"


@pytest.mark.parametrize("said", [{"filter_id": "f2"}, {"applicator_id": "a30"}])
@pytest.mark.parametrize("text", [SITE, SITE.partition("[machine.srt]")[0]])
def test_a_beam_written_in_other_letters_is_held_against_its_own_baseline(
    tmp_path: Path, text: str, said: dict[str, str]
) -> None:
    with unit(tmp_path, text) as clinic:
        clinic.drop("1.csv", table(row(days_ago(5))))
        clinic.process()
        output_baselines.sign(clinic.store, newest(clinic).id, ["70 kV F2 A30"], "P", "r")
        # By the reference that the row states it would be in its limits.
        clinic.drop("2.csv", table(row(days_ago(4), 6.0, reference_output=5.07, **said)))
        clinic.process()
        assert deviations(clinic)[0][1:] == (6.0, Verdict.ACTION)


@pytest.mark.parametrize("at", ["70 kV F2 A50", "50 kV F1 A30"])
def test_what_was_not_measured_is_no_baseline(tmp_path: Path, at: str) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(5))))
        clinic.process()
        with pytest.raises(output_baselines.CannotSign, match="has no single output of"):
            output_baselines.sign(clinic.store, newest(clinic).id, [at], "P", "r")
        assert output_baselines.every(clinic.store, "SRT1") == []


def test_a_unit_out_of_its_limits_is_blocked_until_it_is_cleared(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(2), 4.0)))
        clinic.process()
        assert unit_blocks.open_blocks(clinic.store) == []
        clinic.drop("2.csv", table(row(days_ago(1), -6.0)))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store, "SRT1")
        assert block.said == "output_deviation at 70 kV F2 A30: -6 %"
        assert block.demands_calibration
        with pytest.raises(unit_blocks.CannotClear, match="a later check of this beam"):
            unit_blocks.clear(clinic.store, block.id, "P", "looks fine to me")
        # Another beam in order clears nothing.
        clinic.drop("3.csv", table(row(days_ago(0.5), kvp=50, filter_id="F1")))
        clinic.process()
        with pytest.raises(unit_blocks.CannotClear, match="a later check of this beam"):
            unit_blocks.clear(clinic.store, block.id, "P", "the other one is fine")
        clinic.drop("4.csv", table(row(days_ago(0.4), 0.2, check_type="absolute")))
        # The electrometer's calibration is over: nothing absolute can be made with it.
        clinic.process()
        assert next(iter(clinic.queries.results_since())).error_code == "SRT_CAL"
        clinic.drop("5.csv", table(row(days_ago(0.3), 0.2)))
        clinic.process()
        assert unit_blocks.open_blocks(clinic.store) == [block]
        unit_blocks.clear(clinic.store, block.id, "P", "cable replaced, repeated")
        assert unit_blocks.open_blocks(clinic.store) == []
        with pytest.raises(unit_blocks.CannotClear, match="cleared already"):
            unit_blocks.clear(clinic.store, block.id, "P", "again")


def test_a_copy_of_the_same_second_is_no_later_check(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(1), 6.0)))
        clinic.process()
        clinic.drop("2.csv", table(row(days_ago(1), 0.0, record_id="typed again")))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store)
        with pytest.raises(unit_blocks.CannotClear, match="a later check of this beam"):
            unit_blocks.clear(clinic.store, block.id, "P", "typing error")


def test_a_beam_that_failed_when_it_was_repeated_is_cleared_by_one_later_check(
    tmp_path: Path,
) -> None:
    minutes = timedelta(minutes=5)
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(2)), row(days_ago(2) + minutes, 6.0)))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store)
        assert block.said == "output_deviation at 70 kV F2 A30 (2): +6 %"
        # The newest check decides, with each of its repeats.
        clinic.drop("2.csv", table(row(days_ago(1)), row(days_ago(1) + minutes, 7.0)))
        clinic.process()
        with pytest.raises(unit_blocks.CannotClear, match="a later check of this beam"):
            unit_blocks.clear(clinic.store, block.id, "P", "the first was fine")
        clinic.drop("3.csv", table(row(days_ago(0.5))))
        clinic.process()
        for each in unit_blocks.open_blocks(clinic.store):
            unit_blocks.clear(clinic.store, each.id, "P", "cable replaced, repeated")
        assert unit_blocks.open_blocks(clinic.store) == []


def test_history_blocks_nothing_and_less_than_five_percent_needs_no_calibration(
    tmp_path: Path,
) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(40), 9.0)))
        clinic.drop("2.csv", table(row(days_ago(3), 3.5, check_type="monthly")))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store)
        assert not block.demands_calibration
        unit_blocks.clear(clinic.store, block.id, "P", "wrong chamber position, repeated")
        assert unit_blocks.open_blocks(clinic.store) == []


def test_a_block_stays_when_its_check_is_judged_again(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(1), 7.0)))
        clinic.process()
        file = clinic.ledger.file(1)
        clinic.ledger.release([file.id], "P")
        clinic.judge()
        assert len(unit_blocks.open_blocks(clinic.store)) == 1


def test_a_copy_of_a_check_that_was_cleared_blocks_nothing_anew(tmp_path: Path) -> None:
    bad = row(days_ago(3), -4.0, check_type="monthly")
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(bad))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store)
        unit_blocks.clear(clinic.store, block.id, "P", "the chamber was not seated; repeated")
        again = row(days_ago(3), -4.0, check_type="monthly", record_id="typed once more")
        clinic.drop("2.csv", table(again))
        clinic.process()
        clinic.drop("3.csv", table(bad, row(days_ago(1), 0.0, check_type="monthly")))
        clinic.process()
        assert [r.verdict for r in clinic.queries.results_since()].count(Verdict.ACTION) == 2
        assert unit_blocks.open_blocks(clinic.store) == []
        # Another number of the same second is no copy.
        clinic.drop("4.csv", table(row(days_ago(3), -4.5, check_type="monthly")))
        clinic.process()
        assert len(unit_blocks.open_blocks(clinic.store)) == 1


def test_signatures_hold_for_the_verdict_that_was_signed(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(2)), row(days_ago(1), 4.0)))
        clinic.process()
        waiting = check_signatures.unsigned(clinic.store, "SRT1")
        assert [u.verdict for u in waiting] == [Verdict.PASS, Verdict.TOLERANCE]
        assert check_signatures.unsigned(clinic.store, "SRT1", days_ago(1.5)) == waiting[:1]
        assert check_signatures.sign(clinic.store, [waiting[0].result], "P", "seen") == 1
        assert check_signatures.unsigned(clinic.store, "SRT1") == waiting[1:]
        signature = check_signatures.signature_of(clinic.store, waiting[0].result)
        assert signature is not None and signature.actor == "P"
        # Put right, and now another verdict: it waits again.
        check_signatures.sign(clinic.store, [waiting[1].result], "P", "seen")
        clinic.drop("1.csv", table(row(days_ago(2), 5.5), row(days_ago(1), 4.0)))
        clinic.process()
        again = check_signatures.unsigned(clinic.store, "SRT1")
        assert [u.verdict for u in again] == [Verdict.ACTION]
        with pytest.raises(check_signatures.CannotSign, match="look again"):
            check_signatures.sign(clinic.store, [waiting[0].result], "P", "seen")


def test_history_that_was_imported_asks_for_no_signature(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(500))))
        clinic.process()
        assert check_signatures.unsigned(clinic.store, "SRT1") == []


def test_what_was_done_of_the_routine(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("1.csv", table(row(days_ago(9)), row(days_ago(2), 4.0)))
        clinic.drop("2.csv", table(row(days_ago(5), check_type="monthly")))
        clinic.process()
        found = {(d.test, d.beam): d for d in routine_done.newest(clinic.store, "SRT1")}
        assert set(found) == {("SRT.D.OUT", "70 kV F2 A30"), ("SRT.M.OUT", "70 kV F2 A30")}
        daily = found["SRT.D.OUT", "70 kV F2 A30"]
        assert daily.verdict is Verdict.TOLERANCE
        assert daily.point_ns // 10**9 == int(days_ago(2).timestamp())


def test_a_test_of_applicators_beside_a_monthly_check_is_no_monthly_check(tmp_path: Path) -> None:
    """Nor is a warm-up exposure a daily one; each kind of row has a trend of its own."""
    a50 = {"applicator_id": "A50", "applicator_diameter_cm": 5.0}
    cones = SITE.replace("ssd_cm = 15}]", 'ssd_cm = 15}, {id="A50", diameter_cm=5, ssd_cm=15}]')
    rows = [
        row(days_ago(2), check_type="monthly", kvp=50, filter_id="F1"),
        row(days_ago(1.99), check_type="applicator_factor"),
        row(days_ago(1.98), check_type="applicator_factor", **a50),
        row(days_ago(1.97), check_type="warmup"),
    ]
    with unit(tmp_path, cones) as clinic:
        clinic.drop("1.csv", table(*rows))
        clinic.process()
        found = {(d.test, d.beam) for d in routine_done.newest(clinic.store, "SRT1")}
        assert found == {("SRT.M.OUT", "50 kV F1 A30"), ("SRT.A.AF", "")}
        (result,) = clinic.queries.results_since()
        limits = {
            (m.judged_as, m.at): m.limits.tolerance_high
            for m in result.analyses[0].measurements
            if m.metric == "output_deviation" and m.limits is not None
        }
        assert limits == {
            ("output_deviation_monthly", "50 kV F1 A30"): 2.0,
            ("output_deviation_of_tests", "70 kV F2 A30"): 2.0,
            ("output_deviation_of_tests", "70 kV F2 A50"): 2.0,
            ("output_deviation_of_warmup", "70 kV F2 A30 (2)"): 3.0,
        }


def test_a_beam_that_was_measured_twice_in_a_session_is_one_beam(tmp_path: Path) -> None:
    """Its worst verdict counts: a repeat in order does not hide the first."""
    with unit(tmp_path) as clinic:
        again = row(days_ago(2) + timedelta(minutes=9))
        clinic.drop("1.csv", table(row(days_ago(2), 4.0), again))
        clinic.process()
        (done,) = routine_done.newest(clinic.store, "SRT1")
        assert (done.test, done.beam) == ("SRT.D.OUT", "70 kV F2 A30")
        assert done.verdict is Verdict.TOLERANCE


@pytest.mark.parametrize(
    ("said", "code", "sentence"),
    [
        ({"filter_id": "F1"}, "SRT_ENERGY", "70 kV has filter F2"),
        ({"kvp": 100}, "SRT_ENERGY", "100 kV is none of this unit's potentials"),
        ({"applicator_id": "A50"}, "SRT_ENERGY", "applicator_id is no applicator of this unit"),
        ({"applicator_diameter_cm": 5.0}, "SRT_ENERGY", "another applicator may have been mounted"),
        ({"ssd_cm": 25}, "SRT_ENERGY", "ssd_cm: this is not the applicator's"),
        ({"t_ref_c": 22}, "SRT_CAL", "t_ref_c: 22, and the certificate of this chamber says 20"),
        ({"check_type": "absolute"}, "SRT_CAL", "this electrometer was not in force on that day"),
        (
            {"check_type": "absolute", "chamber_sn": "CANARY"},
            "SRT_CAL",
            "this chamber is not registered in the site file",
        ),
        ({"unit_id": "SRT2"}, "OTHER_MACHINE", "unit"),
    ],
)
def test_what_is_not_the_units_own_is_refused(
    tmp_path: Path, said: dict[str, object], code: str, sentence: str
) -> None:
    text = SITE.replace("[machine.srt]", 'serial = "77"\n[machine.srt]')
    result = judged(tmp_path, row(days_ago(1), **said), text=text)
    assert result.error_code == code
    assert result.verdict is Verdict.INVALID
    assert sentence in str(result.error_message)
    assert "CANARY" not in str(result.error_message)


@pytest.mark.parametrize(
    "factors", ["1.0e9", "[{hvl_mm_al = 0.5, gy_per_c = 0.99e9}, {hvl_mm_al = 2, gy_per_c = 1e9}]"]
)
def test_a_calibration_factor_that_no_certificate_has_is_said(tmp_path: Path, factors: str) -> None:
    text = SITE.replace("t_ref_c = 20.0", f"t_ref_c = 20.0\nn_k_gy_per_c = {factors}")
    with unit(tmp_path, text) as clinic:
        clinic.drop("1.csv", table(row(days_ago(3))))
        clinic.process()
        assert not any("n_k_gy_per_c" in said for said in newest(clinic).warnings)
        # By a reference of the same factor the output is in its limits.
        wrong = {"n_k_gy_per_c": 1.02e9, "reference_output": 4.79 * 1.02}
        clinic.drop("2.csv", table(row(days_ago(2), **wrong)))
        clinic.process()
        assert any("n_k_gy_per_c is no calibration factor" in s for s in newest(clinic).warnings)
        clinic.drop("3.csv", table(row(days_ago(1), check_type="absolute", **wrong)))
        clinic.process()
        refused = next(r for r in clinic.queries.results_since() if r.error_code)
        assert refused.error_code == "SRT_CAL"
        assert "n_k_gy_per_c is no calibration factor" in (refused.error_message or "")


def test_a_daily_check_with_an_instrument_out_of_date_says_so(tmp_path: Path) -> None:
    result = judged(tmp_path, row(days_ago(1)))
    assert result.verdict is Verdict.PASS
    assert result.warnings == ("the calibration of this electrometer was not in force on that day",)
    notes = [note for a in result.analyses for note in a.notes]
    assert not any("not checked here" in note for note in notes)


@pytest.mark.parametrize("kind", ["monthly", "hvl", "annual", "absolute"])
@pytest.mark.parametrize("instrument", ["chamber", "electrometer"])
def test_what_has_to_be_traceable_is_refused_with_an_instrument_out_of_date(
    tmp_path: Path, kind: str, instrument: str
) -> None:
    """The first day that the certificate does not hold; the day before, nothing is refused."""
    at = days_ago(1)
    text = SITE.replace("calibrated = 2024-01-01", "calibrated = 2025-01-01")
    ends = {"chamber": "2027-06-01", "electrometer": "2025-12-31"}
    days = {name: at.date() + timedelta(days=name != instrument) for name in ends}
    for name, day in ends.items():
        text = text.replace(f"expires = {day}", f"expires = {days[name]}")
    with unit(tmp_path, text) as clinic:
        clinic.drop("1.csv", table(row(days_ago(2), check_type=kind, electrometer_sn="4567")))
        clinic.process()
        assert (newest(clinic).error_code, newest(clinic).warnings) == (None, ())
        done = routine_done.newest(clinic.store, "SRT1")
        clinic.drop("2.csv", table(row(at, check_type=kind, electrometer_sn="4567")))
        clinic.process()
        (refused,) = (r for r in clinic.queries.results_since() if r.error_code)
        assert (refused.error_code, refused.verdict) == ("SRT_CAL", Verdict.INVALID)
        said = f"the calibration of this {instrument} was not in force on that day"
        assert said in str(refused.error_message)
        assert routine_done.newest(clinic.store, "SRT1") == done


def test_without_a_registry_it_is_said_that_nothing_was_checked(tmp_path: Path) -> None:
    text = SITE[: SITE.index("[machine.srt]")]
    result = judged(tmp_path, row(days_ago(1), filter_id="whatever"), text=text)
    assert result.verdict is Verdict.PASS
    assert any("not checked here" in note for a in result.analyses for note in a.notes)
