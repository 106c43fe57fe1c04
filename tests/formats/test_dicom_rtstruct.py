"""Structure sets: contours as pydicom reads them, volumes in closed form, doubts as warnings."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from analyzers.core import AnalysisError
from analyzers.dose_records import Structure, Structures
from analyzers.formats.dicom_rtstruct import read
from qa_daemon.simulate import phantom, rtstruct
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests import real_data
from tests.formats.small_phantoms import small, structures_of

REAL = [
    *real_data.files("rtplan", "**/TinyFS_StrctrSets.dcm"),
    *real_data.files("rtplan", "**/example_structures.dcm"),
]
OPTIONS = rtstruct.StructureOptions


@pytest.fixture
def data() -> Dataset:
    return small("dicom-rtstruct")


def area_mm2(points_mm: NDArray[np.float64]) -> float:
    """The area of a transverse polygon, by the shoelace formula."""
    x, y = points_mm[:, 0], points_mm[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2.0


def volume_mm3(structure: Structure, thickness_mm: float) -> float:
    """Areas times the distance of the slices."""
    outlines = structure.by_slice.values()
    return thickness_mm * sum(area_mm2(c.points_mm) for here in outlines for c in here)


def named(found: Structures, name: str) -> Structure:
    return next(structure for structure in found.structures if structure.name == name)


@pytest.mark.parametrize("explicit", [False, True])
def test_a_sphere_has_the_volume_of_a_sphere(explicit: bool, tmp_path: Path) -> None:
    """Slabs 1 mm thick of a sphere of 20 mm, cut at their middles.

    The middle rule adds pi h^2 R / 6; polygons of 90 corners have sin(a) / a of each circle.
    """
    options = OPTIONS(radius_mm=20.0, points=90, slices=40, thickness_mm=1.0)
    found = structures_of(rtstruct.dataset(options), tmp_path, explicit=explicit)
    target = named(found, "PTV")
    assert (target.kind, len(target.contours)) == ("PTV", 40)
    sphere_mm3 = 4.0 / 3.0 * np.pi * 20.0**3
    angle = 2.0 * np.pi / 90
    cut_mm3 = (sphere_mm3 + np.pi * 20.0 / 6.0) * np.sin(angle) / angle
    assert volume_mm3(target, 1.0) == pytest.approx(cut_mm3, rel=1e-6)
    assert volume_mm3(target, 1.0) == pytest.approx(sphere_mm3, rel=1e-3)


def test_body_box_and_cord_in_closed_form(tmp_path: Path) -> None:
    options = OPTIONS(target="box", radius_mm=15.0, x_shift_mm=6.0, points=12)
    found = structures_of(rtstruct.dataset(options), tmp_path)
    assert [s.kind for s in found.structures] == ["EXTERNAL", "PTV", "ORGAN"]
    body, target, cord = found.structures
    assert volume_mm3(body, 5.0) == pytest.approx(120.0 * 120.0 * 80.0)
    assert volume_mm3(target, 5.0) == pytest.approx(30.0**3)
    assert target.contours[0].points_mm[:, 0].mean() == pytest.approx(6.0)
    polygon_mm2 = 12 / 2.0 * 5.0**2 * np.sin(2.0 * np.pi / 12)
    assert volume_mm3(cord, 5.0) == pytest.approx(80.0 * polygon_mm2, rel=1e-6)
    assert list(cord.by_slice) == [-37.5 + 5.0 * k for k in range(16)]
    assert found.series_uids == (phantom.CT_SERIES,)
    assert found.frame_of_reference_uids == (phantom.FRAME_OF_REFERENCE,)
    assert body.frame_of_reference_uid == phantom.FRAME_OF_REFERENCE
    assert (found.identity.patient_id, found.identity.label) == (IDENTITY.patient_id, "Simulated")
    assert (found.approval, found.warnings) == ("UNAPPROVED", ())
    assert str(found.performed_at) == "2026-01-05 07:00:00"


def as_pydicom_reads(path: Path) -> int:
    """Every contour of a file, compared; how many points there were."""
    said, found = pydicom.dcmread(path, force=True), read(path)
    assert [s.number for s in found.structures] == [
        r.ROINumber for r in said.StructureSetROISequence
    ]
    assert [s.name for s in found.structures] == [r.ROIName for r in said.StructureSetROISequence]
    kinds = {o.ReferencedROINumber: o.RTROIInterpretedType for o in said.RTROIObservationsSequence}
    assert {s.number: s.kind for s in found.structures} == kinds
    by_number = {structure.number: structure for structure in found.structures}
    points = 0
    for region in said.ROIContourSequence:
        contours = region.get("ContourSequence", [])
        mine = by_number[region.ReferencedROINumber].contours
        assert len(mine) == len(contours)
        for here, there in zip(mine, contours, strict=True):
            expected = np.array(there.ContourData, dtype=float).reshape(-1, 3)
            if here.shape == "CLOSED_PLANAR" and (expected[0] == expected[-1]).all():
                expected = expected[:-1]
            np.testing.assert_array_equal(here.points_mm, expected)
            assert here.shape == there.ContourGeometricType
            points += len(expected)
    assert found.identity.patient_id == said.PatientID
    return points


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_structure_sets_read_as_pydicom_reads_them(path: Path) -> None:
    assert as_pydicom_reads(path) > 2000
    found = read(path)
    assert found.warnings == ()
    assert len(found.series_uids) == len(found.frame_of_reference_uids) == 1


def test_peers_name_the_same_regions() -> None:
    if not REAL:
        pytest.skip("no real structure sets: set QA_DAEMON_REAL_DATA")
    said = real_data.peer_reads("rtplan")
    for path in REAL:
        rois = said[f"rtplan/pymedphys/{path.name}"]["rois"]
        assert [s.name for s in read(path).structures] == rois


def test_the_structure_set_that_pydicom_carries() -> None:
    path = Path(str(get_testdata_file("rtstruct.dcm", download=False)))
    assert as_pydicom_reads(path) > 0
    assert [s.kind for s in read(path).structures] == ["EXTERNAL", "ISOCENTER", "ISOCENTER"]
    assert [len(s.by_slice) for s in read(path).structures] == [3, 0, 0]


def test_long_contours_are_read_in_both_forms(tmp_path: Path) -> None:
    """Beyond 64 KiB, which the explicit form has no length for: pydicom writes UN then."""
    data = rtstruct.dataset(OPTIONS(points=4000, slices=2))
    assert (
        len("\\".join(map(str, data.ROIContourSequence[2].ContourSequence[0].ContourData))) > 65536
    )
    found = [structures_of(data, tmp_path, explicit=explicit) for explicit in (False, True)]
    for one, other in zip(found[0].structures, found[1].structures, strict=True):
        for here, there in zip(one.contours, other.contours, strict=True):
            np.testing.assert_array_equal(here.points_mm, there.points_mm)
    assert len(named(found[0], "Cord").contours[0].points_mm) == 4000


def test_what_refers_to_no_region_is_left_out_with_a_warning(data: Dataset, tmp_path: Path) -> None:
    stray = deepcopy(data.ROIContourSequence[0])
    stray.ReferencedROINumber = 99
    data.ROIContourSequence.append(stray)
    observation = deepcopy(data.RTROIObservationsSequence[0])
    observation.ReferencedROINumber = 98
    data.RTROIObservationsSequence.append(observation)
    found = structures_of(data, tmp_path)
    assert [s.number for s in found.structures] == [1, 2, 3]
    assert ["contours of a region" in found.warnings[0]] == [True]
    assert ["observation of a region" in found.warnings[1]] == [True]


def test_a_region_without_contours_is_there(data: Dataset, tmp_path: Path) -> None:
    del data.ROIContourSequence[1].ContourSequence
    del data.ROIContourSequence[2]
    data.RTROIObservationsSequence[1].RTROIInterpretedType = ""
    found = structures_of(data, tmp_path)
    assert [len(s.contours) for s in found.structures] == [6, 0, 0]
    assert [s.kind for s in found.structures] == ["EXTERNAL", "unknown", "ORGAN"]


def test_points_and_open_lines_enclose_nothing(data: Dataset, tmp_path: Path) -> None:
    contours = data.ROIContourSequence[2].ContourSequence
    contours[0].ContourGeometricType = "OPEN_PLANAR"
    contours[1].ContourGeometricType, contours[1].NumberOfContourPoints = "POINT", 1
    contours[1].ContourData = ["1", "2", "3"]
    contours[2].NumberOfContourPoints, contours[2].ContourData = 2, ["0", "0", "0", "1", "1", "0"]
    found = structures_of(data, tmp_path)
    cord = named(found, "Cord")
    assert [c.encloses for c in cord.contours[:4]] == [False, False, False, True]
    assert len(cord.by_slice) == 3
    assert len(found.warnings) == 1
    assert "encloses nothing" in found.warnings[0]


def test_a_last_point_that_closes_is_not_counted_twice(data: Dataset, tmp_path: Path) -> None:
    closed, line = data.ROIContourSequence[0].ContourSequence[:2]
    line.ContourGeometricType = "OPEN_PLANAR"
    for contour in (closed, line):
        contour.ContourData = [*contour.ContourData, *contour.ContourData[:3]]
        contour.NumberOfContourPoints = 5
    body = named(structures_of(data, tmp_path), "BODY")
    assert [len(c.points_mm) for c in body.contours[:2]] == [4, 5]


def test_an_oblique_plane_is_a_plane_and_belongs_to_no_slice(data: Dataset, tmp_path: Path) -> None:
    contour = data.ROIContourSequence[0].ContourSequence[0]
    square = np.array([[-60, -60, 0], [60, -60, 36], [60, 60, 50], [-60, 60, 14]], dtype=float)
    square[:, 2] = 0.3 * square[:, 0] + 0.1 * square[:, 1]
    contour.ContourData = [f"{v:.2f}" for v in square.ravel()]
    body = named(structures_of(data, tmp_path), "BODY")
    np.testing.assert_allclose(body.contours[0].points_mm, square)
    with pytest.raises(AnalysisError, match="not transverse"):
        _ = body.by_slice


def test_names_are_not_in_what_is_printed(data: Dataset, tmp_path: Path) -> None:
    data.StructureSetROISequence[0].ROIName = "CANARY"
    found = structures_of(data, tmp_path)
    assert found.structures[0].name == "CANARY"
    assert "CANARY" not in repr(found.structures[0])
    assert str(IDENTITY.patient_id) not in repr(found)
