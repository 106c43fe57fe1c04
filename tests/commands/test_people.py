"""`qa-daemon people password`: from the input and from a terminal, and who may read the file."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.site import passwords

RUNNER = CliRunner()
PASSWORD = "twelve leaves in a row"
SITE = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"
[[person]]
name = "Physicist A"
password_file = "secrets/a.password"
[[person]]
name = "Physicist B"
channels = ["mailto://b@example.org"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    (tmp_path / "secrets").mkdir()
    return path


def words(config: Path, name: str = "Physicist A") -> list[str]:
    return ["people", "password", name, "--config", str(config)]


def test_the_first_line_of_the_input_is_the_password(config: Path) -> None:
    done = RUNNER.invoke(app, words(config), input=f"{PASSWORD}\nmore\n")
    assert done.exit_code == 0 and PASSWORD not in done.output
    file = config.parent / "secrets/a.password"
    assert passwords.fits(PASSWORD, passwords.read(file))
    assert PASSWORD not in file.read_text()


@pytest.mark.parametrize(("site_mode", "mode"), [(0o640, 0o640), (0o644, 0o640), (0o600, 0o600)])
def test_the_file_is_for_those_who_read_the_site_file_and_not_for_everybody(
    config: Path, site_mode: int, mode: int
) -> None:
    config.chmod(site_mode)
    file = config.parent / "secrets/a.password"
    file.write_text("old")
    file.chmod(0o666)
    RUNNER.invoke(app, words(config), input=PASSWORD)
    made = file.stat()
    assert stat.S_IMODE(made.st_mode) == mode
    assert (made.st_uid, made.st_gid) == (config.stat().st_uid, config.stat().st_gid)
    assert [p.name for p in file.parent.iterdir()] == ["a.password"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_the_file_to_the_group_of_the_site_file(config: Path) -> None:
    os.chown(config, 0, 4711)
    RUNNER.invoke(app, words(config), input=PASSWORD)
    assert (config.parent / "secrets/a.password").stat().st_gid == 4711


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("Nobody", PASSWORD, "no [[person]] named"),
        ("Physicist B", PASSWORD, "has no password_file"),
        ("Physicist A", "short", "12 to 256 characters"),
        ("Physicist A", "", "12 to 256 characters"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(
    config: Path, name: str, said: str, sentence: str
) -> None:
    done = RUNNER.invoke(app, words(config, name), input=said)
    shown = " ".join(done.output.replace("│", " ").split())
    assert done.exit_code == 2 and sentence in shown
    assert list((config.parent / "secrets").iterdir()) == []


@pytest.mark.timeout(60)
def test_a_terminal_is_asked_twice_and_shows_nothing(config: Path) -> None:
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "qa_daemon", *words(config)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # without a terminal of its own, it asks on this one
    )
    os.close(theirs)
    shown = b""
    # With the space behind it: what is typed before the echo is off is thrown away.
    for question in (b"Password: ", b"Once more: "):
        while question not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, f"{PASSWORD}\n".encode())
    assert command.wait(timeout=60) == 0
    os.close(ours)
    assert PASSWORD.encode() not in shown
    assert passwords.fits(PASSWORD, passwords.read(config.parent / "secrets/a.password"))


def test_doctor_tells_who_can_sign_in(config: Path) -> None:
    def said() -> str:
        return RUNNER.invoke(app, ["doctor", "--config", str(config)]).output

    assert "PROBLEM Physicist A cannot sign in" in said()
    RUNNER.invoke(app, words(config), input=PASSWORD)
    assert "ok      Physicist A can sign in" in said()
    assert "1 people can be told" in said()
    (config.parent / "secrets/a.password").chmod(0o644)
    assert "PROBLEM Physicist A can sign in, and not everybody can read how" in said()
