"""Plans between their control points: linear in meterset, turning the stated way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import AnalysisError
from analyzers.plan_records import (
    Beam,
    ControlPoints,
    FractionGroup,
    PlannedLayer,
    agreed_meterset_mu,
    angles_in_turn_deg,
)


def turns(*senses: int) -> np.ndarray:
    return np.array(senses, dtype=np.int8)


def beam(
    share: list[float],
    gantry_deg: list[float],
    gantry_turn: list[int],
    meterset_mu: float | None = 100.0,
) -> Beam:
    """Jaws that open by 10 mm and one leaf pair that moves by 4 mm per control point."""
    n = len(share)
    still = np.zeros(n)
    rising = np.arange(n, dtype=float)[:, np.newaxis]
    points = ControlPoints(
        meterset_share=np.array(share),
        gantry_deg=np.array(gantry_deg),
        gantry_turn=turns(*gantry_turn),
        collimator_deg=still,
        collimator_turn=turns(*[0] * n),
        couch_rotation_deg=still,
        couch_rotation_turn=turns(*[0] * n),
        energy_mv=np.full(n, 6.0),
        dose_rate_mu_per_min=np.full(n, 600.0),
        isocenter_mm=np.zeros((n, 3)),
        jaws_x_mm=np.hstack([-10.0 * rising, 10.0 * rising]),
        mlc=(PlannedLayer("", np.array([-5.0, 5.0]), 4.0 * rising + 2.0, 4.0 * rising),),
    )
    return Beam(
        number=1,
        beam_type="DYNAMIC",
        radiation_type="PHOTON",
        delivery_type="TREATMENT",
        sad_mm=1000.0,
        devices=(),
        control_points=points,
        meterset_mu=meterset_mu,
    )


@pytest.mark.parametrize(
    ("start_deg", "stop_deg", "turn", "travel_deg"),
    [
        # The standard's own examples (PS3.3 C.8.8.14.8): none, a whole turn, 350 to 160 and 5.
        (5.0, 5.0, 0, 0.0),
        (5.0, 5.0, 1, 360.0),
        (5.0, 5.0, -1, -360.0),
        (350.0, 160.0, 1, 170.0),
        (350.0, 5.0, -1, -345.0),
        # Through 180 and through 0, both ways.
        (179.0, 181.0, 1, 2.0),
        (181.0, 179.0, -1, -2.0),
        (181.0, 179.0, 1, 358.0),
        (179.0, 181.0, -1, -358.0),
        (359.0, 1.0, 1, 2.0),
        (1.0, 359.0, -1, -2.0),
        # Rounding is not almost a whole turn.
        (90.0, 89.9999, 1, -0.0001),
        (90.0, 90.001, 0, 0.001),
    ],
)
def test_travel(start_deg: float, stop_deg: float, turn: int, travel_deg: float) -> None:
    run = angles_in_turn_deg(np.array([start_deg, stop_deg]), turns(turn, 0))
    np.testing.assert_allclose(run, [start_deg, start_deg + travel_deg], atol=1e-9)


def test_an_angle_that_is_said_to_stay_may_not_change() -> None:
    with pytest.raises(ValueError, match="said to stay"):
        angles_in_turn_deg(np.array([0.0, 1.0]), turns(0, 0))


@given(
    st.floats(0.0, 359.0),
    st.lists(st.floats(-350.0, 350.0).filter(lambda d: abs(d) > 0.02), min_size=1, max_size=10),
)
def test_any_course_is_found_again(start_deg: float, steps_deg: list[float]) -> None:
    course = start_deg + np.cumsum([0.0, *steps_deg])
    senses = turns(*np.sign(steps_deg).astype(int), 0)
    np.testing.assert_allclose(angles_in_turn_deg(np.mod(course, 360.0), senses), course, atol=1e-6)


@pytest.mark.parametrize(
    ("senses", "halfway_deg"), [([1, 0], 0.0), ([-1, 0], 180.0)], ids=["rising", "falling"]
)
def test_an_arc_goes_the_stated_way(senses: list[int], halfway_deg: float) -> None:
    """From 300 to 60 degrees: over 0 it is 120 degrees, over 180 it is 240."""
    found = beam([0.0, 1.0], [300.0, 60.0], senses).at_meterset(np.array([0.0, 50.0, 100.0]))
    np.testing.assert_allclose(found.gantry_deg, [300.0, halfway_deg, 60.0], atol=1e-9)


def test_everything_is_linear_in_the_meterset() -> None:
    """At a quarter of the second segment: 30 MU + 0.25 x 70 MU."""
    found = beam([0.0, 0.3, 1.0], [0.0, 10.0, 30.0], [1, 1, 0]).at_meterset(np.array([47.5]))
    assert found.meterset_share == pytest.approx([0.475])
    assert found.gantry_deg == pytest.approx([15.0])
    assert found.jaws_x_mm is not None
    np.testing.assert_allclose(found.jaws_x_mm, [[-12.5, 12.5]])
    np.testing.assert_allclose(found.mlc[0].bank_a_mm, [[7.0]])
    np.testing.assert_allclose(found.mlc[0].bank_b_mm, [[5.0]])
    assert found.jaws_y_mm is None


def test_a_move_without_beam_is_before_or_after() -> None:
    """Step and shoot: 40 MU with one shape, a move, 60 MU with the next."""
    field = beam([0.0, 0.4, 0.4, 1.0], [0.0] * 4, [0] * 4)
    points = field.control_points
    share = np.array([0.0, 0.2, 0.4, 0.7, 1.0])
    np.testing.assert_allclose(points.position_at(share), [0.0, 0.5, 2.0, 2.5, 3.0])
    np.testing.assert_allclose(
        points.position_at(share, after_move=False), [0.0, 0.5, 1.0, 2.5, 3.0]
    )


def test_moves_at_the_beginning_and_the_end() -> None:
    points = beam([0.0, 0.0, 1.0, 1.0], [0.0] * 4, [0] * 4).control_points
    np.testing.assert_allclose(points.position_at(np.array([0.0, 1.0])), [1.0, 3.0])
    before = points.position_at(np.array([0.0, 1.0]), after_move=False)
    np.testing.assert_allclose(before, [0.0, 2.0])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_position_and_meterset_are_inverse(shares: list[float]) -> None:
    points = beam([0.0, 0.1, 0.1, 0.5, 1.0], [0.0] * 5, [0] * 5).control_points
    for after_move in (True, False):
        position = points.position_at(np.array(shares), after_move=after_move)
        np.testing.assert_allclose(points.at(position).meterset_share, shares, atol=1e-12)


@pytest.mark.parametrize("meterset_mu", [-0.1, 100.1, float("nan")])
def test_beyond_the_beam_is_refused(meterset_mu: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        beam([0.0, 1.0], [0.0, 0.0], [0, 0]).at_meterset(np.array([meterset_mu]))
    with pytest.raises(ValueError, match="from 0 to 1"):
        beam([0.0, 1.0], [0.0, 0.0], [0, 0]).control_points.at(np.array([1.1]))


@pytest.mark.parametrize("meterset_mu", [None, 0.0])
def test_a_beam_without_meterset_is_not_followed_by_it(meterset_mu: float | None) -> None:
    with pytest.raises(AnalysisError, match="meterset"):
        beam([0.0, 1.0], [0.0, 0.0], [0, 0], meterset_mu).at_meterset(np.array([0.0]))


@pytest.mark.parametrize(
    ("given_mu", "agreed"),
    [
        ([], None),
        ([None], None),
        ([80.0], 80.0),
        ([80.0, 80.0], 80.0),
        ([80.0, None], None),
        ([80.0, 80.1], None),
        ([80.0, 0.0], None),
    ],
)
def test_the_meterset_on_which_groups_agree(
    given_mu: list[float | None], agreed: float | None
) -> None:
    groups = tuple(FractionGroup(k, 1, {1: mu}) for k, mu in enumerate(given_mu))
    assert agreed_meterset_mu(1, groups) == agreed
