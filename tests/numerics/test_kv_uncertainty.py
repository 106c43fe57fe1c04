"""Uncertainty budget: quadrature, the total that TG-61 states, and closed forms of its parts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_corrections import air_density_factor
from analyzers.numerics.kv_uncertainty import (
    AIR_KERMA,
    DOSE_TO_WATER,
    Budget,
    Component,
    air_density_component,
    certificate_component,
    positioning_component,
    readings_component,
    timer_component,
)


def test_the_defaults_add_up_to_the_total_of_the_report() -> None:
    # TG-61: about 3.5 to 4.7 % (k = 1); 3.5 is that of dose at the surface.
    assert round(DOSE_TO_WATER.k1_percent, 1) == 3.5
    assert round(DOSE_TO_WATER.k2_percent, 1) == 7.0
    assert AIR_KERMA.k1_percent < DOSE_TO_WATER.k1_percent


def test_the_defaults_say_where_they_come_from() -> None:
    for component in DOSE_TO_WATER.components:
        assert component.source.startswith(("TG-61, general knowledge", "product default"))


def test_the_instruments_make_the_measurement_in_the_users_beam() -> None:
    own = {"P_TP", "electrometer", "timer", "positioning"}
    parts = [c.percent for c in AIR_KERMA.components if c.name in own]
    assert round(math.hypot(*parts), 1) == 1.5


def test_a_right_triangle() -> None:
    budget = Budget((Component("a", 3.0, "x"), Component("b", 4.0, "y")))
    assert (budget.k1_percent, budget.k2_percent) == (5.0, 10.0)


@pytest.mark.parametrize("name", [component.name for component in DOSE_TO_WATER.components])
def test_every_component_can_be_replaced_or_left_out(name: str) -> None:
    others = math.hypot(*(c.percent for c in DOSE_TO_WATER.components if c.name != name))
    own = DOSE_TO_WATER.with_components(Component(name, 0.0, "own"))
    assert own.k1_percent == pytest.approx(others, rel=1e-12)
    assert len(own.components) == len(DOSE_TO_WATER.components)
    assert DOSE_TO_WATER.without([name]).k1_percent == pytest.approx(others, rel=1e-12)


def test_readings_add_the_standard_deviation_of_their_mean() -> None:
    # 99, 100, 101: standard deviation 1, of the mean 1/sqrt(3), mean 100.
    component = readings_component([99.0, 100.0, 101.0])
    assert component.percent == pytest.approx(1.0 / math.sqrt(3.0), rel=1e-12)
    assert component.evaluated == "A"
    with_it = AIR_KERMA.with_components(component)
    assert with_it.k1_percent == pytest.approx(
        math.hypot(AIR_KERMA.k1_percent, component.percent), rel=1e-12
    )


def test_one_reading_tells_no_spread() -> None:
    with pytest.raises(ValueError, match="one reading"):
        readings_component([2.3])


@given(t=st.floats(16.0, 34.0), p=st.floats(75.0, 105.0))
def test_instruments_move_the_air_density_as_much_as_they_are_uncertain(t: float, p: float) -> None:
    def factor(t: float, p: float) -> float:
        return air_density_factor(t, p, t_ref_c=20.0, p_ref_kpa=101.325)

    u_t, u_p = 0.01, 0.001
    by_t = (factor(t + u_t, p) - factor(t - u_t, p)) / 2.0
    by_p = (factor(t, p + u_p) - factor(t, p - u_p)) / 2.0
    component = air_density_component(t, p, thermometer_k=u_t, barometer_kpa=u_p)
    expected = 100.0 * math.hypot(by_t, by_p) / factor(t, p)
    assert component.percent == pytest.approx(expected, rel=1e-6)


def test_timer_distance_and_certificate() -> None:
    assert timer_component(59.5, 0.5, timer_s=0.3).percent == pytest.approx(0.5)
    assert positioning_component(15.0, position_cm=0.075).percent == pytest.approx(1.0)
    assert certificate_component(1.4).percent == pytest.approx(0.7)
    assert certificate_component(1.4, coverage=1.0).percent == 1.4


@pytest.mark.parametrize("percent", [-0.1, math.nan, math.inf])
def test_a_component_is_a_number_from_0_up(percent: float) -> None:
    with pytest.raises(ValueError, match="uncertainty of timer"):
        Component("timer", percent, "x")


def test_what_is_no_budget() -> None:
    a = Component("a", 1.0, "x")
    with pytest.raises(ValueError, match="once"):
        Budget((a, a))
    with pytest.raises(ValueError, match="once"):
        Budget(())
    with pytest.raises(ValueError, match="no component \\['b'\\]"):
        Budget((a,)).without(["b"])
    with pytest.raises(ValueError, match="type 'C'"):
        Component("a", 1.0, "x", "C")
    with pytest.raises(ValueError, match="not positive"):
        timer_component(1.0, -1.0, timer_s=0.1)
    with pytest.raises(ValueError, match="not positive"):
        positioning_component(0.0, position_cm=0.1)
    with pytest.raises(ValueError, match="not positive"):
        certificate_component(1.4, coverage=0.0)
