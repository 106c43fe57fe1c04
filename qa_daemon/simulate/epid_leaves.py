"""Leaves of a head as an image sees them: offsets by leaf name, and rows under several layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analyzers.mlc_geometry import LEAF_EDGES_MM

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LeafErrors:
    """Where leaves stand, actual minus wanted, IEC x in mm.

    `leaf_mm` is keyed by leaf name (`A17`, dual layer `28A3`); `gap_mm` opens every pair by so
    much, half of it on each side.
    """

    bank_a_mm: float = 0.0
    bank_b_mm: float = 0.0
    gap_mm: float = 0.0
    leaf_mm: Mapping[str, float] = field(default_factory=dict)

    def of(self, mlc: str, layer: str, bank: str) -> Array:
        """The error of each leaf of one bank, `(pairs,)`.

        Raises ValueError for a leaf that the head does not have.
        """
        unknown = set(self.leaf_mm) - set(leaf_names(mlc))
        if unknown:
            raise ValueError(f"{mlc} has no leaf {', '.join(sorted(unknown))}")
        whole_mm = self.bank_a_mm if bank == "A" else self.bank_b_mm
        whole_mm += self.gap_mm / 2.0 if bank == "A" else -self.gap_mm / 2.0
        pairs = len(LEAF_EDGES_MM[mlc][layer]) - 1
        names = [f"{layer}{bank}{k + 1}" for k in range(pairs)]
        return np.array([whole_mm + self.leaf_mm.get(name, 0.0) for name in names])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows so thin that each lies under one leaf of every layer; edges `(rows + 1,)`."""

    edges_mm: Array
    leaf: Mapping[str, NDArray[np.intp]]
    """By layer, which leaf covers each row."""

    @classmethod
    def of(cls, mlc: str) -> Rows:
        """The rows of a head, as far as all of its layers reach."""
        layers = LEAF_EDGES_MM[mlc]
        reach_mm = min(float(edges_mm[-1]) for edges_mm in layers.values())
        edges_mm = np.unique(np.concatenate(list(layers.values()))).astype(np.float64)
        edges_mm = edges_mm[np.abs(edges_mm) <= reach_mm]
        middles_mm = (edges_mm[:-1] + edges_mm[1:]) / 2.0
        leaf = {name: np.searchsorted(own_mm, middles_mm) - 1 for name, own_mm in layers.items()}
        return cls(edges_mm, leaf)


def leaf_names(mlc: str) -> list[str]:
    """Every leaf of a head."""
    return [
        f"{layer}{bank}{k + 1}"
        for layer, edges_mm in LEAF_EDGES_MM[mlc].items()
        for bank in ("A", "B")
        for k in range(len(edges_mm) - 1)
    ]
