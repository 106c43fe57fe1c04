"""Rules on runs of values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzers.numerics.run_rules import NELSON, WESTERN_ELECTRIC, Rule, broken

RUNS = {
    Rule.BEYOND_3: [0.1, 3.1, 0.1],
    Rule.TWO_OF_THREE: [2.1, 0.1, 2.1],
    Rule.FOUR_OF_FIVE: [1.1, 1.1, 0.1, 1.1, 1.1],
    Rule.EIGHT_ON_A_SIDE: [0.1] * 8,
    Rule.NINE_ON_A_SIDE: [0.1] * 9,
    Rule.SIX_IN_ORDER: [-0.3, -0.2, -0.1, 0.1, 0.2, 0.3],
    Rule.FOURTEEN_IN_TURN: [0.1, -0.1] * 7,
    Rule.FIFTEEN_WITHIN_1: [0.9, -0.9, -0.8] * 5,
    Rule.EIGHT_BEYOND_1: [1.1, -1.1, -1.2, 1.3] * 2,
}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rule", list(Rule))
def test_each_run_breaks_its_rule_at_its_last_value_and_not_before(rule: Rule, sign: float) -> None:
    run = sign * np.array(RUNS[rule])
    found = broken(5.0 + 2.0 * run, 5.0, 2.0, rule)
    at = 1 if rule is Rule.BEYOND_3 else run.size - 1
    assert np.flatnonzero(found).tolist() == [at]
    assert not broken(run[:at], 0.0, 1.0, rule).any()


def test_two_on_one_side_and_one_on_the_other_are_not_two_of_three() -> None:
    assert not broken(np.array([2.1, 0.0, -2.1]), 0.0, 1.0, Rule.TWO_OF_THREE).any()


@pytest.mark.parametrize("rule", list(Rule))
def test_few_values_and_none_break_nothing(rule: Rule) -> None:
    for n in (0, 1, 2):
        assert not broken(np.full(n, 0.5), 0.0, 1.0, rule).any()


def test_without_a_spread_there_is_no_rule() -> None:
    with pytest.raises(ValueError, match="spread"):
        broken(np.zeros(3), 0.0, 0.0, Rule.BEYOND_3)


def _on_a_side(longest: int) -> float:
    """Average run length of rule 1 with `longest` in a row on one side, by its Markov chain.

    Eight in a row give 152.7, as Champ and Woodall (Technometrics 29 (1987) 393) have it.
    """
    inside = 1.0 - math.erfc(3.0 / math.sqrt(2.0))
    same = inside / 2.0
    steps = (1.0 - same ** (longest - 1)) / (1.0 - same)
    first = steps / (1.0 - same * steps)
    return 1.0 + inside * first


def test_the_chain_gives_what_was_published() -> None:
    assert _on_a_side(8) == pytest.approx(152.7, abs=0.05)


@pytest.mark.parametrize(
    ("rules", "length"),
    [
        ((Rule.BEYOND_3,), 370.4),
        ((Rule.BEYOND_3, Rule.TWO_OF_THREE), 223.0),
        ((Rule.BEYOND_3, Rule.EIGHT_ON_A_SIDE), 152.7),
        ((Rule.BEYOND_3, Rule.NINE_ON_A_SIDE), _on_a_side(9)),
        (WESTERN_ELECTRIC, 92.0),
        (NELSON, 72.0),
    ],
)
def test_the_average_run_length_is_the_published_one(
    rules: tuple[Rule, ...], length: float
) -> None:
    """Runs of a steady process until the first signal; the mean of 1,500 is good to 2.6 %."""
    rng = np.random.default_rng(4)
    lengths = []
    for _ in range(1500):
        values = rng.normal(size=2400)
        marks = np.any([broken(values, 0.0, 1.0, rule) for rule in rules], axis=0)
        lengths.append(int(np.argmax(marks)) + 1 if marks.any() else values.size)
    assert np.mean(lengths) == pytest.approx(length, rel=0.08)
