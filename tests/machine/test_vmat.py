from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzers.core import AnalysisError, Analyzer
from analyzers.formats.dicom_rtimage import read
from analyzers.machine import vmat_drgs, vmat_drmlc
from analyzers.portal_images import ImageKind, PortalImage
from tests import epid, real_data
from tests.machine.judging import measured, run, verdict, worst

STEP_MM = 1.0
PEERS = real_data.peer_reads("epid-vmat")
TESTS: dict[str, tuple[Analyzer[Any, Any], ImageKind]] = {
    "DRGS": (vmat_drgs.ANALYZER, ImageKind.VMAT_DRGS),
    "DRMLC": (vmat_drmlc.ANALYZER, ImageKind.VMAT_DRMLC),
}


def pair(dose: dict[int, float] | None = None, side: float = 120.0, **known: Any) -> PortalImage:
    """Seven strips of 18 mm by rising x, with a share of the dose each; the open field beside.

    Both are `side` mm high.
    """
    x_mm, y_mm = epid.places_mm(220, STEP_MM), epid.places_mm(200, STEP_MM)
    height = epid.slit(y_mm, -side / 2.0, side / 2.0)[:, None]
    strips = sum(
        (dose or {}).get(k, 1.0) * epid.slit(x_mm, x - 9.0, x + 9.0)
        for k, x in enumerate(np.arange(-60.0, 61.0, 20.0), start=1)
    )
    dynamic = epid.image(0.4 * height * strips[None, :], STEP_MM, **known)
    opened = epid.image(0.8 * height * epid.slit(x_mm, -75.0, 75.0)[None, :], STEP_MM)
    return epid.judged(dynamic, ImageKind.VMAT_DRGS, open_image=opened)


def test_a_segment_with_more_dose_is_found_with_its_sign() -> None:
    found = measured(vmat_drgs.ANALYZER, pair({3: 1.03}))
    mean = 1.0 + 0.03 / 7.0
    expected = 100.0 * (1.03 / mean - 1.0)
    assert found["max_deviation"].value == pytest.approx(expected, abs=0.02)
    assert found["segment_3"].value == pytest.approx(expected, abs=0.02)
    assert found["segment_5"].value == pytest.approx(100.0 * (1.0 / mean - 1.0), abs=0.02)
    assert found["max_deviation"].at == "segment 3, x -20 mm"
    assert found["mean_deviation"].value == pytest.approx(2.0 * expected / 7.0, abs=0.02)
    assert worst(found) == "TOLERANCE"


def test_even_segments_pass_and_an_error_of_4_percent_does_not() -> None:
    even = measured(vmat_drgs.ANALYZER, pair())
    assert even["max_deviation"].value < 0.02
    assert worst(even) == "PASS"
    odd = measured(vmat_drgs.ANALYZER, pair({7: 0.96}))
    assert odd["segment_7"].value == pytest.approx(100.0 * (0.96 / (1 - 0.04 / 7) - 1), abs=0.02)
    assert worst(odd) == "ACTION"


@pytest.mark.parametrize(
    ("part_y_mm", "lost", "at", "expected"),
    [
        # A half: 0.9 or 1.0 against a mean of 0.95.
        ((0.0, 60.0), 0.10, "segment 4, y ", 100.0 * (1.0 - 0.9 / 0.95)),
        # A fifth, against a mean to which it belongs itself.
        ((-30.0, -10.0), 0.05, "segment 4, y -20 mm", 100.0 * (1.0 - 0.95 / 0.99)),
    ],
)
def test_a_part_of_a_segment_that_lacks_dose_is_found(
    part_y_mm: tuple[float, float], lost: float, at: str, expected: float
) -> None:
    image = pair()
    low, high = part_y_mm
    inside = (image.y_mm > low) & (image.y_mm < high)
    strip = np.abs(image.x_mm) < 9.5
    stored = image.stored.astype(np.float64)
    dark = 5000.0
    stored[np.ix_(inside, strip)] -= lost * (stored[np.ix_(inside, strip)] - dark)
    weak = replace(image, stored=np.round(stored).astype(np.uint16), values=np.round(stored))
    whole = measured(vmat_drgs.ANALYZER, weak)
    assert whole["max_deviation_along"].value == pytest.approx(expected, abs=0.05)
    assert (whole["max_deviation_along"].at or "").startswith(at)
    assert verdict(whole["max_deviation_along"]) == "ACTION"
    # By its mean alone a segment that lacks 5 % of a fifth lacks 1 %.
    assert verdict(whole["max_deviation"]) == ("ACTION" if lost > 0.05 else "PASS")
    assert measured(vmat_drgs.ANALYZER, image)["max_deviation_along"].value < 0.02


