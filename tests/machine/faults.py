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


def two_leaves_short(delivery: Delivery, by_mm: float = 240.0) -> Delivery:
    """The first two leaves of bank A that shape the field hang back toward the other bank."""
    layer = delivery.mlc[0]
    shaping_a = shaping_leaves(delivery, layer, beam_on_samples(delivery, 1))[0]
    leaves = np.flatnonzero(shaping_a)[:2]

    def hang_back(mm: FloatArray) -> FloatArray:
        mm[:, leaves] -= by_mm
        return mm

    short = replace(layer, bank_a_mm=changed(layer.bank_a_mm, hang_back))
    return replace(delivery, mlc=(short, *delivery.mlc[1:]))
