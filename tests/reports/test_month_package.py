"""The package of a month: its bytes, what must not be in it, and what is on the paper."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import threading
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import select
from typer.testing import CliRunner

from dashboards.reports.month_package import stem_of, write_package
from dashboards.reports.month_words import Places, Scrub, inert
from qa_daemon.__main__ import app
from qa_daemon.store import audit, schema
from qa_daemon.store.months import Month
from tests.dashboards.clinic import HOSTILE
from tests.reports.months import (
    BERLIN,
    FORMULA,
    NOW,
    SECRETS,
    MonthClinic,
    every_text,
    leaf_report,
    machine_in,
    read_csv,
    read_json,
)
from tests.reports.paper import facts_of, fonts_of, pages_of, widest_line_pt

A4_PT = 595
pytestmark = pytest.mark.xdist_group("month")


def test_the_same_store_gives_the_same_bytes(february: Any) -> None:
    clinic, _, files = february
    before = {ending: path.read_bytes() for ending, path in files.items()}
    time.sleep(1.1)
    clinic.clinic.now = NOW + timedelta(days=400)
    with clinic.store.write() as connection:
        said: dict[str, Any] = {"actor": "Physicist A", "subject": "pages", "detail": {}}
        audit.record(connection, at=clinic.store.now(), action="signed in", **said)
    again = clinic.package("2026-02")
    clinic.clinic.now = NOW
    assert {ending: path.read_bytes() for ending, path in again.items()} == before
    assert sorted(p.name for p in clinic.out.iterdir()) == sorted(p.name for p in files.values())


def test_the_manifest_holds_the_hash_of_each_file(february: Any) -> None:
    _, _, files = february
    lines = dict(
        reversed(line.split("  ")) for line in files["sha256"].read_text("ascii").splitlines()
    )
    assert lines == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for ending, path in files.items()
        if ending != "sha256"
    }
    assert set(files) == {"pdf", "xlsx", "csv", "json", "sha256"}


def test_it_says_which_row_of_the_audit_trail_it_stands_on(february: Any) -> None:
    clinic, _, files = february
    told = read_json(files["json"])
    assert (told["schema"], told["schema_version"]) == ("qa-daemon-month", 1)
    with clinic.store.read() as connection:
        assert audit.verify(connection) is None
        query = select(schema.audit).where(schema.audit.c.seq == told["audit"]["row"])
        row = connection.execute(query).one()
    assert (row.hash, row.action) == (told["audit"]["hash"], "service event entered")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_identity_and_no_word_of_a_file_is_in_it(february: Any, secret: str) -> None:
    _, _, files = february
    assert SECRETS[secret].casefold() not in _every_text(files).casefold()


def test_the_canaries_would_be_found(february: Any) -> None:
    """What may be there is found in each kind of file, so that the others would be."""
    _, _, files = february
    text = _every_text(files)
    for said in ("Physicist A by mailto", "TLOG_CRC", "[left out]"):
        assert text.count(said) >= 3, said


_TEXTS: dict[str, str] = {}


def _every_text(files: Any) -> str:
    key = str(files["pdf"])
    return _TEXTS.setdefault(key, every_text(files))


def test_no_cell_is_a_formula(february: Any) -> None:
    _, _, files = february
    book = load_workbook(files["xlsx"])
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert len(cells) > 1000
    assert {cell.data_type for cell in cells} <= {"inlineStr", "s", "n"}
    texts = [cell.value for cell in cells if isinstance(cell.value, str)]
    assert [t for t in texts if t[:1] in ("=", "+", "-", "@")] == []
    assert any(t.startswith("part changed, ") and FORMULA in t for t in texts)
    for row in read_csv(files["csv"]):
        numbers = {"value", "tolerance_low", "tolerance_high", "action_low", "action_high"}
        said = [text for name, text in row.items() if name not in numbers]
        assert not [text for text in said if text[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert "'+6 MV" in {row["energy"] for row in read_csv(files["csv"])}


@pytest.mark.parametrize("start", [*"=+-@\uff1d\uff0b\u2212", " =", "\n@", "\t-", "\r+"])
def test_texts_of_tables_are_inert(start: str) -> None:
    made = inert(f"{start}1+1")
    assert made.startswith("'")
    assert inert(made) == made


def test_other_texts_stay_as_they_are() -> None:
    assert inert("\t1\r2") == " 1 2"
    for text in ("", "A31", "6 MV", "a=b", "\u00b5Gy", "0.5"):
        assert inert(text) == text
    assert inert("a\x00b\u202ec") == "a?b?c"


def test_heads_of_sheets_stay_and_filter(february: Any) -> None:
    _, _, files = february
    book = load_workbook(files["xlsx"])
    assert book.sheetnames == [
        *(
            "Month",
            "Machines",
            "Tests",
            "Tests by day",
            "Out of limits",
            "Open before",
            "Processes",
            "Days",
            "Limits",
        ),
        *("Limits set", "Changes", "Software", "Days without QA"),
    ]
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == sheet.dimensions
    (own,) = book["Limits set"].iter_rows(min_row=2, values_only=True)
    assert own[:4] == ("2026-02-01", "mlc_positions.worst_leaf_rms", "mm", "TB2")
    assert own[6:10] == (None, 0.25, None, 0.5)
    found = {row[0].value: row[2].value for row in book["Machines"].iter_rows(min_row=2)}
    told = read_json(files["json"])
    assert found["TB1"] == sum(t["PASS"] for t in machine_in(told, "TB1")["tests"])
    assert book.properties.modified == datetime(2026, 3, 1, tzinfo=None)  # noqa: DTZ001
    with zipfile.ZipFile(io.BytesIO(files["xlsx"].read_bytes())) as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_document_says_what_an_inspector_asks(february: Any, tmp_path: Path) -> None:
    _, _, files = february
    content = files["pdf"].read_bytes()
    pages = pages_of(content, tmp_path)
    for k, page in enumerate(pages, start=1):
        assert f"page {k} of {len(pages)}" in page
    first, text = pages[0], " ".join(" ".join(pages).split())
    assert "Machine quality assurance, February 2026" in first
    assert "INCOMPLETE" not in text
    contents = dict(
        re.findall(r"^ *(TB\d|The month at a glance)[ .\u2060]+(\d+)$", first, re.MULTILINE)
    )
    assert set(contents) == {"TB1", "TB2", "TB3", "The month at a glance"}
    for name, number in contents.items():
        assert re.search(rf"^ *{name}$", pages[int(number) - 1], re.MULTILINE)
    said = ("Physicist A by", "08:16; within limits", "≤ 0.35 mm", "Cpk")
    for words in (*said, "message waits", "unreadable file", HOSTILE, "#panic() *bold*"):
        assert words in text, words
    assert widest_line_pt(content, tmp_path) < A4_PT
    facts = facts_of(content, tmp_path)
    assert "A4" in facts["Page size"] and facts["Title"].endswith("February 2026")
    assert "2026" in facts["CreationDate"] and set(fonts_of(content, tmp_path)) == {"yes"}


def test_a_month_that_is_not_over_says_so_by_its_newest_result(tmp_path: Path) -> None:
    clinic = MonthClinic(tmp_path, datetime(2026, 2, 12, 15, tzinfo=UTC))
    for day in (2, 10):
        at = datetime(2026, 2, day, 8, 30, tzinfo=BERLIN)
        clinic.deliver("TB1", at, leaf_report(at, 0.03))
    files = clinic.package("2026-02")
    told = read_json(files["json"])
    assert (told["complete"], told["as_of"]) == (False, "2026-02-10T08:30:00+01:00")
    assert machine_in(told, "TB1")["days_without_qa"] == [
        f"2026-02-{day:02d}" for day in range(1, 10) if day != 2
    ]
    page = " ".join(pages_of(files["pdf"].read_bytes(), tmp_path)[0].split())
    assert "INCOMPLETE: this month is not over. As of 2026-02-10 08:30:00 CET" in page
    clinic.clinic.now = datetime(2026, 2, 20, 15, tzinfo=UTC)
    before = files["pdf"].read_bytes()
    assert clinic.package("2026-02")["pdf"].read_bytes() == before
    clinic.clinic.now = NOW
    assert read_json(clinic.package("2026-02")["json"])["complete"]


def test_a_month_of_nothing_is_told_as_such(tmp_path: Path) -> None:
    files = MonthClinic(tmp_path, NOW).package("2025-06")
    assert read_csv(files["csv"]) == []
    told = read_json(files["json"])
    assert [machine["results"] for machine in told["machines"]] == [0, 0, 0, 0]
    assert told["audit"] is None and told["complete"]
    pages = pages_of(files["pdf"].read_bytes(), tmp_path)
    assert "There is no result in this month." in pages[0]


def test_one_machine_alone(february: Any) -> None:
    clinic, _, _ = february
    files = clinic.package("2026-02", "TB2")
    assert files["pdf"].name == "qa-2026-02-TB2.pdf"
    assert {row["machine"] for row in read_csv(files["csv"])} == {"TB2"}
    told = read_json(files["json"])
    assert [m["name"] for m in told["machines"]] == ["TB2"] and told["machine"] == "TB2"
    for path in files.values():
        path.unlink()


def test_a_failure_leaves_what_was_there(february: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic, _, files = february
    before = {path.name: path.read_bytes() for path in files.values()}

    def fails(*_: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr("dashboards.reports.month_package.pdf", fails)
    with pytest.raises(OSError, match="no space"):
        clinic.package("2026-02")
    assert {path.name: path.read_bytes() for path in clinic.out.iterdir()} == before


def test_what_an_export_left_that_was_ended_is_taken_away(february: Any) -> None:
    clinic, _, files = february
    left = clinic.out / ".month-ended"
    left.mkdir()
    (left / "qa-2026-02.csv").write_text("half")
    clinic.package("2026-02", "TB3")
    assert not left.exists()
    for path in clinic.out.glob("qa-2026-02-TB3.*"):
        path.unlink()
    assert sorted(p.name for p in clinic.out.iterdir()) == sorted(p.name for p in files.values())


def test_an_export_waits_for_another_into_the_same_folder(
    february: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that each put their files in place would leave some of one and some of the other."""
    clinic, _, _ = february
    begun, waits, ended = threading.Event(), [], []

    def first(*_: object) -> bytes:
        if not begun.is_set():
            begun.set()
            time.sleep(0.5)
            waits.append(ended == [])
        raise OSError("no space left")

    def other() -> None:
        begun.wait(10)
        with pytest.raises(OSError, match="no space"):
            clinic.package("2026-02", "TB2")
        ended.append("TB2")

    second = threading.Thread(target=other)
    monkeypatch.setattr("dashboards.reports.month_package.pdf", first)
    second.start()
    with pytest.raises(OSError, match="no space"):
        clinic.package("2026-02", "TB3")
    second.join(10)
    assert (waits, ended) == ([True], ["TB2"])


