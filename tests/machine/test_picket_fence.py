from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from analyzers.core import Analysis, AnalysisError
from analyzers.formats import dicom_rtplan
from analyzers.formats.dicom_rtimage import read
from analyzers.machine.picket_fence import ANALYZER
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.portal_images import Beside, Classified, ImageKind, PortalImage
from qa_daemon.simulate import epid_picket_fence as simulated
from qa_daemon.simulate import plan_shapes
from qa_daemon.simulate.epid_panel import Exposure, Imager
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.portal_beam import planned_beam
from tests import epid, real_data
from tests.machine.judging import run, verdict

STEP_MM, ROWS, COLUMNS = 0.5, 240, 260
GAP_MM, SPACING_MM = 6.0, 20.0
PLACES_MM = np.arange(-40.0, 41.0, SPACING_MM)
FENCE = Classified(ImageKind.PICKET_FENCE, "pinned", "by the test")
PEERS = real_data.peer_reads("epid-pf")


def fence(
    errors_mm: dict[tuple[str, int, int], float] | None = None,
    turn: int = 0,
    gap_mm: float = GAP_MM,
    **known: Any,
) -> PortalImage:
    """Five pickets of a Millennium 120 by pairs 21 to 40, the collimator at 90 deg times `turn`.

    `errors_mm` moves a leaf (bank, pair, picket by place along the collimator's x) along +x.
    """
    x_mm = epid.places_mm(COLUMNS, STEP_MM)
    y_mm = -epid.places_mm(ROWS, STEP_MM)
    edges_mm = LEAF_EDGES_MM["millennium120"][""]
    pair_of_row = np.searchsorted(edges_mm, y_mm)  # 1-based
    values = np.zeros((ROWS, COLUMNS))
    for picket, place_mm in enumerate(PLACES_MM, start=1):
        a_mm = np.full(ROWS, place_mm + gap_mm / 2)
        b_mm = np.full(ROWS, place_mm - gap_mm / 2)
        for (bank, pair, at), off_mm in (errors_mm or {}).items():
            if at == picket:
                (a_mm if bank == "A" else b_mm)[pair_of_row == pair] += off_mm
        values += epid.slit(x_mm[None, :], b_mm[:, None], a_mm[:, None])
    jaws = epid.slit(y_mm, -50.0, 50.0)[:, None]
    values = 0.02 + 0.98 * values * jaws
    return epid.judged(
        epid.image(np.rot90(values, turn), STEP_MM, collimator_deg=90.0 * turn, **known),
        ImageKind.PICKET_FENCE,
        mlc="millennium120",
    )


@cache
def nominal_gap_mm() -> float:
    """As the how-to says: the median gap of a delivery that is known to be good."""
    return numbers(run(ANALYZER, fence()))["median_gap"]


def numbers(analysis: Analysis) -> dict[str, float]:
    return {m.metric.name: m.value for m in analysis.measurements}


def places(analysis: Analysis) -> dict[str, str | None]:
    return {m.metric.name: m.at for m in analysis.measurements}


def worst(analysis: Analysis) -> str:
    order = ("PASS", "TOLERANCE", "ACTION", "INVALID")
    said = [verdict(m) for m in analysis.measurements]
    return max((v for v in said if v is not None), key=order.index)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_leaf_is_named_and_signed_at_every_collimator_angle(turn: int) -> None:
    found = run(ANALYZER, fence({("A", 24, 2): 1.0}, turn), nominal_gap_mm=nominal_gap_mm())
    value = numbers(found)
    # The leaf draws its picket's fitted line towards it, by its leverage on the line.
    across_mm = 5.0 * (np.arange(21, 41) - 30.5)
    drawn_mm = 0.5 * (1 / 20 + across_mm[24 - 21] ** 2 / (across_mm**2).sum())
    assert value["max_error"] == pytest.approx(0.5 - drawn_mm, abs=0.015)
    assert value["max_leaf_error"] == pytest.approx(1.0 - drawn_mm, abs=0.02)
    assert value["gap_deviation"] == pytest.approx(1.0, abs=0.05)
    # Pickets are counted along the image's axis, which the collimator's x runs along at 0 and 90.
    picket = 2 if turn in (0, 1) else len(PLACES_MM) - 1
    assert places(found)["max_leaf_error"] == f"leaf A24, picket {picket}"
    assert places(found)["max_error"] == f"leaf pair 24, picket {picket}"
    assert found.leaves is not None
    row = list(found.leaves.leaves).index("A24")
    assert found.leaves.columns["largest_error_mm"][row] == pytest.approx(1.0 - drawn_mm, abs=0.02)


