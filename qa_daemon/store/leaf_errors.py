"""The numbers of every leaf: one row a delivery, and what one leaf was over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from qa_daemon.model import LeafNumbers
from qa_daemon.store.schema import leaf_errors

STORED = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class LeafPoint:
    """One leaf in one delivery: its numbers by quantity, without those that it has not."""

    result: int
    point_ns: int
    values: dict[str, float]


def save(
    connection: Connection,
    *,
    result: int,
    machine: str | None,
    analyzer: str,
    point_ns: int,
    numbers: LeafNumbers,
) -> None:
    """Keep an analyzer's numbers of every leaf with the result they are of."""
    columns = list(numbers.columns.values())
    packed = np.array(columns, dtype=STORED)  # None becomes NaN
    connection.execute(
        insert(leaf_errors).values(
            result=result,
            active=True,
            machine=machine,
            analyzer=analyzer,
            point_ns=point_ns,
            leaves=json.dumps(numbers.leaves),
            quantities=json.dumps(list(numbers.columns)),
            numbers=packed.tobytes(),
        )
    )


def set_aside(connection: Connection, results: Sequence[int]) -> None:
    """The numbers of superseded results count no more."""
    superseded = leaf_errors.c.result.in_(results)
    connection.execute(update(leaf_errors).where(superseded).values(active=False))


def newest(machine: str, analyzer: str, limit: int) -> Select[tuple[object, ...]]:
    """The newest deliveries of a machine, newest first."""
    return (
        select(leaf_errors)
        .where(
            leaf_errors.c.machine == machine,
            leaf_errors.c.analyzer == analyzer,
            leaf_errors.c.active,
        )
        .order_by(leaf_errors.c.point_ns.desc())
        .limit(limit)
    )


def of_leaf(row: RowMapping, leaf: str) -> LeafPoint | None:
    """What a row says of one leaf; None where the delivery's MLC has no such leaf."""
    leaves, quantities = json.loads(row["leaves"]), json.loads(row["quantities"])
    if leaf not in leaves:
        return None
    table = np.frombuffer(row["numbers"], STORED).reshape(len(quantities), len(leaves))
    column = table[:, leaves.index(leaf)]
    values = {n: float(x) for n, x in zip(quantities, column, strict=True) if np.isfinite(x)}
    return LeafPoint(row["result"], row["point_ns"], values)
