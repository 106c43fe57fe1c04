"""Simulated machine performance checks: what is written is what is read."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from analyzers.formats.varian_mpc_csv import read
from analyzers.machine.machine_performance_check import ANALYZER
from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck
from qa_daemon.__main__ import app
from qa_daemon.simulate.mpc_csv import (
    DELIMITERS,
    ENCODINGS,
    TEMPLATES,
    folder_name,
    simulate,
    write_machine_check,
)
from tests.machine.judging import measured, verdict, worst

WORD = st.text("abcXYZ012", min_size=1, max_size=12)
NUMBERS = st.none() | st.floats(-1e6, 1e6).map(lambda x: x + 0.0)
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - local time
SAID = st.sampled_from(["Pass", "Fail", "Warning", "Not Available", ""])


@st.composite
def checks(draw: st.DrawFn) -> MachineCheck:
    names = draw(
        st.lists(st.lists(WORD, min_size=1, max_size=4).map("/".join), unique=True, max_size=8)
    )
    items = []
    for name in names:
        said = draw(SAID)
        threshold = draw(NUMBERS)
        known = {"Pass": Evaluation.PASSED, "Fail": Evaluation.FAILED}
        items.append(
            CheckItem(
                name,
                draw(st.sampled_from(["mm", "deg", "%", ""])),
                draw(NUMBERS),
                None if threshold is None else abs(threshold),
                known.get(said, Evaluation.UNKNOWN),
                said,
            )
        )
    template = draw(st.sampled_from(TEMPLATES))
    return MachineCheck(
        items=tuple(items),
        template=template,
        performed_at=draw(TIMES).replace(microsecond=0),
        machine_serial=draw(st.text("0123456789", min_size=1, max_size=8)),
    )


@given(
    check=checks(),
    delimiter=st.sampled_from(sorted(DELIMITERS.values())),
    encoding=st.sampled_from(ENCODINGS),
)
def test_what_is_read_is_what_was_written(
    check: MachineCheck, delimiter: str, encoding: str
) -> None:
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top, folder_name(check))
        folder.mkdir()
        path = folder / "Results.csv"
        write_machine_check(path, check, delimiter=delimiter, encoding=encoding)
        found = read(path)
    for name in ("items", "template", "performed_at", "machine_serial"):
        assert getattr(found, name) == getattr(check, name)
    assert found.warnings == ()


@pytest.mark.parametrize("machine", ["truebeam", "halcyon"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_check_without_errors_passes(tmp_path: Path, template: str, machine: str) -> None:
    check = read(simulate(tmp_path, template=template, machine=machine))
    assert check.template == template
    found = measured(ANALYZER, check, machine)
    assert worst(found, machine) == "PASS"
    assert found["complete"].value == 1.0


def test_a_stated_error_is_found(tmp_path: Path) -> None:
    check = read(simulate(tmp_path, values="BeamOutputChange=2.5"))
    found = measured(ANALYZER, check)
    assert found["output_change"].value == 2.5
    assert verdict(found["output_change"]) == verdict(found["failed_items"]) == "ACTION"


def test_an_aborted_check_and_another_word(tmp_path: Path) -> None:
    assert read(simulate(tmp_path, rows=0)).items == ()
    said = read(simulate(tmp_path, said="Warning"))
    assert {i.said for i in said.items} == {"Warning"}
    assert measured(ANALYZER, said)["unknown_items"].value == len(said.items)


def test_the_command_writes_into_the_machine_s_folder(tmp_path: Path) -> None:
    words = ["simulate", "varian-mpc-csv", "--out", str(tmp_path), "--template"]
    answer = CliRunner().invoke(app, [*words, "BeamCheckTemplate6xFFF"])
    assert answer.exit_code == 0, answer.output
    (table,) = tmp_path.rglob("*.csv")
    assert table.name == "Results.csv"
    assert table.parent.name == "NDS-WKS-SN1234-2026-01-05-06-45-00-0000-BeamCheckTemplate6xFFF"
    assert read(table).energy == "6xFFF"


def test_a_table_by_name_has_no_folder_of_its_own(tmp_path: Path) -> None:
    path = simulate(tmp_path / "x.csv")
    assert path == tmp_path / "x.csv"
    assert read(path).performed_at is None


@pytest.mark.parametrize(
    "option",
    [{"template": "x"}, {"machine": "clinac"}, {"values": "Nothing=1"}, {"delimiter": "|"}],
)
def test_unknown_options_are_refused(tmp_path: Path, option: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        simulate(tmp_path, **option)


def test_writing_takes_nothing_else_of_a_check(tmp_path: Path) -> None:
    check = read(simulate(tmp_path))
    assert folder_name(replace(check, warnings=("x",))) == folder_name(check)
