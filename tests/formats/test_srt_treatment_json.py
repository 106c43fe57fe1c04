"""Records of fractions on a kV unit: read whole, or refused with what to do."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.catalogue import load
from analyzers.core import ReadError
from analyzers.formats.srt_treatment_json import read
from tests.srt.treating import record, written


def test_what_stands_there_is_read_and_nothing_else(tmp_path: Path) -> None:
    told = record(
        gap_cm=-0.3,
        cutout_diameter_cm=2.2,
        shield_factor=0.9,
        ultrasound_depth_mm=1.4,
        parts_s=[12.5, 18],
        datetime="2026-02-03T09:12:00+01:00",
    )
    path = written(tmp_path / "x.json", told)
    assert load().recognize(path, "x.json").format.name == "srt-treatment-json"
    found = read(path)
    assert found.setup.beam == "70 kV F2 A30"
    assert (found.setup.gap_cm, found.setup.cutout_diameter_cm, found.setup.shield) == (
        -0.3,
        2.2,
        0.9,
    )
    assert found.parts_s == (12.5, 18.0) and found.timer_end_effect_s == 0.5
    assert (found.prescribed_gy, found.prescribed_depth_mm, found.ultrasound_depth_mm) == (
        2.5,
        2.0,
        1.4,
    )
    assert (found.fraction, found.fractions_planned) == (1, 20)
    assert found.performed_at.isoformat() == "2026-02-03T09:12:00+01:00"
    assert found.identity.patient_id == "CANARY-PATIENT"
    assert "CANARY" not in repr(found)
    bare = read(written(path, record(timer_end_effect_s=None)))
    assert (bare.timer_end_effect_s, bare.setup.shield, bare.ultrasound_depth_mm) == (None,) * 3


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"schema": "qa_srt_output"}, "SRT_SCHEMA", "schema is not"),
        ({"version": "1.1"}, "SRT_SCHEMA", "only version 1.0"),
        ({"comment": "x"}, "SRT_SCHEMA", "a key that the schema does not"),
        ({"kvp": None}, "SRT_SCHEMA", "lacks kvp"),
        ({"gap_cm": None}, "SRT_SCHEMA", "lacks gap_cm"),
        ({"patient_id": " "}, "SRT_SCHEMA", "patient_id: a text"),
        ({"lesion": "a\nb"}, "SRT_SCHEMA", "cannot be printed"),
        ({"lesion": 3}, "SRT_SCHEMA", "lesion: a text"),
        ({"fraction": 0}, "SRT_SCHEMA", "fraction: a whole number from 1"),
        ({"fraction": 1.5}, "SRT_SCHEMA", "fraction: a whole number from 1"),
        ({"fraction": True}, "SRT_SCHEMA", "fraction: a whole number from 1"),
        ({"kvp": "70"}, "SRT_SCHEMA", "kvp: a text in quotes, a number expected"),
        ({"kvp": 70_000}, "SRT_UNIT", "kvp: 10 to 320 kV expected"),
        ({"prescribed_dose_gy": 250}, "SRT_UNIT", "0.05 to 30 Gy expected"),
        ({"prescribed_depth_mm": -1}, "SRT_UNIT", "0 to 100 mm expected"),
        ({"gap_cm": 10**400}, "SRT_UNIT", "-2 to 20 cm expected"),
        ({"shield_factor": 0}, "SRT_UNIT", "0.001 to 1 expected"),
        ({"parts_s": []}, "SRT_SCHEMA", "a list of 1 to 20 times"),
        ({"parts_s": 30}, "SRT_SCHEMA", "a list of 1 to 20 times"),
        ({"parts_s": [30, 0.0]}, "SRT_UNIT", "parts_s, part 2: 0.6 to 3600 s expected"),
        ({"parts_s": [30, "1"]}, "SRT_SCHEMA", "parts_s, part 2: a text in quotes, a number"),
        ({"timer_end_effect_s": 9}, "SRT_UNIT", "-5 to 5 s expected"),
        ({"datetime": "2026-02-03T07:31:00"}, "SRT_TIME", "no offset"),
        ({"datetime": "03.02.2026"}, "SRT_TIME", "written like"),
        ({"datetime": "1999-02-03T07:31:00+01:00"}, "SRT_TIME", "before 2000"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, change: dict[str, Any], code: str, sentence: str
) -> None:
    with pytest.raises(ReadError, match=sentence) as why:
        read(written(tmp_path / "x.json", record(**change)))
    assert why.value.code == code
    assert "CANARY" not in str(why.value)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        json.dumps(record())[:-5],
        json.dumps(record()).replace("2.5", "NaN"),
        json.dumps(record()).replace('"kvp"', '"lesion": "x", "kvp"'),
        json.dumps(record()).replace("[30.0]", "[" * 5000),
        json.dumps(record()) + " " * 70_000,
    ],
)
def test_what_is_no_whole_text_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ReadError):
        read(path)


@given(st.integers(0, 600), st.binary(max_size=6))
def test_whatever_the_bytes_only_a_read_error(at: int, mutated: bytes) -> None:
    content = bytearray(json.dumps(record()).encode())
    content[at : at + len(mutated)] = mutated
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(ReadError):
            read(file.name)
