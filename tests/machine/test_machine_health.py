"""The machine's parameters: one name and one unit each, and nothing that cannot be."""

from __future__ import annotations

import math
import re

import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.formats.varian_trajectory_log_text import companion
from analyzers.machine.machine_health import ANALYZER, ONE_SAMPLE
from tests import real_data
from tests.deliveries import sweeping_field
from tests.machine.judging import measured, run, verdict

TEXTS = real_data.files("tlog", "**/*.txt")

# Every row of the machine's sample in real text files but geometry and meterset, and its metric.
ROWS = {
    "DoseRate (MU/min)": "dose_rate",
    "PFN High Voltage Power Supply Current (A)": "pfn_supply_current",
    "PFN Actual Voltage (KV)": "pfn_voltage",
    "RF Driver Voltage (V)": "rf_driver_voltage",
    "RF Forward Power (W)": "rf_forward_power",
    "AFC Error (V)": "afc_error",
    "Gun Current (A)": "gun_current",
    "Gun High Voltage (V)": "gun_voltage",
    "Gun Grid Voltage (V)": "gun_grid_voltage",
    "Gun Filament Step Voltage (V)": "gun_filament_step_voltage",
    "Gun Filament Voltage (V)": "gun_filament_voltage",
    "Bend Magnet Current (A)": "bend_magnet_current",
    "Bend Magnet Voltage (V)": "bend_magnet_voltage",
    "Accelerator Solenoid Current (A)": "accelerator_solenoid_current",
    "Klystron Solenoid Current (A)": "klystron_solenoid_current",
    "Radial Symmetry (%)": "radial_symmetry",
    "Transverse Symmetry (%)": "transverse_symmetry",
    "Target Current (nC)": "target_current",
    "Buncher Radial Current (A)": "buncher_radial_current",
    "Buncher Transverse Current (A)": "buncher_transverse_current",
    "Angle Radial Current (A)": "angle_radial_current",
    "Angle Transverse Current (A)": "angle_transverse_current",
    "Position Radial Current (A)": "position_radial_current",
    "Position Transverse Current (A)": "position_transverse_current",
    "Trim (A)": "trim_current",
    "Accelerator Vacion Current (uA)": "vacuum_pump_current",
    "Positive 5V dc": "supply_plus_5v",
    "Positive 24V dc": "supply_plus_24v",
    "Analog Negative 5V dc": "analog_supply_minus_5v",
    "Analog Positive 5V dc": "analog_supply_plus_5v",
    "Negative 12V dc": "supply_minus_12v",
    "Positive 3V dc": "supply_plus_3v",
    "Node Power Supply Voltage (V)": "node_supply_voltage",
    "City Water Temperature (deg C)": "city_water_temperature",
    "Internal Water Supply Temperature (deg C)": "internal_water_temperature",
    "Gas Pressure (PSI)": "gas_pressure",
}


@pytest.mark.parametrize(("key", "metric"), ROWS.items())
def test_every_row_is_one_metric(key: str, metric: str) -> None:
    (found,) = measured(ANALYZER, sweeping_field(machine_parameters={key: 4.9})).values()
    assert (found.metric.name, found.value) == (metric, 4.9)
    assert verdict(found) is None  # trend-only


def test_the_rows_are_all_the_metrics_there_are() -> None:
    assert {m.name for m in ANALYZER.metrics} == {*ROWS.values(), "water_level_warning"}
    assert all(not m.limits for m in ANALYZER.metrics)


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("Gun High Voltage (V)", "V"),
        ("PFN Actual Voltage (KV)", "kV"),
        ("Negative 12V dc", "V"),
        ("City Water Temperature (deg C)", "degC"),
        ("Gas Pressure (PSI)", "psi"),
    ],
)
def test_units(key: str, unit: str) -> None:
    (found,) = measured(ANALYZER, sweeping_field(machine_parameters={key: 5.0})).values()
    assert found.metric.unit == unit


@pytest.mark.parametrize(
    "key", ["Gun  Current (A)", "gun current ( A )", "GunCurrent(A)", "Gun Current (A) :"]
)
def test_spelling_does_not_matter(key: str) -> None:
    assert measured(ANALYZER, sweeping_field(machine_parameters={key: 0.4}))["gun_current"]