FENCE_PLAN = plan_shapes.picket_fence("millennium120")


def planned(
    scale: float = 1.0, shift_mm: float = 0.0, collimator_deg: float = 0.0, **known: Any
) -> PortalImage:
    """A fence of ten pickets 15 mm apart, stretched and shifted as a whole, beside its plan."""
    drawn = simulated.Pickets(spacing_mm=15.0 * scale)
    panel = Imager(sag_mm=(-1.5 * shift_mm, 0.0))
    exposure = Exposure(ImageKind.PICKET_FENCE, "PF", collimator_deg=collimator_deg)
    image = simulated.picket_fence(drawn, imager=panel, exposure=exposure)
    beside = replace(image.beside, planned=planned_beam(FENCE_PLAN))
    return replace(image.as_kind(FENCE), beside=beside, **known)


def test_a_fence_that_is_shifted_or_stretched_as_a_whole_is_held_against_its_plan() -> None:
    """Lines that are drawn through the image itself go along with both."""
    true = run(ANALYZER, planned())
    assert worst(true) == "PASS"
    assert numbers(true)["picket_pattern_error"] == pytest.approx(0.0, abs=0.05)
    assert numbers(true)["fence_shift"] == pytest.approx(0.0, abs=0.02)
    shifted = run(ANALYZER, planned(shift_mm=5.0))
    assert numbers(shifted)["fence_shift"] == pytest.approx(5.0, abs=0.1)
    assert worst(shifted) == "ACTION"
    wide = run(ANALYZER, planned(scale=1.1))
    # The outermost picket is wanted at 67.5 mm.
    assert numbers(wide)["picket_pattern_error"] == pytest.approx(6.75, abs=0.1)
    assert "picket wanted at " in (places(wide)["picket_pattern_error"] or "")
    assert worst(wide) == "ACTION"
    for odd in (planned(shift_mm=5.0), planned(scale=1.1)):
        alone = run(ANALYZER, replace(odd, beside=Beside(mlc="millennium120")))
        assert worst(alone) == "PASS"
        assert any("where the pickets lie is not judged" in note for note in alone.notes)


@pytest.mark.parametrize(("collimator_deg", "sign"), [(180.0, -1.0), (270.0, 0.0)])
def test_the_shift_is_along_the_collimator(collimator_deg: float, sign: float) -> None:
    """A panel that sags along x: against the collimator's x at 180, across it at 270."""
    found = numbers(run(ANALYZER, planned(shift_mm=3.0, collimator_deg=collimator_deg)))
    assert found["fence_shift"] == pytest.approx(3.0 * sign, abs=0.05)


def test_where_the_axis_is_not_told_only_the_pattern_is_judged() -> None:
    found = run(ANALYZER, planned(scale=1.1, axis_px=None))
    assert "fence_shift" not in numbers(found) and worst(found) == "ACTION"
    assert any("the fence's shift is not judged" in note for note in found.notes)


def test_a_fence_with_fewer_pickets_than_its_plan_is_doubted() -> None:
    fewer = simulated.picket_fence(simulated.Pickets(number=9))
    beside = replace(fewer.beside, planned=planned_beam(FENCE_PLAN))
    found = run(ANALYZER, replace(fewer.as_kind(FENCE), beside=beside))
    assert "9 pickets are seen, the plan has 10" in found.notes
    assert numbers(found)["doubts"] == 1 and worst(found) == "ACTION"


def test_a_log_tells_where_pickets_are_wanted() -> None:
    """As the controller wanted them: what the leaves themselves say goes along with an error."""
    log = deliver(FENCE_PLAN)
    found = run(ANALYZER, replace(planned(), beside=Beside(mlc="millennium120", log=log)))
    assert numbers(found)["picket_pattern_error"] == pytest.approx(0.0, abs=0.1)
    assert worst(found) == "PASS"


