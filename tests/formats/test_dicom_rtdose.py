"""Dose grids: dose at points in closed form, frames in order, and what a grid says of itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from analyzers.core import AnalysisError, ReadError
from analyzers.dose_records import DoseGrid
from analyzers.formats.dicom_rtdose import read
from qa_daemon.simulate import rtdose
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests import real_data
from tests.formats.small_phantoms import SMALL, changed, dose_of, small

PLANES = real_data.files("gamma", "**/*.dcm")
GRIDS = [*PLANES, *real_data.files("rtplan", "**/RD*.dcm")]


@pytest.fixture
def data() -> Dataset:
    return small("dicom-rtdose")


def as_gaussian(found: DoseGrid, options: rtdose.DoseOptions) -> None:
    """Every voxel holds the Gaussian of where it is; half a step of the scaling apart at most."""
    step_gy = options.peak_gy / (2**options.bits - 2)
    frames, rows, columns = found.values.shape
    for frame, row, column in product(range(frames), range(0, rows, 2), range(0, columns, 3)):
        x, y, z = found.placement.at(row, column, float(found.offsets_mm[frame]))
        square = (x - options.x_shift_mm) ** 2 + y**2 + z**2
        expected_gy = options.peak_gy * np.exp(-square / (2.0 * options.sigma_mm**2))
        assert found.dose_gy[frame, row, column] == pytest.approx(
            expected_gy, abs=0.51 * step_gy, rel=1e-7
        )


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("falling", [False, True])
def test_each_voxel_holds_the_dose_of_its_place(
    bits: int, absolute: bool, falling: bool, tmp_path: Path
) -> None:
    options = replace(SMALL, bits=bits, absolute=absolute, falling=falling, x_shift_mm=4.0)
    found = dose_of(rtdose.dataset(options), tmp_path, explicit=absolute)
    as_gaussian(found, options)
    np.testing.assert_array_equal(found.offsets_mm, [0.0, 5.0, 10.0, 15.0])
    np.testing.assert_array_equal(found.placement.origin_mm, [-12.5, -12.5, -7.5])
    assert found.spacing_mm() == (5.0, 5.0, 5.0)
    assert (found.values.dtype, found.values.flags.c_contiguous) == (np.float32, True)
    assert (found.unit, found.kind, found.summation) == ("GY", "PHYSICAL", "PLAN")
    assert found.references.plan_uids == (IDENTITY.plan_uid,)
    assert found.identity.plan_uid == IDENTITY.plan_uid
    assert (found.warnings, found.references.beam_numbers) == ((), ())
    assert str(found.performed_at) == "2026-01-05 07:15:00"


@pytest.mark.parametrize("begins_at", [0.0, -40.0])
def test_a_normal_toward_the_feet_turns_the_sign_of_absolute_z(
    begins_at: float, data: Dataset, tmp_path: Path
) -> None:
    """Rows to the left, columns to the front: frames that rise along the normal fall in z."""
    data.ImageOrientationPatient = ["1", "0", "0", "0", "-1", "0"]
    data.ImagePositionPatient = ["0", "0", str(begins_at)]
    steps = np.array([0.0, 2.0, 4.0, 6.0])
    data.GridFrameOffsetVector = [str(v) for v in (steps if not begins_at else begins_at - steps)]
    found = dose_of(data, tmp_path)
    np.testing.assert_allclose(found.offsets_mm, steps)
    for frame, step in enumerate(steps):
        at = found.placement.at(0.0, 0.0, float(found.offsets_mm[frame]))
        np.testing.assert_allclose(at, [0.0, 0.0, begins_at - step])


def test_frames_that_are_not_the_same_distance_apart_say_so(data: Dataset, tmp_path: Path) -> None:
    data.GridFrameOffsetVector = ["0", "5", "10", "15.2"]
    found = dose_of(data, tmp_path)
    assert not found.is_uniform
    np.testing.assert_array_equal(found.offsets_mm, [0.0, 5.0, 10.0, 15.2])
    with pytest.raises(AnalysisError, match="same distance"):
        found.spacing_mm()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"DoseUnits": "RELATIVE"}, "relative"),
        ({"DoseType": "EFFECTIVE"}, "EFFECTIVE"),
        ({"DoseType": "ERROR"}, "ERROR"),
    ],
)
def test_what_is_no_physical_dose_gives_none(
    values: dict[str, Any], why: str, data: Dataset, tmp_path: Path
) -> None:
    changed(**values)(data)
    with pytest.raises(AnalysisError, match=why):
        _ = dose_of(data, tmp_path).dose_gy


def test_errors_of_dose_may_be_below_zero_and_dose_may_not(data: Dataset, tmp_path: Path) -> None:
    data.PixelRepresentation = 1
    stored = np.arange(4 * 36, dtype="<i4")
    data.PixelData, data.DoseGridScaling = stored.tobytes(), "0.5"
    (warning,) = dose_of(data, tmp_path).warnings
    assert "signed" in warning
    data.PixelData = (-stored).tobytes()
    with pytest.raises(ReadError, match="negative dose"):
        dose_of(data, tmp_path)
    data.DoseType = "ERROR"
    found = dose_of(data, tmp_path)
    np.testing.assert_array_equal(found.values.ravel(), -0.5 * stored)


def test_a_plane_needs_no_offsets(data: Dataset, tmp_path: Path) -> None:
    changed(NumberOfFrames=None, GridFrameOffsetVector=None, FrameIncrementPointer=None)(data)
    data.PixelData = data.PixelData[: 4 * 36]
    found = dose_of(data, tmp_path)
    assert found.values.shape == (1, 6, 6)
    assert (found.spacing_mm(), found.is_uniform) == ((5.0, 5.0), True)


@pytest.mark.parametrize(
    ("summation", "group", "beams"),
    [("PLAN", None, ()), ("BEAM", 1, (1,)), ("FRACTION", 1, ())],
)
def test_a_dose_says_of_which_part_of_a_plan_it_is(
    summation: str, group: int | None, beams: tuple[int, ...], tmp_path: Path
) -> None:
    found = dose_of(rtdose.dataset(replace(SMALL, summation=summation)), tmp_path)
    references = found.references
    assert (found.summation, references.fraction_group) == (summation, group)
    assert (references.beam_numbers, found.warnings) == (beams, ())


def test_what_a_dose_does_not_say_is_warned_of(data: Dataset, tmp_path: Path) -> None:
    data.DoseSummationType = "CANARY"
    del data.ReferencedRTPlanSequence
    found = dose_of(data, tmp_path)
    assert (found.summation, found.identity.plan_uid) == ("unknown", None)
    assert ["the sum of" in found.warnings[0], "of which plan" in found.warnings[1]] == [True] * 2
    assert "CANARY" not in str(found.warnings)


def test_a_dose_of_two_plans_is_of_neither_alone(data: Dataset, tmp_path: Path) -> None:
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = "1.2", "1.2.3"
    data.ReferencedRTPlanSequence.append(other)
    found = dose_of(data, tmp_path)
    assert found.references.plan_uids == (IDENTITY.plan_uid, "1.2.3")
    assert found.identity.plan_uid is None


def test_the_grid_that_pydicom_carries() -> None:
    path = get_testdata_file("rtdose.dcm", download=False)
    said, found = pydicom.dcmread(path), read(path)
    np.testing.assert_allclose(found.values, said.pixel_array * said.DoseGridScaling, rtol=1e-7)
    np.testing.assert_array_equal(found.offsets_mm, said.GridFrameOffsetVector)
    assert (found.unit, found.summation) == ("RELATIVE", "BEAM")
    assert found.references.beam_numbers == (1,)
    one_frame = get_testdata_file("rtdose_1frame.dcm", download=False)
    with pytest.raises(ReadError, match="15 values of GridFrameOffsetVector, 1 frames"):
        read(one_frame)


def test_there_are_eight_real_grids() -> None:
    if real_data.folder() is None:
        pytest.skip("no real files: set QA_DAEMON_REAL_DATA")
    assert len(GRIDS) == 8


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.name)
def test_real_grids_read_as_pydicom_reads_them(path: Path) -> None:
    said, found = pydicom.dcmread(path, force=True), read(path)
    expected_gy = said.pixel_array * float(said.DoseGridScaling)
    np.testing.assert_allclose(found.dose_gy, expected_gy.reshape(found.values.shape), rtol=1e-7)
    np.testing.assert_array_equal(found.placement.origin_mm, said.ImagePositionPatient)
    assert found.placement.spacing_mm == tuple(said.PixelSpacing)
    offsets_mm = said.get("GridFrameOffsetVector", [0.0])
    np.testing.assert_array_equal(found.offsets_mm, offsets_mm)
    (plan,) = said.ReferencedRTPlanSequence
    assert found.references.plan_uids == (plan.ReferencedSOPInstanceUID,)
    assert list(found.heterogeneity) == list(said.get("TissueHeterogeneityCorrection", []))
    assert found.warnings == ()


def peers_maxima() -> dict[str, tuple[float, list[int]]]:
    """Largest dose in Gy and shape by file name, as peers read them: planes in pairs, and grids."""
    found = {}
    for names, said in real_data.peer_reads("gamma").items():
        reference, _, evaluated = names.partition(" vs ")
        found[reference] = said["ref_max"], said["shape"]
        found[evaluated] = said["eval_max"], said["shape"]
    for name, said in real_data.peer_reads("rtplan").items():
        if said["modality"] == "RTDOSE":
            found[name.rpartition("/")[2]] = said["max_gy"], said["shape"]
    return found


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.name)
def test_peers_read_the_same_largest_dose(path: Path) -> None:
    largest_gy, shape = peers_maxima()[path.name]
    found = read(path)
    assert float(found.dose_gy.max()) == pytest.approx(largest_gy, rel=1e-6)
    assert list(found.values.shape)[-len(shape) :] == shape
