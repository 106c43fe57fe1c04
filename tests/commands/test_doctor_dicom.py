"""What `doctor` says of the DICOM port."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from qa_daemon.__main__ import app

SITE = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
ae_title = "LINAC1"
[dicom]
keep_free_gb = {free}
{tls}
[[dicom.peer]]
ae_title = "LINAC1"
addresses = ["10.1.2.3"]
"""


def said(tmp_path: Path, free: str = "0", tls: str = "") -> str:
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(free=free, tls=tls))
    return CliRunner().invoke(app, ["doctor", "--config", str(path)]).output


def test_a_machine_that_sends_needs_no_folder(tmp_path: Path) -> None:
    assert "ok      TB1 sends over the network" in said(tmp_path)
    assert "ok      1 senders may send DICOM objects to port 11112" in said(tmp_path)


def test_little_space_and_papers_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    assert "PROBLEM more than [dicom] keep_free_gb" in said(tmp_path, free="1e6")
    answer = said(tmp_path, tls='certificate_file = "a.pem"\nkey_file = "a.key"')
    assert "PROBLEM " in answer
    assert "dicom.certificate_file" in answer
