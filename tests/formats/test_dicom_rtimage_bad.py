"""Bad images: each refused with its code, at once, in little memory, without a name."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from analyzers.core import ReadError, TruncatedError
from analyzers.formats.dicom_rtimage import FORMAT, read, recognize
from tests.formats.small_images import (
    SHAPE,
    field,
    image_in,
    refusal_of,
    refused,
    small_image,
    written,
)

CLASS = b"1.2.840.10008.5.1.4.1.1.481.1\0"
HEAD = struct.pack("<HHI", 8, 0x16, len(CLASS)) + CLASS
UNDEFINED = 0xFFFFFFFF
COMPRESSED = {
    "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG extended": "1.2.840.10008.1.2.4.51",
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless first order": "1.2.840.10008.1.2.4.70",
    "JPEG-LS lossless": "1.2.840.10008.1.2.4.80",
    "JPEG-LS": "1.2.840.10008.1.2.4.81",
    "JPEG 2000 lossless": "1.2.840.10008.1.2.4.90",
    "JPEG 2000": "1.2.840.10008.1.2.4.91",
    "MPEG2": "1.2.840.10008.1.2.4.100",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "RLE": "1.2.840.10008.1.2.5",
    "big-endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "no syntax there is": "1.2.3",
}


@cache
def sound(explicit: bool = False, preamble: bool = True) -> bytes:
    """The bytes of a sound file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        data = small_image(label="CANARY", gantry_deg=10.0, meterset_mu=5.0, energy="6x")
        return written(data, Path(folder), explicit=explicit, preamble=preamble).read_bytes()


