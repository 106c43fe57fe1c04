"""Leaves by day: medians of one process, and from when to when its deliveries were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from qa_daemon.model import LeafNumbers, Report
from qa_daemon.store import leaf_medians, trend_days
from qa_daemon.store.leaf_medians import LeafDay, LeafSeries
from qa_daemon.store.results import Provenance
from qa_daemon.store.store import MIGRATIONS, upgrade, url_of
from tests.store.stores import TestStore, outcome_of

ZONE = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
FIRST, LAST = date(2026, 2, 1), date(2026, 4, 1)
ABC = ("A1", "A2", "B1")
Column = Sequence[float | None]


def _save(
    made: TestStore,
    columns: Mapping[str, Column],
    at: datetime = NOON,
    leaves: Sequence[str] = ABC,
    version: str = "1",
    **process: str,
) -> int:
    """Store a delivery and look at it, as the follower does."""
    file = made.arrive(f"{at}{columns}{leaves}{version}{process}.bin")
    outcome = outcome_of(0.1)
    said = outcome.report.model_copy(
        update={
            "leaves": LeafNumbers(
                leaves=tuple(leaves), columns={k: tuple(v) for k, v in columns.items()}
            ),
            "version": version,
        }
    )
    outcome = replace(outcome, report=said)
    report = Report(format="varian-trajectory-log", analyses=(said,), **process)
    provenance = Provenance("0", "site", file.machine, "truebeam", at)
    result = made.results.save(file, (), report, [outcome], provenance)
    assert result is not None
    found = made.queries.results_of([result])
    trend_days.rebuild(made.store, trend_days.days_touched(made.store, found, ZONE), ZONE)
    return result


def _days(
    made: TestStore, quantity: str = "rms_mm", technique: str = "", energy: str = ""
) -> list[LeafDay]:
    series = LeafSeries("TB1", "mlc_positions", technique, energy)
    return leaf_medians.days_of(made.store, series, quantity, FIRST, LAST)


def test_leaves_of_a_day_are_the_medians_of_its_deliveries(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    columns = [(0.1, None, 0.3), (0.5, 0.2, None), (0.2, None, None), (0.4, None, None)]
    for k, row in enumerate(columns):
        _save(made, {"rms_mm": row}, NOON + timedelta(minutes=k))
    _save(made, {"rms_mm": (None,)}, NOON + timedelta(days=1), leaves=("A1",))
    day, other = _days(made)
    assert (day.day, day.n, day.leaves, day.version) == (date(2026, 3, 1), 4, ABC, "1")
    assert day.values == pytest.approx([0.3, 0.2, 0.3], rel=1e-6)
    assert np.isnan(other.values).all()
    assert day.point_ns - day.since_ns == 3 * 60 * 10**9


def test_technique_energy_and_version_are_rows_of_their_own(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    one = ("A1",)
    _save(made, {"rms_mm": (0.1,)}, leaves=one, technique="vmat", energy="6 MV")
    _save(made, {"rms_mm": (0.2,)}, leaves=one, technique="static", energy="6 MV")
    _save(made, {"rms_mm": (0.3,)}, leaves=one, technique="vmat", energy="10 MV")
    later = NOON + timedelta(hours=1)
    _save(made, {"rms_mm": (0.4,)}, later, one, "2", technique="vmat", energy="6 MV")
    other_day = NOON + timedelta(days=1)
    _save(made, {"rms_mm": (0.5,)}, other_day, one, "2", technique="vmat", energy="6 MV")
    found = [(d.version, float(d.values[0])) for d in _days(made, technique="vmat", energy="6 MV")]
    assert found == [
        ("1", pytest.approx(0.1)),
        ("2", pytest.approx(0.4)),
        ("2", pytest.approx(0.5)),
    ]
    assert [float(d.values[0]) for d in _days(made, technique="static", energy="6 MV")] == [
        pytest.approx(0.2)
    ]
    known = leaf_medians.series_of(made.store, "TB1", "mlc_positions", FIRST, LAST)
    assert [series.said for series in known] == ["vmat, 6 MV", "static, 6 MV", "vmat, 10 MV"]


def test_a_leaf_counts_in_deliveries_alone_whose_field_it_shaped(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    for k, shapes in enumerate(((1.0, 0.0), (0.0, 0.0), (0.0, 0.0))):
        rms = (0.4, 0.4) if k == 0 else (0.01, 0.01)
        columns = {"rms_mm": rms, "shapes_field": shapes}
        _save(made, columns, NOON + timedelta(minutes=k), ("A1", "A2"))
    (day,) = _days(made)
    assert day.values[0] == pytest.approx(0.4)
    assert np.isnan(day.values[1])


def test_a_leaf_that_is_out_to_either_side_in_turn_is_not_good(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    for k, error in enumerate((0.4, -0.5)):
        columns = {"largest_error_mm": (error,), "mean_error_mm": (error,)}
        _save(made, columns, NOON + timedelta(minutes=k), ("A1",))
    assert _days(made, "largest_error_mm")[0].values == pytest.approx([0.45])
    assert _days(made, "mean_error_mm")[0].values == pytest.approx([-0.05])


def test_images_that_show_other_leaves_make_one_day(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    _save(made, {"rms_mm": (0.2, 0.3)}, leaves=("A2", "B2"))
    _save(made, {"rms_mm": (0.1, 0.4, 0.5)}, NOON + timedelta(hours=1), ("A1", "A2", "B2"))
    (day,) = _days(made)
    assert (day.n, day.leaves) == (2, ("A1", "A2", "B2"))
    assert day.values == pytest.approx([0.1, 0.3, 0.4], rel=1e-6)


def test_the_newest_rows_and_those_of_a_time(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    for k in range(5):
        _save(made, {"rms_mm": (0.1,)}, NOON + timedelta(days=k), ("A1",))
    series = LeafSeries("TB1", "mlc_positions")
    newest = leaf_medians.days_of(made.store, series, "rms_mm", FIRST, LAST, most=2)
    assert [day.day.day for day in newest] == [4, 5]
    some = leaf_medians.days_of(made.store, series, "rms_mm", date(2026, 3, 2), date(2026, 3, 4))
    assert [day.day.day for day in some] == [2, 3, 4]
    assert leaf_medians.days_of(made.store, series, "lag_ms", FIRST, LAST) == []
    assert leaf_medians.quantities_of(made.store, "TB1", "mlc_positions") == ("rms_mm",)
    assert leaf_medians.quantities_of(made.store, "TB1", "picket_fence") == ()


def test_days_of_an_older_store_are_made_anew(tmp_path: Path) -> None:
    made = TestStore(tmp_path / "new")
    ids = [_save(made, {"rms_mm": (0.1,)}, NOON + timedelta(days=k), ("A1",)) for k in range(3)]
    url, config = url_of(tmp_path), Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "0011")
    made.store.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"ATTACH '{tmp_path / 'new' / 'store.sqlite3'}' AS new"))
        for table in ("files", "results", "trend_days"):
            connection.execute(text(f"INSERT INTO {table} SELECT * FROM new.{table}"))
        old = {"leaves": json.dumps(["A1"]), "quantities": '["rms_mm"]', "numbers": b"\0\0\0\0"}
        for k in range(3):
            connection.execute(
                text(
                    "INSERT INTO leaf_days (machine, analyzer, day, n, leaves, quantities, numbers)"
                    " VALUES ('TB1', 'mlc_positions', :day, 1, :leaves, :quantities, :numbers)"
                ),
                old | {"day": f"2026-03-0{k + 1}"},
            )
        connection.execute(
            text("INSERT INTO outbox (sink, result, state) VALUES ('trends', :id, 'pending')"),
            {"id": ids[1]},
        )
    upgrade(url)
    with engine.begin() as connection:
        asked = connection.execute(
            text("SELECT result FROM outbox WHERE sink = 'trends' ORDER BY id")
        ).scalars()
        assert list(asked) == [ids[1], ids[2], ids[0]]
        assert connection.execute(text("SELECT count(*) FROM leaf_days")).scalar() == 0
    engine.dispose()
