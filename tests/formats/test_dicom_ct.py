"""CT slices: values, places and what is beside them, against closed forms and pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from analyzers.core import HEAD_BYTES, AnalysisError
from analyzers.formats import dicom_rtdose, dicom_rtplan, dicom_rtstruct
from analyzers.formats.dicom_ct import read, recognize
from qa_daemon.simulate import ct, phantom
from qa_daemon.simulate.trajectory_log import IDENTITY, PERFORMED_AT
from tests.formats.small_phantoms import changed, slice_of, small
from tests.formats.small_plans import refused, written


@pytest.fixture
def data() -> Dataset:
    return small("dicom-ct")


def test_a_scanner_s_slice_reads_as_pydicom_reads_it() -> None:
    """A slice of a GE scanner that pydicom carries: signed, with padding and private elements."""
    path = get_testdata_file("CT_small.dcm", download=False)
    said, found = pydicom.dcmread(path), read(path)
    assert recognize(Path(path).read_bytes()[:HEAD_BYTES])
    assert found.values.dtype == np.int16
    np.testing.assert_array_equal(found.hu, said.pixel_array.astype(int) + said.RescaleIntercept)
    assert found.padding == (-2000.0 - 1024.0,) * 2
    np.testing.assert_array_equal(found.placement.origin_mm, said.ImagePositionPatient)
    np.testing.assert_array_equal(
        [*found.placement.along_row, *found.placement.along_column], said.ImageOrientationPatient
    )
    assert found.placement.spacing_mm == tuple(said.PixelSpacing)
    assert (found.thickness_mm, found.kvp, found.tilt_deg) == (5.0, 120.0, 0.0)
    assert (found.patient_position, found.instance_number) == ("FFS", 1)
    assert str(found.performed_at) == "1997-04-30 11:29:36"
    identity = found.identity
    assert identity.patient_id == said.PatientID
    assert identity.series_uid == said.SeriesInstanceUID
    assert identity.frame_of_reference_uid == said.FrameOfReferenceUID
    assert (found.warnings, found.machine_serial, found.energy) == ((), None, None)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("preamble", [False, True])
def test_water_rod_and_air_are_where_they_were_put(
    explicit: bool, preamble: bool, tmp_path: Path
) -> None:
    options = ct.CtOptions(x_shift_mm=10.0, hu_offset=7.0)
    found = slice_of(ct.dataset(9, options), tmp_path, explicit=explicit, preamble=preamble)
    at = found.placement.at
    for x, y, hu in ((42.0, 0.0, 807), (-50.0, 10.0, 7), (75.0, 0.0, -993), (0.0, 70.0, -993)):
        column, row = (x + 77.5) / 5.0, (y + 77.5) / 5.0
        np.testing.assert_allclose(at(row, column), [x, y, 2.5])
        assert found.hu[round(row), round(column)] == hu
    assert found.offset_mm == 2.5
    assert found.performed_at == PERFORMED_AT
    assert found.identity.patient_id == IDENTITY.patient_id
    assert found.identity.series_uid == phantom.CT_SERIES


def test_a_rescale_that_integers_do_not_hold_gives_float32(data: Dataset, tmp_path: Path) -> None:
    stored = np.frombuffer(data.PixelData, "<u2").reshape(8, 8)
    for slope, intercept in ((0.5, -1000.25), (1.0, -1024.5), (40.0, 0.0)):
        data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
        found = slice_of(data, tmp_path)
        assert found.values.dtype == np.float32
        np.testing.assert_allclose(found.hu, stored * slope + intercept, rtol=1e-7)


def test_values_beyond_int16_are_not_wrapped(data: Dataset, tmp_path: Path) -> None:
    stored = np.linspace(0, 65535, 64).astype("<u2")
    data.PixelData = stored.tobytes()
    np.testing.assert_array_equal(slice_of(data, tmp_path).hu.ravel(), stored - 1024.0)


def test_signed_pixels_of_twelve_bits(data: Dataset, tmp_path: Path) -> None:
    stored = np.linspace(-2048, 2047, 64).astype("<i2")
    data.PixelRepresentation, data.BitsStored, data.HighBit = 1, 12, 11
    data.PixelData, data.RescaleIntercept = stored.tobytes(), "0"
    np.testing.assert_array_equal(slice_of(data, tmp_path).hu.ravel(), stored)


def test_what_runs_from_feet_to_head_has_its_offset_along_the_normal(
    data: Dataset, tmp_path: Path
) -> None:
    """A sagittal plane: rows run down, columns run to the back, the normal to the right."""
    data.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    data.ImagePositionPatient = ["30", "-10", "50"]
    data.PixelSpacing = ["2", "3"]
    found = slice_of(data, tmp_path)
    np.testing.assert_array_equal(found.placement.normal, [-1.0, 0.0, 0.0])
    np.testing.assert_array_equal(found.placement.at(1.0, 2.0), [30.0, -4.0, 48.0])
    assert found.offset_mm == -30.0


def test_directions_that_were_rounded_are_unit_vectors_again(data: Dataset, tmp_path: Path) -> None:
    data.ImageOrientationPatient = ["0.9848", "0.1736", "0", "-0.1736", "0.9848", "0"]
    where = slice_of(data, tmp_path).placement
    basis = np.array([where.along_row, where.along_column, where.normal])
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.degrees(np.arctan2(basis[0, 1], basis[0, 0])), 10.0, atol=0.01)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"RescaleType": "ED"}, "not in Hounsfield units"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a projection"),
    ],
)
def test_what_holds_no_hounsfield_units_gives_none(
    values: dict[str, Any], why: str, data: Dataset, tmp_path: Path
) -> None:
    changed(**values)(data)
    found = slice_of(data, tmp_path)
    with pytest.raises(AnalysisError, match=why):
        _ = found.hu
    assert ("localizer" in found.not_judged) == ("ImageType" in values)


def test_what_may_be_absent_is_none_and_not_zero(data: Dataset, tmp_path: Path) -> None:
    changed(SliceThickness=None, KVP=None, RescaleType=None, InstanceNumber=None)(data)
    changed(AcquisitionDate=None)(data)
    found = slice_of(data, tmp_path)
    assert (found.thickness_mm, found.kvp, found.padding) == (None, None, None)
    assert (found.unit, found.instance_number, found.warnings) == ("HU", None, ())
    assert str(found.performed_at) == "2026-01-05 07:30:00"  # of the study
    changed(KVP="0", PatientPosition="CANARY")(data)
    found = slice_of(data, tmp_path)
    assert (found.kvp, found.patient_position) == (None, "unknown")
    assert len(found.warnings) == 2
    assert "CANARY" not in str(found.warnings)


def test_padding_is_a_range_in_the_unit_of_the_values(data: Dataset, tmp_path: Path) -> None:
    data.PixelPaddingValue, data.PixelPaddingRangeLimit = 10, 0
    assert slice_of(data, tmp_path).padding == (-1024.0, -1014.0)


def test_a_slice_is_no_other_object(data: Dataset, tmp_path: Path) -> None:
    content = written(data, tmp_path).read_bytes()
    for other in (dicom_rtdose, dicom_rtstruct, dicom_rtplan):
        assert not other.recognize(content[:HEAD_BYTES])
        assert refused(content, tmp_path, other.read).code.endswith("_SOP_CLASS")