@real_data.skip_without("epid-pf")
@real_data.skip_without("rtplan")
@pytest.mark.parametrize("name", ["AS1200", "AS500#2"])
def test_a_real_fence_lies_where_the_maker_s_plan_has_it(name: str) -> None:
    """T0.2 and T1.1 of Varian's own files: pickets from -59.5 to 75.5 mm, not about the axis."""
    (plan,) = real_data.files("rtplan", "**/*Millennium__T1.1_PicketFenceRA_M120_TB_Rev02.dcm")
    (file,) = real_data.files("epid-pf", f"**/*{name}.dcm")
    beam = dicom_rtplan.read(plan).beams[0]
    image = epid.judged(read(file), ImageKind.PICKET_FENCE, mlc="millennium120", planned=beam)
    found = numbers(run(ANALYZER, image))
    assert found["picket_pattern_error"] < 0.3
    assert abs(found["fence_shift"]) < 0.5
    mirrored = replace(image, values=image.values[:, ::-1], stored=image.stored[:, ::-1])
    assert abs(numbers(run(ANALYZER, mirrored))["fence_shift"]) > 15.0


def test_a_sound_fence_passes_with_every_leaf_measured() -> None:
    found = run(ANALYZER, fence(), nominal_gap_mm=nominal_gap_mm())
    value = numbers(found)
    assert worst(found) == "PASS"
    assert (value["number_of_pickets"], value["doubts"]) == (len(PLACES_MM), 0)
    assert value["max_error"] < 0.02
    assert value["mean_picket_spacing"] == pytest.approx(SPACING_MM, abs=0.01)
    assert value["leaves_passing"] == 100.0
    assert value["median_gap"] == pytest.approx(GAP_MM, abs=0.05)
    assert found.leaves is not None
    # 5 mm pairs from -50 to 50 mm; those at the jaws are pylinac's to take or to leave.
    assert set(found.leaves.leaves) >= {f"{b}{k}" for b in "AB" for k in range(22, 40)}


@pytest.mark.parametrize("gap_mm", [2.0, 10.0])
def test_noise_raises_no_doubt_of_narrow_or_wide_gaps(gap_mm: float) -> None:
    clean = fence(gap_mm=gap_mm)
    values = clean.values + np.random.default_rng(1).normal(0.0, 1000.0, clean.shape)
    noisy = replace(clean, values=values, stored=values.round().clip(0).astype(np.uint16))
    found = run(ANALYZER, noisy)
    assert numbers(found)["doubts"] == 0
    assert worst(found) == "PASS"


def test_a_gap_that_opens_evenly_is_seen_by_single_leaves_only() -> None:
    odd = fence({("A", 30, 4): 0.5, ("B", 30, 4): -0.5})
    value = numbers(run(ANALYZER, odd, nominal_gap_mm=nominal_gap_mm()))
    assert value["max_error"] < 0.03
    assert value["max_leaf_error"] == pytest.approx(0.5, abs=0.04)
    assert value["gap_deviation"] == pytest.approx(1.0, abs=0.06)


def test_an_error_that_all_gaps_share_needs_the_nominal_gap() -> None:
    wide = fence(gap_mm=GAP_MM + 1.2)
    known = run(ANALYZER, wide, nominal_gap_mm=nominal_gap_mm())
    assert numbers(known)["max_leaf_error"] == pytest.approx(0.6, abs=0.04)
    assert worst(known) == "TOLERANCE"
    unknown = run(ANALYZER, wide)
    assert "max_leaf_error" not in numbers(unknown)
    assert any("no nominal gap" in note for note in unknown.notes)


def test_a_pair_that_stays_shut_is_missed_and_said() -> None:
    shut = fence({("A", 30, 4): -GAP_MM / 2, ("B", 30, 4): GAP_MM / 2})
    found = run(ANALYZER, shut)
    assert numbers(found)["doubts"] >= 1
    assert worst(found) == "ACTION"
    assert any("leaf pair 30" in note for note in found.notes)


def test_the_axis_beside_the_middle_moves_no_leaf() -> None:
    sound = fence({("B", 30, 4): 1.0})
    cut = replace(sound, stored=sound.stored[:-22], values=sound.values[:-22])
    told = replace(cut, axis_px=((ROWS - 1) / 2.0, (COLUMNS - 1) / 2.0))
    found = run(ANALYZER, told)
    assert places(found)["max_leaf_deviation"] == "leaf B30, picket 4"
    assert numbers(found)["max_leaf_deviation"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sid_mm": None}, "distance from source to imager"),
        ({"collimator_deg": 90.0}, "collimator angle"),
        ({"collimator_deg": 45.0}, "between 0, 90, 180 and 270"),
    ],
)
def test_what_cannot_be_measured_is_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        run(ANALYZER, replace(fence(), **change))


