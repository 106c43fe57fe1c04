"""Machine health: what the machine says of its gun, RF, magnets, supplies and water.

Reads the parameters of a `Delivery`'s machine, which a TrueBeam writes into the text file beside
its log.  They are one sample in mid-beam, not a mean, and depend on the energy: trend-only, to be
looked at by machine and energy.  Keys as in 46 real files, which all spell them alike; spaces,
colons and case do not matter.  A number under another unit than the key's own, and one that no
machine can have, is left out with a note.  Supplies below zero are printed without their sign, so
that their magnitude is given; the gun's voltage keeps its sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
)
from analyzers.records import Delivery

ONE_SAMPLE = "one sample of the machine in mid-beam, not a mean over the delivery"
KEY = re.compile(r"(?P<name>[^()]*)(?:\((?P<unit>[^()]*)\))?[\s:]*")
POSSIBLE = {
    "A": (-1e3, 1e3),
    "V": (-1e5, 1e5),
    "kV": (-100.0, 100.0),
    "W": (-1.0, 1e5),
    "%": (-100.0, 100.0),
    "nC": (-10.0, 1e5),
    "uA": (-10.0, 1e5),
    "degC": (-50.0, 150.0),
    "psi": (0.0, 1e3),
    "MU/min": (-1.0, 2e4),
}
"""By unit, wide bounds of what a machine can have."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of the text file: its key and the unit behind it, and the metric it becomes."""

    key: str
    key_unit: str
    metric: Metric
    is_magnitude: bool = False


PARAMETERS = (
    Parameter("DoseRate", "MU/min", Metric("dose_rate", "MU/min", "Dose rate")),
    Parameter("Gun Current", "A", Metric("gun_current", "A", "Current of the electron gun")),
    Parameter("Gun High Voltage", "V", Metric("gun_voltage", "V", "High voltage of the gun")),
    Parameter("Gun Grid Voltage", "V", Metric("gun_grid_voltage", "V", "Grid voltage of the gun")),
    Parameter(
        "Gun Filament Voltage",
        "V",
        Metric("gun_filament_voltage", "V", "Filament voltage of the gun"),
    ),
    Parameter(
        "Gun Filament Step Voltage",
        "V",
        Metric("gun_filament_step_voltage", "V", "Step of the gun's filament voltage"),
    ),
    Parameter("Target Current", "nC", Metric("target_current", "nC", "Charge on the target")),
    Parameter(
        "PFN Actual Voltage", "KV", Metric("pfn_voltage", "kV", "Voltage of the pulse network")
    ),
    Parameter(
        "PFN High Voltage Power Supply Current",
        "A",
        Metric("pfn_supply_current", "A", "Supply current of the pulse network"),
    ),
    Parameter("RF Driver Voltage", "V", Metric("rf_driver_voltage", "V", "Voltage of the driver")),
    Parameter("RF Forward Power", "W", Metric("rf_forward_power", "W", "Forward power of the RF")),
    Parameter("AFC Error", "V", Metric("afc_error", "V", "Error of the frequency control")),
    Parameter(
        "Bend Magnet Current", "A", Metric("bend_magnet_current", "A", "Current of the bend magnet")
    ),
    Parameter(
        "Bend Magnet Voltage", "V", Metric("bend_magnet_voltage", "V", "Voltage of the bend magnet")
    ),
    Parameter(
        "Accelerator Solenoid Current",
        "A",
        Metric("accelerator_solenoid_current", "A", "Current of the accelerator's solenoid"),
    ),
    Parameter(
        "Klystron Solenoid Current",
        "A",
        Metric("klystron_solenoid_current", "A", "Current of the klystron's solenoid"),
    ),
    Parameter("Radial Symmetry", "%", Metric("radial_symmetry", "%", "Radial symmetry")),
    Parameter(
        "Transverse Symmetry", "%", Metric("transverse_symmetry", "%", "Transverse symmetry")
    ),
    *(
        Parameter(
            f"{coil} {plane} Current",
            "A",
            Metric(
                f"{coil}_{plane}_current".lower(),
                "A",
                f"Servo current of the {coil.lower()} coil, {plane.lower()}",
            ),
        )
        for coil in ("Buncher", "Angle", "Position")
        for plane in ("Radial", "Transverse")
    ),
    Parameter("Trim", "A", Metric("trim_current", "A", "Current of the trim coil")),
    Parameter(
        "Accelerator Vacion Current",
        "uA",
        Metric("vacuum_pump_current", "uA", "Current of the accelerator's ion pump: its vacuum"),
    ),
    Parameter("Positive 24V dc", "", Metric("supply_plus_24v", "V", "Supply of +24 V")),
    Parameter("Positive 5V dc", "", Metric("supply_plus_5v", "V", "Supply of +5 V")),
    Parameter("Positive 3V dc", "", Metric("supply_plus_3v", "V", "Supply of +3.3 V")),
    Parameter(
        "Negative 12V dc",
        "",
        Metric("supply_minus_12v", "V", "Supply of -12 V, its magnitude"),
        is_magnitude=True,
    ),
    Parameter(
        "Analog Positive 5V dc", "", Metric("analog_supply_plus_5v", "V", "Analog supply of +5 V")
    ),
    Parameter(
        "Analog Negative 5V dc",
        "",
        Metric("analog_supply_minus_5v", "V", "Analog supply of -5 V, its magnitude"),
        is_magnitude=True,
    ),
    Parameter(
        "Node Power Supply Voltage",
        "V",
        Metric("node_supply_voltage", "V", "Supply of the machine's nodes"),
    ),
    Parameter(
        "City Water Temperature",
        "deg C",
        Metric("city_water_temperature", "degC", "Temperature of the water from outside"),
    ),
    Parameter(
        "Internal Water Supply Temperature",
        "deg C",
        Metric("internal_water_temperature", "degC", "Temperature of the machine's own water"),
    ),
    Parameter(
        "Gas Pressure", "PSI", Metric("gas_pressure", "psi", "Pressure of the waveguide gas")
    ),
)
WATER_LEVEL = "Water Level"
WATER_LEVEL_WARNING = Metric(
    "water_level_warning", "1", "1 where the machine calls its water level anything but normal"
)


