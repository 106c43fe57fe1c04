"""Picket fence images: leaves stand where it was stated, to 0.02 mm, by their half-value edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.simulate.epid_delivery import image_of
from qa_daemon.simulate.epid_leaves import LeafErrors, leaf_names
from qa_daemon.simulate.epid_panel import Exposure, Imager, imager_of
from qa_daemon.simulate.epid_picket_fence import Pickets, picket_fence
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import picket_fence as picket_plan

SHARP = replace(imager_of("as1000", noise=0.0), blur_mm=0.5)
CENTERS_MM = (np.arange(10) - 4.5) * 15.0
HALF_CU = 1.0 * (0.015 + 0.985 * 0.1 / 2.0)
"""Halfway between what comes through the leaves, of 100 MU, and a picket's tenth of them."""
TO_0_02_MM = {"atol": 0.02, "rtol": 0.0}


def edges_mm(image: PortalImage, y_mm: float) -> NDArray[np.float64]:
    """Where the row at a height crosses the half value: (pickets, left and right)."""
    row = image.values[np.argmin(np.abs(image.y_mm - y_mm))]
    above = row > HALF_CU
    (at,) = np.nonzero(above[1:] != above[:-1])
    part = (HALF_CU - row[at]) / (row[at + 1] - row[at])
    return np.asarray(image.x_mm[at] + part * (image.x_mm[at + 1] - image.x_mm[at])).reshape(-1, 2)


@pytest.mark.parametrize("panel", ["as500", "as1000", "as1200"])
def test_pickets_lie_where_they_are_wanted(panel: str) -> None:
    image = picket_fence(imager=replace(imager_of(panel, noise=0.0), blur_mm=0.6))
    found = edges_mm(image, 2.5)
    np.testing.assert_allclose(found, CENTERS_MM[:, None] + [-2.5, 2.5], **TO_0_02_MM)
    assert image.kind is ImageKind.PICKET_FENCE and image.beside.mlc == "millennium120"


def test_a_leaf_is_off_by_what_was_stated_and_its_neighbors_are_not() -> None:
    errors = LeafErrors(leaf_mm={"A31": 0.5, "B12": -1.0})
    image = picket_fence(errors=errors, imager=SHARP)
    # Of the Millennium 120, pair 31 lies from 0 to 5 mm and pair 12 from -95 to -90 mm.
    for y_mm, left_mm, right_mm in ((2.5, 0.0, 0.5), (-92.5, -1.0, 0.0), (7.5, 0.0, 0.0)):
        wanted = CENTERS_MM[:, None] + [-2.5 + left_mm, 2.5 + right_mm]
        np.testing.assert_allclose(edges_mm(image, y_mm), wanted, **TO_0_02_MM)


def test_banks_and_gaps_are_off_by_what_was_stated() -> None:
    image = picket_fence(errors=LeafErrors(bank_a_mm=0.3, gap_mm=0.4), imager=SHARP)
    wanted = CENTERS_MM[:, None] + [-2.5 - 0.2, 2.5 + 0.2 + 0.3]
    np.testing.assert_allclose(edges_mm(image, 2.5), wanted, **TO_0_02_MM)


@pytest.mark.parametrize("collimator_deg", [0.0, 30.0, 90.0, 180.0, 270.0])
def test_the_collimator_turns_counterclockwise_as_seen_from_the_source(
    collimator_deg: float,
) -> None:
    exposure = Exposure(ImageKind.PICKET_FENCE, collimator_deg=collimator_deg)
    errors = LeafErrors(leaf_mm={"A31": 1.0})
    image = picket_fence(errors=errors, imager=SHARP, exposure=exposure)
    turn = np.deg2rad(collimator_deg)
    # The X2 edge of pair 31 in the first picket left of the axis, and of pair 33, which is right.
    for x_mm, y_mm in ((-7.5 + 2.5 + 1.0, 2.5), (-7.5 + 2.5, 12.5)):
        for away_mm, low, high in ((-0.3, 1.2, 2.0), (0.0, 0.97, 1.03), (0.3, 0.1, 0.8)):
            own_mm = x_mm + away_mm
            gantry_x_mm = own_mm * np.cos(turn) - y_mm * np.sin(turn)
            gantry_y_mm = own_mm * np.sin(turn) + y_mm * np.cos(turn)
            row = (image.y_mm[0] - gantry_y_mm) / (image.y_mm[0] - image.y_mm[1])
            column = (gantry_x_mm - image.x_mm[0]) / (image.x_mm[1] - image.x_mm[0])
            (value,) = map_coordinates(image.values, [[row], [column]], order=3)
            assert low < value / HALF_CU < high


def test_the_image_of_a_delivery_shows_what_its_log_does_not_know() -> None:
    delivery = deliver(picket_plan("hd120"), Errors(leaf_mm={"B20": 0.4}, noise=False))
    image = image_of(delivery, Exposure(ImageKind.PICKET_FENCE), SHARP, {"A31": 0.5})
    # Of the HD120, pair 31 lies from 0 to 2.5 mm and pair 20 from -27.5 to -25 mm.
    for y_mm, left_mm, right_mm in ((1.25, 0.0, 0.5), (-26.25, 0.4, 0.0), (11.25, 0.0, 0.0)):
        wanted = CENTERS_MM[:, None] + [-2.5 + left_mm, 2.5 + right_mm]
        np.testing.assert_allclose(edges_mm(image, y_mm), wanted, atol=0.03, rtol=0.0)
    assert image.meterset_mu == pytest.approx(100.0, abs=0.01)
    log = image.beside.log
    assert log is not None and image.beside.mlc == "hd120"
    assert np.ptp(log.mlc[0].bank_a_mm.actual - log.mlc[0].bank_a_mm.expected) == 0.0


def test_two_layers_are_open_where_both_are() -> None:
    assert len(leaf_names("halcyon")) == 114
    image = picket_fence(
        Pickets("halcyon", number=2, spacing_mm=60.0, width_mm=20.0),
        LeafErrors(leaf_mm={"29A15": -4.0}),
        replace(imager_of("as1200", noise=0.0), blur_mm=0.3),
    )
    row = image.values[np.argmin(np.abs(image.y_mm - 2.5))] / image.values.max()
    inside = image.x_mm[row > 0.5]
    assert inside.max() == pytest.approx(30.0 + 10.0 - 4.0, abs=0.15)
    assert inside.min() == pytest.approx(-30.0 - 10.0, abs=0.15)


def test_a_leaf_that_the_head_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="millennium120 has no leaf C3"):
        picket_fence(errors=LeafErrors(leaf_mm={"C3": 1.0}))
    with pytest.raises(ValueError, match="hd120 has no leaf A61"):
        image_of(deliver(picket_plan("hd120")), Exposure(ImageKind.PORTAL), Imager(), {"A61": 1.0})
