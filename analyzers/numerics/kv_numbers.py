"""Numbers that a kV measurement cannot hold are refused, by name and with what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def within(name: str, value: float, low: float, high: float, unit: str = "") -> float:
    """`value`, when it lies in [low, high].  ValueError otherwise, for NaN and infinity as well."""
    if not low <= value <= high:
        after = f" {unit}" if unit else ""
        raise ValueError(f"{name} is {_shown(value)}{after}: expected {low:g} to {high:g}{after}")
    return float(value)


def positive(name: str, value: float, unit: str = "") -> float:
    """`value`, when it is finite and greater than 0.  ValueError otherwise."""
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} is {_shown(value)}{' ' + unit if unit else ''}: not positive")
    return float(value)


def not_negative(name: str, value: float, unit: str = "") -> float:
    """`value`, when it is finite and at least 0.  ValueError otherwise."""
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{name} is {_shown(value)}{' ' + unit if unit else ''}: negative or none")
    return float(value)


def finite(name: str, value: float, unit: str = "") -> float:
    """`value`, when it is a finite number.  ValueError otherwise."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {_shown(value)}{' ' + unit if unit else ''}: not a number")
    return float(value)


def positive_numbers(name: str, values: ArrayLike, *, fewest: int = 1) -> Floats:
    """A list of finite numbers greater than 0, `(n,)`.

    ValueError: fewer than `fewest`, no plain list, or a number that is not positive (which one).
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or len(numbers) < fewest:
        raise ValueError(f"{name}: {numbers.size} given, at least {fewest} needed in a plain list")
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0.0)))
    if wrong.size:
        raise ValueError(
            f"{name}: number {wrong[0] + 1} is {_shown(numbers[wrong[0]])}, not positive"
        )
    return numbers


def same_length(first: str, a: Sequence[object] | Floats, second: str, b: Floats) -> None:
    """ValueError when two lists that belong together differ in length."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {first} but {len(b)} {second}")


def _shown(value: float) -> str:
    return f"{value:.6g}"
