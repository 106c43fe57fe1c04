"""The store: one transaction an effect, one active result a file, nothing overwritten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from qa_daemon.model import Event, Report, State, Verdict
from qa_daemon.requests import Request, carry_out
from qa_daemon.store import audit, schema
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.results import Provenance
from qa_daemon.store.store import StoreError, upgrade
from tests.store.stores import TestStore, outcome_of

DAY = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> TestStore:
    return TestStore(tmp_path)


def test_a_result_an_audit_row_and_outbox_rows_come_together(site: TestStore) -> None:
    result = site.judge(site.arrive("a.bin"), 0.7)
    assert result is not None
    stored = site.queries.result(result)
    assert stored is not None
    assert stored.verdict is Verdict.TOLERANCE
    assert stored.analyses[0].measurements[0].limits.action_high == 1.0
    assert [i.result for i in Outbox(site.store, "influx").pending(9)] == [result]
    assert [i.result for i in Outbox(site.store, "alerts").pending(9)] == [result]
    with site.store.read() as connection:
        assert audit.verify(connection) is None
        assert connection.execute(select(schema.audit.c.action)).scalars().all() == ["file judged"]
    assert site.queries.counts()["files.done"] == 1


def test_a_failure_in_the_middle_leaves_nothing(
    site: TestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = site.arrive("a.bin")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(RuntimeError):
        site.judge(file, 0.7)
    assert site.queries.results_since() == []
    assert Outbox(site.store, "influx").pending(9) == []
    assert site.ledger.file(file.id).state is State.QUEUED


def test_a_new_result_supersedes_and_keeps_the_instant(site: TestStore) -> None:
    file = site.arrive("a.bin")
    first = site.judge(file, 0.7)
    site.ledger.move(site.ledger.file(file.id), Event.RELEASED)
    second = site.judge(site.ledger.file(file.id), 0.2)
    assert first is not None and second is not None
    old, new = site.queries.result(first), site.queries.result(second)
    assert old is not None and new is not None
    assert (old.active, old.superseded_by) == (False, second)
    assert new.point_ns == old.point_ns
    assert [r.id for r in site.queries.results_since()] == [second]
    assert [p.value for p in site.queries.trend("TB1", "mlc_positions", "largest_error")] == [0.2]
    assert site.queries.board()[0].result == second
    assert site.queries.counts()["results"] == 1


def test_the_database_itself_refuses_two_active_results_of_a_file(site: TestStore) -> None:
    first = site.judge(site.arrive("a.bin"), 0.7)
    second = site.judge(site.arrive("b.bin"), 0.7, at=DAY + timedelta(hours=1))
    assert first != second
    with pytest.raises(IntegrityError), site.store.write() as connection:
        connection.execute(update(schema.results).values(file=1))


def test_two_results_in_one_second_get_two_points(site: TestStore) -> None:
    for name in ("a.bin", "b.bin", "c.bin"):
        site.judge(site.arrive(name), 0.1)
    points = [r.point_ns for r in site.queries.results_since()]
    assert len(set(points)) == 3
    assert {p // 1_000_000_000 for p in points} == {int(DAY.timestamp())}
    assert all(
        p % 1_000_000 == 0 for p in points
    )  # whole milliseconds: some databases keep no more


def test_the_same_content_elsewhere_is_a_duplicate(site: TestStore) -> None:
    site.arrive("a.bin", "same")
    assert site.arrive("copy.bin", "same").state is State.DUPLICATE
    assert site.queries.counts()["files.duplicate"] == 1


def test_new_content_under_an_old_name_is_a_revision(site: TestStore) -> None:
    old = site.arrive("a.bin", "old")
    site.judge(old, 0.1)
    new = site.arrive("a.bin", "new")
    assert new.state is State.QUEUED
    assert site.ledger.file(old.id).state is State.REPLACED


def test_a_side_file_is_taken_along_and_its_own_result_superseded(site: TestStore) -> None:
    side = site.arrive("a.txt", is_companion=True, pair=("a", 10.0))
    alone = Report(format="varian-trajectory-log", not_judged="its log has not arrived")
    made = Provenance("0", "site", "TB1", "truebeam", DAY)
    orphan = site.results.save(side, [], alone, [], made)
    main = site.arrive("a.bin", pair=("a", 9.0))
    assert [f.id for f in site.ledger.near(main, 5.0)] == [side.id]
    result = site.judge(main, 0.1, companions=(site.ledger.file(side.id),))
    assert [r.id for r in site.queries.results_since()] == [result]
    assert orphan is not None
    old = site.queries.result(orphan)
    assert old is not None and old.superseded_by == result
    # Too late to be judged alone once it belongs to a result.
    assert site.results.save(site.ledger.file(side.id), [], alone, [], made) is None


def test_a_broken_copy_of_a_side_file_is_superseded_by_the_result_of_its_main_file(
    site: TestStore,
) -> None:
    side = site.arrive("a.txt", "side", is_companion=True, pair=("a", 10.0))
    main = site.arrive("a.bin", pair=("a", 9.0))
    result = site.judge(main, 0.1, companions=(site.ledger.file(side.id),))
    broken = site.arrive("copy.txt", "cut off")
    made = Provenance("0", "site", "TB1", "truebeam", DAY)
    cut = site.results.save(broken, [], Report(error_code="EMPTY", error_message="e"), [], made)
    alerts = Outbox(site.store, "alerts")
    alerts.done(alerts.pending(9))
    whole = site.arrive("copy.txt", "side", is_companion=True, pair=("a", 10.0))
    assert whole.state is State.DUPLICATE and cut is not None
    old = site.queries.result(cut)
    assert old is not None and (old.active, old.superseded_by) == (False, result)
    assert [item.result for item in alerts.pending(9)] == [cut]


def test_files_that_are_too_far_apart_do_not_belong_together(site: TestStore) -> None:
    site.arrive("a.txt", is_companion=True, pair=("a", 10.0))
    assert site.ledger.near(site.arrive("a.bin", pair=("a", 16.0)), 5.0) == []
    assert site.ledger.near(site.arrive("b.bin", pair=("b", 10.0)), 5.0) == []


def test_the_board_shows_the_newest_delivery_whatever_the_order(site: TestStore) -> None:
    newer = site.judge(site.arrive("b.bin"), 0.7, at=DAY + timedelta(days=1))
    site.judge(site.arrive("a.bin"), 0.1, at=DAY)
    assert [t.result for t in site.queries.board()] == [newer]


def test_the_board_falls_back_when_the_newest_answer_is_gone(site: TestStore) -> None:
    older = site.judge(site.arrive("a.bin"), 0.1, at=DAY)
    file = site.arrive("b.bin")
    site.judge(file, 0.7, at=DAY + timedelta(days=1))
    site.ledger.move(site.ledger.file(file.id), Event.RELEASED)
    broken = Report(error_code="TLOG_CRC", error_message="damaged")
    made = Provenance("0", "site", "TB1", "truebeam", DAY)
    site.results.save(site.ledger.file(file.id), [], broken, [], made)
    assert [t.result for t in site.queries.board()] == [older]
    assert [r.error_code for r in site.queries.quarantined()] == ["TLOG_CRC"]


def test_a_file_that_does_not_say_when_counts_at_its_own_time(site: TestStore) -> None:
    result = site.judge(site.arrive("a.bin"), 0.1, at=None)
    assert result is not None
    stored = site.queries.result(result)
    assert stored is not None
    assert (stored.performed_at, stored.point_ns) == (None, 1_000_000_000)


def test_a_change_in_the_audit_trail_is_found(site: TestStore) -> None:
    for name in ("a.bin", "b.bin", "c.bin"):
        site.judge(site.arrive(name), 0.1)
    changes = (
        "UPDATE audit SET detail = '{}' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET seq = 9 WHERE seq = 1",
    )
    for change in changes:
        with site.store.read() as connection:
            connection.execute(text(change))
            assert audit.verify(connection) is not None
            connection.rollback()
    with site.store.read() as connection:
        assert audit.verify(connection) is None


def test_replay_asks_a_sink_to_take_everything_again_once(site: TestStore) -> None:
    first = site.judge(site.arrive("a.bin"), 0.1)
    outbox = Outbox(site.store, "influx")
    outbox.done(outbox.pending(9))
    for _ in range(2):
        again = Request(action="replay", actor="test", sink="influx")
        assert carry_out(site.store, again) == 1
    assert [i.result for i in outbox.pending(9)] == [first]


def test_a_store_from_the_future_is_not_opened(site: TestStore) -> None:
    with site.store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        upgrade(site.url)


def test_migrations_make_the_schema_of_the_code(site: TestStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with site.store.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_identity_is_in_its_own_table_alone(site: TestStore) -> None:
    result = site.judge(site.arrive("a.bin"), 0.1, identity={"patient_id": "CANARY"})
    assert result is not None
    assert site.queries.identity_of(result) == {"patient_id": "CANARY"}
    assert "CANARY" not in repr(site.queries.result(result))


def test_an_outcome_of_another_test_has_its_own_tile(site: TestStore) -> None:
    file = site.arrive("a.bin")
    outcomes = [outcome_of(0.1), outcome_of(2.0, "axes")]
    report = Report(format="varian-trajectory-log", analyses=tuple(o.report for o in outcomes))
    made = Provenance("0", "site", "TB1", "truebeam", DAY)
    site.results.save(file, [], report, outcomes, made)
    tiles = {t.analysis.analyzer: t.analysis.verdict for t in site.queries.board()}
    assert tiles == {"mlc_positions": Verdict.PASS, "axes": Verdict.ACTION}
