"""Leaf boundaries of the multileaf collimators, in mm at the isocenter plane.

Boundaries run along IEC Y when the collimator is at zero, leaf 1 at the most negative one, so a
layer of `n` pairs has `n + 1` boundaries.  Widths as in the RTPLAN Leaf Position Boundaries of the
makers; HD120 and Agility checked on real plans, the dual-layer head after its published
specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from analyzers.records import Delivery, FloatArray


def _boundaries(*runs: tuple[int, float]) -> FloatArray:
    """Boundaries of leaves given as (count, width in mm), centered on the beam axis."""
    widths_mm = np.concatenate([np.full(count, width_mm) for count, width_mm in runs])
    edges_mm: FloatArray = np.concatenate([[0.0], np.cumsum(widths_mm)]) - widths_mm.sum() / 2.0
    edges_mm.setflags(write=False)
    return edges_mm


LEAF_EDGES_MM: Mapping[str, Mapping[str, FloatArray]] = MappingProxyType(
    {
        "millennium52": {"": _boundaries((26, 10.0))},
        "millennium80": {"": _boundaries((40, 10.0))},
        "millennium120": {"": _boundaries((10, 10.0), (40, 5.0), (10, 10.0))},
        "hd120": {"": _boundaries((14, 5.0), (32, 2.5), (14, 5.0))},
        "agility": {"": _boundaries((80, 5.0))},
        "mlci": {"": _boundaries((40, 10.0))},
        # Layers are named by their number of pairs: makers and readers disagree on the words.
        "halcyon": {"28": _boundaries((28, 10.0)), "29": _boundaries((29, 10.0))},
    }
)
"""Model -> layer name -> boundaries, shape `(pairs + 1,)`, read-only; one layer is named ''."""


def with_model(delivery: Delivery, model: str | None) -> Delivery:
    """The delivery with the leaf boundaries of the machine's own MLC, where the log assumed them.

    A model with another number of pairs, or one that is not known here, is not taken: the log then
    keeps what it assumed, and a warning says so; so it does where no model is given.
    """
    if not delivery.mlc_is_assumed:
        return delivery
    (layer,) = delivery.mlc
    assumed = f"leaf widths are taken from {delivery.mlc_model}"
    edges_mm = LEAF_EDGES_MM.get(model or "", {}).get("")
    if edges_mm is not None and len(edges_mm) == layer.pairs + 1:
        layers = (replace(layer, leaf_edges_mm=edges_mm),)
        return replace(delivery, mlc=layers, mlc_model=model, mlc_is_assumed=False)
    why = "the machine's MLC is not named" if model is None else "the machine's MLC does not fit"
    return replace(delivery, warnings=(*delivery.warnings, f"{why}: {assumed}"))