def changed(**values: Any) -> Callable[[Dataset], None]:
    """Set these attributes; None deletes one."""

    def change(data: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del data[keyword]
            else:
                setattr(data, keyword, value)

    return change


def _exposure(**values: Any) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        changed(**values)(data.ExposureSequence[0])

    return change


def _device(**values: Any) -> Callable[[Dataset], None]:
    wanted = {"RTBeamLimitingDeviceType": "ASYMX", "NumberOfLeafJawPairs": 1}
    wanted |= {"LeafJawPositions": ["-40", "40"]} | values

    def change(data: Dataset) -> None:
        item = Dataset()
        changed(**wanted)(item)
        data.ExposureSequence[0].BeamLimitingDeviceSequence = [item]

    return change


def _shorter(count: int) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        content = data.PixelData + b"\0" * 1000
        data.PixelData = content[: len(data.PixelData) + count]

    return change


def _pixels(values: Any, bits: int, **more: Any) -> Callable[[Dataset], None]:
    """Other pixels of this many bits."""

    def change(data: Dataset) -> None:
        data.PixelData = np.asarray(values).tobytes()
        data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
        changed(**more)(data)

    return change


def _floats(values: Any, keyword: str = "FloatPixelData") -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        del data.PixelData
        setattr(data, keyword, np.asarray(values, "<f4").tobytes())
        data.BitsAllocated = 32

    return change


def _saturated(data: Dataset) -> None:
    values = np.full(SHAPE, 300, np.uint16)
    values[20:76, 30:98] = 65535
    data.PixelData = values.tobytes()


NAN_FIELD = np.where(field() > 1000.0, np.nan, 1.0)
NOBODY = dict.fromkeys(
    ("PatientID", "PatientName", "RadiationMachineName", "DeviceSerialNumber"), ""
)
RULES: list[tuple[str, str, Callable[[Dataset], None]]] = [
    ("another class", "SOP_CLASS", changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")),
    ("another modality", "SOP_CLASS", changed(Modality="CT")),
    ("pixels short by two", "LENGTH", _shorter(-2)),
    ("pixels long by two", "LENGTH", _shorter(2)),
    ("half of the pixels", "LENGTH", _shorter(-SHAPE[0] * SHAPE[1])),
    ("empty pixels", "LENGTH", _shorter(-2 * SHAPE[0] * SHAPE[1])),
    ("no rows", "RANGE", changed(Rows=0)),
    ("no columns", "RANGE", changed(Columns=0)),
    ("many rows", "RANGE", changed(Rows=65535, Columns=65535)),
    ("rows missing", "MISSING", changed(Rows=None)),
    ("bits missing", "MISSING", changed(BitsAllocated=None)),
    ("64 bits", "BITS", changed(BitsAllocated=64, BitsStored=64, HighBit=63)),
    ("12 bits allocated", "BITS", changed(BitsAllocated=12, BitsStored=12, HighBit=11)),
    ("more bits than allocated", "BITS", changed(BitsStored=17, HighBit=16)),
    ("no bits", "BITS", changed(BitsStored=0)),
    ("highest bit", "BITS", changed(HighBit=10)),
    ("sign of samples", "BITS", changed(PixelRepresentation=2)),
    ("32 bits of 16", "LENGTH", changed(BitsAllocated=32, BitsStored=32, HighBit=31)),
    ("color", "PIXELS", changed(SamplesPerPixel=3)),
    ("palette", "PIXELS", changed(PhotometricInterpretation="PALETTE COLOR")),
    ("two frames", "FRAMES", changed(NumberOfFrames=2)),
    ("no frames", "FRAMES", changed(NumberOfFrames=0)),
    ("negative frames", "FRAMES", changed(NumberOfFrames=-1)),
    ("a billion frames", "FRAMES", changed(NumberOfFrames=10**9)),
    ("float nan", "PIXELS", _floats(NAN_FIELD)),
    ("float length", "LENGTH", _floats(field()[:-1])),
    ("float bits", "PIXELS", _floats(field(), "DoubleFloatPixelData")),
    ("flat", "FLAT", _pixels(np.full(SHAPE, 7, np.uint16), 16)),
    ("saturated", "SATURATED", _saturated),
    ("no SID", "SID", changed(RTImageSID=None)),
    ("empty SID", "SID", changed(RTImageSID="")),
    ("SID too short", "SID", changed(RTImageSID="499")),
    ("SID too long", "SID", changed(RTImageSID="3001")),
    ("SID far above the axis", "SID", changed(RTImageSID="590")),
    ("SID nan", "NUMBER", changed(RTImageSID="nan")),
    ("two SIDs", "NUMBER", changed(RTImageSID=["1500", "1500"])),
    ("SAD", "SAD", changed(RadiationMachineSAD="0")),
    ("no spacing", "MISSING", changed(ImagePlanePixelSpacing=None)),
    ("spacing 0", "SPACING", changed(ImagePlanePixelSpacing=["0", "0.336"])),
    ("spacing negative", "SPACING", changed(ImagePlanePixelSpacing=["0.336", "-0.336"])),
    ("spacing wide", "SPACING", changed(ImagePlanePixelSpacing=["2.1", "0.3"])),
    ("one spacing", "SPACING", changed(ImagePlanePixelSpacing="0.336")),
    ("spacing nan", "NUMBER", changed(ImagePlanePixelSpacing=["nan", "nan"])),
    ("oblique plane", "PLANE", changed(RTImagePlane="NON_NORMAL")),
    ("oblique rows", "ORIENTATION", changed(RTImageOrientation=list("100000"))),
    ("rows along z", "ORIENTATION", changed(RTImageOrientation=["0", "0", "1", "0", "-1", "0"])),
    ("rows as columns", "ORIENTATION", changed(RTImageOrientation=["1", "0", "0", "1", "0", "0"])),
    (
        "turned rows",
        "ORIENTATION",
        changed(RTImageOrientation=["0.8", "0.6", "0", "0.6", "-0.8", "0"]),
    ),
    ("five cosines", "ORIENTATION", changed(RTImageOrientation=["1", "0", "0", "0", "-1"])),
    ("turned panel", "ORIENTATION", changed(XRayImageReceptorAngle="90")),
    ("one position", "POSITION", changed(RTImagePosition="1")),
    ("far position", "POSITION", changed(RTImagePosition=["1e6", "0"])),
    ("two shifts", "POSITION", changed(XRayImageReceptorTranslation=["0", "0"])),
    ("gantry", "RANGE", changed(GantryAngle="400")),
    ("negative gantry", "RANGE", changed(GantryAngle="-1")),
    ("collimator of the exposure", "RANGE", _exposure(BeamLimitingDeviceAngle="361")),
    ("couch nan", "NUMBER", changed(PatientSupportAngle="nan")),
    ("no slope", "RESCALE", changed(RescaleSlope="0")),
    ("huge slope", "RESCALE", changed(RescaleSlope="1e308")),
    ("slope nan", "NUMBER", changed(RescaleSlope="nan")),
    ("slope beyond numbers", "NUMBER", changed(RescaleSlope="1e999")),
    ("huge intercept", "RESCALE", changed(RescaleIntercept="-1e30")),
    (
        "calibrated and falling",
        "POLARITY",
        changed(RescaleType="CU", PixelIntensityRelationshipSign=-1),
    ),
    ("negative meterset", "METERSET", _exposure(MetersetExposure="-1")),
    ("huge meterset", "METERSET", _exposure(MetersetExposure="1e9")),
    ("fraction", "RANGE", changed(FractionNumber=-1)),
    ("beam", "RANGE", changed(ReferencedBeamNumber=-1)),
    ("jaws that cross", "CROSSING", _device(LeafJawPositions=["10", "-10"])),
    ("jaws far out", "RANGE", _device(LeafJawPositions=["-301", "10"])),
    ("three jaws", "DEVICES", _device(LeafJawPositions=["-10", "10", "20"])),
    ("many leaves", "DEVICES", _device(RTBeamLimitingDeviceType="MLCX", NumberOfLeafJawPairs=500)),
    (
        "leaf boundaries",
        "BOUNDARIES",
        _device(RTBeamLimitingDeviceType="MLCX", LeafPositionBoundaries=["5", "-5"]),
    ),
    ("nobody's", "IDENTITY", changed(**NOBODY)),
    ("nobody's, left out", "IDENTITY", changed(**dict.fromkeys(NOBODY))),
    (
        "nobody's, derived",
        "IDENTITY",
        changed(**NOBODY, StudyDate="", ImageType=["DERIVED", "SECONDARY", "PORTAL"]),
    ),
]


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize(("code", "change"), [pytest.param(c, f, id=n) for n, c, f in RULES])
def test_each_rule_refuses_its_image(
    tmp_path: Path, code: str, change: Callable[[Dataset], None], *, explicit: bool
) -> None:
    data = small_image(label="CANARY", meterset_mu=5.0)
    change(data)
    assert refusal_of(data, tmp_path, explicit=explicit).code == f"RTIMAGE_{code}"


def test_nothing_of_that_is_in_a_sound_image(tmp_path: Path) -> None:
    assert image_in(small_image(label="CANARY", meterset_mu=5.0), tmp_path).warnings == ()


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_transfer_syntax_that_is_not_read_is_refused(tmp_path: Path, name: str) -> None:
    wanted = COMPRESSED[name].encode()
    plain = b"1.2.840.10008.1.2.1\0"
    content = sound(explicit=True)
    at = content.index(plain) - 2
    wanted += b"\0" * (len(wanted) % 2)
    bad = content[:at] + struct.pack("<H", len(wanted)) + wanted + content[at + 2 + len(plain) :]
    found = refused(bad, tmp_path)
    assert found.code == "RTIMAGE_TRANSFER"
    assert "little-endian" in str(found)


@pytest.mark.parametrize("explicit", [False, True])
def test_encapsulated_pixels_in_a_plain_file_are_refused(tmp_path: Path, *, explicit: bool) -> None:
    head = struct.pack("<HH", 0x7FE0, 0x10)
    length = struct.pack("<2sHI", b"OB", 0, UNDEFINED) if explicit else struct.pack("<I", UNDEFINED)
    content = sound(explicit=explicit)
    bad = content[: content.rindex(head)] + head + length
    bad += struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert refused(bad, tmp_path).code == "RTIMAGE_TRANSFER"


def test_a_deflate_bomb_is_never_inflated(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(HEAD + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 2**30))
    body += packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block refers to nothing before it, so that it may be repeated.
    block = packer.compress(b"\0" * 2**22) + packer.flush(zlib.Z_FULL_FLUSH)
    body += block * 256 + packer.flush()
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    assert len(unpacker.decompress(body, 2**24)) == 2**24
    content = sound(explicit=True)
    plain, deflated = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    at = content.index(plain) - 2
    meta = content[:at] + struct.pack("<H", len(deflated)) + deflated
    bad = meta + body
    assert len(bad) < 2_000_000
    tracemalloc.start()
    began = time.process_time()
    found = refused(bad, tmp_path)
    taken, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.code == "RTIMAGE_TRANSFER"
    assert "deflated" in str(found)
    assert peak < 20_000_000
    assert taken < 1.0


def test_sequences_5000_deep_are_refused_at_once(tmp_path: Path) -> None:
    item = struct.pack("<HHI", 0x3002, 0x30, UNDEFINED) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, UNDEFINED
    )
    began = time.process_time()
    assert refused(HEAD + item * 5000, tmp_path).code == "RTIMAGE_DEPTH"
    assert time.process_time() - began < 1.0


def test_text_for_a_number_is_refused(tmp_path: Path) -> None:
    sid = struct.pack("<HHI", 0x3002, 0x26, 4)
    content = sound()
    assert content.count(sid + b"1500") == 1
    bad = content.replace(sid + b"1500", sid + b"CANA")
    assert refused(bad, tmp_path).code == "RTIMAGE_NUMBER"
    assert "CANA" not in str(refused(bad, tmp_path))


def test_a_length_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    bad = HEAD + struct.pack("<HHI", 0x7FE0, 0x10, 0xFFFFFFFE)
    tracemalloc.start()
    assert isinstance(refused(bad, tmp_path), TruncatedError)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_size_that_no_pixels_back_takes_no_memory(tmp_path: Path) -> None:
    data = small_image()
    data.Rows, data.Columns = 8192, 8192
    path = written(data, tmp_path)
    tracemalloc.start()
    with pytest.raises(ReadError):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("preamble", [False, True])
def test_an_image_cut_anywhere_is_not_read(
    tmp_path: Path, *, explicit: bool, preamble: bool
) -> None:
    whole = sound(explicit, preamble)
    path = tmp_path / "CANARY.dcm"
    assert recognize(whole[:4096])
    before_pixels = whole.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    lengths = [*range(1, before_pixels + 16, 7), *range(before_pixels + 16, len(whole), 3001)]
    for length in (*lengths, before_pixels, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ReadError) as raised:
            read(path)
        assert "CANARY" not in str(raised.value)
        if length > before_pixels:
            assert isinstance(raised.value, TruncatedError)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_spoiled_byte_gives_an_image_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(sound(data.draw(st.booleans())))
    before_pixels = whole.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(128, before_pixels + 12))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "CANARY.dcm"
    path.write_bytes(whole)
    try:
        found = read(path)
    except ReadError as why:
        assert "CANARY" not in str(why)
    else:
        assert np.isfinite(found.values).all()
        assert not [warning for warning in found.warnings if "CANARY" in warning]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "CANARY.dcm")
    for path in (tmp_path / "CANARY.dcm", tmp_path / "absent"):
        with pytest.raises(ReadError):
            read(path)
    assert FORMAT.companions is None
