"""In-vivo constancy: what changed, which cause the numbers speak for, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzers.core import Analysis, AnalysisError, NotApplicable
from analyzers.patient.in_vivo_constancy import ANALYZER, FIRST
from analyzers.portal_comparison import mean_image
from analyzers.portal_images import Beside, ImageKind, Pixels, Polarity, PortalImage
from analyzers.records import Axis
from qa_daemon.simulate.epid_portal import Panel, Patient, portal_image
from qa_daemon.simulate.plan_shapes import sliding_window, static
from qa_daemon.simulate.portal_beam import Errors, planned_beam
from tests.deliveries import sweeping_field
from tests.machine.judging import measured, run, verdict, worst
from tests.patient.fields import CLINICAL, image, square

PANEL = Panel(rows=200, columns=200, spacing_mm=1.2)
BEAM = planned_beam(static("millennium120"))
BASELINE = portal_image(BEAM, PANEL, patient=Patient(), seed=1)


def fraction(
    errors: Errors | None = None, patient: Patient | None = None, seed: int = 2
) -> PortalImage:
    taken = portal_image(BEAM, PANEL, errors, patient=patient or Patient(), seed=seed)
    return replace(taken, beside=Beside(baseline=BASELINE))


def first_cause(record: PortalImage) -> str:
    spoken = [note for note in run(ANALYZER, record).notes if note.startswith("speaks for ")]
    return spoken[0].removeprefix("speaks for ").partition(":")[0] if spoken else ""


def values(record: PortalImage) -> dict[str, float]:
    return {name: m.value for name, m in measured(ANALYZER, record).items()}


def test_noise_alone_passes_and_speaks_for_nothing() -> None:
    record = fraction(
        Errors(output_percent=0.4, panel_mm=(0.3, -0.2)), Patient(setup_mm=(0.5, 0.4))
    )
    assert worst(measured(ANALYZER, record)) == "PASS"
    assert first_cause(record) == ""


@pytest.mark.parametrize("percent", [3.0, -3.0])
def test_a_change_of_output(percent: float) -> None:
    record = fraction(Errors(output_percent=percent))
    found = values(record)
    assert found["mean_signal_change"] == pytest.approx(percent, abs=0.02)
    assert found["central_signal_change"] == pytest.approx(percent, abs=0.1)
    assert found["signal_per_mu_change"] == pytest.approx(percent, abs=0.05)
    assert abs(found["largest_local_change"]) < 0.5 and found["ratio_spread"] < 0.2
    assert worst(measured(ANALYZER, record)) != "PASS"
    assert first_cause(record) == "a uniform change of output"


def test_a_panel_that_moved_moves_edges_and_anatomy_alike() -> None:
    record = fraction(Errors(panel_mm=(3.0, 0.0)))
    found = values(record)
    assert found["registration_shift"] == pytest.approx(3.0, abs=0.05)
    assert found["anatomy_shift"] < 0.3
    assert verdict(measured(ANALYZER, record)["registration_shift"]) != "PASS"
    assert first_cause(record) == "a moved panel"


@pytest.mark.parametrize("setup_mm", [(3.0, 0.0), (0.0, -3.0)])
def test_a_patient_who_moved_moves_inside_edges_that_stay(setup_mm: tuple[float, float]) -> None:
    record = fraction(patient=Patient(setup_mm=setup_mm))
    found = values(record)
    assert found["registration_shift"] < 0.1
    assert found["anatomy_shift"] == pytest.approx(3.0, abs=0.2)
    assert verdict(measured(ANALYZER, record)["anatomy_shift"]) == "TOLERANCE"
    # Gamma of 3 mm sees nothing of it, as it must.
    assert found["gamma_pass"] > 95.0
    assert first_cause(record) == "a local change, of anatomy or set-up"


def test_a_pocket_of_air_is_a_local_change_and_its_place_is_told() -> None:
    patient = Patient(pocket_mm=10.0, pocket_at_mm=(-12.0, 8.0))
    record = fraction(patient=patient)
    found = measured(ANALYZER, record)["largest_local_change"]
    # exp(0.0048 x 10) - 1 = 4.9 %, a little less through the scatter around it.
    assert 4.0 < found.value < 4.92
    assert verdict(found) == "TOLERANCE"
    x_mm, y_mm = (float(part.split()[1]) for part in (found.at or "").split(", "))
    assert np.hypot(x_mm + 12.0, y_mm - 8.0) < 10.0
    assert first_cause(record) == "a local change, of anatomy or set-up"


def test_missing_frames_are_told_by_their_number() -> None:
    record = fraction(Errors(lost_frames_percent=6.0))
    found = values(record)
    assert found["frames_change"] == pytest.approx(-6.0)
    assert found["mean_signal_change"] == pytest.approx(-6.0, abs=0.02)
    assert first_cause(record) == "missing frames"
    # An image that does not count its frames cannot tell: output is named, and the doubt with it.
    silent = replace(record, frames=1)
    notes = [n for n in run(ANALYZER, silent).notes if "uniform change of output" in n]
    assert "missing ones would look the same" in notes[0]


def test_fewer_monitor_units_are_told_by_the_images() -> None:
    record = replace(fraction(Errors(output_percent=-10.0)), meterset_mu=90.0)
    found = values(record)
    assert found["meterset_change"] == pytest.approx(-10.0)
    assert found["signal_per_mu_change"] == pytest.approx(0.0, abs=0.05)
    assert first_cause(record) == "another meterset"


def test_another_beam_is_told_before_all_else() -> None:
    other = portal_image(
        planned_beam(sliding_window("millennium120")), PANEL, patient=Patient(), seed=3
    )
    record = replace(other, beside=Beside(baseline=BASELINE))
    assert worst(measured(ANALYZER, record)) == "ACTION"
    assert first_cause(record) == "a wrong beam or plan"


def test_another_gantry_angle_is_told() -> None:
    record = replace(fraction(), gantry_deg=90.0)
    assert first_cause(record) == "a wrong beam or plan"
    notes = run(ANALYZER, record).notes
    assert any("gantry 90.0 deg off" in note for note in notes)


@pytest.mark.parametrize(
    "said", [{"gantry_deg": 90.0}, {"collimator_deg": 90.0}, {"energy": "15x"}], ids=str
)
def test_a_beam_that_states_otherwise_is_no_pass(said: dict[str, Any]) -> None:
    """The picture of a symmetric field is the same."""
    assert worst(measured(ANALYZER, replace(fraction(), **said))) == "TOLERANCE"
    assert (
        worst(measured(ANALYZER, replace(fraction(), **said, couch_rotation_deg=45.0))) == "ACTION"
    )


def test_an_image_of_an_arc_states_any_of_its_angles() -> None:
    """The gantry's first angle one day and its last the next, as systems export them."""
    points = BEAM.control_points
    arc = replace(
        BEAM,
        control_points=replace(
            points,
            gantry_deg=np.linspace(200.0, 520.0, points.count) % 360.0,
            gantry_turn=np.array([1] * (points.count - 1) + [0], np.int8),
        ),
    )
    first = replace(BASELINE, gantry_deg=200.0)

    def different(gantry_deg: float, **beside: Any) -> float:
        record = replace(fraction(), gantry_deg=gantry_deg)
        found = values(replace(record, beside=Beside(baseline=first, **beside)))
        return found["stated_differences"]

    assert different(160.0, planned=arc) == 0  # the arc's end
    assert different(161.5, planned=arc) == 0
    assert different(0.0, planned=arc) == 0
    assert different(180.0, planned=arc) == 1  # not on the arc
    assert different(160.0, planned=BEAM) == 1  # a beam that stands still
    assert different(160.0) == 1  # nobody tells what the gantry does
    log = sweeping_field(samples=401, mu=100.0)
    turning = replace(
        log, gantry_deg=Axis(*(np.linspace(200.0, 520.0, log.samples) % 360.0 for _ in range(2)))
    )
    assert different(160.0, log=turning) == 0
    assert different(180.0, log=turning) == 1


