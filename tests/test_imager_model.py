"""The predicted image: closed forms, and a slow sum over the kernel."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, ReadError
from analyzers.imager_model import LEAVES_MM, in_air, predicted_cu
from analyzers.imager_records import FieldResidual, ImagerModel, from_json, to_json
from analyzers.numerics.imager_kernel import ImagerKernel
from analyzers.plan_records import Beam
from analyzers.portal_images import PortalImage
from qa_daemon.simulate.epid_portal import IMAGER, Panel
from qa_daemon.simulate.plan_shapes import static, vmat
from qa_daemon.simulate.portal_beam import planned_beam

SHARP = ImagerModel(
    energy="6x",
    kernel=ImagerKernel((1.0,), (500.0,)),
    cu_per_mu=0.01,
    sid_mm=1000.0,
    blur_mm=0.0,
    leaf_transmission=0.0,
)
PANEL = Panel(rows=150, columns=160, spacing_mm=1.5, sid_mm=1500.0)


def square(half_mm: float = 30.0, mu: float = 100.0) -> Beam:
    return planned_beam(static("millennium120", mu, half_width_mm=half_mm))


def at(image: np.ndarray, like: PortalImage, x_mm: float, y_mm: float) -> float:
    row = int(np.abs(like.y_mm - y_mm).argmin())
    return float(image[row, int(np.abs(like.x_mm - x_mm).argmin())])


def test_an_open_field_is_its_meterset_by_the_inverse_square() -> None:
    like = PANEL.empty()
    image = predicted_cu(square(), like, SHARP)
    assert image.shape == like.shape
    assert at(image, like, 0.0, 0.0) == pytest.approx(100.0 * 0.01 / 1.5**2, rel=1e-5)
    assert at(image, like, 40.0, 0.0) == pytest.approx(0.0, abs=1e-6)
    # The field is 60 mm at the isocenter, 90 mm at the imager: its area is kept.
    area_mm2 = image.sum() / image.max() * 1.5**2
    assert area_mm2 == pytest.approx(90.0**2, rel=2e-3)


def test_up_is_towards_the_gantry_and_right_is_positive_x() -> None:
    beam = square()
    points = beam.control_points
    assert points.jaws_x_mm is not None and points.jaws_y_mm is not None
    jaws_x_mm, jaws_y_mm = points.jaws_x_mm.copy(), points.jaws_y_mm.copy()
    jaws_x_mm[:, 0] += 20.0
    jaws_y_mm[:, 0] += 10.0
    moved = replace(points, jaws_x_mm=jaws_x_mm, jaws_y_mm=jaws_y_mm)
    like = PANEL.empty()
    image = predicted_cu(replace(beam, control_points=moved), like, SHARP)
    assert at(image, like, 20.0, 10.0) > 0.4 and at(image, like, -20.0, 10.0) < 1e-6
    assert at(image, like, 20.0, -25.0) < 1e-6
    assert image[10:75].sum() > image[75:140].sum()  # the first rows are the upper ones


def test_the_collimator_turns_the_field() -> None:
    beam = square()
    points = beam.control_points
    narrow = np.tile([-5.0, 5.0], (points.count, 1))
    turned = replace(
        points,
        jaws_x_mm=narrow,
        collimator_deg=np.full(points.count, 30.0),
    )
    like = PANEL.empty()
    image = in_air(replace(beam, control_points=turned), like, SHARP)
    y_mm = 20.0
    # Along its length, the slit of the collimator's y runs through x = -y tan(30 deg).
    there = at(image, like, -y_mm * np.tan(np.deg2rad(30.0)), y_mm)
    assert there == pytest.approx(100.0, rel=1e-6)
    assert at(image, like, y_mm * np.tan(np.deg2rad(30.0)), y_mm) < 1e-6


def test_leaves_let_their_share_through_and_jaws_none() -> None:
    beam = square()
    points = beam.control_points
    (layer,) = points.mlc
    closed = replace(layer, bank_a_mm=np.minimum(layer.bank_a_mm, 10.0), bank_b_mm=layer.bank_b_mm)
    beam = replace(beam, control_points=replace(points, mlc=(closed,)))
    model = replace(SHARP, leaf_transmission=0.02)
    like = PANEL.empty()
    image = in_air(beam, like, model)
    assert at(image, like, 0.0, 0.0) == pytest.approx(100.0)
    assert at(image, like, 20.0, 0.0) == pytest.approx(2.0)
    assert at(image, like, 40.0, 0.0) == 0.0


def test_rounded_leaf_ends_open_half_their_gap_on_each_side() -> None:
    beam = square()
    points = beam.control_points
    assert points.jaws_x_mm is not None
    wide = replace(points, jaws_x_mm=np.tile([-60.0, 60.0], (points.count, 1)))
    like = Panel(rows=60, columns=400, spacing_mm=0.3).empty()
    nominal, wider = (
        in_air(replace(beam, control_points=wide), like, replace(SHARP, leaf_gap_mm=gap_mm))
        for gap_mm in (0.0, 1.6)
    )
    row = nominal.shape[0] // 2
    gained_mm = (wider[row].sum() - nominal[row].sum()) / 100.0 * 0.3 / 1.5
    assert gained_mm == pytest.approx(1.6, rel=1e-6)


def test_the_off_axis_response_goes_by_the_radius_at_the_isocenter() -> None:
    model = replace(SHARP, off_axis_mm=(0.0, 20.0), off_axis=(1.0, 1.1))
    like = PANEL.empty()
    image = in_air(square(), like, model)
    for x_mm, y_mm in ((10.0, 0.0), (0.0, -12.0), (16.0, 12.0), (24.0, 0.0)):
        column = int(np.abs(like.x_mm - x_mm).argmin())
        row = int(np.abs(like.y_mm - y_mm).argmin())
        radius_mm = float(np.hypot(like.x_mm[column], like.y_mm[row]))
        wanted = 100.0 * (1.0 + 0.1 * min(radius_mm / 20.0, 1.0))
        assert image[row, column] == pytest.approx(wanted, rel=1e-6)


def test_the_source_blurs_more_at_a_larger_distance() -> None:
    def width_mm(sid_mm: float) -> float:
        like = Panel(rows=40, columns=600, spacing_mm=0.25, sid_mm=sid_mm).empty()
        line = predicted_cu(square(), like, replace(SHARP, blur_mm=1.0))[20]
        line = line / line[300]
        edge = slice(300, 600)
        # From 84 to 16 % an error function has two sigma.
        low, high = (
            float(np.interp(-level, -line[edge], np.arange(300))) for level in (0.8413, 0.1587)
        )
        return (high - low) / 2.0 * 0.25

    assert width_mm(1000.0) == pytest.approx(1.0, rel=0.03)
    assert width_mm(1500.0) == pytest.approx((1500.0 - LEAVES_MM) / (1000.0 - LEAVES_MM), rel=0.03)


def test_the_whole_is_a_slow_sum_over_the_kernel() -> None:
    like = Panel(rows=70, columns=80, spacing_mm=2.0, sid_mm=1400.0).empty()
    beam = planned_beam(vmat("millennium120"))
    # Glare alone, wide against a pixel: a sum over pixels is the integral.
    model = replace(IMAGER, kernel=ImagerKernel((0.0,), (1.0,), 1.0, 7.0), blur_mm=0.0)
    image = predicted_cu(beam, like, model)
    fluence = in_air(beam, like, model)
    rows, columns = np.mgrid[:70, :80]
    for row, column in ((33, 44), (20, 30), (45, 61)):
        r2_mm2 = 2.0**2 * ((rows - row) ** 2 + (columns - column) ** 2)
        glare = np.exp(-r2_mm2 / (2 * 7.0**2)) / (2 * np.pi * 7.0**2) * 2.0**2
        wanted = float((fluence * glare).sum()) * model.cu_per_mu * (1000.0 / 1400.0) ** 2
        assert image[row, column] == pytest.approx(wanted, rel=1e-3)


def test_what_cannot_be_predicted_is_refused() -> None:
    like = PANEL.empty()
    with pytest.raises(AnalysisError, match="distance of the imager"):
        predicted_cu(square(), replace(like, sid_mm=None), SHARP)
    with pytest.raises(AnalysisError, match="model is of 6x"):
        predicted_cu(replace(square(), fluence_mode="FFF"), like, SHARP)
    points = square().control_points
    assert points.jaws_x_mm is not None
    lacking = replace(points, jaws_x_mm=points.jaws_x_mm * np.nan)
    with pytest.raises(AnalysisError, match="has no value"):
        predicted_cu(replace(square(), control_points=lacking), like, SHARP)
    with pytest.raises(AnalysisError, match="neither leaves nor jaws"):
        bare = replace(points, mlc=(), jaws_x_mm=None)
        predicted_cu(replace(square(), control_points=bare), like, SHARP)
    with pytest.raises(AnalysisError, match="meterset"):
        predicted_cu(replace(square(), meterset_mu=None), like, SHARP)


def test_a_plan_of_jaws_alone_is_predicted() -> None:
    beam = square()
    points = replace(beam.control_points, mlc=())
    like = PANEL.empty()
    alone = in_air(replace(beam, control_points=points), like, SHARP)
    assert np.allclose(alone, in_air(beam, like, SHARP))


@pytest.mark.parametrize(
    ("said", "fits"), [("6X", True), ("6x", True), ("6X-FFF", False), ("10X", False), (None, False)]
)
def test_energies_are_the_same_however_they_are_written(said: str | None, fits: bool) -> None:
    assert SHARP.fits_energy(said) is fits


def test_a_model_is_read_as_it_was_written() -> None:
    model = replace(
        IMAGER,
        fitted_at="2026-01-05T10:00:00+00:00",
        fitted_by="Physicist A",
        residuals=(FieldResidual(30.0, 30.0, 0.1, 0.2, 0.05),),
    )
    assert from_json(to_json(model)) == model
    assert from_json(to_json(model)).sha256 == model.sha256 != IMAGER.sha256


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema="other"), "no imager model"),
        (lambda d: d.update(version=99), "version"),
        (lambda d: d["model"].update(cu_per_mu=0.02), "changed after"),
        (lambda d: d.pop("sha256"), "changed after"),
        (lambda d: d.pop("model"), "changed after"),
    ],
)
def test_a_model_that_was_changed_is_refused(change, words: str) -> None:  # type: ignore[no-untyped-def]
    document = json.loads(to_json(IMAGER))
    change(document)
    with pytest.raises(ReadError, match=words):
        from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "null"])
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(ReadError):
        from_json(text)


def test_a_model_of_numbers_that_no_imager_has_is_refused() -> None:
    from analyzers.imager_records import _hash

    for wrong in ({"cu_per_mu": -1.0}, {"sid_mm": "far"}, {"off_axis": [0.0]}, {"more": 1}):
        document = json.loads(to_json(IMAGER))
        document["model"].update(wrong)
        document["sha256"] = _hash(document["model"])
        with pytest.raises(ReadError, match="cannot be used"):
            from_json(json.dumps(document))