def test_without_its_open_image_it_is_said_why() -> None:
    alone = epid.judged(
        pair(), ImageKind.VMAT_DRGS, lacking={"open_image": "none within 30 min of it"}
    )
    with pytest.raises(AnalysisError, match="not here: none within 30 min of it"):
        run(vmat_drgs.ANALYZER, alone)


def test_images_that_do_not_belong_together_are_refused() -> None:
    image = pair()
    opened = image.beside.open_image
    assert opened is not None
    for other, words in (
        (replace(opened, sid_mm=1000.0), "another distance"),
        (replace(opened, sid_mm=None), "does not state the distance"),
        (replace(opened, values=opened.values[1:], stored=opened.stored[1:]), "another number"),
    ):
        odd = epid.judged(image, ImageKind.VMAT_DRGS, open_image=other)
        with pytest.raises(AnalysisError, match=words):
            run(vmat_drgs.ANALYZER, odd)


def turned(image: PortalImage, turn: int) -> PortalImage:
    values = np.rot90(image.values, turn)
    return replace(image, values=values, stored=np.rot90(image.stored, turn))


def test_strips_along_the_segments_are_refused() -> None:
    """Each segment would be a mean of all strips: alike, whatever their doses are."""
    image = pair({3: 1.06}, side=150.0)
    opened = image.beside.open_image
    assert opened is not None
    with pytest.raises(AnalysisError, match="the strips lie side by side 90 deg from"):
        across = epid.judged(turned(image, 1), ImageKind.VMAT_DRGS, open_image=turned(opened, 1))
        run(vmat_drgs.ANALYZER, across)


@pytest.mark.parametrize("columns", [5, -5])
def test_a_field_beside_its_open_one_is_refused(columns: int) -> None:
    image = pair()
    moved = replace(
        image,
        values=np.roll(image.values, columns, axis=1),
        stored=np.roll(image.stored, columns, axis=1),
    )
    with pytest.raises(AnalysisError, match=r"lies 5\.0 mm from that of the open image"):
        run(vmat_drgs.ANALYZER, moved)


def test_segments_beside_the_open_field_are_refused() -> None:
    offsets_mm = (-90.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0)
    with pytest.raises(AnalysisError, match="segment 1 lies outside the open field"):
        run(vmat_drgs.ANALYZER, pair(), offsets_mm=offsets_mm)


@real_data.skip_without("epid-vmat")
@pytest.mark.parametrize("name", sorted(n for n in PEERS if "+" in n))
def test_real_pairs_read_as_pylinac_reads_their_files(name: str) -> None:
    root = real_data.folder()
    assert root is not None
    test, files = name.split(":")
    opened, dynamic = (read(root / "epid-vmat" / file) for file in files.split("+"))
    analyzer, kind = TESTS[test]
    found = measured(analyzer, epid.judged(dynamic, kind, open_image=opened))
    # No real pair may alarm by what its segments are along their length.
    assert verdict(found["max_deviation_along"]) == "PASS"
    peer = PEERS[name]
    assert found["max_deviation"].value == pytest.approx(peer["max_dev_pct"], rel=1e-6)
    assert found["mean_deviation"].value == pytest.approx(peer["abs_mean_dev"], rel=1e-6)
    for k, segment in enumerate(peer["segments"], start=1):
        assert found[f"segment_{k}"].value == pytest.approx(segment, rel=1e-6)
