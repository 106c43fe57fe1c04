"""Images drawn by a renderer of the tests' own; what is put into them is what must be found."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers.core import Analysis, AnalysisError, NotApplicable
from analyzers.formats.varian_trajectory_log import read
from analyzers.image_log_match import is_same_delivery
from analyzers.machine.leaf_log_check import ANALYZER
from analyzers.portal_images import Beside, ImageKind, PortalImage
from analyzers.records import Axis, Delivery
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import picket_fence, static, vmat
from tests import real_data
from tests.machine.epid_pictures import Panel, Plane, looked_at, painted_plane, repainted
from tests.machine.judging import run, verdict

PANEL = Panel(pixel_mm=0.5, shape=(300, 360))
IDEAL = replace(
    PANEL, noise=0.0, glare=(), horns=0.0, transmission=0.0, groove_mm=0.5, leaf_ends_mm=0.0
)
MOVED = replace(PANEL, shift_mm=(1.0, -0.5), rotation_deg=0.3, magnification=0.002)


@cache
def pickets() -> Delivery:
    """Ten pickets, seen through y jaws at 40 mm: 16 pairs of 5 mm."""
    return between_y_jaws(deliver(picket_fence("millennium120"), interval_s=0.1), 40.0)


def between_y_jaws(log: Delivery, half_mm: float) -> Delivery:
    jaw_mm = np.full(log.samples, half_mm)
    return replace(log, jaw_y1_mm=Axis(-jaw_mm, -jaw_mm), jaw_y2_mm=Axis(jaw_mm, jaw_mm))


@cache
def plane_of_pickets() -> Plane:
    return painted_plane(pickets(), PANEL, {}, substeps=2)


def image(offsets_mm: dict[str, float], panel: Panel = MOVED) -> PortalImage:
    plane = repainted(pickets(), panel, plane_of_pickets(), offsets_mm, substeps=2)
    return looked_at(pickets(), panel, plane, ImageKind.PICKET_FENCE)


def checked(picture: PortalImage, log: Delivery, **settings: Any) -> Analysis:
    return run(ANALYZER, replace(picture, beside=Beside(log=log)), **settings)


def numbers(analysis: Analysis) -> dict[str, tuple[float, str | None]]:
    return {m.metric.name: (m.value, m.at) for m in analysis.measurements}


def verdicts(analysis: Analysis) -> dict[str, str | None]:
    return {m.metric.name: verdict(m) for m in analysis.measurements}


def offset_mm(analysis: Analysis, leaf: str, column: str = "offset_mm") -> float:
    assert analysis.leaves is not None
    return float(analysis.leaves.columns[column][list(analysis.leaves.leaves).index(leaf)])


def test_leaves_that_are_where_the_log_says_agree_whatever_the_imager_does() -> None:
    found = checked(image({}), pickets())
    assert {v for v in verdicts(found).values() if v} == {"PASS"}
    said = numbers(found)
    assert said["largest_disagreement"][0] < 0.06
    assert said["leaves_seen"][0] == 100.0
    # What the imager did is what was fitted out.
    assert said["rotation"][0] == pytest.approx(0.3, abs=0.01)
    assert (said["shift_x"][0], said["shift_y"][0]) == pytest.approx((1.0, -0.5), abs=0.05)
    assert said["magnification_error"][0] == pytest.approx(0.2, abs=0.03)


def test_without_noise_a_leaf_is_measured_to_two_hundredths() -> None:
    plane = painted_plane(pickets(), IDEAL, {"A28": -0.3}, substeps=2)
    found = checked(looked_at(pickets(), IDEAL, plane, ImageKind.PICKET_FENCE), pickets())
    assert offset_mm(found, "A28") == pytest.approx(-0.3, abs=0.02)
    assert offset_mm(found, "B28") == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("off_mm", "judged", "disagreeing"),
    [(0.2, "PASS", 0), (-0.4, "TOLERANCE", 0), (0.6, "ACTION", 1), (-1.0, "ACTION", 1)],
)
def test_one_leaf_off_its_log_is_measured_named_and_judged(
    off_mm: float, judged: str, disagreeing: int
) -> None:
    found = checked(image({"B33": off_mm}), pickets())
    assert offset_mm(found, "B33") == pytest.approx(off_mm, abs=0.1)
    size_mm, leaf = numbers(found)["largest_disagreement"]
    assert (leaf, size_mm) == ("B33", pytest.approx(abs(off_mm), abs=0.1))
    assert verdicts(found)["largest_disagreement"] == judged
    assert numbers(found)["leaves_disagreeing"][0] == disagreeing
    if disagreeing:
        assert numbers(found)["leaves_disagreeing"][1] == "B33"
        assert "log and image disagree: leaf B33" in found.notes


def test_a_leaf_that_may_be_at_the_limit_is_at_action() -> None:
    # What the image does not know could make 0.5 mm of it.
    found = checked(image({"A30": -0.48}), pickets())
    assert numbers(found)["largest_disagreement"][0] < 0.5
    assert verdicts(found)["leaves_disagreeing"] == "ACTION"


def test_a_fifth_of_the_leaves_wrong_together_moves_no_other() -> None:
    wrong = {f"{bank}{n}": 1.0 for bank in "AB" for n in (36, 37, 38)}
    found = checked(image(wrong), pickets())
    assert all(offset_mm(found, leaf) == pytest.approx(1.0, abs=0.15) for leaf in wrong)
    assert numbers(found)["leaves_disagreeing"][0] == len(wrong)
    assert numbers(found)["rotation"][0] == pytest.approx(0.3, abs=0.02)


def test_a_leaf_that_is_off_one_way_here_and_the_other_way_there_is_found() -> None:
    # Play in a drive: +0.8 mm in the first five pickets, -0.8 mm in the rest; 0 in the mean.
    log, off = pickets(), 0.8
    half = np.asarray(log.mlc[0].bank_a_mm.actual[:, 30]) < 0.0
    moved = np.array(log.mlc[0].bank_a_mm.actual)
    moved[:, 30] += np.where(half, off, -off)
    true = replace(log, mlc=(replace(log.mlc[0], bank_a_mm=Axis.actual_only(moved)),))
    plane = painted_plane(true, PANEL, {}, substeps=2)
    found = checked(looked_at(true, PANEL, plane, ImageKind.PICKET_FENCE), log)
    assert abs(offset_mm(found, "A31")) < 0.3
    assert abs(offset_mm(found, "A31", "worst_offset_mm")) == pytest.approx(off, abs=0.15)
    assert numbers(found)["leaves_disagreeing"] == (1.0, "A31")


def test_what_the_log_sees_too_is_listed_apart() -> None:
    log = deliver(picket_fence("millennium120"), Errors(leaf_mm={"A29": 0.8}), interval_s=0.1)
    log = between_y_jaws(log, 40.0)
    plane = painted_plane(log, PANEL, {}, substeps=2)
    found = checked(looked_at(log, PANEL, plane, ImageKind.PICKET_FENCE), log)
    said = numbers(found)
    assert (said["leaves_disagreeing"][0], said["log_also_sees"][0]) == (0.0, 1.0)
    assert offset_mm(found, "A29", "log_error_mm") == pytest.approx(0.8, abs=0.05)
    assert offset_mm(found, "A29") == pytest.approx(0.0, abs=0.1)


def test_an_arc_with_a_turned_collimator_tells_its_leaves() -> None:
    log = deliver(vmat("millennium120"), interval_s=0.2)
    plane = painted_plane(log, MOVED, {"B27": 0.8}, substeps=2)
    found = checked(looked_at(log, MOVED, plane, ImageKind.PORTAL), log)
    assert offset_mm(found, "B27") == pytest.approx(0.8, abs=0.1)
    assert numbers(found)["leaves_disagreeing"] == (1.0, "B27")
    assert numbers(found)["shift_x"][0] == pytest.approx(1.0, abs=0.05)


def test_of_two_layers_the_leaves_at_the_edge_are_seen() -> None:
    # Both layers end at the same place, 10 mm leaves 5 mm apart: each half hides the other's.
    log = deliver(static("halcyon", half_width_mm=45.0), interval_s=0.5)
    plane = painted_plane(log, PANEL, {"28A14": -0.8}, substeps=2)
    found = checked(looked_at(log, PANEL, plane, ImageKind.PORTAL), log, fewest_seen_percent=20.0)
    assert offset_mm(found, "28A14") == pytest.approx(-0.8, abs=0.15)
    assert numbers(found)["leaves_disagreeing"][1] == "28A14"


def test_a_leaf_in_the_field_that_the_log_keeps_out_of_it_is_no_pass() -> None:
    # By its log the pair stays closed; in truth its leaf A lets a slit of 1.5 mm through.
    log = pickets()
    banks = [np.array(axis.actual) for axis in (log.mlc[0].bank_a_mm, log.mlc[0].bank_b_mm)]
    for bank in banks:
        bank[:, 29] = 20.0
    closed = replace(
        log.mlc[0], bank_a_mm=Axis(banks[0], banks[0]), bank_b_mm=Axis(banks[1], banks[1])
    )
    log = replace(log, mlc=(closed,))
    plane = painted_plane(log, PANEL, {"A30": 1.5}, substeps=2)
    picture = looked_at(log, PANEL, plane, ImageKind.PICKET_FENCE)
    found = checked(picture, log)
    assert verdicts(found)["leaves_disagreeing"] == "ACTION"
    assert numbers(found)["leaves_disagreeing"][1] in ("A30", "B30")


def test_a_leaf_that_reaches_far_into_the_field_is_no_pass() -> None:
    log = deliver(static("millennium120", half_width_mm=35.0), interval_s=0.5)
    plane = painted_plane(log, PANEL, {"A30": -30.0}, substeps=1)
    found = checked(looked_at(log, PANEL, plane, ImageKind.PORTAL), log)
    assert verdicts(found)["leaves_disagreeing"] == "ACTION"
    assert numbers(found)["leaves_disagreeing"][1] in ("A30", "B30")


def test_what_no_leaf_can_have_done_is_no_pass() -> None:
    picture = image({}, PANEL)
    # A bright bar of 4 mm along y beside the pickets, in the rows of pairs 28 to 30.
    bar = (np.abs(picture.x_mm - 0.0) < 2.0) & (np.abs(picture.y_mm[:, np.newaxis] + 7.5) < 7.5)
    bright = replace(picture, values=picture.values + 0.4 * np.ptp(picture.values) * bar)
    with pytest.raises(AnalysisError, match=r"rows of leaf [AB](27|28|29|30|31) than offsets"):
        checked(bright, pickets())


def test_too_few_leaves_seen_is_no_pass() -> None:
    dim = replace(PANEL, noise=0.5)
    with pytest.raises(AnalysisError, match=r"leaves that shape the field|is not of this log"):
        checked(image({}, dim), pickets())


def test_another_field_is_refused_and_not_measured() -> None:
    log = deliver(static("millennium120", half_width_mm=40.0), interval_s=0.1)
    other = replace(image({}), meterset_mu=None)
    with pytest.raises(AnalysisError, match="not of this log"):
        checked(other, log)


def test_a_beam_that_came_through_something_is_not_measured() -> None:
    picture = image({})
    rows, columns = np.mgrid[-1.0:1.0:300j, -1.0:1.0:360j]
    shadow = 1.0 + 0.9 * np.sin(12.0 * rows) * np.cos(9.0 * columns)
    through = replace(picture, values=picture.values * shadow)
    with pytest.raises(AnalysisError, match="the log explains"):
        checked(through, pickets())
    # Of a fraction, a patient is in the way: the question does not apply.
    with pytest.raises(NotApplicable, match="came through something"):
        checked(replace(through, fraction=3), pickets())
    # So it may be in the first image of a beam, which has no baseline to show for it.
    beside = Beside(log=pickets(), lacking={"baseline": "it is the first"})
    kind = replace(through.classified, kind=ImageKind.PORTAL)
    with pytest.raises(NotApplicable, match="came through something"):
        run(ANALYZER, replace(through, classified=kind, beside=beside))


def test_without_a_log_the_question_is_not_asked() -> None:
    with pytest.raises(NotApplicable, match="no log of the same beam"):
        run(ANALYZER, image({}))
    lacking = replace(image({}), beside=Beside(lacking={"log": "its log has not arrived"}))
    with pytest.raises(NotApplicable, match="its log has not arrived"):
        run(ANALYZER, lacking)


def test_an_image_without_its_distance_cannot_be_held_against_anything() -> None:
    with pytest.raises(AnalysisError, match="SID"):
        checked(replace(image({}), sid_mm=None), pickets())


def test_a_collimator_that_turns_is_refused() -> None:
    log = pickets()
    turning = np.linspace(0.0, 5.0, log.samples)
    with pytest.raises(AnalysisError, match="collimator"):
        checked(
            replace(image({}), collimator_deg=None),
            replace(log, collimator_deg=Axis(turning, turning)),
        )


NOON = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - files carry local time without a zone


@pytest.mark.parametrize(
    ("of_image", "of_log", "why"),
    [
        ({"machine_serial": "11"}, {"machine_serial": "12"}, "another machine"),
        ({"performed_at": NOON + timedelta(hours=1)}, {"performed_at": NOON}, "minutes apart"),
        ({"meterset_mu": 103.0}, {}, "no beam of the log"),
        ({"collimator_deg": 90.0}, {}, "no beam of the log"),
        ({"energy": "6x"}, {"energy": "10x"}, "another energy"),
    ],
)
def test_what_contradicts_makes_it_another_delivery(
    of_image: dict[str, Any], of_log: dict[str, Any], why: str
) -> None:
    same, said = is_same_delivery(replace(image({}), **of_image), replace(pickets(), **of_log))
    assert not same
    assert why in said


def test_what_agrees_is_said() -> None:
    picture = replace(image({}), machine_serial="11", performed_at=NOON + timedelta(minutes=2))
    log = replace(pickets(), machine_serial="11", performed_at=NOON)
    assert is_same_delivery(picture, log) == (
        True,
        "machine, time, meterset, gantry, collimator agree",
    )


PF_STATIC = "edge-panagyurishte/*PF_Stat*.bin"


@real_data.skip_without("tlog")
@pytest.mark.parametrize("path", real_data.files("tlog", PF_STATIC), ids=lambda p: p.name[:20])
def test_a_real_log_of_pickets_is_held_against_an_image_drawn_from_it(path: Path) -> None:
    log = read(path)
    wide = replace(MOVED, shape=(220, 360))
    plane = painted_plane(log, wide, {"B31": 0.6, "A27": -0.2}, substeps=2)
    found = checked(looked_at(log, wide, plane, ImageKind.PICKET_FENCE), log)
    # Leaves of 2.5 mm: tongue and groove make a tenth of an offset.
    assert offset_mm(found, "B31") == pytest.approx(0.6, abs=0.1)
    assert offset_mm(found, "A27") == pytest.approx(-0.2, abs=0.1)
    assert numbers(found)["leaves_disagreeing"] == (1.0, "B31")