class MachineHealthSettings(Settings):
    """Settings of this analyzer: it has none."""


def analyze(delivery: Delivery, context: Context[MachineHealthSettings]) -> Analysis:  # noqa: ARG001
    """Give the machine's parameters under one name and unit each."""
    said = _by_name(delivery.machine_parameters)
    measured: list[Measurement] = []
    notes = [ONE_SAMPLE]
    for parameter in PARAMETERS:
        given = said.get(_name(parameter.key), [])
        if not given:
            continue
        problem = "it is given twice" if len(given) > 1 else _problem(parameter, *given[0])
        if problem is None:
            value = abs(given[0][1]) if parameter.is_magnitude else given[0][1]
            measured.append(parameter.metric.measured(value))
        else:
            notes.append(f"{parameter.metric.name} is left out: {problem}")
    measured += _water_level(delivery.machine_states)
    if len(notes) > 1 and not measured:
        raise AnalysisError("no parameter of the machine is a number that can be")
    if not measured:
        raise NotApplicable("no text file beside the log tells the machine's parameters")
    return Analysis(measured, notes=notes)


def _by_name(parameters: Mapping[str, float]) -> dict[str, list[tuple[str, float]]]:
    """Unit and value by the bare name of a key; what is written otherwise is no parameter."""
    found: dict[str, list[tuple[str, float]]] = {}
    for key, value in parameters.items():
        parts = KEY.fullmatch(key)
        if parts:
            found.setdefault(_name(parts["name"]), []).append((parts["unit"] or "", value))
    return found


def _name(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.casefold())


def _problem(parameter: Parameter, unit: str, value: float) -> str | None:
    """Why a number cannot be this parameter."""
    if _name(unit) != _name(parameter.key_unit):
        return f"not in {parameter.metric.unit} as the machine writes it"
    low, high = POSSIBLE[parameter.metric.unit]
    if not low <= value <= high:  # NaN neither
        return f"no machine has a value beyond {low:g} to {high:g} {parameter.metric.unit}"
    return None


def _water_level(states: Mapping[str, str]) -> list[Measurement]:
    level = states.get(WATER_LEVEL)
    if level is None:
        return []
    return [WATER_LEVEL_WARNING.measured(0.0 if level.casefold() == "normal" else 1.0)]


ANALYZER = Analyzer(
    name="machine_health",
    title="Machine health",
    version="1",
    accepts=Delivery,
    settings=MachineHealthSettings,
    metrics=(*(parameter.metric for parameter in PARAMETERS), WATER_LEVEL_WARNING),
    analyze=analyze,
)
