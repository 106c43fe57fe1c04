"""Which leaf is likely to fail next: lines of which the end is known beforehand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from dashboards.web.draw_leaf_days import COLUMNS, leaf_map
from dashboards.web.leaf_ranking import MOST_RANKED, LeafTable, RankedLeaf, ranked
from dashboards.web.picture import svg

TODAY = date(2026, 3, 2)
TOLERANCE = 0.15


def _table(*rows: Sequence[float], every: int = 1, last: date = TODAY) -> LeafTable:
    n = len(rows[0])
    days = [last - timedelta(days=every * (n - 1 - k)) for k in range(n)]
    return LeafTable(tuple(f"A{k + 1}" for k in range(len(rows))), days, np.array(rows))


def _rank(table: LeafTable, tolerance: float | None = TOLERANCE) -> list[RankedLeaf]:
    return ranked(table, tolerance, "mm", TODAY)


def _noise(n: int, seed: int, sigma: float = 0.003) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, sigma, n)


def _days_said(leaf: RankedLeaf) -> tuple[int, int]:
    found = re.search(r"in (\d+) to (\d+) days", leaf.said)
    assert found is not None, leaf.said
    return int(found[1]), int(found[2])


def test_a_straight_way_ends_when_it_must() -> None:
    n, slope, start = 60, 0.0015, 0.02
    straight = start + slope * np.arange(n)
    leaf = _rank(_table(straight, np.full(n, 0.03)))[0]
    due = (TOLERANCE - start) / slope - (n - 1)
    assert leaf.name == "A1"
    assert leaf.crosses == pytest.approx(due, abs=1e-6)
    assert _days_said(leaf) == (round(due), round(due))
    assert leaf.per_month == f"+{slope * 365.25 / 12:.3f}\N{NARROW NO-BREAK SPACE}mm"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_interval_holds_the_day_on_which_the_true_line_crosses(sign: float) -> None:
    n, slope, start, held, width = 60, 0.0015, 0.02, 0, 0
    due = (TOLERANCE - start) / slope - (n - 1)
    for seed in range(40):
        row = sign * (start + slope * np.arange(n) + _noise(n, seed))
        if sign < 0:
            row[0] = 0.001  # on both sides of zero: an error, not a magnitude
        low, high = _days_said(_rank(_table(row))[0])
        held += low - 1 <= due <= high + 1
        width += high - low
    assert held >= 38
    assert width / 40 < 20


def test_a_gap_does_not_change_the_day() -> None:
    n, slope, start = 60, 0.0015, 0.02
    row = start + slope * np.arange(n) + _noise(n, 3)
    with_gap = row.copy()
    with_gap[20:35] = np.nan
    due = (TOLERANCE - start) / slope - (n - 1)
    for one in (row, with_gap):
        assert _rank(_table(one))[0].crosses == pytest.approx(due, abs=8)


def test_days_are_counted_from_today_and_not_from_the_newest_value() -> None:
    n, slope, start = 60, 0.0015, 0.02
    straight = start + slope * np.arange(n)
    due = (TOLERANCE - start) / slope - (n - 1)
    leaf = _rank(_table(straight, last=TODAY - timedelta(days=10)))[0]
    assert leaf.crosses == pytest.approx(due - 10, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (np.full(60, 0.03), "as the others"),
        (np.full(1, 0.03), "as the others"),
        (np.zeros(60), "as the others"),
        (0.03 + _noise(60, 1), "as the others"),
        (0.13 - 0.001 * np.arange(60), "as the others"),  # on its way back
        (np.full(60, 0.10), "apart from the others"),
        (np.full(60, 0.16), "beyond tolerance now"),
        (np.full(60, -0.16), "beyond tolerance now"),
        (np.append(np.full(59, 0.03), 0.5), "beyond tolerance, newest day"),
        (np.append(np.full(20, 0.16), np.full(40, np.nan)), "beyond tolerance now, no number for"),
        (np.append(np.full(20, 0.03), np.full(40, np.nan)), "no number for 40 days"),
    ],
)
def test_what_is_said_of_a_leaf(row: np.ndarray, said: str) -> None:
    others = [np.full(len(row), 0.04) for _ in range(5)]
    (leaf,) = [leaf for leaf in _rank(_table(row, *others)) if leaf.name == "A1"]
    assert leaf.said.startswith(said)
    assert np.isinf(leaf.crosses) == ("beyond" not in said)


def test_a_leaf_that_never_moves_is_not_ranked_and_no_leaf_is_no_error() -> None:
    never = np.full(60, np.nan)
    assert [leaf.name for leaf in _rank(_table(never, np.full(60, 0.03)))] == ["A2"]
    assert _rank(_table(never, never)) == []


def test_without_a_tolerance_leaves_are_ranked_by_size() -> None:
    rows = [np.full(30, size) for size in (0.01, 0.09, 0.05)]
    assert [leaf.name for leaf in _rank(_table(*rows), None)] == ["A2", "A3", "A1"]


def test_noise_of_many_leaves_announces_nothing() -> None:
    told = 0
    for seed in range(3):
        table = _table(*(0.05 + _noise(90, 1000 * seed + k, 0.01) for k in range(160)))
        found = _rank(table)
        told += sum("reaches" in leaf.said for leaf in found)
        assert len(found) == MOST_RANKED
    assert told == 0


def test_a_map_of_ten_years_has_bounded_columns_and_keeps_what_sticks_out() -> None:
    days = [TODAY - timedelta(days=k) for k in range(3652, -1, -1)]
    values = np.full((160, len(days)), 0.03)
    values[17, 1234] = 0.4
    names = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 81))
    figure = leaf_map(LeafTable(names, days, values), "mm", TOLERANCE, [])
    (panel,) = figure.panels
    assert panel.values.shape[0] == 160
    assert panel.values.shape[1] <= COLUMNS
    assert np.isclose(panel.values, 0.4).sum() == 1
    assert not np.isnan(panel.values).any()
    assert "leaf A18, " + str(days[1234]) in figure.summary
    assert "largest of 8 days" in figure.summary
    picture = svg(figure)
    assert len(picture) < 100_000
    assert "2020</text>" in picture
