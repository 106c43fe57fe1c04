"""Superficial kV units and the instruments of a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzers.catalogue import load as load_catalogue
from qa_daemon.app import utc_now
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site, SiteError
from qa_daemon.site.srt_settings import NoFactor

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
TABLE = """
t_ref_c = 20.0
n_k_gy_per_c = [
  {hvl_mm_al = 0.5, gy_per_c = 1.00e9},
  {hvl_mm_al = 2.0, gy_per_c = 1.04e9},
  {hvl_mm_al = 4.0, gy_per_c = 1.06e9},
]
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
        ({"unit": UNIT.replace('70, filter = "F2"', '50, filter = "f1"')}, "differ in case alone"),
        ({"unit": UNIT.replace('id = "R"', 'id = "a30"')}, "differ in case alone"),
        ({"unit": UNIT.replace("kvp = 50", "kvp = 500")}, "less than or equal to 320"),
        ({"reference": ""}, "needs t_ref_c, from its certificate: there is no default"),
        ({"expires": "2025-01-10"}, "expires after it was made"),
        ({"expires": "2029-01-10"}, "within two years"),
        ({"reference": "t_ref_c = 20.0\nn_k_gy_per_c = 1.0"}, "greater than or equal to 100000"),
        ({"kind": "barometer", "reference": "n_k_gy_per_c = 1e9"}, "belongs to a chamber"),
        ({"reference": TABLE.replace("0.5,", "5.0,")}, "have to rise, each once"),
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


@pytest.mark.parametrize(
    ("hvl_mm_al", "factor"),
    # Half-way between 0.5 and 2 mm Al in the logarithm is 1 mm Al.
    [(0.5, 1.00e9), (1.0, 1.02e9), (2.0, 1.04e9), (2.0 * 2.0**0.25, 1.045e9), (4.0, 1.06e9)],
)
def test_n_k_between_the_lines_of_the_certificate(
    tmp_path: Path, hvl_mm_al: float, factor: float
) -> None:
    (chamber,) = read(tmp_path, reference=TABLE).file.instrument
    assert chamber.n_k_at(hvl_mm_al) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("reference", "hvl_mm_al", "sentence"),
    [
        (TABLE, 0.49, "N_K from 0.5 to 4 mm Al, and this beam has 0.49 mm Al"),
        (TABLE, 4.01, "another chamber or calibration"),
        (TABLE, None, "this beam has no hvl_mm_al"),
        ("t_ref_c = 20.0", 1.0, "no n_k_gy_per_c for this chamber"),
    ],
)
def test_n_k_is_never_guessed(
    tmp_path: Path, reference: str, hvl_mm_al: float | None, sentence: str
) -> None:
    (chamber,) = read(tmp_path, reference=reference).file.instrument
    with pytest.raises(NoFactor, match=sentence):
        chamber.n_k_at(hvl_mm_al)


def test_one_n_k_is_for_every_beam(tmp_path: Path) -> None:
    (chamber,) = read(
        tmp_path, reference="t_ref_c = 20.0\nn_k_gy_per_c = 1000000000"
    ).file.instrument
    assert chamber.n_k_at(None) == chamber.n_k_at(1.1) == 1e9


PEOPLE = """
[[person]]
name = "{name}"
password_file = "p"
role = "therapist"
initials = "TT"
"""


def test_initials_are_one_persons(tmp_path: Path) -> None:
    one = PEOPLE.format(name="Therapist T")
    (person,) = read(tmp_path, unit=UNIT + one).file.person
    assert person.may_enter_checks and person.initials == "TT"
    with pytest.raises(SiteError, match="have the initials 'TT'"):
        read(tmp_path, unit=UNIT + one + PEOPLE.format(name="Therapist U"))


@pytest.mark.parametrize("values", ["[]", "[10, 10]", "[0.1]", "[100]", "[1, 2, 3, 4, 5, 6]"])
def test_alpha_beta_is_plausible(tmp_path: Path, values: str) -> None:
    with pytest.raises(SiteError, match="alpha_beta_gy"):
        read(tmp_path, unit=f"{UNIT}\n[courses]\nalpha_beta_gy = {values}\n")
