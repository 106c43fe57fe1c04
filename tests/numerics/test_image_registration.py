"""Shifts of patterns that are computed where they are shifted to, never by interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.numerics.image_registration import shift_between

Floats = NDArray[np.float64]
ROWS, COLUMNS = np.mgrid[:90, :120].astype(float)


def field(rows: float = 0.0, columns: float = 0.0) -> Floats:
    """A field with soft edges and something inside, moved."""
    y, x = ROWS - 45.0 - rows, COLUMNS - 60.0 - columns
    edges = 1.0 / (1.0 + np.exp((np.abs(x) - 35.0) / 1.5)) / (1 + np.exp((np.abs(y) - 25.0) / 1.5))
    return np.asarray(edges * (1.0 + 0.1 * np.sin(x / 6.0) * np.cos(y / 5.0)))


@pytest.mark.parametrize("moved", [(0.0, 0.0), (0.3, -0.2), (-1.5, 2.25), (6.0, -9.5)], ids=str)
def test_the_shift_is_found_to_a_hundredth_of_a_pixel(moved: tuple[float, float]) -> None:
    found = shift_between(field(), field(*moved))
    assert found is not None
    assert (found.rows, found.columns) == pytest.approx(moved, abs=0.01)
    assert found.correlation > 0.9999


def test_a_change_of_output_or_an_offset_is_no_shift() -> None:
    found = shift_between(field(), 0.7 * field(0.5, 0.5) + 0.1)
    assert found is not None
    assert (found.rows, found.columns) == pytest.approx((0.5, 0.5), abs=0.01)
    assert found.factor == pytest.approx(0.7, abs=0.005)


def test_noise_is_told_by_the_error() -> None:
    random = np.random.default_rng(4)
    noise = 0.01 * random.standard_normal(ROWS.shape)
    found = shift_between(field(), field(0.4, 0.0) + noise)
    assert found is not None and abs(found.rows - 0.4) < 0.05
    assert found.error < 0.05
    # Nothing but noise: whatever it says, the patterns are not each other's.
    nothing = shift_between(1.0 + noise, 1.0 + 0.01 * random.standard_normal(ROWS.shape))
    assert nothing is None or nothing.correlation < 0.3


def test_only_the_mask_is_looked_at() -> None:
    image = field()
    image[40:50, 50:70] += field(3.0, 3.0)[40:50, 50:70]
    mask = np.ones(image.shape, np.bool_)
    mask[35:55, 45:75] = False
    found = shift_between(field(), image, mask)
    assert found is not None
    assert (found.rows, found.columns) == pytest.approx((0.0, 0.0), abs=0.01)


def test_what_is_flat_or_small_tells_no_shift() -> None:
    flat = np.ones(ROWS.shape)
    assert shift_between(flat, flat) is None
    few = np.zeros(ROWS.shape, np.bool_)
    few[0, :10] = True
    assert shift_between(field(), field(), few) is None
    with pytest.raises(ValueError, match="shapes"):
        shift_between(flat, flat[1:])


def test_a_shift_beyond_reach_is_none() -> None:
    found = shift_between(field(), field(0.0, 20.0), reach=5.0)
    assert found is None or abs(found.columns) <= 5.0
