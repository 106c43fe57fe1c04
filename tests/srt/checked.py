"""A kV unit with instruments and people, and the form of a check as a browser fills it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qa_daemon.store import output_baselines
from tests.dashboards.serving import Answer, Served
from tests.dashboards.visiting import LINE, Visitor
from tests.ingest.clinic import Clinic
from tests.srt.units import FACTOR, SITE, days_ago, row, table
from tests.srt.visited import pages_of

CHECK = "/units/SRT1/check"
THERAPIST = """
[[person]]
name = "Therapist T"
password_file = "t.password"
role = "therapist"
initials = "TT"
"""
WITH_FACTOR = SITE.replace("t_ref_c = 20.0\n", "t_ref_c = 20.0\nn_k_gy_per_c = 1.0e9\n").replace(
    "ssd_cm = 15}]", 'ssd_cm = 15}, {id = "A50", diameter_cm = 5.0, ssd_cm = 15}]'
)
READINGS = {
    "r1-m0": "2,345",
    "r1-m1": "2.347",
    "r1-m2": "2.344",
    "r1-timer": "30",
    "temperature": "21,4",
    "pressure": "99.62",
    "pressure-unit": "kPa",
    "electrometer": "4567",
}
"""A worked example, as two different hands type it: 4.79373 Gy/min."""
BEAM = "70 kV F2 A30"
BASELINE = table(row(days_ago(5), readings_nc=";".join([repr(4.79 / 2.0 / FACTOR)] * 3)))
"""A check of three readings whose output is 4.79 Gy/min."""
ANSWERS = {
    "t-SRT.D.WARMUP": "yes",
    "t-SRT.D.SAF.DOOR": "yes",
    "t-SRT.D.SAF.KVFILTER": "yes",
    "t-SRT.D.TIMER.BACKUP-set": "30",
    "t-SRT.D.TIMER.BACKUP-shown": "30.1",
}


def signed(clinic: Clinic, *beams: str) -> None:
    """A physicist signs the outputs of the first check as baselines."""
    (first,) = (r.id for r in clinic.queries.results_since() if r.analyses)
    output_baselines.sign(clinic.store, first, beams or [BEAM], "Physicist A", "commissioned")


@contextmanager
def unit_of(
    tmp_path: Path, *tables: bytes, site: str = WITH_FACTOR
) -> Iterator[tuple[Clinic, Served]]:
    """The unit's pages; what is in the inbox is judged by `clinic.process()`."""
    (tmp_path / "t.password").write_text(LINE + "\n")
    with pages_of(tmp_path, *tables, site=site, more=THERAPIST) as (clinic, served):
        yield clinic, served


def therapist(served: Served, name: str = "Therapist T") -> Visitor:
    visitor = Visitor(served)
    visitor.sign_in(name)
    return visitor


def fields_of(page: Answer) -> dict[str, str]:
    """What a browser would send of the form on a page."""
    (form,) = re.findall(r'<form id="check".*?</form>', page.text, re.DOTALL)
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        said = dict(re.findall(r'(\w[\w-]*)="([^"]*)"', tag))
        if said.get("type") != "radio" or tag.endswith(" checked>"):
            found[said["name"]] = html.unescape(said.get("value", ""))
    for name, options in re.findall(r'<select [^>]*?name="([^"]+)".*?>(.*?)</select>', form, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    return found


def filled(visitor: Visitor, *typed: Mapping[str, str], kind: str = "daily") -> dict[str, str]:
    """A new form with what somebody types into it."""
    fields = fields_of(visitor.get(f"{CHECK}?kind={kind}"))
    for more in typed:
        fields |= more
    return fields


def text_of(page: Answer) -> str:
    """What stands on a page."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)))
