"""Whose leaf widths a log is read with that tells only the number of its pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.mlc_geometry import LEAF_EDGES_MM, with_model
from tests.deliveries import sweeping_field

ASSUMED = replace(sweeping_field(), mlc_model="millennium120", mlc_is_assumed=True)


def test_the_machine_s_own_model_is_taken() -> None:
    found = with_model(ASSUMED, "hd120")
    # Leaf 15 to 46 of an HD120 are 2.5 mm wide, the others 5 mm: 220 mm in all.
    assert (found.mlc[0].leaf_edges_mm[0], found.mlc[0].leaf_edges_mm[14]) == (-110.0, -40.0)
    assert (found.mlc_model, found.mlc_is_assumed, found.warnings) == ("hd120", False, ())
    np.testing.assert_array_equal(found.mlc[0].bank_a_mm.actual, ASSUMED.mlc[0].bank_a_mm.actual)
    same = with_model(ASSUMED, "millennium120")
    assert (same.mlc_model, same.warnings) == ("millennium120", ())


@pytest.mark.parametrize(
    ("model", "says"),
    [(None, "not named"), ("millennium80", "does not fit"), ("halcyon", "fit"), ("agility", "fit")],
)
def test_a_model_that_cannot_be_is_not_taken_and_told(model: str | None, says: str) -> None:
    found = with_model(ASSUMED, model)
    assert found.mlc_model == "millennium120"
    np.testing.assert_array_equal(found.mlc[0].leaf_edges_mm, LEAF_EDGES_MM["millennium120"][""])
    (warning,) = found.warnings
    assert says in warning


def test_what_a_log_says_itself_is_kept() -> None:
    record = replace(ASSUMED, mlc_is_assumed=False)
    assert with_model(record, "hd120") is record
