"""Hostile JSON to every format of ours in it: refused with its place, and nobody is named."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import ReadError, TruncatedError
from analyzers.formats import srt_checks_json, srt_output_json, srt_treatment_json
from analyzers.srt_table_files import read_table
from analyzers.strict_json import Schema, instant
from tests.output_tables import EXAMPLE, document
from tests.srt.treating import record

SCHEMA = Schema("s", "1", frozenset({"schema", "version", "a", "b"}), 1000, 4)
CHECKS: dict[str, Any] = {
    "schema": "qa_srt_checks",
    "version": "1.0",
    "unit_id": "SRT1",
    "datetime": "2026-02-03T07:31:00+01:00",
    "operator": "CANARY",
    "items": [{"id": "SRT.M.US.SPATIAL", "value": 0.125, "unit": "mm"}],
}
TABLE: dict[str, Any] = {
    "schema": "qa_srt_table",
    "version": "1.0",
    "kind": "mu_en_ratio",
    "unit_id": "SRT1",
    "valid_from": "2026-01-15",
    "source": "CANARY",
    "rows": [{"hvl_mm_al": 0.52, "ratio": 1.02}, {"hvl_mm_al": 1.0, "ratio": 1.019}],
}


@dataclass(frozen=True)
class Kind:
    """A whole document, a number in it, and where a message says that it stands."""

    read: Callable[[Path], object]
    whole: str
    number: str
    place: str
    most_bytes: int

    def with_number(self, text: str) -> bytes:
        assert self.whole.count(self.number) == 1
        return self.whole.replace(self.number, text).encode()


KINDS = {
    "checks": Kind(
        srt_checks_json.read, json.dumps(CHECKS), "0.125", "items, number 1, value", 1 << 20
    ),
    "output": Kind(
        srt_output_json.read, document(EXAMPLE), "99.62", "records, number 1, pressure_kpa", 5 << 20
    ),
    "treatment": Kind(
        srt_treatment_json.read,
        json.dumps(record(ultrasound_depth_mm=1.4375)),
        "1.4375",
        "ultrasound_depth_mm",
        1 << 16,
    ),
    "table": Kind(read_table, json.dumps(TABLE), "1.019", "rows, number 2, ratio", 1 << 20),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def refusal(kind: Kind, tmp_path: Path, content: bytes) -> ReadError:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        kind.read(path)
    assert "CANARY" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return caught.value


def test_the_documents_are_sound_with_and_without_a_byte_order_mark(
    kind: Kind, tmp_path: Path
) -> None:
    for start in (b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n"):
        (tmp_path / "file").write_bytes(start + kind.whole.encode())
        kind.read(tmp_path / "file")


@pytest.mark.parametrize(
    "number", ["9" * 401, "-" + "9" * 401, "9" * 5000, "1e400", "-1e999999999", "1" * 5000 + ".5"]
)
def test_a_number_that_no_float_holds_is_refused_where_it_stands(
    kind: Kind, tmp_path: Path, number: str
) -> None:
    why = refusal(kind, tmp_path, kind.with_number(number))
    field = kind.place.split(", ")[-1].replace("value", "SRT.M.US.SPATIAL")
    assert field in str(why) and "9999" not in str(why)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_of_json_is_said_with_its_place(
    kind: Kind, tmp_path: Path, name: str
) -> None:
    why = refusal(kind, tmp_path, kind.with_number(name))
    assert str(why).startswith(f"{kind.place}: {name} is no number of JSON")


@pytest.mark.parametrize("value", ["true", "null", '"1"', "[1]", "{}"])
def test_what_is_no_number_is_said(kind: Kind, tmp_path: Path, value: str) -> None:
    why = refusal(kind, tmp_path, kind.with_number(value))
    assert "number" in str(why) or "nested" in str(why)


def test_a_key_that_is_there_twice_is_named_where_it_stands(kind: Kind, tmp_path: Path) -> None:
    *objects, name = kind.place.split(", ")
    at = ", ".join(objects) + ": " if objects else ""
    why = refusal(kind, tmp_path, kind.with_number(f'{kind.number}, "{name}": 1'))
    assert str(why).startswith(f"{at}{name} is there twice in one object")
    # A key that the schema does not have may be anything, a person for one.
    why = refusal(kind, tmp_path, kind.with_number(f'{kind.number}, "CANARY": 1, "CANARY": 2'))
    assert str(why).startswith(f"{at}a key is there twice")


def test_a_key_of_nobody_is_not_repeated(kind: Kind, tmp_path: Path) -> None:
    for name in ("CANARY CANARY", "\\ud800", ""):
        refusal(kind, tmp_path, kind.with_number(f'{kind.number}, "{name}": 1'))


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"b":'])
def test_deep_nesting_is_refused_before_it_is_parsed(
    kind: Kind, tmp_path: Path, opening: str
) -> None:
    deep = opening * 5000
    assert "nested deeper than" in str(refusal(kind, tmp_path, kind.with_number(deep)))


def test_brackets_in_texts_are_no_nesting() -> None:
    told = {"schema": "s", "version": "1", "a": '[[[[[[{"\\' + "[" * 20, "b": [1]}
    assert SCHEMA.of(json.dumps(told).encode())["b"] == [1]


def test_a_long_text_that_never_ends_takes_no_time(kind: Kind, tmp_path: Path) -> None:
    """Tried again from each of its quotes, such a text would take hours."""
    content = b'{"schema": "' + b'\\"' * (kind.most_bytes // 2 - 20)
    begun = time.perf_counter()
    assert isinstance(refusal(kind, tmp_path, content), TruncatedError)
    assert time.perf_counter() - begun < 5.0


def test_what_is_cut_may_still_come_and_what_is_wrong_does_not(kind: Kind, tmp_path: Path) -> None:
    whole = kind.whole.encode()
    for end in (len(whole) - 1, len(whole) // 2):
        why = refusal(kind, tmp_path, whole[:end].rstrip(b" :,"))
        assert "not JSON in line 1" in str(why)
    assert isinstance(refusal(kind, tmp_path, whole[:-1]), TruncatedError)
    assert not isinstance(refusal(kind, tmp_path, whole + b"}"), TruncatedError)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused(kind: Kind, tmp_path: Path, encoding: str) -> None:
    content = kind.whole.replace("SRT1", "SRT\u00e9").encode(encoding)
    refusal(kind, tmp_path, content)


def test_bytes_that_are_not_utf_8_are_said_with_their_place() -> None:
    with pytest.raises(ReadError, match="not UTF-8 from byte 7 on") as caught:
        SCHEMA.of(b'{"a": \xff}')
    assert caught.value.code == "SRT_TEXT" and not isinstance(caught.value, TruncatedError)
    with pytest.raises(TruncatedError, match="not UTF-8"):
        SCHEMA.of('{"a": "é'.encode()[:-1])


def test_a_huge_file_is_refused_by_its_size(kind: Kind, tmp_path: Path) -> None:
    content = kind.whole.encode() + b" " * kind.most_bytes
    assert f"at most {kind.most_bytes}" in str(refusal(kind, tmp_path, content))


@pytest.mark.parametrize("content", [b"", b" ", b"1", b"null", b"[]", b'"schema"', b"{}"])
def test_what_is_no_object_of_the_schema_is_refused(
    kind: Kind, tmp_path: Path, content: bytes
) -> None:
    refusal(kind, tmp_path, content)


@pytest.mark.parametrize(
    ("schema", "version"), [("x", "1.0"), (["qa"], "1.0"), (None, "1.0"), ("", 1.0), ("", True)]
)
def test_another_schema_or_version_is_refused(
    kind: Kind, tmp_path: Path, schema: object, version: object
) -> None:
    told = json.loads(kind.whole)
    told |= {"schema": schema if schema != "" else told["schema"], "version": version}
    assert "expected" in str(refusal(kind, tmp_path, json.dumps(told).encode())) or schema != ""


@pytest.mark.parametrize(
    "at",
    ["2026-02-03", "2026-02-03T07:31:00", "2026-02-03T07:31:00+23:59", "", "x" * 9000, 7, None],
)
def test_a_time_needs_an_offset_that_a_place_has(at: object) -> None:
    with pytest.raises(ReadError, match="datetime") as caught:
        instant(at, "datetime")
    assert caught.value.code == "SRT_TIME" and "xx" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(value=VALUES, name=st.sampled_from(sorted(KINDS)))
def test_whatever_stands_there_only_a_read_error(
    value: object, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = KINDS[name]
    path = tmp_path_factory.getbasetemp() / "spoiled"
    path.write_bytes(kind.with_number(json.dumps(value)))
    with contextlib.suppress(ReadError):
        kind.read(path)
