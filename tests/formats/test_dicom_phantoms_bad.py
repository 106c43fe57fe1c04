"""Bad CT slices, structure sets and doses: each refused with its code, at once, without a name."""

from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
import warnings
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.core import ReadError, TruncatedError
from analyzers.dicom.structure import LARGEST_FILE
from analyzers.formats import dicom_rtdose, dicom_rtstruct
from tests.formats.small_phantoms import CODES, READERS, Change, changed, small, spoiled
from tests.formats.small_plans import refused, written

CT, DOSE, STRUCT = "dicom-ct", "dicom-rtdose", "dicom-rtstruct"
KINDS = (CT, STRUCT, DOSE)
PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)


def refusal(kind: str, change: Change, folder: Path) -> ReadError:
    """The error that a changed file gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = spoiled(kind, change, folder)
    return refused(content, folder, READERS[kind])


BOTH: list[tuple[dict[str, Any], str]] = [
    ({"PatientID": None}, "MISSING"),
    ({"PatientID": ""}, "MISSING"),
    ({"StudyInstanceUID": None}, "MISSING"),
    ({"SeriesInstanceUID": ""}, "MISSING"),
    ({"SOPInstanceUID": None}, "MISSING"),
    ({"FrameOfReferenceUID": None}, "MISSING"),
    ({"SamplesPerPixel": 3}, "PIXELS"),
    ({"SamplesPerPixel": None}, "MISSING"),
    ({"PhotometricInterpretation": "RGB"}, "PIXELS"),
    ({"PhotometricInterpretation": None}, "PIXELS"),
    ({"BitsAllocated": 8}, "PIXELS"),
    ({"BitsAllocated": 64}, "PIXELS"),
    ({"BitsAllocated": None}, "MISSING"),
    ({"BitsStored": 0}, "PIXELS"),
    ({"BitsStored": 33}, "PIXELS"),
    ({"HighBit": 3}, "PIXELS"),
    ({"PixelRepresentation": 2}, "PIXELS"),
    ({"PixelRepresentation": None}, "MISSING"),
    ({"Rows": 0}, "RANGE"),
    ({"Rows": 7}, "PIXELS"),
    ({"Columns": 65535}, "RANGE"),
    ({"Columns": None}, "MISSING"),
    ({"Rows": 16384, "Columns": 16384}, "COUNTS"),
    ({"NumberOfFrames": "0"}, "RANGE"),
    ({"NumberOfFrames": "-1"}, "RANGE"),
    ({"NumberOfFrames": "2147483647"}, "RANGE"),
    ({"PixelData": b"\0" * 10}, "PIXELS"),
    ({"PixelData": b""}, "MISSING"),
    ({"ImagePositionPatient": None}, "MISSING"),
    ({"ImagePositionPatient": ["1", "2"]}, "NUMBER"),
    ({"ImagePositionPatient": ["1", "2", "20000"]}, "RANGE"),
    ({"PixelSpacing": ["0", "1"]}, "SPACING"),
    ({"PixelSpacing": ["1", "-1"]}, "SPACING"),
    ({"PixelSpacing": ["1", "1e4"]}, "RANGE"),
    ({"PixelSpacing": ["1"]}, "NUMBER"),
    ({"PixelSpacing": None}, "MISSING"),
    ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "ORIENTATION"),
    ({"ImageOrientationPatient": ["1", "0", "0", "0.1", "1", "0"]}, "ORIENTATION"),
    ({"ImageOrientationPatient": ["0", "0", "0", "0", "1", "0"]}, "ORIENTATION"),
    ({"ImageOrientationPatient": ["1.01", "0", "0", "0", "1", "0"]}, "ORIENTATION"),
    ({"ImageOrientationPatient": ["1", "0", "0", "0", "1"]}, "NUMBER"),
]
CT_ALONE: list[tuple[dict[str, Any], str]] = [
    ({"NumberOfFrames": "2"}, "COUNTS"),
    ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "PIXELS"),
    ({"BitsStored": 10, "HighBit": 9}, "PIXELS"),  # 1824 is stored
    ({"RescaleSlope": "0"}, "RANGE"),
    ({"RescaleSlope": "-1"}, "RANGE"),
    ({"RescaleSlope": "1e9"}, "RANGE"),
    ({"RescaleSlope": None}, "MISSING"),
    ({"RescaleIntercept": None}, "MISSING"),
    ({"RescaleIntercept": "1e9"}, "RANGE"),
    ({"RescaleIntercept": ["1", "2"]}, "NUMBER"),
    ({"SliceThickness": "-1"}, "RANGE"),
    ({"KVP": "-120"}, "RANGE"),
    ({"GantryDetectorTilt": "180"}, "RANGE"),
]
DOSE_ALONE: list[tuple[dict[str, Any], str]] = [
    ({"DoseUnits": "CANARY"}, "UNIT"),
    ({"DoseUnits": None}, "MISSING"),
    ({"DoseType": "CANARY"}, "UNIT"),
    ({"DoseGridScaling": "0"}, "RANGE"),
    ({"DoseGridScaling": "-1e-6"}, "RANGE"),
    ({"DoseGridScaling": "1"}, "RANGE"),  # 4e9 Gy
    ({"DoseGridScaling": None}, "MISSING"),
    ({"GridFrameOffsetVector": None}, "MISSING"),
    ({"GridFrameOffsetVector": ["0", "5", "10"]}, "COUNTS"),
    ({"GridFrameOffsetVector": ["0", "5", "5", "10"]}, "FRAMES"),
    ({"GridFrameOffsetVector": ["0", "5", "-5", "10"]}, "FRAMES"),
    ({"GridFrameOffsetVector": ["3", "5", "7", "10"]}, "FRAMES"),
    ({"GridFrameOffsetVector": ["0", "5", "10", "1e9"]}, "RANGE"),
    ({"NumberOfFrames": "3", "GridFrameOffsetVector": ["0", "5", "10"]}, "PIXELS"),
    ({"NumberOfFrames": "9999"}, "COUNTS"),
    ({"ImageOrientationPatient": ["0.8", "0.6", "0", "-0.6", "0.8", "0"]}, "ORIENTATION"),
]


@pytest.mark.parametrize(
    ("kind", "values", "code"),
    [(kind, *case) for kind in (CT, DOSE) for case in BOTH]
    + [(CT, *case) for case in CT_ALONE]
    + [(DOSE, *case) for case in DOSE_ALONE],
    ids=str,
)
def test_what_cannot_be_is_refused(
    kind: str, values: dict[str, Any], code: str, tmp_path: Path
) -> None:
    assert refusal(kind, changed(**values), tmp_path).code == f"{CODES[kind]}_{code}"


def test_absolute_z_that_is_not_of_the_first_frame_is_refused(tmp_path: Path) -> None:
    """And so are absolute offsets of planes that are not transverse."""
    z = changed(GridFrameOffsetVector=["-7", "-2", "3", "8"])
    assert refusal(DOSE, z, tmp_path).code == "RTDOSE_FRAMES"
    sagittal = changed(
        ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"],
        ImagePositionPatient=["-7.5", "0", "-7.5"],
        GridFrameOffsetVector=["-7.5", "-2.5", "2.5", "7.5"],
    )
    assert refusal(DOSE, sagittal, tmp_path).code == "RTDOSE_FRAMES"


def contour(data: Dataset) -> Dataset:
    found: Dataset = data.ROIContourSequence[1].ContourSequence[0]
    return found


def _contour(**values: Any) -> Change:
    return lambda data: changed(**values)(contour(data))


def _twice(keyword: str) -> Change:
    return lambda data: data[keyword].value.append(deepcopy(data[keyword].value[0]))


def _bent(data: Dataset) -> None:
    contour(data).ContourData[2] = "3"


def _bent_obliquely(data: Dataset) -> None:
    at = np.array([[0, 0, 0], [50, 0, 20], [50, 50, 30], [0, 50, 11.5]])
    changed(ContourData=[str(v) for v in at.ravel()], NumberOfContourPoints=4)(contour(data))


BAD_STRUCTURES: dict[str, tuple[Change, str]] = {
    "no patient": (changed(PatientID=None), "MISSING"),
    "no series": (changed(SeriesInstanceUID=None), "MISSING"),
    "no region": (changed(StructureSetROISequence=[]), "ROIS"),
    "a region twice": (_twice("StructureSetROISequence"), "DUPLICATE"),
    "outlined twice": (_twice("ROIContourSequence"), "DUPLICATE"),
    "no number": (lambda d: changed(ROINumber=None)(d.StructureSetROISequence[0]), "MISSING"),
    "no reference": (
        lambda d: changed(ReferencedROINumber=None)(d.ROIContourSequence[0]),
        "MISSING",
    ),
    "no points": (_contour(ContourData=[]), "MISSING"),
    "no count": (_contour(NumberOfContourPoints=None), "MISSING"),
    "one point more announced": (_contour(NumberOfContourPoints=13), "POINTS"),
    "none announced": (_contour(NumberOfContourPoints=0), "POINTS"),
    "-1 announced": (_contour(NumberOfContourPoints=-1), "POINTS"),
    "four coordinates": (_contour(ContourData=["1", "2", "3", "4"]), "POINTS"),
    "a point of twelve": (_contour(ContourGeometricType="POINT"), "POINTS"),
    "a word": (_contour(ContourGeometricType="CANARY"), "SHAPE"),
    "no word": (_contour(ContourGeometricType=None), "SHAPE"),
    "far away": (_contour(ContourData=["1e5"] * 36), "RANGE"),
    "out of its plane": (_bent, "PLANE"),
    "out of its oblique plane": (_bent_obliquely, "PLANE"),
}


@pytest.mark.parametrize("case", BAD_STRUCTURES)
def test_structures_that_contradict_themselves_are_refused(case: str, tmp_path: Path) -> None:
    change, code = BAD_STRUCTURES[case]
    assert refusal(STRUCT, change, tmp_path).code == f"RTSTRUCT_{code}"


def replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in content
    return content.replace(old, new, 1)


@pytest.mark.parametrize("number", [b"nan  ", b"inf  ", b"1_0  ", b"CANAR", b"0x10 ", b"1,5  "])
def test_what_is_no_decimal_number_is_refused(number: bytes, tmp_path: Path) -> None:
    """Python's own conversion reads three of these."""
    for kind, old in ((CT, b"-1024"), (DOSE, b"-12.5"), (STRUCT, b"-60.0")):
        data = small(kind)
        if kind == STRUCT:
            data.ROIContourSequence[0].ContourSequence[0].ContourData[0] = "-60.0"
        content = replaced(written(data, tmp_path).read_bytes(), old, number)
        assert refused(content, tmp_path, READERS[kind]).code == f"{CODES[kind]}_NUMBER"


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_beyond_all_numbers_are_refused(kind: str, tmp_path: Path) -> None:
    change = {
        CT: changed(RescaleIntercept="1e999"),
        DOSE: changed(DoseGridScaling="1e999"),
        STRUCT: _contour(ContourData=["1e999"] * 36),
    }[kind]
    assert refusal(kind, change, tmp_path).code == f"{CODES[kind]}_NUMBER"


