"""Output checks as JSON: types are kept strictly, and nothing else is in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzers import catalogue
from analyzers.core import ReadError, TruncatedError
from analyzers.formats.srt_output_json import MOST_BYTES, read, recognize, sessions_of
from tests.output_tables import EXAMPLE, document, row


def changed(**values: Any) -> str:
    form = json.loads(document(EXAMPLE))
    form["records"][0] |= values
    return json.dumps(form)


def refusal(text: str | bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        sessions_of(text if isinstance(text, bytes) else text.encode())
    return caught.value


def test_the_example_of_the_schema_is_recognized(tmp_path: Path) -> None:
    form = json.loads(document(EXAMPLE))
    for text in (json.dumps(form), "\ufeff \n" + json.dumps(form, sort_keys=True, indent=4)):
        path = tmp_path / "no-extension"
        path.write_text(text, "utf-8")
        assert catalogue.load().recognize(path, path.name).format.name == "srt-output-json"
        assert read(path).rows[0].kvp == 70.0


@pytest.mark.parametrize("head", [b"", b"[]", b'{"schema": "other"}', b'"qa_srt_output"'])
def test_other_files_are_not_recognized(head: bytes) -> None:
    assert not recognize(head)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (changed(kvp="70"), "SRT_SCHEMA", "record 1, kvp: a text in quotes, a number expected"),
        (changed(kvp=True), "SRT_SCHEMA", "true or false, a number expected"),
        (changed(kvp=None), "SRT_SCHEMA", "null (leave out what was not measured)"),
        (changed(kvp=[70]), "SRT_SCHEMA", "a list or an object, a number expected"),
        (changed(operator=7), "SRT_SCHEMA", "operator: a number, a text expected"),
        (changed(operator=" "), "SRT_SCHEMA", "operator: an empty text"),
        (changed(readings_nc="2.345"), "SRT_SCHEMA", "a list of numbers expected"),
        (changed(readings_nc=[2.3, "2.3"]), "SRT_SCHEMA", "a list of numbers expected"),
        (changed(readings_nc=[2.3, None]), "SRT_SCHEMA", "a list of numbers expected"),
        (changed(readings_nc=[]), "SRT_READINGS", "no reading"),
        (changed(pressure=760), "SRT_SCHEMA", "column 'pressure' is none of the schema"),
        (changed(kvp=float("nan")), "SRT_SCHEMA", "NaN is no number of JSON"),
        (changed(kvp=float("-inf")), "SRT_SCHEMA", "-Infinity is no number of JSON"),
        (changed(kvp=0).replace('"kvp": 0', '"kvp": 1e999'), "SRT_UNIT", "10 to 320"),
        (changed(kvp=0).replace('"kvp": 0', '"kvp": ' + "9" * 5000), "SRT_UNIT", "10 to 320"),
        (changed(filter_id="\ud800"), "SRT_SCHEMA", "cannot be printed"),
        (
            document(EXAMPLE).replace('"kvp": 70.0', '"kvp": 70.0, "kvp": 50.0'),
            "SRT_SCHEMA",
            "kvp is there twice",
        ),
        (
            document(EXAMPLE).replace("{", '{"version": "1.0", ', 1),
            "SRT_SCHEMA",
            "version is there twice",
        ),
        (document(EXAMPLE).replace('"1.0"', '"1.1"'), "SRT_SCHEMA", 'version "1.0" expected'),
        (document(EXAMPLE).replace('"1.0"', "1.0"), "SRT_SCHEMA", 'version "1.0" expected'),
        (document(EXAMPLE).replace("{", '{"note": 1, ', 1), "SRT_SCHEMA", "leave out keys besides"),
        ('{"schema": "qa_srt_output", "version": "1.0"}', "SRT_SCHEMA", "lacks records"),
        (document().replace("[]", "{}"), "SRT_SCHEMA", "a list expected"),
        (document().replace("[]", "[1]"), "SRT_SCHEMA", "record 1: an object expected"),
        (document(), "SRT_READINGS", "no row"),
        (document().replace("[]", f"[{'1,' * 10_000}1]"), "SRT_SIZE", "10000 records"),
        ("[1]", "SRT_SCHEMA", "an object with schema"),
        ("[" * 100_000, "SRT_SCHEMA", "nested deeper than 4"),
        ('{"a":' * 5 + "1" + "}" * 5, "SRT_SCHEMA", "nested deeper than 4"),
        (document(EXAMPLE).replace(",", ",,", 1), "SRT_TEXT", "not JSON in line 1"),
        (document(EXAMPLE) + "{}", "SRT_TEXT", "not JSON in line 1"),
        (document(EXAMPLE).encode("utf-16"), "SRT_TEXT", "not UTF-8"),
        (document(EXAMPLE).replace("AB", "A\0B"), "SRT_TEXT", "not JSON"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str | bytes, code: str, words: str) -> None:
    why = refusal(text)
    assert (why.code, words in str(why)) == (code, True), str(why)


def test_a_file_that_ends_early_may_still_come() -> None:
    assert isinstance(refusal(document(EXAMPLE)[:200]), TruncatedError)


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"{" + b" " * MOST_BYTES)
    with pytest.raises(ReadError, match="at most 5242880"):
        read(path)


def test_an_empty_comment_is_none() -> None:
    (session,) = sessions_of(changed(comment="").encode())
    assert session.rows[0].comment is None


CONTENT = document(row(1), row(2, kvp="50", comment='a, "b"')).encode()
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.sampled_from([{}, {"a": [1]}, [[[[1]]]]])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(EXAMPLE)) | st.text(max_size=10),
    value=VALUES,
    end=st.integers(0, len(CONTENT)),
    place=st.integers(0, len(CONTENT) - 1),
    byte=st.integers(0, 255),
)
def test_spoiled_files_give_a_check_or_a_read_error(
    name: str, value: object, end: int, place: int, byte: int
) -> None:
    for content in (
        changed(**{name: value}).encode(),
        CONTENT[:end],
        CONTENT[:place] + bytes([byte]) + CONTENT[place + 1 :],
    ):
        recognize(content[:4096])
        try:
            assert all(session.rows for session in sessions_of(content))
        except ReadError as why:
            assert why.code.startswith("SRT_")
