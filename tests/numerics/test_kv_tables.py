"""Tables are exact on points, linear between and silent beyond: figures of TG-61 and planes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_tables import (
    Axis,
    GridTable,
    LayeredTable,
    OutsideTable,
    layered,
    line,
)
from tests.numerics import tg61_excerpt

SSD_15_VECTORS = {
    0.52: [1.0481, 1.0597, 1.0652, 1.0707, 1.0763, 1.0818],
    1.15: [1.0675, 1.0871, 1.0982, 1.1093, 1.1232, 1.1371],
    2.20: [1.0828, 1.1084, 1.1247, 1.1409, 1.1638, 1.1866],
}
DIAMETERS_CM = [1.5, 2.0, 2.5, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("hvl_mm", "diameter_cm", "expected"),
    [
        (hvl_mm, diameter_cm, expected)
        for hvl_mm, row in SSD_15_VECTORS.items()
        for diameter_cm, expected in zip(DIAMETERS_CM, row, strict=True)
    ],
)
def test_backscatter_vectors(hvl_mm: float, diameter_cm: float, expected: float) -> None:
    found = tg61_excerpt.b_w().at(15.0, diameter_cm, hvl_mm)
    # Half a unit of the last digit, and rounding of numbers that end in 5 there.
    assert found == pytest.approx(expected, abs=0.5e-4 + 1e-12)


def test_backscatter_of_the_end_to_end_vector() -> None:
    assert tg61_excerpt.b_w().at(15.0, 5.0, 1.15) == pytest.approx(1.137125, abs=1e-12)


@pytest.mark.parametrize(("hvl_mm", "expected"), [(0.52, 1.0276), (1.15, 1.0185), (2.20, 1.0186)])
def test_mu_en_ratio_vectors(hvl_mm: float, expected: float) -> None:
    assert round(tg61_excerpt.mu_en_ratio().at(hvl_mm), 4) == expected


def test_a_diameter_that_one_ssd_lacks_is_not_made_up() -> None:
    # 10 cm is there at SSD 30, but not at 20.
    with pytest.raises(OutsideTable) as caught:
        tg61_excerpt.b_w().at(25.0, 8.0, 1.0)
    assert str(caught.value) == (
        "diameter (cm) 8 is 3 above the table at SSD (cm) 20, which is from 1 to 5"
    )
    assert (caught.value.axis, caught.value.by) == ("diameter (cm)", 3.0)
    assert tg61_excerpt.b_w().at(30.0, 10.0, 1.0) == 1.157


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ((9.0, 2.0, 1.0), "SSD (cm) 9 is 1 below the table, which is from 10 to 30"),
        ((31.5, 2.0, 1.0), "SSD (cm) 31.5 is 1.5 above the table, which is from 10 to 30"),
        ((10.0, 0.75, 1.0), "diameter (cm) 0.75 is 0.25 below the table at SSD (cm) 10"),
        ((10.0, 2.0, 3.5), "HVL (mm Al) 3.5 is 0.5 above the table at SSD (cm) 10"),
        ((10.0, 2.0, math.nan), "HVL (mm Al) is not a number"),
        ((math.nan, 2.0, 1.0), "SSD (cm) is not a number"),
        ((10.0, math.inf, 1.0), "diameter (cm) inf is inf above"),
    ],
)
def test_nothing_is_extrapolated(where: tuple[float, float, float], says: str) -> None:
    with pytest.raises(OutsideTable, match=re.escape(says)):
        tg61_excerpt.b_w().at(*where)


@given(
    a=st.lists(st.floats(-5.0, 5.0), min_size=8, max_size=8),
    where=st.tuples(st.floats(10.0, 30.0), st.floats(2.0, 4.0), st.floats(1.0, 2.0)),
)
def test_what_is_linear_in_each_axis_is_read_exactly(
    a: list[float], where: tuple[float, float, float]
) -> None:
    def plane(s: float, d: float, h: float) -> float:
        return (
            a[0]
            + a[1] * s
            + a[2] * d
            + a[3] * h
            + a[4] * s * d
            + a[5] * s * h
            + a[6] * d * h
            + a[7] * s * d * h
        )

    axes = {10.0: [1.0, 2.5, 4.0], 14.0: [2.0, 3.0, 9.0], 30.0: [1.5, 4.0]}
    qualities = [0.5, 1.0, 1.4, 2.0]
    table = layered(
        ("s", list(axes)),
        ("d", "h"),
        [(d, qualities, [[plane(s, x, h) for h in qualities] for x in d]) for s, d in axes.items()],
    )
    assert table.at(*where) == pytest.approx(plane(*where), abs=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8, unique=True), st.data())
def test_a_point_of_the_table_is_that_value_and_between_lies_between(
    points: list[float], data: st.DataObject
) -> None:
    points = sorted(points)
    values = data.draw(st.lists(st.floats(-1e3, 1e3), min_size=len(points), max_size=len(points)))
    table = line("x", points, values)
    assert [table.at(point) for point in points] == values
    at = data.draw(st.floats(points[0], points[-1]))
    after = int(np.searchsorted(points, at))
    around = values[max(after - 1, 0) : after + 1]
    assert min(around) - 1e-9 <= table.at(at) <= max(around) + 1e-9


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="x: the points must rise"):
        line("x", [1.0, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="x: a plain list"):
        line("x", [], [])
    with pytest.raises(ValueError, match="x: a plain list"):
        line("x", [1.0, math.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="shape"):
        line("x", [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="not a number"):
        line("x", [1.0, 2.0], [1.0, math.nan])
    with pytest.raises(ValueError, match="2 numbers for a table of 1"):
        line("x", [1.0], [1.0]).at(1.0, 2.0)
    with pytest.raises(ValueError, match="1 layers for 2 points"):
        layered(("s", [1.0, 2.0]), ("d", "h"), [([1.0], [1.0], [[1.0]])])
    with pytest.raises(ValueError, match="differ in their axes"):
        LayeredTable(
            Axis("s", np.array([1.0, 2.0])), (line("d", [1.0], [1.0]), line("h", [1.0], [1.0]))
        )


def test_a_table_does_not_change_with_the_arrays_it_was_made_of() -> None:
    values = np.array([1.0, 2.0])
    table = GridTable((Axis("x", np.array([0.0, 1.0])),), values)
    values[:] = 9.0
    assert table.at(0.5) == 1.5
    with pytest.raises(ValueError, match="read-only"):
        table.values[0] = 9.0
