"""Rules on runs of values: what a control chart is read for beside single values outside.

Western Electric, Statistical Quality Control Handbook (1956), and Nelson, J Qual Technol 16 (1984)
237.  Each rule more makes more false signals: all eight of Nelson's speak once in 72 values of a
steady process, which is why none but the first is on by default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Marks = NDArray[np.bool_]


class Rule(StrEnum):
    """One rule; the names of Western Electric (WE) and Nelson (N)."""

    BEYOND_3 = "one beyond 3 sigma (WE1, N1)"
    TWO_OF_THREE = "two of three beyond 2 sigma on one side (WE2, N5)"
    FOUR_OF_FIVE = "four of five beyond 1 sigma on one side (WE3, N6)"
    EIGHT_ON_A_SIDE = "eight in a row on one side (WE4)"
    NINE_ON_A_SIDE = "nine in a row on one side (N2)"
    SIX_IN_ORDER = "six in a row rising or falling (N3)"
    FOURTEEN_IN_TURN = "fourteen in a row up and down in turn (N4)"
    FIFTEEN_WITHIN_1 = "fifteen in a row within 1 sigma (N7)"
    EIGHT_BEYOND_1 = "eight in a row beyond 1 sigma on either side (N8)"


WESTERN_ELECTRIC = (Rule.BEYOND_3, Rule.TWO_OF_THREE, Rule.FOUR_OF_FIVE, Rule.EIGHT_ON_A_SIDE)
NELSON = tuple(rule for rule in Rule if rule is not Rule.EIGHT_ON_A_SIDE)


def broken(values: Numbers, center: float, sigma: float, rule: Rule) -> Marks:
    """Where a rule is broken, shape (n,) as `values`: at the last value of each run.

    Raises ValueError for a sigma that is not positive.
    """
    if not sigma > 0.0:
        raise ValueError("a run rule needs a spread")
    z = (values - center) / sigma
    match rule:
        case Rule.BEYOND_3:
            return _so_many(np.abs(z) > 3.0, 1, 1)
        case Rule.TWO_OF_THREE:
            return _so_many(z > 2.0, 2, 3) | _so_many(z < -2.0, 2, 3)
        case Rule.FOUR_OF_FIVE:
            return _so_many(z > 1.0, 4, 5) | _so_many(z < -1.0, 4, 5)
        case Rule.EIGHT_ON_A_SIDE:
            return _so_many(z > 0.0, 8, 8) | _so_many(z < 0.0, 8, 8)
        case Rule.NINE_ON_A_SIDE:
            return _so_many(z > 0.0, 9, 9) | _so_many(z < 0.0, 9, 9)
        case Rule.SIX_IN_ORDER:
            steps = np.diff(z, prepend=z[:1])
            return _so_many(steps > 0.0, 5, 5) | _so_many(steps < 0.0, 5, 5)
        case Rule.FOURTEEN_IN_TURN:
            steps = np.diff(z, prepend=z[:1])
            turned = np.concatenate([[False], steps[1:] * steps[:-1] < 0.0])[: z.size]
            return _so_many(turned, 12, 12)
        case Rule.FIFTEEN_WITHIN_1:
            return _so_many(np.abs(z) < 1.0, 15, 15)
        case Rule.EIGHT_BEYOND_1:
            return _so_many(np.abs(z) > 1.0, 8, 8)


def _so_many(marks: Marks, count: int, of: int) -> Marks:
    """Where `count` of the last `of` marks are set, the last one among them."""
    total = np.concatenate([np.zeros(of, dtype=int), np.cumsum(marks)])
    within = total[of:] - total[:-of]
    enough: Marks = (within >= count) & marks
    return enough
