"""What most leaves agree on, whatever a few of them do."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.leaf_consensus import agreeing

LEAVES = 80
Y = np.tile(np.linspace(-1.0, 1.0, LEAVES // 2), 2)
SIDE = np.repeat([0.5, -0.5], LEAVES // 2)
SHAPES = np.column_stack([np.ones(LEAVES), Y, SIDE])
COMMON = SHAPES @ [1.0, 0.5, 0.3]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_leaves_that_stand_off_are_told_from_what_all_have_in_common(share: float) -> None:
    noise = 0.02 * np.random.default_rng(3).normal(size=LEAVES)
    # All at one end and all to one side: the worst for a turn.
    wrong = np.arange(LEAVES) % (LEAVES // 2) < share * LEAVES / 2
    found = agreeing(COMMON + noise + 1.0 * wrong, SHAPES, least=0.12)
    assert found.tolist() == (~wrong).tolist()


def test_the_same_offsets_give_the_same_answer() -> None:
    offsets = COMMON + np.random.default_rng(5).normal(size=LEAVES)
    first = agreeing(offsets, SHAPES, least=0.1)
    assert first.tolist() == agreeing(offsets, SHAPES, least=0.1).tolist()


def test_a_few_leaves_cannot_outvote_each_other() -> None:
    assert agreeing(np.array([0.0, 5.0, 0.0]), SHAPES[:3], least=0.1).all()
