"""The columns of a fit to a picture: against what the picture itself does."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.picture_columns import band_patches, band_shares, blurred, products

EDGES = np.array([0.0, 2.5, 5.0, 10.0])
ROW_EDGES = np.arange(0.0, 13.0)


def test_a_row_that_two_bands_share_is_shared() -> None:
    shares = band_shares(EDGES, ROW_EDGES)
    assert shares[:2, 2].tolist() == [0.5, 0.5]
    assert shares.sum(axis=0).tolist() == [1.0] * 10 + [0.0] * 2
    # A band's rows add up to its width.
    assert shares.sum(axis=1).tolist() == [2.5, 2.5, 5.0]


def test_patches_of_all_bands_add_up_to_the_blurred_map() -> None:
    slopes = np.random.default_rng(1).random((40, 30))
    shares = band_shares(np.linspace(0.0, 40.0, 9), np.arange(41.0))
    total = np.zeros((40, 30))
    for patch in band_patches(slopes, shares, (1.5, 2.0)):
        total[patch.rows] += patch.values
    inside = slice(8, -8)  # at the border a map is continued, a band is not
    assert total[inside] == pytest.approx(blurred(slopes, (1.5, 2.0))[inside], abs=1e-9)


def test_products_are_those_of_the_columns_written_out() -> None:
    rng = np.random.default_rng(2)
    whole = [rng.random((24, 7)) for _ in range(2)]
    patches = band_patches(rng.random((24, 7)), band_shares(EDGES * 2.0, np.arange(25.0)), (1, 1))
    target = rng.random((24, 7))
    columns = [column.ravel() for column in whole]
    for patch in patches:
        full = np.zeros((24, 7))
        full[patch.rows] = patch.values
        columns.append(full.ravel())
    normal, right = products(whole, patches, target)
    matrix = np.stack(columns)
    assert normal == pytest.approx(matrix @ matrix.T)
    assert right == pytest.approx(matrix @ target.ravel())
