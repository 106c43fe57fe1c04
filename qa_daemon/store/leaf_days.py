"""Every leaf at its worst of a day: what a map of leaves by day shows of many deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from qa_daemon.store.leaf_errors import STORED
from qa_daemon.store.schema import leaf_errors

SHAPES_FIELD = "shapes_field"
"""Where an analyzer says it, a leaf counts only in deliveries whose field it shaped."""


@dataclass(frozen=True, slots=True)
class LeafOfDay:
    """A leaf and, by quantity, its value of largest magnitude, with its sign."""

    analyzer: str
    leaf: str
    values: dict[str, float]


def worst_of(
    connection: Connection, machine: str, from_ns: int, until_ns: int
) -> Iterator[LeafOfDay]:
    """Every leaf of a machine in `[from_ns, until_ns)`, an analyzer after the other.

    What a leaf has no number of is left out, and so is a leaf without any.
    """
    here = leaf_errors.c
    query = (
        select(here.analyzer, here.leaves, here.quantities, here.numbers)
        .where(here.machine == machine, here.active)
        .where(here.point_ns >= from_ns, here.point_ns < until_ns)
        .order_by(here.analyzer, here.point_ns)
    )
    tables: dict[tuple[str, str, str], list[bytes]] = {}
    for row in connection.execute(query):
        tables.setdefault((row.analyzer, row.leaves, row.quantities), []).append(row.numbers)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for (analyzer, leaves, quantities), packed in tables.items():
        names, columns = json.loads(leaves), json.loads(quantities)
        for quantity, values in zip(columns, _worst(packed, columns, len(names)), strict=True):
            for leaf, value in zip(names, values.tolist(), strict=True):
                if quantity != SHAPES_FIELD and value == value:  # no NaN
                    _keep(found.setdefault((analyzer, leaf), {}), quantity, value)
    for (analyzer, leaf), numbers in found.items():
        yield LeafOfDay(analyzer, leaf, numbers)


def _worst(packed: list[bytes], columns: list[str], leaves: int) -> NDArray[np.float32]:
    """Of tables of equal shape, (quantities, leaves): the value of largest magnitude of each."""
    stacked = np.stack([np.frombuffer(p, STORED).reshape(len(columns), leaves) for p in packed])
    if SHAPES_FIELD in columns:
        shapes = stacked[:, columns.index(SHAPES_FIELD), :] > 0.0
        stacked = np.where(shapes[:, None, :], stacked, np.nan)
    size = np.where(np.isfinite(stacked), np.abs(stacked), -1.0)
    worst = np.take_along_axis(stacked, size.argmax(axis=0)[None], axis=0)[0]
    return np.where(np.isfinite(worst), worst, np.nan).astype(np.float32)


def _keep(numbers: dict[str, float], quantity: str, value: float) -> None:
    """Logs of two kinds of file may name the leaves differently: the worse of both counts."""
    if abs(value) > abs(numbers.get(quantity, 0.0)) or quantity not in numbers:
        numbers[quantity] = value
