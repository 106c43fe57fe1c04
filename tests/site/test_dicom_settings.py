"""`[dicom]`: off when left out, and refused when somebody would be let in by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_daemon.ingest.dicom_peers import Peers
from qa_daemon.site.site import SiteError
from tests.site.test_site import CONTRACT, load

DICOM = """
[dicom]
port = 11113

[[dicom.peer]]
ae_title = "LINAC1"
addresses = ["10.1.2.3", "10.1.3.0/24", "fd00::7"]

[[dicom.peer]]
ae_title = "ARIA"
addresses = ["10.1.3.9"]
"""
LINKED = CONTRACT.replace('serial = "1234"', 'serial = "1234"\nae_title = "LINAC1"') + DICOM


def test_left_out_nothing_is_received(tmp_path: Path) -> None:
    assert load(tmp_path, CONTRACT).file.dicom is None


def test_defaults_keep_to_this_computer_and_to_what_is_read(tmp_path: Path) -> None:
    dicom = load(tmp_path, LINKED).file.dicom
    assert dicom is not None
    assert (dicom.host, dicom.ae_title, dicom.tls_files) == ("127.0.0.1", "QA_DAEMON", ())
    assert dicom.largest_object_mb is None


def test_a_sender_is_known_by_address_and_title(tmp_path: Path) -> None:
    site = load(tmp_path, LINKED)
    assert site.file.dicom is not None
    peers = Peers(site.file.dicom, site)
    assert peers.titles_at("10.1.2.3") == ["LINAC1"]
    assert peers.titles_at("::ffff:10.1.2.3") == ["LINAC1"]
    assert peers.titles_at("10.1.3.9") == ["LINAC1", "ARIA"]
    assert peers.titles_at("fd00::7") == ["LINAC1"]
    assert peers.titles_at("10.1.2.4") == []
    assert peers.titles_at("::1") == []
    assert peers.machine_of("LINAC1") == "TB1"
    assert peers.machine_of("ARIA") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("port = 11113", "port = 70000", "dicom.port"),
        ("port = 11113", 'color = "red"', "dicom.color: Extra inputs"),
        ("port = 11113", 'host = "qa-server"', "dicom.host"),
        ("port = 11113", 'ae_title = "SEVENTEEN_LETTERS"', "dicom.ae_title.*1 to 16"),
        ("port = 11113", 'certificate_file = "a.pem"', "go together"),
        ("port = 11113", 'client_ca_file = "a.pem"', "client_ca_file needs"),
        ("port = 11113", "largest_object_mb = 600", "never read"),
        ("port = 11113", 'idle_timeout = "0 s"', "dicom.idle_timeout"),
        ('"10.1.3.9"', '"10.1.3.9/24"', "dicom.peer.1.addresses.0.*zeros at its end"),
        ('"10.1.3.9"', '"aria.clinic"', "an address is written like"),
        ('"10.1.3.9"', '"0.0.0.0/0"', "every address there is"),
        ('"10.1.3.9"', '"::/0"', "every address there is"),
        ('["10.1.3.9"]', "[]", "dicom.peer.1.addresses"),
        ('"ARIA"', '"LINAC1"', "two \\[\\[dicom.peer\\]\\]"),
        ('"ARIA"', '" ARIA"', "dicom.peer.1.ae_title"),
        ('serial = "1234"\nae_title = "LINAC1"', 'ae_title = "LINAC2"', "'LINAC2': nothing would"),
        ('name = "CL1"', 'name = "CL1"\nae_title = "LINAC1"', "have the AE title 'LINAC1'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert LINKED.count(old) == 1
    with pytest.raises(SiteError, match=said):
        load(tmp_path, LINKED.replace(old, new))
