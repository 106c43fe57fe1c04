"""Portal dose: images with one known difference each, in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, Measurement, NotApplicable
from analyzers.patient.portal_dose import ANALYZER
from analyzers.portal_images import Beside, ImageKind, Pixels, Polarity, PortalImage
from qa_daemon.simulate.epid_portal import IMAGER, Panel, Patient, portal_image, predicted_image
from qa_daemon.simulate.plan_shapes import static
from qa_daemon.simulate.portal_beam import Errors, planned_beam
from tests.machine.judging import measured, run, verdict
from tests.patient.fields import CLINICAL, HALF_MM, image, square

PANEL = Panel(rows=160, columns=160, spacing_mm=1.2)


def compared(values: np.ndarray, predicted: PortalImage | None = None, **said: object) -> dict:
    beside = Beside(predicted=predicted or image(square()))
    return measured(ANALYZER, replace(image(values), beside=beside, **said))


def value(found: dict[str, Measurement], name: str) -> float:
    return found[name].value


def test_equal_images_are_equal() -> None:
    found = compared(square())
    numbers = {name: m.value for name, m in found.items() if name != "largest_local_error"}
    assert numbers["gamma_pass"] == numbers["gamma_pass_2_1"] == 100.0
    assert numbers["mean_dose_error"] == pytest.approx(0.0, abs=1e-9)
    assert numbers["registration_shift"] == pytest.approx(0.0, abs=1e-6)
    assert {verdict(m) for m in found.values()} <= {"PASS", None}


@pytest.mark.parametrize(
    ("percent", "passes", "said"),
    [
        (1.0, True, "PASS"),
        (-2.5, True, "TOLERANCE"),
        (2.9, True, "TOLERANCE"),
        (4.0, False, "ACTION"),
    ],
)
def test_a_change_of_output_is_told_with_its_sign(percent: float, passes: bool, said: str) -> None:
    found = compared(square() * (1.0 + percent / 100.0))
    assert value(found, "mean_dose_error") == pytest.approx(percent, abs=1e-3)
    assert value(found, "largest_local_error") == pytest.approx(percent, abs=1e-6)
    # In the flat field gamma is percent / 3: all of it passes, or only the penumbra does.
    assert (value(found, "gamma_pass") == 100.0) is passes
    assert verdict(found["mean_dose_error"]) == said
    if not passes:
        assert value(found, "gamma_pass") < 40.0


@pytest.mark.parametrize("said", [{"gantry_deg": 90.0}, {"energy": "15x"}], ids=str)
def test_a_prediction_that_states_otherwise_is_no_pass(said: dict[str, object]) -> None:
    predicted = replace(image(square()), gantry_deg=0.0, energy="6X")
    alike = compared(square(), predicted, gantry_deg=0.4, energy="6x")
    assert verdict(alike["stated_differences"]) == "PASS"
    found = compared(square(), predicted, **{"gantry_deg": 0.0, "energy": "6x"} | said)
    assert verdict(found["stated_differences"]) == "TOLERANCE"


@pytest.mark.parametrize(("dx_mm", "dy_mm"), [(0.6, 0.0), (-0.5, 0.7), (0.0, -1.6)])
def test_a_shift_within_the_limit_is_taken_back_and_told(dx_mm: float, dy_mm: float) -> None:
    found = compared(square(dx_mm, dy_mm))
    assert value(found, "shift_x") == pytest.approx(dx_mm, abs=0.02)
    assert value(found, "shift_y") == pytest.approx(dy_mm, abs=0.02)
    assert value(found, "registration_shift") == pytest.approx(np.hypot(dx_mm, dy_mm), abs=0.02)
    assert value(found, "gamma_pass_2_1") == 100.0
    assert verdict(found["registration_shift"]) == (
        "TOLERANCE" if np.hypot(dx_mm, dy_mm) > 1.0 else "PASS"
    )


def test_a_shift_beyond_the_limit_is_not_taken_back() -> None:
    record = replace(image(square(4.0)), beside=Beside(predicted=image(square())))
    found, analysis = measured(ANALYZER, record), run(ANALYZER, record)
    assert value(found, "registration_shift") == pytest.approx(4.0, abs=0.05)
    assert verdict(found["registration_shift"]) == "ACTION"
    assert value(found, "gamma_pass") < 96.0
    assert any("4.0 mm off, beyond 2 mm: not taken back" in note for note in analysis.notes)
    wider = measured(ANALYZER, record, largest_shift_mm=5.0)
    assert value(wider, "gamma_pass") == 100.0
    assert verdict(wider["registration_shift"]) == "ACTION"


def test_a_part_that_was_not_delivered_at_all_is_not_left_out() -> None:
    # The upper sixth of the field is missing: there is no measured signal to be judged there.
    values = square()
    rows = np.flatnonzero(values[:, 70] > 0.5)
    values[rows[0] - 6 : rows[0] + len(rows) // 6] = 0.0
    found = compared(values)
    assert value(found, "gamma_pass") == pytest.approx(100.0 * 5 / 6, abs=4.0)
    assert value(found, "mean_dose_error") == pytest.approx(-100.0 / 6, abs=1.5)
    assert verdict(found["gamma_pass"]) == verdict(found["mean_dose_error"]) == "ACTION"


def test_what_is_wrong_in_few_points_is_told_by_the_local_error() -> None:
    values = square()
    values[60:70, 60:75] *= 0.8
    found = compared(values)
    # 8 x 12 mm of 60 x 60 mm: 97 % of the points pass.
    assert verdict(found["gamma_pass"]) == "PASS"
    assert value(found, "largest_local_error") == pytest.approx(-20.0 * 10 / 12, abs=0.1)
    assert verdict(found["largest_local_error"]) == "ACTION"


def test_the_distance_of_the_prediction_is_brought_to_that_of_the_imager() -> None:
    # 0.8 mm at the isocenter on an imager at 1000 mm, and 2.25 times the signal.
    near = image(2.25 * square(), spacing_mm=(0.8, 0.8), sid_mm=1000.0)
    found = compared(square(), near)
    assert value(found, "mean_dose_error") == pytest.approx(0.0, abs=1e-6)
    assert value(found, "gamma_pass") == 100.0


def test_pixels_of_the_prediction_may_be_others() -> None:
    coarse = image(
        square(step_mm=1.0, rows=110, columns=100),
        spacing_mm=(1.0, 1.0),
        sid_mm=1000.0,
        axis_px=(54.5, 49.5),
    )
    found = compared(square() / 2.25, coarse)
    assert value(found, "mean_dose_error") == pytest.approx(0.0, abs=0.05)
    assert value(found, "registration_shift") < 0.02
    assert value(found, "gamma_pass") == 100.0


def test_a_prediction_that_ends_inside_the_field_is_refused() -> None:
    small = image(square(rows=60, columns=60), axis_px=(29.5, 29.5))
    with pytest.raises(AnalysisError, match="ends inside"):
        compared(square(), small)


def test_an_image_without_unit_is_compared_by_its_pattern_alone() -> None:
    record = replace(
        image(square() * 1234.0, pixels=Pixels.RELATIVE, unit=None),
        beside=Beside(predicted=image(square())),
    )
    found = measured(ANALYZER, record)
    assert set(found) == {
        "relative_gamma_pass",
        "registration_shift",
        "shift_x",
        "shift_y",
        "stated_differences",
    }
    assert value(found, "relative_gamma_pass") == 100.0
    assert any("dose is not" in note for note in run(ANALYZER, record).notes)
    worse = replace(
        record, values=record.values * (1.0 + 0.3 * (square() > 0) * (np.arange(140) > 70))
    )
    assert verdict(measured(ANALYZER, worse)["relative_gamma_pass"]) == "ACTION"


def test_another_beam_is_told() -> None:
    stripes = square() * (np.arange(140) // 6 % 2)
    record = replace(image(stripes), beside=Beside(predicted=image(square())))
    assert verdict(measured(ANALYZER, record)["gamma_pass"]) == "ACTION"


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        (Beside(), "no predicted image, and no plan of this image"),
        (Beside(imager=IMAGER), "no plan"),
        (Beside(planned=planned_beam(static("millennium120"))), "no imager model"),
        (
            Beside(
                planned=planned_beam(static("millennium120")),
                lacking={"imager": "the site names no imager model of 6x"},
            ),
            "the site names no imager model of 6x",
        ),
    ],
)
def test_with_nothing_to_compare_it_does_not_apply(beside: Beside, words: str) -> None:
    with pytest.raises(NotApplicable, match=words):
        run(ANALYZER, replace(image(square()), beside=beside))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"polarity": Polarity.UNKNOWN}, "which way"),
        ({"polarity": Polarity.SEEN, "sign": 1}, "the other way"),
        ({"saturated_percent": 1.0}, "saturated"),
        ({"sid_mm": None}, "distance of the imager"),
        ({"spacing_mm": (30.0, 30.0)}, "further from the axis"),
    ],
)
def test_what_cannot_be_sure_is_refused(said: dict[str, object], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        compared(square(), **said)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((130, 140)), "no signal"),
        (np.full((130, 140), np.nan), "no numbers"),
        (np.ones((4, 4)), "less than 16"),
        (-square(), "no signal"),
    ],
)
def test_images_without_sense_are_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        compared(values)


def test_a_flat_image_tells_no_shift_and_is_refused() -> None:
    with pytest.raises(AnalysisError):
        compared(np.ones((130, 140)), image(np.ones((130, 140))))


def test_only_clinical_images_are_asked() -> None:
    for kind in ImageKind:
        record = image(square(), classified=replace(CLINICAL, kind=kind))
        assert ANALYZER.applies(record) is (kind is ImageKind.PORTAL)


def test_from_the_plan_and_the_imager_model() -> None:
    beam = planned_beam(static("millennium120", half_width_mm=HALF_MM))
    beside = Beside(planned=beam, imager=IMAGER)
    record = replace(
        portal_image(beam, PANEL, Errors(output_percent=1.5, panel_mm=(0.5, -0.3)), seed=2),
        beside=beside,
    )
    found = measured(ANALYZER, record)
    assert value(found, "mean_dose_error") == pytest.approx(1.5, abs=0.05)
    assert value(found, "shift_x") == pytest.approx(-0.5, abs=0.03)
    assert value(found, "shift_y") == pytest.approx(0.3, abs=0.03)
    notes = run(ANALYZER, record).notes
    assert any(IMAGER.sha256[:12] in note for note in notes)
    # What the planning system exports goes before our own.
    exported = replace(beside, predicted=predicted_image(beam, PANEL))
    assert "exported" in run(ANALYZER, replace(record, beside=exported)).notes[0]


def test_an_image_through_a_patient_is_not_held_against_an_empty_beam() -> None:
    beam = planned_beam(static("millennium120", half_width_mm=HALF_MM))
    beside = Beside(planned=beam, imager=IMAGER)
    through = replace(portal_image(beam, PANEL, patient=Patient(), seed=2), beside=beside)
    with pytest.raises(NotApplicable, match="through a patient"):
        run(ANALYZER, through)
    # Half of the beam is another matter: the image says itself that MU are missing.
    half = portal_image(beam, PANEL, Errors(output_percent=-50.0), seed=2)
    for mu in (50.0, None):
        short = replace(half, meterset_mu=mu, beside=beside)
        assert verdict(measured(ANALYZER, short)["mean_dose_error"]) == "ACTION"


def test_what_is_drawn_is_what_was_judged() -> None:
    record = replace(image(square(0.5)), beside=Beside(predicted=image(square())))
    traces = run(ANALYZER, record).traces
    shape = traces["measured"].shape
    assert shape == (len(traces["y_mm"]), len(traces["x_mm"]))
    assert all(traces[n].shape == shape for n in ("expected", "difference_percent", "gamma"))
    assert (np.diff(traces["x_mm"]) > 0).all() and (np.diff(traces["y_mm"]) > 0).all()
    field = np.isfinite(traces["gamma"])
    assert np.abs(traces["difference_percent"][field]).max() < 1.0
