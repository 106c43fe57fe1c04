"""The imager models a site names: one file or several, each of its own machine and energy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analyzers.imager_records import to_json
from qa_daemon.simulate.epid_portal import IMAGER
from qa_daemon.site import imager_models
from qa_daemon.site.site import Site, SiteError, load


def site(folder: Path, named: str) -> Site:
    file = folder / "site.toml"
    file.write_text(
        '[site]\nname = "Clinic"\ntime_zone = "Europe/Berlin"\nstate_dir = "state"\n'
        f'[[machine]]\nname = "TB1"\nmachine_class = "truebeam"\n{named}\n'
    )
    return load(file, (), lambda: datetime.now(UTC))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for energy in ("6x", "10xFFF"):
        (tmp_path / f"{energy}.json").write_text(to_json(replace(IMAGER, energy=energy)))
    (tmp_path / "other.json").write_text(to_json(replace(IMAGER, machine="TB2")))
    return tmp_path


def test_the_model_of_a_beams_energy_is_taken(models: Path) -> None:
    both = site(models, 'imager_model = ["6x.json", "10xFFF.json"]')
    machine = both.machines[0]
    for energy, wanted in (("6X", "6x"), ("10X-FFF", "10xFFF")):
        found = imager_models.of_energy(both, machine, energy)
        assert found is not None and found.energy == wanted
    assert imager_models.of_energy(both, machine, "15X") is None
    assert imager_models.of_energy(both, machine, None) is None


def test_one_file_may_stand_alone_and_none_is_none(models: Path) -> None:
    one = site(models, 'imager_model = "6x.json"')
    assert imager_models.of_energy(one, one.machines[0], "6x") == replace(IMAGER, energy="6x")
    none = site(models, "")
    assert imager_models.of_energy(none, none.machines[0], "6x") is None


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ('"missing.json"', "cannot be read: No such file"),
        ('"site.toml"', "is not JSON"),
        ('"other.json"', "was fitted for TB2"),
        ('["6x.json", "6x.json"]', "two imager models of 6x"),
    ],
)
def test_a_model_that_cannot_be_used_is_told(models: Path, named: str, words: str) -> None:
    wrong = site(models, f"imager_model = {named}")
    with pytest.raises(SiteError, match=words):
        imager_models.of_energy(wrong, wrong.machines[0], "6x")
