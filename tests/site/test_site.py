"""The site file: complete by its defaults, refused when a key is wrong, and its limits in force."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from analyzers import catalogue
from qa_daemon.model import Verdict
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site, SiteError
from qa_daemon.verdict import judge

CONTRACT = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"

[[machine]]
name = "TB1"
machine_class = "truebeam"
mlc = "hd120"
serial = "1234"
folders = ["incoming/TB1"]

[[machine]]
name = "CL1"
machine_class = "clinac"
folders = ["incoming", "incoming/TB1/odd"]

[ingest]
settle_time = "5 s"
rescan_every = "60 s"

[influx]
url = "http://127.0.0.1:8086"
api = "v1"
database = "qa"

[[person]]
name = "Physicist A"
channels = ["mailto://a@example.org"]

[rota]
weekly = [{ from = "Mon 08:00", person = "Physicist A" }]

[web]
host = "127.0.0.1"
port = 8765
"""


def load(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return sites.load(path, catalogue.load().analyzers, lambda: datetime(2026, 3, 1, tzinfo=UTC))


def test_the_contract_is_a_complete_site(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)
    assert site.name == "Clinic"
    assert site.state_dir == tmp_path / "state"
    assert site.folders_of(site.machines[0]) == [tmp_path / "incoming/TB1"]
    assert site.file.ingest.settle_time.total_seconds() == 5.0
    assert site.base_url == "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Clinic"', 'name = "Clinic"\ncolor = "red"', "site.color: Extra inputs"),
        ("Europe/Berlin", "Berlin", "site.time_zone"),
        ('"truebeam"', '"tomo"', "machine.0.machine_class"),
        ('"5 s"', '"5"', "ingest.settle_time"),
        ('database = "qa"', "", "needs a database"),
        ("Mon 08:00", "Monday 8:00", "rota.weekly.0.from"),
        ('person = "Physicist A" }', 'person = "B" }', "no \\[\\[person\\]\\] named 'B'"),
        ('name = "CL1"', 'name = "TB1"', "two \\[\\[machine\\]\\]"),
        ('host = "127.0.0.1"', 'host = "0.0.0.0"', "without TLS"),
        ("[web]", "[web", "not TOML"),
        ('channels = ["mailto://a@example.org"]', "", "person.0: .*needs channels"),
        (
            'channels = ["mailto://a@example.org"]',
            'password_file = "a.password"',
            "rota: 'Physicist A' has no channels",
        ),
        ("[rota]", '[[person]]\nname = "B"\nrole = "lead"\n[rota]', "person.1.role"),
        ('folders = ["incoming/TB1"]', 'folders = ["."]', "machine.0.folders: the state folder"),
        ('"http://127.0.0.1:8086"', '"127.0.0.1:8086"', "influx.url"),
        ('"http://127.0.0.1:8086"', '"http://bob:secret@127.0.0.1:8086"', "no user or password"),
        ('"60 s"', '"0 s"', "ingest.rescan_every"),
        ('name = "TB1"', 'name = "TB\\n1"', "machine.0.name"),
        ('name = "TB1"', 'name = "Unknown"', "machine.0: .*of records of no machine"),
    ],
)
def test_a_wrong_key_is_named_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        load(tmp_path, CONTRACT.replace(old, new, 1))


def test_a_person_who_only_signs_in_is_told_nothing(tmp_path: Path) -> None:
    signs_in = '[[person]]\nname = "B"\npassword_file = "b.password"\n'
    site = load(tmp_path, CONTRACT.replace("[rota]", signs_in + "[rota]"))
    assert [person.name for person in site.file.person] == ["Physicist A", "B"]
    assert [person.name for person in site.reachable] == ["Physicist A"]
    assert {person.role for person in site.file.person} == {"physicist"}


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no such file"):
        sites.load(tmp_path / "none.toml", (), lambda: datetime.now(UTC))


def test_the_deepest_folder_owns_a_file(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)

    def owner(path: str) -> str | None:
        machine = site.machine_of_path(tmp_path / path)
        return machine.name if machine else None

    assert owner("incoming/TB1/day/x.bin") == "TB1"
    assert owner("incoming/TB1/odd/x.bin") == "CL1"
    assert owner("incoming/x.bin") == "CL1"
    assert owner("elsewhere/x.bin") is None


def test_a_serial_names_a_machine(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)
    found = site.machine_of_serial("1234")
    assert found is not None and found.name == "TB1"
    assert site.machine_of_serial("99") is None
    assert site.machine_of_serial(None) is None


LIMITS = """
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB1"
tolerance = "0.5 mm"
action = "1.0 mm"
effective_from = 2026-03-01
author = "Physicist A"
reason = "new MLC motors"

[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine_class = "truebeam"
tolerance = 0.2
action = 0.4
effective_from = 2026-01-01
author = "Physicist A"
reason = "class"
"""


def test_limits_of_the_machine_go_before_the_class_and_the_default(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT + LIMITS)
    machine = site.machines[0]

    def action_on(day: date) -> tuple[float | None, str]:
        limits = site.limits_for("mlc_positions.worst_leaf_rms", "truebeam", machine, day)
        assert limits is not None
        return limits.action_high, limits.source

    assert action_on(date(2025, 12, 31))[0] == 0.35  # the product default, standards 1.3
    assert action_on(date(2026, 2, 28))[0] == 0.4
    value, source = action_on(date(2026, 3, 1))
    assert value == 1.0
    assert source == "site: Physicist A, 2026-03-01, new MLC motors"


def test_a_clinac_is_not_judged_by_truebeam_limits(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)
    limits = site.limits_for("mlc_positions.worst_leaf_rms", "clinac", None, date(2026, 3, 1))
    assert limits is not None
    assert (limits.tolerance_high, limits.action_high) == (1.0, 1.5)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (LIMITS.replace("worst_leaf_rms", "best_leaf"), "no metric"),
        (LIMITS.replace('"TB1"', '"TB9"', 1), "named 'TB9'"),
        (LIMITS.replace('author = "Physicist A"\n', "", 1), "author"),
        (LIMITS.replace('reason = "new MLC motors"\n', "", 1), "reason"),
        ("[analyzer.mlc_positions]\nfewest = 3\n", "analyzer.mlc_positions"),
        ("[analyzer.mlc_position]\n", "no such analyzer"),
    ],
)
def test_wrong_limits_and_settings_refuse_to_start(tmp_path: Path, extra: str, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        load(tmp_path, CONTRACT + extra)


def test_a_class_without_limits_for_a_judged_metric_never_passes(tmp_path: Path) -> None:
    site = load(tmp_path, CONTRACT)
    day = date(2026, 3, 1)
    limits = site.limits_for("mlc_positions.worst_leaf_rms", "srt", None, day)
    assert limits is not None
    assert judge(0.0, limits) is Verdict.INVALID
    assert site.limits_for("beam_holds.count", "srt", None, day) is None  # trend-only stays so
