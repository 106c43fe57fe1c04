"""Superficial kV units and the instruments of a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzers.catalogue import load as load_catalogue
from qa_daemon.app import utc_now
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site, SiteError

HEAD = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "SRT1"
machine_class = "{machine_class}"
{unit}
[[instrument]]
kind = "{kind}"
model = "A chamber"
serial = "0123"
calibrated = 2026-01-10
expires = {expires}
{reference}
"""
UNIT = """
[machine.srt]
beams = [{kvp = 50, filter = "F1"}, {kvp = 70, filter = "F2", hvl_mm_al = 1.15}]
applicators = [
  {id = "A30", diameter_cm = 3.0, ssd_cm = 15},
  {id = "R", x_cm = 4, y_cm = 6, ssd_cm = 25},
]
reference_applicator = "A30"
rules = "oregon"
"""


def read(tmp_path: Path, **said: str) -> Site:
    known = {
        "machine_class": "srt",
        "unit": UNIT,
        "kind": "chamber",
        "expires": "2028-01-10",
        "reference": "t_ref_c = 20.0",
    }
    path = tmp_path / "site.toml"
    path.write_text(HEAD.format(**known | said))
    return sites.load(path, load_catalogue().analyzers, utc_now)


def test_a_unit_has_what_is_listed(tmp_path: Path) -> None:
    site = read(tmp_path)
    unit = site.machines[0].srt
    assert unit is not None
    assert [(beam.kvp, beam.filter, beam.hvl_mm_al) for beam in unit.beams] == [
        (50.0, "F1", None),
        (70.0, "F2", 1.15),
    ]
    assert [a.ssd_cm for a in unit.applicators] == [15.0, 25.0]
    (chamber,) = site.file.instrument
    assert (chamber.t_ref_c, chamber.p_ref_kpa) == (20.0, 101.325)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"machine_class": "truebeam"}, "belongs to a machine of class srt"),
        ({"unit": UNIT.replace('"oregon"', '"atlantis"')}, "no rules of 'atlantis' are known"),
        ({"unit": UNIT.replace('"A30"\nrules', '"B"\nrules')}, "none of the applicators"),
        ({"unit": UNIT.replace("x_cm = 4, ", "")}, "has a diameter_cm, or x_cm and y_cm"),
        ({"unit": UNIT.replace("x_cm = 4", "diameter_cm = 4")}, "has a diameter_cm, or x_cm and"),
        ({"unit": UNIT.replace('70, filter = "F2"', '50, filter = "F1"')}, "listed twice"),
        ({"unit": UNIT.replace("kvp = 50", "kvp = 500")}, "less than or equal to 320"),
        ({"reference": ""}, "needs t_ref_c, from its certificate: there is no default"),
        ({"expires": "2025-01-10"}, "expires after it was made"),
        ({"expires": "2029-01-10"}, "within two years"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, said: dict[str, str], sentence: str) -> None:
    with pytest.raises(SiteError, match=sentence):
        read(tmp_path, **said)


def test_only_a_chamber_has_a_reference_temperature_of_need(tmp_path: Path) -> None:
    assert read(tmp_path, kind="barometer", reference="").file.instrument[0].t_ref_c is None


def test_registered_beams_change_what_results_are_made_with(tmp_path: Path) -> None:
    before = read(tmp_path).fingerprint
    assert read(tmp_path, unit=UNIT.replace("kvp = 50", "kvp = 60")).fingerprint != before
    assert read(tmp_path, expires="2027-01-10").fingerprint != before
