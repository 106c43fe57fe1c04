"""Bad plans: each refused with its code, at once, in little memory, without a name."""

from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.core import ReadError, TruncatedError
from analyzers.dicom.structure import LARGEST_FILE, MOST_DEPTH, MOST_ELEMENTS
from analyzers.formats.dicom_rtplan import FORMAT, read, recognize
from tests.formats.small_plans import refused, small_plan, written

CLASS = b"1.2.840.10008.5.1.4.1.1.481.5\0"
HEAD = struct.pack("<HHI", 8, 0x16, len(CLASS)) + CLASS
UNDEFINED = 0xFFFFFFFF


@cache
def content_of(explicit: bool = False, preamble: bool = True) -> bytes:
    """A sound file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = written(small_plan(), Path(folder), explicit=explicit, preamble=preamble)
        return path.read_bytes()


def sweep(data: Dataset) -> Dataset:
    """The first beam: dynamic, 25 control points."""
    found: Dataset = data.BeamSequence[0]
    return found


def point(data: Dataset, k: int) -> Dataset:
    found: Dataset = sweep(data).ControlPointSequence[k]
    return found


def device(data: Dataset, k: int) -> Dataset:
    """A defined device: ASYMX, ASYMY, MLCX."""
    found: Dataset = sweep(data).BeamLimitingDeviceSequence[k]
    return found


def position(data: Dataset, k: int, at: int = 0) -> Dataset:
    found: Dataset = point(data, at).BeamLimitingDevicePositionSequence[k]
    return found


def changed(where: Callable[[Dataset], Dataset], **values: Any) -> Callable[[Dataset], None]:
    """Set these attributes there; None deletes one."""

    def change(data: Dataset) -> None:
        item = where(data)
        for keyword, value in values.items():
            if value is None:
                del item[keyword]
            else:
                setattr(item, keyword, value)

    return change


def _moved(column: int, value: str) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        positions = [str(v) for v in position(data, 2).LeafJawPositions]
        positions[column] = value
        position(data, 2).LeafJawPositions = positions

    return change


def _twice(keyword: str, where: Callable[[Dataset], Dataset]) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        sequence = where(data)[keyword].value
        sequence.append(deepcopy(sequence[0]))

    return change


def _root(data: Dataset) -> Dataset:
    return data


def _group(data: Dataset) -> Dataset:
    found: Dataset = data.FractionGroupSequence[0]
    return found


def _reference(data: Dataset) -> Dataset:
    found: Dataset = _group(data).ReferencedBeamSequence[0]
    return found


def _edges(change: Callable[[list[str]], list[str]]) -> Callable[[Dataset], None]:
    def changing(data: Dataset) -> None:
        leaves = device(data, 2)
        leaves.LeafPositionBoundaries = change([str(v) for v in leaves.LeafPositionBoundaries])

    return changing


def _no_points(data: Dataset) -> None:
    sweep(data).ControlPointSequence = []
    sweep(data).NumberOfControlPoints = 0


def _one_point(data: Dataset) -> None:
    sweep(data).ControlPointSequence = sweep(data).ControlPointSequence[:1]
    sweep(data).NumberOfControlPoints = 1


def _without_boundaries(data: Dataset) -> None:
    del device(data, 2).LeafPositionBoundaries


def _two_x_jaws(data: Dataset) -> None:
    extra = deepcopy(device(data, 0))
    extra.RTBeamLimitingDeviceType = "X"
    sweep(data).BeamLimitingDeviceSequence.append(extra)


RULES: list[tuple[str, str, Callable[[Dataset], None]]] = [
    ("no beams", "RTPLAN_BEAMS", changed(_root, BeamSequence=[])),
    ("another class", "RTPLAN_SOP_CLASS", changed(_root, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")),
    ("no UID", "RTPLAN_MISSING", changed(_root, SOPInstanceUID=None)),
    ("no beam number", "RTPLAN_MISSING", changed(sweep, BeamNumber=None)),
    ("same beam number", "RTPLAN_DUPLICATE", changed(sweep, BeamNumber=2)),
    ("same group number", "RTPLAN_DUPLICATE", _twice("FractionGroupSequence", _root)),
    ("beam twice in a group", "RTPLAN_DUPLICATE", _twice("ReferencedBeamSequence", _group)),
    ("beam that is not there", "RTPLAN_REFERENCE", changed(_reference, ReferencedBeamNumber=7)),
    ("negative meterset", "RTPLAN_METERSET", changed(_reference, BeamMeterset="-0.1")),
    ("huge meterset", "RTPLAN_METERSET", changed(_reference, BeamMeterset="1000001")),
    ("fractions", "RTPLAN_RANGE", changed(_group, NumberOfFractionsPlanned=-1)),
    ("meterset nan", "RTPLAN_NUMBER", changed(_reference, BeamMeterset="nan")),
    ("meterset inf", "RTPLAN_NUMBER", changed(_reference, BeamMeterset="inf")),
    ("meterset 1e999", "RTPLAN_NUMBER", changed(_reference, BeamMeterset="1e999")),
    ("two metersets", "RTPLAN_NUMBER", changed(_reference, BeamMeterset=["80", "81"])),
    ("no control points", "RTPLAN_COUNTS", _no_points),
    ("one control point", "RTPLAN_COUNTS", _one_point),
    ("another number", "RTPLAN_COUNTS", changed(sweep, NumberOfControlPoints=24)),
    ("no number", "RTPLAN_COUNTS", changed(sweep, NumberOfControlPoints=None)),
    ("wrong index", "RTPLAN_ORDER", changed(lambda d: point(d, 3), ControlPointIndex=4)),
    ("no index", "RTPLAN_ORDER", changed(lambda d: point(d, 3), ControlPointIndex=None)),
    ("final weight 0", "RTPLAN_WEIGHT", changed(sweep, FinalCumulativeMetersetWeight="0")),
    ("no final weight", "RTPLAN_WEIGHT", changed(sweep, FinalCumulativeMetersetWeight=None)),
    ("ends elsewhere", "RTPLAN_WEIGHT", changed(sweep, FinalCumulativeMetersetWeight="1.001")),
    (
        "first weight",
        "RTPLAN_WEIGHT",
        changed(lambda d: point(d, 0), CumulativeMetersetWeight="0.01"),
    ),
    (
        "falling weight",
        "RTPLAN_WEIGHT",
        changed(lambda d: point(d, 9), CumulativeMetersetWeight="0.9"),
    ),
    (
        "no weight",
        "RTPLAN_MISSING",
        changed(lambda d: point(d, 9), CumulativeMetersetWeight=None),
    ),
    ("SAD 499", "RTPLAN_RANGE", changed(sweep, SourceAxisDistance="499")),
    ("SAD 2001", "RTPLAN_RANGE", changed(sweep, SourceAxisDistance="2001")),
    ("no SAD", "RTPLAN_MISSING", changed(sweep, SourceAxisDistance=None)),
    ("no gantry", "RTPLAN_MISSING", changed(lambda d: point(d, 0), GantryAngle=None)),
    (
        "no collimator",
        "RTPLAN_MISSING",
        changed(lambda d: point(d, 0), BeamLimitingDeviceAngle=None),
    ),
    ("no couch", "RTPLAN_MISSING", changed(lambda d: point(d, 0), PatientSupportAngle=None)),
    ("gantry 361", "RTPLAN_RANGE", changed(lambda d: point(d, 0), GantryAngle="361")),
    (
        "turn without direction",
        "RTPLAN_ROTATION",
        changed(lambda d: point(d, 5), GantryAngle="10"),
    ),
    (
        "no word",
        "RTPLAN_ROTATION",
        changed(lambda d: point(d, 0), GantryRotationDirection="CCW"),
    ),
    (
        "no positions",
        "RTPLAN_MISSING",
        changed(lambda d: point(d, 0), BeamLimitingDevicePositionSequence=None),
    ),
    ("no leaf positions", "RTPLAN_MISSING", changed(lambda d: position(d, 2), LeafJawPositions="")),
    (
        "2N positions",
        "RTPLAN_DEVICES",
        changed(lambda d: position(d, 2), LeafJawPositions=["0"] * 119),
    ),
    (
        "one jaw position",
        "RTPLAN_DEVICES",
        changed(lambda d: position(d, 0), LeafJawPositions=["0"]),
    ),
    (
        "undefined device",
        "RTPLAN_DEVICES",
        changed(lambda d: position(d, 0), RTBeamLimitingDeviceType="MLCY"),
    ),
    (
        "positions twice",
        "RTPLAN_DUPLICATE",
        _twice("BeamLimitingDevicePositionSequence", lambda d: point(d, 0)),
    ),
    ("leaf beyond", "RTPLAN_RANGE", _moved(7, "-300.1")),
    ("leaf nan", "RTPLAN_NUMBER", _moved(7, "nan")),
    ("leaves cross", "RTPLAN_CROSSING", _moved(30, "-49.8")),
    (
        "jaws cross",
        "RTPLAN_CROSSING",
        changed(lambda d: position(d, 0), LeafJawPositions=["10", "9.8"]),
    ),
    ("device twice", "RTPLAN_DUPLICATE", _twice("BeamLimitingDeviceSequence", sweep)),
    ("two pairs of X jaws", "RTPLAN_DUPLICATE", _two_x_jaws),
    (
        "unknown device",
        "RTPLAN_DEVICES",
        changed(lambda d: device(d, 0), RTBeamLimitingDeviceType="CANARY"),
    ),
    (
        "no device type",
        "RTPLAN_MISSING",
        changed(lambda d: device(d, 0), RTBeamLimitingDeviceType=None),
    ),
    ("two jaw pairs", "RTPLAN_DEVICES", changed(lambda d: device(d, 0), NumberOfLeafJawPairs=2)),
    ("no leaf pairs", "RTPLAN_DEVICES", changed(lambda d: device(d, 2), NumberOfLeafJawPairs=0)),
    ("201 pairs", "RTPLAN_DEVICES", changed(lambda d: device(d, 2), NumberOfLeafJawPairs=201)),
    ("59 pairs", "RTPLAN_DEVICES", changed(lambda d: device(d, 2), NumberOfLeafJawPairs=59)),
    ("a boundary less", "RTPLAN_DEVICES", _edges(lambda edges: edges[:-1])),
    ("boundaries fall", "RTPLAN_BOUNDARIES", _edges(lambda edges: edges[::-1])),
    ("boundaries repeat", "RTPLAN_BOUNDARIES", _edges(lambda edges: [edges[1], *edges[1:]])),
    ("boundary beyond", "RTPLAN_BOUNDARIES", _edges(lambda edges: ["-301", *edges[1:]])),
    ("no boundaries", "RTPLAN_MISSING", _without_boundaries),
    ("isocenter", "RTPLAN_NUMBER", changed(lambda d: point(d, 0), IsocenterPosition=["0", "0"])),
]


@pytest.mark.parametrize(("code", "change"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_every_rule(code: str, change: Callable[[Dataset], None], tmp_path: Path) -> None:
    data = small_plan()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(data)
    preamble = "SOPInstanceUID" in data  # group 0002 would need it
    error = refused(written(data, tmp_path, preamble=preamble).read_bytes(), tmp_path)
    assert error.code == code, str(error)
    assert not isinstance(error, TruncatedError)


@pytest.mark.parametrize(
    ("column", "value"), [(30, "-49.9"), (7, "-300"), (7, "-2.5e2"), (7, "-.5")]
)
def test_just_inside_the_rules(column: int, value: str, tmp_path: Path) -> None:
    """The gap is -70 to -50 at leaf 31: its X1 leaf may overlap by 0.1 mm."""
    data = small_plan()
    _moved(column, value)(data)
    (layer,) = read(written(data, tmp_path)).beams[0].control_points.mlc
    assert layer.bank_b_mm[0, column] == float(value)


def test_the_place_is_told(tmp_path: Path) -> None:
    data = small_plan()
    position(data, 0, 12).LeafJawPositions = ["0"] * 4
    error = refused(written(data, tmp_path).read_bytes(), tmp_path)
    assert "beam 1, control point 13, device 1: 4 positions of MLCX, 120 expected" in str(error)


@pytest.mark.parametrize(
    "value", [b"8_0.0 ", b"0x50  ", b"80,0  ", b"eighty", b"8 0   ", b"--80  "]
)
def test_what_is_no_decimal_number(value: bytes, tmp_path: Path) -> None:
    data = small_plan()
    _reference(data).BeamMeterset = "123456"
    content = written(data, tmp_path).read_bytes().replace(b"123456", value)
    assert refused(content, tmp_path).code == "RTPLAN_NUMBER"


def test_a_whole_number_that_is_none(tmp_path: Path) -> None:
    data = small_plan()
    sweep(data).BeamNumber = 987654
    content = written(data, tmp_path).read_bytes().replace(b"987654", b"9.7654")
    assert refused(content, tmp_path).code == "RTPLAN_NUMBER"


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.1.99",  # deflated
        "1.2.840.10008.1.2.2",  # big-endian
        "1.2.840.10008.1.2.4.50",  # JPEG
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.3.4.CANARY",
    ],
)
def test_other_transfer_syntaxes(syntax: str, tmp_path: Path) -> None:
    content = content_of(explicit=True)
    start = content.index(b"1.2.840.10008.1.2.1\0")
    value = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    new = content[: start - 2] + struct.pack("<H", len(value)) + value + content[start + 20 :]
    assert recognize(new[:4096])
    assert refused(new, tmp_path).code == "RTPLAN_TRANSFER"


def test_a_deflated_file_is_refused_not_inflated(tmp_path: Path) -> None:
    content = content_of(explicit=True)
    start = content.index(b"1.2.840.10008.1.2.1\0")
    syntax = b"1.2.840.10008.1.2.1.99"
    head = content[: start - 2] + struct.pack("<H", len(syntax)) + syntax
    deflated = head + zlib.compress(bytes(50_000_000))[2:-4]
    assert recognize(deflated[:4096])
    assert refused(deflated, tmp_path).code == "RTPLAN_TRANSFER"


def implicit(tag: int, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length) + value


def test_encapsulated_pixels(tmp_path: Path) -> None:
    content = HEAD + implicit(0x7FE00010, UNDEFINED) + implicit(0xFFFEE0DD, 0)
    assert refused(content, tmp_path).code == "RTPLAN_TRANSFER"


@pytest.mark.parametrize("tag", [0x300A00B0, 0x00091001])
def test_sequences_that_go_deeper_and_deeper(tag: int, tmp_path: Path) -> None:
    """A known sequence, and a private one; a thousand levels would exhaust the stack."""
    content = HEAD + (implicit(tag, UNDEFINED) + implicit(0xFFFEE000, UNDEFINED)) * 1000
    error = refused(content, tmp_path)
    assert error.code == "RTPLAN_DEPTH"
    assert str(MOST_DEPTH) in str(error)


def test_deep_sequences_of_stated_length(tmp_path: Path) -> None:
    content = b""
    for _ in range(1000):
        content = implicit(0xFFFEE000, len(content), content)
        content = implicit(0x300A00B0, len(content), content)
    assert refused(HEAD + content, tmp_path).code == "RTPLAN_DEPTH"


def test_more_elements_than_any_plan_has(tmp_path: Path) -> None:
    """Empty items: the smallest elements there are."""
    content = HEAD + implicit(0x300A00B0, UNDEFINED) + implicit(0xFFFEE000, 0) * MOST_ELEMENTS
    tracemalloc.start()
    began = time.monotonic()
    error = refused(content, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code == "RTPLAN_ELEMENTS"
    assert time.monotonic() - began < 60.0
    assert peak < 3 * len(content)


def test_more_beams_and_control_points_than_there_are(tmp_path: Path) -> None:
    empty = implicit(0xFFFEE000, 0)
    beams = HEAD + implicit(0x300A00B0, 501 * 8, empty * 501)
    assert refused(beams, tmp_path).code == "RTPLAN_COUNTS"
    number = implicit(0x300A00C0, 2, b"1 ")
    points = implicit(0x300A0111, 10_001 * 8, empty * 10_001)
    beam = implicit(0xFFFEE000, len(number + points), number + points)
    content = HEAD + implicit(0x300A00B0, len(beam), beam)
    assert refused(content, tmp_path).code == "RTPLAN_COUNTS"


def test_control_points_that_would_fill_the_memory_by_inheriting(tmp_path: Path) -> None:
    """40 beams of 10 000 empty control points with 200 pairs: 160 million positions in 3 MB."""
    edges = b"\\".join(b"%04d" % x for x in range(201)) + b" "
    leaves = implicit(0x300A00B8, 4, b"MLCX") + implicit(0x300A00BC, 4, b"200 ")
    leaves += implicit(0x300A00BE, len(edges), edges)
    leaves = implicit(0xFFFEE000, len(leaves), leaves)
    points = implicit(0xFFFEE000, 0) * 10_000
    beams = b""
    for number in range(40):
        beam = implicit(0x300A00B6, len(leaves), leaves)
        beam += implicit(0x300A00C0, 2, b"%02d" % number)
        beam += implicit(0x300A0111, len(points), points)
        beams += implicit(0xFFFEE000, len(beam), beam)
    content = HEAD + implicit(0x300A00B0, len(beams), beams)
    began = time.monotonic()
    error = refused(content, tmp_path)
    assert time.monotonic() - began < 30.0
    assert error.code == "RTPLAN_COUNTS"
    assert "beam 4: more than 16000000 positions" in str(error)  # 4.3 million in each


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(HEAD)
    os.truncate(path, LARGEST_FILE + 1)
    with pytest.raises(ReadError) as raised:
        read(path)
    assert raised.value.code == "RTPLAN_SIZE"


def test_a_value_that_is_too_long(tmp_path: Path) -> None:
    content = HEAD + implicit(0x00080018, 65538, b"1" * 65538)
    content += content_of(preamble=False)[content_of(preamble=False).index(b"\x08\x00\x20\x00") :]
    assert refused(content, tmp_path).code == "RTPLAN_SIZE"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEAD * 2, id="an element twice"),
        pytest.param(HEAD + implicit(0x00020010, 0), id="group 0002 inside"),
        pytest.param(HEAD + implicit(0xFFFEE000, 0), id="an item outside"),
        pytest.param(HEAD + implicit(0xFFFEE00D, 0), id="a delimiter outside"),
        pytest.param(HEAD + implicit(0xFFFEE0DD, 0), id="a sequence delimiter outside"),
        pytest.param(
            HEAD + implicit(0x300A00B0, 8, implicit(0x00100010, 0)), id="no item in a sequence"
        ),
        pytest.param(
            HEAD
            + implicit(0x300A00B0, 24, implicit(0xFFFEE000, 8, implicit(0x300A00C0, 40)))
            + bytes(0)
            + implicit(0x300C0002, 0)
            + implicit(0x300E0002, 0),
            id="a value beyond its item",
        ),
        pytest.param(
            HEAD + implicit(0x300A00B0, 8, implicit(0xFFFEE000, 40)) + bytes(80),
            id="an item beyond its sequence",
        ),
        pytest.param(
            HEAD + implicit(0x300A00B0, 16, implicit(0xFFFEE000, 0) + implicit(0xFFFEE0DD, 0)),
            id="a delimiter in a sequence of stated length",
        ),
    ],
)
def test_broken_structure(content: bytes, tmp_path: Path) -> None:
    error = refused(content, tmp_path)
    assert error.code == "RTPLAN_STRUCTURE"
    assert "offset" in str(error)


def test_what_is_no_value_representation(tmp_path: Path) -> None:
    content = content_of(explicit=True)
    place = content.index(b"\x0c\x30\x06\x00") if b"\x0c\x30\x06\x00" in content else -1
    assert place > 0  # ReferencedBeamNumber, IS
    broken = content[: place + 4] + b"\x01\x02" + content[place + 6 :]
    assert refused(broken, tmp_path).code == "RTPLAN_STRUCTURE"


@pytest.mark.parametrize("preamble", [False, True])
@pytest.mark.parametrize("explicit", [False, True])
def test_every_cut_is_an_early_end(preamble: bool, explicit: bool, tmp_path: Path) -> None:
    """What is cut before the end of its beams may still be growing."""
    content = content_of(explicit, preamble)
    beams_end = content.rindex(b"\x0e\x30\x02\x00")  # ApprovalStatus follows the beams
    first = content.index(b"\x08\x00\x18\x00")  # before it, a file is not recognized at all
    random_cuts = random.Random(1).sample(range(first + 400, beams_end), 300)
    for cut in [*range(first, first + 400, 3), *random_cuts, beams_end - 1]:
        error = refused(content[:cut], tmp_path)
        assert isinstance(error, TruncatedError), (cut, str(error))
        assert error.code == "RTPLAN_SHORT"


def test_nothing_at_all(tmp_path: Path) -> None:
    error = refused(b"", tmp_path)
    assert (type(error), error.code) == (TruncatedError, "RTPLAN_EMPTY")


def test_a_folder_a_pipe_and_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    codes = []
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(ReadError) as raised:
            read(path)
        codes.append(raised.value.code)
    assert codes == ["UNREADABLE", "NOT_A_FILE", "UNREADABLE"]


@pytest.mark.parametrize("explicit", [False, True])
def test_changed_bytes_give_a_read_error_or_a_plan(
    explicit: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Single bytes, lengths of {0, 1, 2**31-1, 2**32-1}, and pieces left out or repeated."""
    from analyzers.core import NamedFile

    content = content_of(explicit)
    chance = random.Random(7)
    path = tmp_path / "CANARY.dcm"
    read_at_all = 0
    began = time.monotonic()
    for _ in range(300):
        changing = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(132, len(changing) - 8)
            kind = chance.randrange(4)
            if kind == 0:
                changing[at] = chance.randrange(256)
            elif kind == 1:
                length = chance.choice([0, 1, 2**31 - 1, 2**32 - 1])
                changing[at : at + 4] = struct.pack("<I", length)
            elif kind == 2:
                del changing[at : at + chance.randint(1, 64)]
            else:
                changing[at:at] = changing[at : at + chance.randint(1, 64)]
        path.write_bytes(changing)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                plan = FORMAT.read(NamedFile(path, path.name), ())
            except ReadError as why:
                assert why.code.startswith("RTPLAN_")
                assert "CANARY" not in str(why)
                continue
        read_at_all += 1
        for beam in plan.beams:
            share = beam.control_points.meterset_share
            assert np.isfinite(share).all()
            assert (np.diff(share) >= 0.0).all()
    assert 0 < read_at_all < 300
    assert not caplog.records
    assert time.monotonic() - began < 60.0


@pytest.mark.parametrize("delimited", [False, True])
def test_a_sequence_of_unknown_form_is_implicit_inside(delimited: bool, tmp_path: Path) -> None:
    """A gateway that knows no RT writes UN (PS3.5 section 6.2.2)."""
    bare = content_of(preamble=False)
    start = bare.index(b"\x0a\x30\xb0\x00")
    (length,) = struct.unpack_from("<I", bare, start + 4)
    beams = bare[start + 8 : start + 8 + length]
    explicit = content_of(explicit=True)
    before = explicit[: explicit.index(b"\x0a\x30\xb0\x00SQ")]
    after = explicit[explicit.rindex(b"\x0e\x30\x02\x00CS") :]
    said = UNDEFINED if delimited else length
    header = b"\x0a\x30\xb0\x00UN\0\0" + struct.pack("<I", said)
    end = implicit(0xFFFEE0DD, 0) if delimited else b""
    path = tmp_path / "x.dcm"
    path.write_bytes(before + header + beams + end + after)
    assert [beam.cumulative_mu[-1] for beam in read(path).beams] == [80.0, 40.0]