@pytest.mark.parametrize("printed", [12.2, -12.2])
def test_a_supply_below_zero_is_a_magnitude_whether_its_sign_is_printed_or_not(
    printed: float,
) -> None:
    found = measured(ANALYZER, sweeping_field(machine_parameters={"Negative 12V dc": printed}))
    assert found["supply_minus_12v"].value == 12.2


def test_the_gun_keeps_its_sign() -> None:
    found = measured(
        ANALYZER, sweeping_field(machine_parameters={"Gun High Voltage (V)": -15983.0})
    )
    assert found["gun_voltage"].value == -15983.0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e9, -1e9])
def test_what_cannot_be_is_left_out_and_said(value: float) -> None:
    parameters = {"Gun Current (A)": value, "Trim (A)": 0.1}
    analysis = run(ANALYZER, sweeping_field(machine_parameters=parameters))
    assert [m.metric.name for m in analysis.measurements] == ["trim_current"]
    assert any(note.startswith("gun_current is left out") for note in analysis.notes)


def test_another_unit_is_left_out_and_said() -> None:
    parameters = {"Gun Current (mA)": 400.0, "Trim (A)": 0.1}
    analysis = run(ANALYZER, sweeping_field(machine_parameters=parameters))
    assert [m.metric.name for m in analysis.measurements] == ["trim_current"]
    assert any("gun_current is left out: not in A" in note for note in analysis.notes)


def test_a_parameter_given_twice_is_left_out_and_said() -> None:
    parameters = {"Gun Current (A)": 0.4, "Gun current(A)": 0.6, "Trim (A)": 0.1}
    analysis = run(ANALYZER, sweeping_field(machine_parameters=parameters))
    assert [m.metric.name for m in analysis.measurements] == ["trim_current"]
    assert any("given twice" in note for note in analysis.notes)


def test_nothing_but_absurd_numbers_is_no_answer() -> None:
    with pytest.raises(AnalysisError):
        run(ANALYZER, sweeping_field(machine_parameters={"Gun Current (A)": 1e9}))


def test_without_parameters_it_does_not_apply() -> None:
    for parameters in ({}, {"X1 (Cms)": 4.0, "MU1": 3.0, "clocks": 400.0}):
        with pytest.raises(NotApplicable):
            run(ANALYZER, sweeping_field(machine_parameters=parameters))


@pytest.mark.parametrize(("said", "warning"), [("Normal", 0.0), ("LowWarning", 1.0), ("Low", 1.0)])
def test_any_water_level_but_normal_is_a_warning(said: str, warning: float) -> None:
    found = measured(ANALYZER, sweeping_field(machine_states={"Water Level": said}))
    assert found["water_level_warning"].value == warning


def test_that_it_is_one_sample_is_said() -> None:
    analysis = run(ANALYZER, sweeping_field(machine_parameters={"Trim (A)": 0.1}))
    assert list(analysis.notes) == [ONE_SAMPLE]


@real_data.skip_without("tlog")
def test_every_real_text_gives_every_metric_as_printed() -> None:
    levels = []
    for path in TEXTS:
        content = path.read_bytes()
        said = companion(content)
        assert said is not None
        delivery = sweeping_field(
            machine_parameters=said.machine_parameters, machine_states=said.machine_states
        )
        analysis = run(ANALYZER, delivery)
        assert list(analysis.notes) == [ONE_SAMPLE]
        found = {m.metric.name: m.value for m in analysis.measurements}
        assert set(found) == {m.name for m in ANALYZER.metrics}
        # The text as it stands, read another way: a key up to the tab, a number behind it.
        rows = dict(re.findall(r"^([^\t\r\n]+)\t(\S+)\r?$", content.decode("latin-1"), re.M))
        for key, value in rows.items():
            metric = ROWS.get(" ".join(key.replace(":", " ").split()))
            if metric is not None:
                assert found.pop(metric) == float(value)
        levels.append(found.pop("water_level_warning"))
        assert not found
    assert (len(levels), sum(levels)) == (46, 3)
