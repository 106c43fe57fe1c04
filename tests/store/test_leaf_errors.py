"""Numbers of every leaf: one row a delivery, superseded with its result, asked for by leaf."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, text

from qa_daemon.model import AnalysisReport, Event, LeafNumbers
from qa_daemon.store import schema
from qa_daemon.store.leaf_errors import LeafPoint
from qa_daemon.store.results import Results
from tests.store.stores import TestStore

DAY = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
ANALYZER = "mlc_positions"  # that of the store's sample results


@pytest.fixture
def site(tmp_path: Path) -> TestStore:
    return TestStore(tmp_path)


def numbers(mean_mm: float, lag_ms: float | None = None) -> LeafNumbers:
    """Two leaves: A1 has half of it and no lag, A2 all of it."""
    return LeafNumbers(
        leaves=("A1", "A2"),
        columns={"mean_error_mm": (mean_mm / 2, mean_mm), "reversal_lag_ms": (None, lag_ms)},
    )


def put(site: TestStore, day: int, mean_mm: float, lag_ms: float | None = None) -> int:
    file = site.arrive(f"{day}.bin")
    at = DAY + timedelta(days=day)
    result = site.judge(file, 0.1, at=at, leaves=numbers(mean_mm, lag_ms))
    assert result is not None
    return result


def test_a_leaf_over_time_oldest_first(site: TestStore) -> None:
    results = [put(site, day, float(day), 60.0) for day in (3, 1, 2)]
    found = site.queries.leaf_trend("TB1", "A2", analyzer=ANALYZER)
    assert [p.values["mean_error_mm"] for p in found] == [1.0, 2.0, 3.0]
    assert [p.result for p in found] == [results[1], results[2], results[0]]
    assert found[0].point_ns == int((DAY + timedelta(days=1)).timestamp()) * 10**9
    assert site.queries.leaf_trend("TB1", "A1", analyzer=ANALYZER)[0].values == {
        "mean_error_mm": 0.5
    }


def test_no_more_deliveries_than_asked_for_and_the_newest(site: TestStore) -> None:
    for day in range(5):
        put(site, day, float(day))
    found = site.queries.leaf_trend("TB1", "A2", limit=2, analyzer=ANALYZER)
    assert [p.values["mean_error_mm"] for p in found] == [3.0, 4.0]


def test_another_machine_leaf_or_analyzer_has_none(site: TestStore) -> None:
    put(site, 1, 1.0)
    assert site.queries.leaf_trend("TB2", "A2", analyzer=ANALYZER) == []
    assert site.queries.leaf_trend("TB1", "A3", analyzer=ANALYZER) == []
    assert site.queries.leaf_trend("TB1", "A2") == []


def test_a_new_result_supersedes_the_leaves_too(site: TestStore) -> None:
    file = site.arrive("a.bin")
    site.judge(file, 0.1, at=DAY, leaves=numbers(1.0))
    site.ledger.move(site.ledger.file(file.id), Event.RELEASED)
    second = site.judge(site.ledger.file(file.id), 0.1, at=DAY, leaves=numbers(2.0))
    assert second is not None
    (point,) = site.queries.leaf_trend("TB1", "A2", analyzer=ANALYZER)
    assert (point.result, point.values) == (second, {"mean_error_mm": 2.0})
    with site.store.read() as connection:
        kept = connection.execute(select(func.count()).select_from(schema.leaf_errors)).scalar()
    assert kept == 2


def test_a_revised_file_takes_its_leaves_along(site: TestStore) -> None:
    site.judge(site.arrive("a.bin", "one"), 0.1, at=DAY, leaves=numbers(1.0))
    site.arrive("a.bin", "two")
    assert site.queries.leaf_trend("TB1", "A2", analyzer=ANALYZER) == []


def test_a_failure_in_the_middle_leaves_no_leaves(
    site: TestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(Results, "_attach", fail)
    with pytest.raises(RuntimeError):
        put(site, 1, 1.0)
    assert site.queries.leaf_trend("TB1", "A2", analyzer=ANALYZER) == []


def test_numbers_are_kept_to_single_precision_in_one_row(site: TestStore) -> None:
    leaves = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 61))
    values = tuple(np.linspace(-1.0, 1.0, 120).tolist())
    columns = {f"quantity_{k}": values for k in range(8)}
    table = LeafNumbers(leaves=leaves, columns=columns)
    result = site.judge(site.arrive("a.bin"), 0.1, at=DAY, leaves=table)
    with site.store.read() as connection:
        (size,) = connection.execute(text("SELECT length(numbers) FROM leaf_errors")).scalars()
    assert size == 120 * 8 * 4
    (point,) = site.queries.leaf_trend("TB1", "B60", analyzer=ANALYZER)
    assert point == LeafPoint(result or 0, point.point_ns, dict.fromkeys(columns, 1.0))
    (point,) = site.queries.leaf_trend("TB1", "A2", analyzer=ANALYZER)
    assert point.values["quantity_0"] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"leaves": ["A1"], "columns": {"x": [1.0, 2.0]}},
        {"leaves": ["A1", "A1"], "columns": {"x": [1.0, 2.0]}},
        {"leaves": ["A1"], "columns": {"x": ["wide"]}},
        {"leaves": ["A" * 21], "columns": {}},
        {"leaves": [""], "columns": {}},
        {"leaves": [f"A{k}" for k in range(1001)], "columns": {}},
        {"leaves": [], "columns": {f"x{k}": [] for k in range(31)}},
    ],
)
def test_a_worker_s_table_that_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AnalysisReport.model_validate({"analyzer": "a", "version": "1", "leaves": wrong})


def test_a_trend_can_be_of_one_energy(site: TestStore) -> None:
    for day, energy in enumerate(["6x", "15x", "6x", None]):
        file = site.arrive(f"{day}.bin")
        site.judge(file, 0.1 * day, at=DAY + timedelta(days=day), energy=energy)
    trend = site.queries.trend
    assert len(trend("TB1", "mlc_positions", "largest_error")) == 4
    found = trend("TB1", "mlc_positions", "largest_error", energy="6x")
    assert [p.value for p in found] == [0.0, 0.2]
    newest = trend("TB1", "mlc_positions", "largest_error", energy="6x", limit=1)
    assert [p.value for p in newest] == [0.2]
