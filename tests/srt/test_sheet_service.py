"""A clinic's own table in the daemon: results of its sessions, or one refusal of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from analyzers.catalogue import load
from qa_daemon.model import Verdict
from tests.ingest.clinic import Clinic
from tests.srt.small_sheets import DAY, HEADERS, MAPPING, changed, workbook

SITE = """
[site]
name = "Test"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "SRT1"
machine_class = "srt"
folders = ["in"]
[[spreadsheet]]
machine = "SRT1"
mapping = "sheet.toml"
"""
DAYS = [changed(Rec=f"r{n}", Date=DAY.replace(day=3 + n)) for n in range(3)]


@contextmanager
def unit(tmp_path: Path, mapping: str = MAPPING, site: str = SITE) -> Iterator[Clinic]:
    (tmp_path / "sheet.toml").write_text(mapping)
    clinic = Clinic(tmp_path, text=site, catalogue=load())
    try:
        yield clinic
        clinic.assert_sound()
        assert not list(clinic.archive.scratch.iterdir())
    finally:
        clinic.close()


def verdicts(clinic: Clinic) -> list[Verdict | None]:
    return [r.verdict for r in clinic.queries.results_since() if r.format == "srt-output-json"]


def test_a_growing_workbook_gives_a_result_for_each_session(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("a.xlsx", workbook(*DAYS[:2]))
        clinic.process()
        assert verdicts(clinic) == [Verdict.PASS] * 2
        made = clinic.queries.last_result_id()
        clinic.drop("a.xlsx", workbook(*DAYS))
        clinic.process()
        assert verdicts(clinic) == [Verdict.PASS] * 3
        assert clinic.queries.last_result_id() == made + 2  # the workbook's, and the new session's
        (holder,) = (r for r in clinic.queries.results_since() if r.format == "srt-spreadsheet")
        assert (holder.verdict, holder.error_code) == (None, None)


def test_what_cannot_be_read_whole_leaves_the_results_that_were_there(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("a.xlsx", workbook(DAYS[0]))
        clinic.process()
        for bad, code in (
            (changed(Rec="x", Date=DAY.replace(day=9), P=101.3), "SRT_UNIT"),
            (changed(Rec="x", Date=date(2026, 3, 3)), "SRT_TIME"),  # the clinic's tomorrow
        ):
            clinic.drop("a.xlsx", workbook(*DAYS, bad))
            clinic.process()
            assert verdicts(clinic) == [Verdict.PASS]
            (holder,) = (r for r in clinic.queries.results_since() if r.error_code)
            assert holder.error_code == code


def test_a_table_as_text_is_taken_where_it_is_claimed(tmp_path: Path) -> None:
    line = "r1;2026-02-03;07:31;Daily;AB;E2;3 cm;15;0.5;2.345;2.347;2.344;70.52;747.2085;"
    forms = 'date_format = "%Y-%m-%d"\ntime_format = "%H:%M"\n'
    told = MAPPING.replace('sheet = "Daily"\nheader_row = 3\n', "")
    told = told.replace("[when]\n", f"[when]\n{forms}") + '\n[csv]\nseparator = ";"\n'
    content = "\n".join((";".join(HEADERS), line, line.replace("r1;2026-02-03", "r2;2026-02-04")))
    with unit(tmp_path, told, SITE + 'files = "out*.csv"\n') as clinic:
        clinic.drop("output.csv", content.encode())
        clinic.drop("other.csv", content.replace("AB", "CD").encode())
        clinic.process()
        assert verdicts(clinic) == [Verdict.PASS] * 2
        (refused,) = (r for r in clinic.queries.results_since() if r.error_code)
        assert (refused.path.endswith("other.csv"), refused.error_code) == (True, "UNKNOWN_FORMAT")
