"""The treatments page of a patient on a kV unit: doses, effect, and nobody's name."""

from __future__ import annotations

import json
from pathlib import Path

from analyzers.srt_table_files import table_of
from qa_daemon.store import srt_tables
from tests.dashboards.serving import serving
from tests.dashboards.visiting import LINE, PEOPLE, Visitor
from tests.srt.test_treatment_service import NEEDED_S, TODAY, drop, later
from tests.srt.test_unit_page import text_of
from tests.srt.treating import TREATING, tables
from tests.srt.units import clinic_of, days_ago, row, table
from tests.srt.visited import Pages


def test_a_course_is_summed_up_under_a_pseudonym(tmp_path: Path) -> None:
    for file in ("a.password", "b.password"):
        (tmp_path / file).write_text(LINE + "\n")
    clinic = clinic_of(tmp_path, TREATING + PEOPLE + "[courses]\nalpha_beta_gy = [10, 3, 2]\n")
    for told in tables().values():
        number = srt_tables.enter(clinic.store, "SRT1", table_of(json.dumps(told).encode()), "A")
        srt_tables.sign(clinic.store, "SRT1", number, "P", "checked")
    clinic.drop("old.csv", table(row(days_ago(7.1))))
    clinic.drop("check.csv", TODAY)
    clinic.process()
    half_s = (NEEDED_S + 0.5) / 2.0 - 0.5
    drop(clinic, "1.json", datetime=days_ago(7).isoformat())
    drop(clinic, "3a.json", fraction=3, parts_s=[half_s], datetime=later(0))
    drop(clinic, "3b.json", fraction=3, parts_s=[half_s], datetime=later(0.1))
    drop(clinic, "x.json", lesion="CANARY-OTHER", parts_s=[10.0], datetime=later(0.5))
    with serving(Pages(clinic)) as served:  # type: ignore[arg-type]
        pseudonym = clinic.plans._pseudonyms.of("CANARY-PATIENT")
        listed = served.get("/treatments").text
        assert f"/treatments/{pseudonym}" in listed
        open_page = served.get(f"/treatments/{pseudonym}").text
        assert "CANARY" not in open_page
        shown = text_of(open_page)
        assert "2 of 20 planned fractions given; 5 Gy at 2 mm; 50 Gy prescribed" in shown
        # 2 x 2.5 Gy: BED 5 (1 + 2.5/ab), EQD2 BED/(1 + 2/ab).
        assert "10 Gy 6.25 Gy 5.21 Gy" in shown and "3 Gy 9.17 Gy 5.50 Gy" in shown
        assert "2 Gy 11.25 Gy 5.62 Gy" in shown
        # 2 · 250^1.538 · 7^-0.169 / 1000
        assert "TDF 7.0 with T/n 7.00 days, first to last fraction" in shown
        assert "No record of fraction 2." in shown
        assert "as prescribed; in 2 parts 2.50 Gy 2.50 Gy" in shown
        assert "not as prescribed" in shown  # the other lesion's 10 s
        physicist = Visitor(served)
        physicist.sign_in()
        named = physicist.get(f"/treatments/{pseudonym}").text
        assert "CANARY-COURSE, CANARY-LESION" in text_of(named)
        result = clinic.queries.results_since()[0]
        assert f"/treatments/{pseudonym}" in served.get(f"/results/{result.id}").text
        # Without its table the dose of a fraction is not known, and nothing is summed up as if.
        (pdd,) = (t for t in srt_tables.every(clinic.store, "SRT1") if t.kind == "pdd")
        srt_tables.withdraw(clinic.store, "SRT1", pdd.id, "P", "r")
        clinic.process()
        shown = text_of(served.get(f"/treatments/{pseudonym}").text)
        assert "BED, EQD2 and TDF are not known" in shown and "TDF 7" not in shown
        assert "0 fractions whose dose is known" in shown
    clinic.assert_sound()
    clinic.close()
