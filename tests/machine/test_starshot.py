from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError
from analyzers.formats.tiff_image import read
from analyzers.machine.starshot import ANALYZER
from analyzers.portal_images import ImageKind, PortalImage
from tests import epid, real_data
from tests.machine.judging import measured, run, verdict

STEP_MM, SIDE = 0.5, 300
PEERS = real_data.peer_reads("epid-star")


def star(offsets_mm: tuple[float, ...], angles_deg: tuple[float, ...] | None = None) -> np.ndarray:
    """Spokes of 3 mm: each passes the middle at its offset, to its left."""
    angles_deg = angles_deg or tuple(np.arange(len(offsets_mm)) * 180.0 / len(offsets_mm) + 10.0)
    x_mm = epid.places_mm(SIDE, STEP_MM)[None, :]
    y_mm = -epid.places_mm(SIDE, STEP_MM)[:, None]
    values = np.zeros((SIDE, SIDE))
    for off_mm, angle_deg in zip(offsets_mm, angles_deg, strict=True):
        angle = np.radians(angle_deg)
        across = -x_mm * np.sin(angle) + y_mm * np.cos(angle)
        values += epid.slit(across - off_mm, -1.5, 1.5)
    return values / values.max()


def shot(values: np.ndarray) -> PortalImage:
    return epid.judged(epid.image(values, STEP_MM), ImageKind.STARSHOT)


def test_spokes_through_one_point_make_no_circle() -> None:
    found = measured(ANALYZER, shot(star((0.0, 0.0, 0.0, 0.0))))
    assert found["circle_diameter"].value < 0.05
    assert found["spokes"].value == 4
    assert verdict(found["circle_diameter"]) == "PASS"


@pytest.mark.parametrize(("off_mm", "said"), [(0.7, "TOLERANCE"), (1.3, "ACTION")])
def test_the_circle_is_the_one_that_the_spokes_touch(off_mm: float, said: str) -> None:
    # At 0, 60 and 120 degrees, the middle one to its right: a triangle about a circle of off_mm.
    found = measured(ANALYZER, shot(star((off_mm, -off_mm, off_mm), (0.0, 60.0, 120.0))))
    assert found["circle_diameter"].value == pytest.approx(2 * off_mm, abs=0.08)
    assert verdict(found["circle_diameter"]) == said


def test_the_middle_is_told_from_the_axis() -> None:
    # Lines through x = 2, y = -1 mm pass the middle at n times that point.
    angles_deg = (10.0, 55.0, 100.0, 145.0)
    offsets_mm = tuple(
        -2.0 * np.sin(np.radians(a)) - 1.0 * np.cos(np.radians(a)) for a in angles_deg
    )
    found = measured(ANALYZER, shot(star(offsets_mm, angles_deg)))
    assert found["circle_center_x"].value == pytest.approx(2.0, abs=0.05)
    assert found["circle_center_y"].value == pytest.approx(-1.0, abs=0.05)


def test_several_images_are_laid_over_each_other() -> None:
    angles_deg = (0.0, 60.0, 120.0)
    shots = [shot(star((0.4 * (-1) ** k,), (a,))) for k, a in enumerate(angles_deg)]
    found = measured(ANALYZER, replace(shots[0], set_with=tuple(shots[1:])))
    assert found["circle_diameter"].value == pytest.approx(0.8, abs=0.08)


def test_what_is_no_star_is_refused() -> None:
    with pytest.raises(AnalysisError, match="the spokes could not be measured"):
        run(ANALYZER, shot(np.full((SIDE, SIDE), 0.5)))


@real_data.skip_without("epid-star")
@pytest.mark.parametrize("name", sorted(PEERS))
def test_real_films_read_as_pylinac_reads_them(name: str) -> None:
    root = real_data.folder()
    assert root is not None
    found = run(ANALYZER, epid.judged(read(root / name), ImageKind.STARSHOT))
    diameter = next(m for m in found.measurements if m.metric.name == "circle_diameter")
    assert diameter.value == pytest.approx(PEERS[name]["circle_diameter_mm"], rel=1e-6)
    assert verdict(diameter) == "PASS"
    assert any("taken as at the isocenter" in note for note in found.notes)
