"""How a beam was delivered, from what moved while it was on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.delivered_technique import technique_of
from analyzers.records import Delivery
from tests.deliveries import axis, static_field, sweeping_field, two_fields, vmat


def _conformal_arc() -> Delivery:
    samples = 101
    return static_field(samples=samples, gantry_deg=np.linspace(350.0, 370.0, samples) % 360.0)


@pytest.mark.parametrize(
    ("delivery", "technique"),
    [
        (static_field(), "static"),
        (sweeping_field(), "dynamic"),
        (vmat(), "vmat"),
        (_conformal_arc(), "arc"),
    ],
)
def test_what_moves_with_the_beam_on_tells(delivery: Delivery, technique: str) -> None:
    assert technique_of(delivery) == technique


def test_leaves_that_move_between_segments_are_step_and_shoot() -> None:
    fields = two_fields()
    meterset = np.asarray(fields.meterset_mu.actual).copy()
    half = meterset.size // 2
    meterset[half - 3 : half + 4] = meterset[half - 3]  # off while they move
    meterset[half + 4 :] += meterset[half - 3] - meterset[half + 4]
    off = replace(fields, meterset_mu=axis(meterset, meterset.size))
    assert technique_of(off) == "step and shoot"


def test_noise_of_what_stands_is_no_movement() -> None:
    delivery = static_field()
    noise = np.random.default_rng(1)
    assert delivery.gantry_deg is not None
    delivery.gantry_deg.actual[:] += noise.normal(0.0, 0.1, delivery.samples)
    for layer in delivery.mlc:
        layer.bank_a_mm.actual[:] += noise.normal(0.0, 0.05, layer.bank_a_mm.actual.shape)
    assert technique_of(delivery) == "static"


def test_through_zero_a_gantry_that_stands_has_not_turned() -> None:
    samples = 101
    near = np.where(np.arange(samples) % 2 == 0, 359.95, 0.05)
    assert technique_of(static_field(samples=samples, gantry_deg=near)) == "static"


def test_a_beam_that_was_never_on_has_none() -> None:
    delivery = static_field()
    off = replace(delivery, meterset_mu=axis(0.0, delivery.samples))
    assert technique_of(off) is None