def test_an_energy_is_the_same_however_it_is_written() -> None:
    assert BASELINE.energy is not None
    assert values(replace(fraction(), energy=BASELINE.energy.upper()))["stated_differences"] == 0


def test_saturation_is_told_and_judged() -> None:
    top = float(BASELINE.values.max())
    record = fraction(Errors(saturated_cu=0.95 * top))
    assert verdict(measured(ANALYZER, record)["saturated_pixels"]) == "ACTION"
    assert first_cause(record) == "saturation"


def test_the_first_image_is_the_baseline_and_is_not_judged() -> None:
    with pytest.raises(NotApplicable, match=FIRST):
        run(ANALYZER, replace(BASELINE, beside=Beside()))
    waiting = Beside(lacking={"baseline": "its baseline is not signed off yet"})
    with pytest.raises(NotApplicable, match="not signed off"):
        run(ANALYZER, replace(BASELINE, beside=waiting))


def test_images_without_unit_are_compared_by_their_pattern_alone() -> None:
    record = fraction(Errors(output_percent=20.0))
    record = replace(record, pixels=Pixels.RELATIVE)
    found = values(record)
    assert found["relative_gamma_pass"] == pytest.approx(100.0, abs=0.1)
    for name in ("gamma_pass", "mean_signal_change", "central_signal_change"):
        assert name not in found
    assert "signal_per_mu_change" not in found


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"sid_mm": None}, "distance of the imager"),
        ({"sid_mm": 1400.0}, "100 mm nearer or further"),
        ({"polarity": Polarity.UNKNOWN}, "which way"),
        ({"values": np.zeros((200, 200))}, "no signal"),
        ({"values": np.full((200, 200), np.nan)}, "no numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused(said: dict[str, object], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        run(ANALYZER, replace(fraction(), **said))


def test_a_small_field_has_no_inside_and_is_judged_all_the_same() -> None:
    small = image(square(half_mm=6.0))
    record = replace(image(1.06 * square(half_mm=6.0)), beside=Beside(baseline=small))
    analysis: Analysis = run(ANALYZER, record)
    assert any("too small to look inside" in note for note in analysis.notes)
    assert verdict(measured(ANALYZER, record)["mean_signal_change"]) == "ACTION"


def test_the_mean_of_fractions_is_a_baseline() -> None:
    fractions = [portal_image(BEAM, PANEL, patient=Patient(), seed=k) for k in range(3)]
    mean = mean_image(fractions)
    wanted = (fractions[0].values + fractions[1].values + fractions[2].values) / 3.0
    assert np.allclose(mean.values, wanted)
    with pytest.raises(AnalysisError, match="no mean"):
        mean_image([fractions[0], replace(fractions[1], sid_mm=1400.0)])
    with pytest.raises(AnalysisError, match="no image"):
        mean_image([])


def test_only_clinical_images_are_asked() -> None:
    for kind in ImageKind:
        record = replace(BASELINE, classified=replace(CLINICAL, kind=kind))
        assert ANALYZER.applies(record) is (kind is ImageKind.PORTAL)