SYNTAXES = {
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "JPEG lossy": "1.2.840.10008.1.2.4.50",
    "RLE": "1.2.840.10008.1.2.5",
    "big-endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("kind", KINDS)
def test_other_transfer_syntaxes_are_refused(kind: str, syntax: str, tmp_path: Path) -> None:
    def named(uid: str) -> bytes:
        value = uid.encode() + b"\0" * (len(uid) % 2)
        return b"UI" + struct.pack("<H", len(value)) + value

    content = written(small(kind), tmp_path, explicit=True).read_bytes()
    said = b"\x02\x00\x10\x00" + named("1.2.840.10008.1.2.1")
    other = b"\x02\x00\x10\x00" + named(SYNTAXES[syntax])
    error = refused(content.replace(said, other), tmp_path, READERS[kind])
    assert error.code == f"{CODES[kind]}_TRANSFER"


@pytest.mark.parametrize("kind", [CT, DOSE])
def test_encapsulated_pixels_are_refused(kind: str, tmp_path: Path) -> None:
    content = written(small(kind), tmp_path).read_bytes()
    at = content.rindex(PIXELS)
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    spoiled_content = content[: at + 4] + b"\xff" * 4 + fragments
    error = refused(spoiled_content, tmp_path, READERS[kind])
    assert error.code == f"{CODES[kind]}_TRANSFER"


@pytest.mark.parametrize("kind", KINDS)
def test_a_deflate_bomb_is_not_inflated(kind: str, tmp_path: Path) -> None:
    """64 MiB of zeros in 64 KiB, which the memory would show."""
    content = written(small(kind), tmp_path, explicit=True).read_bytes()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(1 << 20)
    bomb = b"".join([packer.compress(block) for _ in range(64)]) + packer.flush()
    uid = b"1.2.840.10008.1.2.1\0"
    at = content.index(uid)
    head = content[: at - 2] + struct.pack("<H", 22) + b"1.2.840.10008.1.2.1.99"
    tracemalloc.start()
    began = time.monotonic()
    error = refused(head + bomb, tmp_path, READERS[kind])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code == f"{CODES[kind]}_TRANSFER"
    assert time.monotonic() - began < 2.0
    assert peak < 30e6


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_five_thousand_deep_are_refused(kind: str, tmp_path: Path) -> None:
    content = written(small(kind), tmp_path, preamble=False).read_bytes()
    into = struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF)
    into += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    at = content.index(struct.pack("<HH", 0x0010, 0x0010))
    error = refused(content[:at] + into * 5000, tmp_path, READERS[kind])
    assert error.code == f"{CODES[kind]}_DEPTH"


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_file_is_looked_at_before_it_is_read(kind: str, tmp_path: Path) -> None:
    largest = {
        CT: LARGEST_FILE,
        DOSE: dicom_rtdose.LARGEST_FILE,
        STRUCT: dicom_rtstruct.LARGEST_FILE,
    }[kind]
    path = written(small(kind), tmp_path)
    os.truncate(path, largest + 1)
    tracemalloc.start()
    with pytest.raises(ReadError) as raised:
        READERS[kind](path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.code == f"{CODES[kind]}_SIZE"
    assert peak < 5e6


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_an_early_end(kind: str, tmp_path: Path) -> None:
    """A copy that is still growing is waited for, wherever it stands: at elements, too."""
    data = small(kind)
    content = written(data, tmp_path).read_bytes()
    end = content.rindex(b"\x06\x30\x80\x00") if kind == STRUCT else len(content) - 1
    step = 5 if kind != STRUCT else 97
    cuts = {*range(400, end, step), end}
    cuts |= {content.index(struct.pack("<HH", e.tag.group, e.tag.element), 132) for e in data}
    for cut in sorted(cut for cut in cuts if 400 <= cut <= end):
        error = refused(content[:cut], tmp_path, READERS[kind])
        assert isinstance(error, TruncatedError), (cut, error.code)
        assert error.code == f"{CODES[kind]}_SHORT"


def test_more_points_than_are_read_are_refused_before_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_rtstruct, "MOST_POINTS", 40)
    assert refusal(STRUCT, lambda _: None, tmp_path).code == "RTSTRUCT_COUNTS"