def test_the_mlc_is_never_guessed() -> None:
    unknown = epid.judged(fence(), ImageKind.PICKET_FENCE)
    with pytest.raises(AnalysisError, match="--mlc"):
        run(ANALYZER, unknown)
    with pytest.raises(AnalysisError, match="halcyon_layer"):
        run(ANALYZER, epid.judged(fence(), ImageKind.PICKET_FENCE, mlc="halcyon"))


def test_an_empty_image_is_an_error_in_our_words() -> None:
    flat = epid.judged(
        epid.image(np.full((200, 200), 0.5), 0.5), ImageKind.PICKET_FENCE, mlc="hd120"
    )
    with pytest.raises(AnalysisError, match="the pickets could not be measured"):
        run(ANALYZER, flat)


@real_data.skip_without("epid-pf")
@pytest.mark.parametrize("name", sorted(PEERS))
def test_real_fences_read_as_pylinac_reads_their_files(name: str) -> None:
    root = real_data.folder()
    assert root is not None
    peer = PEERS[name]
    # The peer took every MLC for a Millennium 120: so does this comparison.
    image = epid.judged(read(root / name), ImageKind.PICKET_FENCE, mlc="millennium120")
    found = run(ANALYZER, image)
    value = numbers(found)
    assert value["max_error"] == pytest.approx(peer["max_error_mm"], rel=1e-6)
    assert value["median_error"] == pytest.approx(peer["median_abs_error_mm"], rel=1e-6)
    assert value["leaves_passing"] == pytest.approx(peer["percent_passing"], rel=1e-6)
    assert value["number_of_pickets"] == peer["n_pickets"]
    if "BadPF" in name:
        assert worst(found) == "ACTION"
        assert value["doubts"] == 2, "a picket found twice, and one stripe more than pickets"
    elif "Elekta" not in name:  # of another MLC
        assert value["doubts"] == 0
        assert worst(found) == ("ACTION" if "error" in name else "PASS")


@real_data.skip_without("epid-pf")
def test_single_leaves_read_as_pylinac_reads_them_from_the_file() -> None:
    from pylinac.picketfence import PicketFence

    path = real_data.files("epid-pf", "**/*AS500-error.dcm")[0]
    image = epid.judged(read(path), ImageKind.PICKET_FENCE, mlc="millennium120")
    ours = numbers(run(ANALYZER, image, nominal_gap_mm=2.5))
    with io.BytesIO(path.read_bytes()) as stream:
        peer = PicketFence(stream)
        peer.analyze(separate_leaves=True, nominal_gap_mm=2.5)
    assert ours["max_leaf_error"] == pytest.approx(peer.max_error, rel=1e-6)


ALL_LEAVES = [(bank, pair) for bank in "AB" for pair in range(15, 47)]


@pytest.mark.parametrize(
    ("off_mm", "expected"), [(0.2, "PASS"), (0.8, "TOLERANCE"), (1.2, "ACTION")]
)
def test_a_picket_that_all_leaves_put_to_a_wrong_place_is_seen(
    off_mm: float, expected: str
) -> None:
    """No leaf is off the line of its own picket."""
    found = run(ANALYZER, fence({(bank, pair, 2): off_mm for bank, pair in ALL_LEAVES}))
    assert worst(found) == expected
    assert numbers(found)["max_leaf_deviation"] < 0.1


def test_a_picket_that_is_not_there_is_missed() -> None:
    closed = {("A", pair, 3): -GAP_MM for pair in range(15, 47)}
    found = run(ANALYZER, fence(closed), pickets=len(PLACES_MM))
    assert numbers(found)["number_of_pickets"] == len(PLACES_MM) - 1
    assert worst(found) == "ACTION"
    assert any("4 pickets are seen, the plan has 5" in note for note in found.notes)
    assert worst(run(ANALYZER, fence(), pickets=len(PLACES_MM))) == "PASS"


@pytest.mark.parametrize(
    ("turn_deg", "expected"), [(0.5, "PASS"), (1.2, "TOLERANCE"), (2.0, "ACTION")]
)
def test_pickets_that_stand_aslant_are_seen(turn_deg: float, expected: str) -> None:
    from scipy import ndimage

    upright = fence()
    values = ndimage.rotate(upright.values, turn_deg, reshape=False, order=1, mode="nearest")
    found = run(ANALYZER, replace(upright, values=values, stored=values))
    value = {m.metric.name: verdict(m) for m in found.measurements}
    assert value["mlc_skew"] == expected
