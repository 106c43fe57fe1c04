"""One fault put into a delivery: the expected values stay, a copy of the actual ones changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from analyzers.field_shape import beam_on_samples, shaping_leaves
from analyzers.records import Axis, Delivery, FloatArray


def changed(axis: Axis, change: Callable[[FloatArray], FloatArray]) -> Axis:
    return Axis(axis.expected, change(np.array(axis.actual, dtype=np.float64)))


def bank_a_shifted(delivery: Delivery, by_mm: float) -> Delivery:
    layers = tuple(
        replace(layer, bank_a_mm=changed(layer.bank_a_mm, lambda mm: mm + by_mm))
        for layer in delivery.mlc
    )
    return replace(delivery, mlc=layers)


def meterset_scaled(delivery: Delivery, factor: float) -> Delivery:
    return replace(delivery, meterset_mu=changed(delivery.meterset_mu, lambda mu: mu * factor))


def jaw_x1_off(delivery: Delivery, by_mm: float) -> Delivery:
    assert delivery.jaw_x1_mm is not None
    return replace(delivery, jaw_x1_mm=changed(delivery.jaw_x1_mm, lambda mm: mm + by_mm))


def leaves_shifted(delivery: Delivery, leaves: int, by_mm: float) -> Delivery:
    """The first leaves of bank A that shape the field stand off, short where negative."""
    layer = delivery.mlc[0]
    shaping_a = shaping_leaves(delivery, layer, beam_on_samples(delivery, 1))[0]
    pairs = np.flatnonzero(shaping_a)[:leaves]

    def shift(mm: FloatArray) -> FloatArray:
        mm[:, pairs] += by_mm
        return mm

    shifted = replace(layer, bank_a_mm=changed(layer.bank_a_mm, shift))
    return replace(delivery, mlc=(shifted, *delivery.mlc[1:]))