def test_histograms_without_a_grid_are_no_grid(tmp_path: Path) -> None:
    histogram = Dataset()
    histogram.DVHType = "CUMULATIVE"
    change = changed(DVHSequence=[histogram], Rows=None, Columns=None, PixelData=None)
    error = refusal(DOSE, change, tmp_path)
    assert error.code == "RTDOSE_GRID"
    assert not isinstance(error, TruncatedError)


@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes_give_a_read_error_or_a_record(kind: str, tmp_path: Path) -> None:
    content = written(small(kind), tmp_path).read_bytes()
    chance = random.Random(7)
    path = tmp_path / "CANARY.dcm"
    outcomes = {"refused": 0, "read": 0}
    for _ in range(400):
        changing = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(132, len(changing))
            changing[at] = chance.choice((0, 0xFF, 0x80, chance.randrange(256)))
        if chance.random() < 0.3:
            del changing[at : at + chance.randint(1, 40)]
        path.write_bytes(changing)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found: Any = READERS[kind](path)
            except ReadError as why:
                assert "CANARY" not in str(why)
                assert "QA_SIM" not in str(why)
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
                assert found.not_judged
                values = getattr(found, "values", np.zeros(1))
                assert np.isfinite(values).all()
    assert min(outcomes.values()) > 20, outcomes