def test_new_files_never_stand_under_the_hashes_of_old_ones(
    february: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, _, files = february
    put = Path.replace
    month = Month.called("2026-02", BERLIN)
    for path in files.values():
        shutil.copy(path, tmp_path / path.name)

    def ends(self: Path, target: Path) -> Path:
        if self.suffix == ".csv":
            raise KeyboardInterrupt
        return put(self, target)

    monkeypatch.setattr(Path, "replace", ends)
    with pytest.raises(KeyboardInterrupt):
        write_package(clinic.site, clinic.store, month, tmp_path, {})
    assert (tmp_path / "qa-2026-02.pdf").exists()
    assert not (tmp_path / "qa-2026-02.sha256").exists()


def test_machines_whose_names_no_file_may_have_have_files_of_their_own() -> None:
    month = Month.called("2026-02", BERLIN)
    names = ("TB/1", "TB-1", "TB 1", "\u05d0\u05d1", "\u05d2\u05d3", "x" * 300, "x" * 301, "../..")
    stems = {stem_of(month, name) for name in names}
    assert len(stems) == len(names) and max(map(len, stems)) < 100
    assert all(re.fullmatch(r"qa-2026-02-[A-Za-z0-9_-]+", stem) for stem in stems)
    assert stem_of(month, "TB-1") == "qa-2026-02-TB-1"


def test_places_are_those_of_a_machine() -> None:
    place = Places(frozenset(["F2", "A30", "5cm"]))
    told = (
        *("A31", "B7", "X1", "sub-beam 2", "control point 41.30", "20 to 30 deg", "bank A"),
        *("leaf pair 43, picket 2", "picket wanted at -7.5 mm", "G180 C0 T0", "segment 3, y -0 mm"),
        *(
            "70 kV F2 A30",
            "70 kV F2 A30 water (2)",
            "70 kV F2 A30/A30",
            "70 kV F2 5cm by 4 exposures",
        ),
    )
    for at in told:
        assert place(at) == at
    for at in (None, "", "Smith", "PTV Smith", "A31 Erika", FORMULA, "70 kV F2 SMITH", "A" * 200):
        assert place(at) == ""


def test_identities_are_taken_out_whole() -> None:
    scrub = Scrub.of({"erika", "erika mustermann", "p(1)"})
    assert scrub("ERIKA MUSTERMANN, P(1).") == "[left out], [left out]."
    assert scrub("erikas") == "erikas"
    assert Scrub.of([])("anything") == "anything"


def test_the_command_writes_the_package_of_the_month(february: Any, tmp_path: Path) -> None:
    clinic, _, files = february
    config = str(clinic.site.path)
    words = ["export", "monthly", "--config", config, "--month", "2026-02"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "new" / "folder")])
    assert done.exit_code == 0, done.output
    for path in files.values():
        assert (tmp_path / "new" / "folder" / path.name).read_bytes() == path.read_bytes()
    for more in (["--machine", "TB9"], ["--month", "2026-2"]):
        refused = CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / "none")])
        assert refused.exit_code == 2
    assert not (tmp_path / "none").exists()
