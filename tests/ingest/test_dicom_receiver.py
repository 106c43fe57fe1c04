"""Receiving from a real sender (dcmtk): whole, once, from those who may, with and without TLS."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pydicom
import pytest

from qa_daemon.failures import Unavailable
from qa_daemon.ingest.dicom_receiver import Receiver
from qa_daemon.site.site import SiteError
from tests.ingest.receiving import (
    CANARY_UID,
    PEERS,
    Reception,
    echoscu,
    pixels,
    proxy,
    reception,
    storescu,
    until,
    write_image,
    write_images,
)
from tests.servers import installed

SUCCESS = "Received Store Response (Success)"


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """In memory where there is such a place: a thousand files are made durable four times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Reception]:
    with reception(tmp_path) as made:
        yield made


def test_a_thousand_images_of_two_senders_at_once_arrive_pixel_by_pixel(
    quick_folder: Path,
) -> None:
    folders = {
        "STORESCU": write_images(quick_folder / "a", range(500)),
        "LINAC1": write_images(quick_folder / "b", range(500, 1000)),
    }
    with reception(quick_folder) as desk:
        _send_both(desk, folders)


def _send_both(desk: Reception, folders: dict[str, Path]) -> None:
    said: dict[str, subprocess.CompletedProcess[str]] = {}

    def send(title: str) -> None:
        said[title] = storescu(desk.port, "+sd", folders[title], aet=title)

    senders = [Thread(target=send, args=(title,)) for title in folders]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [s.returncode for s in said.values()] == [0, 0], said
    assert [(s.stdout + s.stderr).count(SUCCESS) for s in said.values()] == [500, 500]
    assert sorted(desk.hints) == sorted(str(entry) for entry in desk.inbox.iterdir())

    taken = desk.taken()
    assert len(taken) == 1000
    seen = set()
    for path, archived in taken.items():
        image = pydicom.dcmread(archived)
        number = int(image.SOPInstanceUID.rpartition(".")[2]) - 100_000
        assert (image.pixel_array == pixels(100_000 + number)).all()
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert path.startswith("dicom/STORESCU/" if number < 500 else "dicom/LINAC1/")
        seen.add(number)
    assert seen == set(range(1000))
    assert list(desk.parts.iterdir()) == []


def test_the_same_object_again_is_known_and_another_with_its_uid_is_kept(
    desk: Reception, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "1.dcm", 1)
    for _ in range(2):
        assert storescu(desk.port, image).returncode == 0
        assert len(desk.taken()) == 1
    # From another sender it is a copy: the same bytes under another path.
    assert storescu(desk.port, image, aet="LINAC1").returncode == 0
    assert len(set(desk.taken().values())) == 1
    assert [state for _, state in desk.clinic.rows()] == ["queued", "duplicate"]
    other = write_image(tmp_path / "2.dcm", 2, uid=f"{CANARY_UID}.1")
    assert storescu(desk.port, other).returncode == 0
    assert len(set(desk.taken().values())) == 2


def test_the_machine_is_the_one_that_the_sender_sends_for(tmp_path: Path) -> None:
    image = write_image(tmp_path / "1.dcm", 1)
    with reception(tmp_path, '\n[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\n'
                   'ae_title = "LINAC1"\n') as desk:  # fmt: skip
        for title in ("STORESCU", "LINAC1"):
            assert storescu(desk.port, image, aet=title).returncode == 0
        desk.taken()
        machines = {f.folder: f.machine for f in desk.clinic.ledger._select(limit=10)}
    assert machines == {"dicom/STORESCU": None, "dicom/LINAC1": "TB2"}


@pytest.mark.parametrize(
    ("aet", "aec", "reason"),
    [
        ("STORESCU", "ANY_SCP", "Called AE Title Not Recognized"),
        ("UNKNOWN", "QA_DAEMON", "Calling AE Title Not Recognized"),
        ("ELSEWHERE", "QA_DAEMON", "Calling AE Title Not Recognized"),
        ("storescu", "QA_DAEMON", "Calling AE Title Not Recognized"),
    ],
)
def test_who_may_not_send_is_turned_away(
    desk: Reception, tmp_path: Path, aet: str, aec: str, reason: str
) -> None:
    said = storescu(desk.port, write_image(tmp_path / "1.dcm", 1), aet=aet, aec=aec)
    assert said.returncode != 0
    assert reason in said.stdout + said.stderr
    assert desk.taken() == {}


def test_an_address_that_is_nobodys_hears_nothing(tmp_path: Path) -> None:
    peers = PEERS.replace("127.0.0.1", "10.9.9.9").replace("127.0.0.0/8", "127.0.0.9")
    with reception(tmp_path, peers=peers) as desk:
        assert echoscu(desk.port).returncode != 0
        assert desk.receiver._connections == set()


def test_any_class_and_any_transfer_syntax_is_taken_as_it_comes(
    desk: Reception, tmp_path: Path
) -> None:
    private = write_image(tmp_path / "1.dcm", 1, sop_class="1.2.246.352.70.1.70")
    implicit = write_image(tmp_path / "2.dcm", 2, transfer_syntax="1.2.840.10008.1.2")
    big = write_image(tmp_path / "3.dcm", 3, transfer_syntax="1.2.840.10008.1.2.2")
    jpeg = write_image(tmp_path / "4.dcm", 4, transfer_syntax="1.2.840.10008.1.2.4.70")
    _send_with_pynetdicom(desk.port, [private])
    for option, image in (("-xi", implicit), ("-xb", big), ("-xs", jpeg)):
        said = storescu(desk.port, option, image)
        assert SUCCESS in said.stdout + said.stderr, said
    kept = [pydicom.dcmread(path) for path in desk.taken().values()]
    assert {(str(k.SOPClassUID), str(k.file_meta.TransferSyntaxUID)) for k in kept} >= {
        ("1.2.246.352.70.1.70", "1.2.840.10008.1.2.1"),
        ("1.2.840.10008.5.1.4.1.1.481.1", "1.2.840.10008.1.2"),
        ("1.2.840.10008.5.1.4.1.1.481.1", "1.2.840.10008.1.2.2"),
        ("1.2.840.10008.5.1.4.1.1.481.1", "1.2.840.10008.1.2.4.70"),
    }


def _send_with_pynetdicom(port: int, paths: list[Path]) -> None:
    from pynetdicom.ae import ApplicationEntity

    sender = ApplicationEntity("STORESCU")
    for path in paths:
        image = pydicom.dcmread(path)
        sender.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    made = sender.associate("127.0.0.1", port, ae_title="QA_DAEMON")
    assert made.is_established
    try:
        for path in paths:
            assert made.send_c_store(path).Status == 0x0000
    finally:
        made.release()


def test_little_space_and_large_objects_are_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    large = write_image(folder / "1.dcm", 1, size=400)
    small = write_image(folder / "2.dcm", 2)
    peers = PEERS.replace("port = 0", "port = 0\nlargest_object_mb = 0.1")
    with reception(tmp_path, peers=peers) as desk:
        said = storescu(desk.port, "-nh", large, small)
        assert "Error: CannotUnderstand" in said.stdout + said.stderr
        assert SUCCESS in said.stdout + said.stderr
        assert len(desk.taken()) == 1
    (tmp_path / "full").mkdir()
    peers = PEERS.replace("keep_free_gb = 0", "keep_free_gb = 1e6")
    with reception(tmp_path / "full", peers=peers) as desk:
        said = storescu(desk.port, small)
        assert "Refused: OutOfResources" in said.stdout + said.stderr
        assert desk.taken() == {}
        assert list(desk.parts.iterdir()) == []


@pytest.mark.parametrize("after", [100, 3_000, 200_000, 400_000])
def test_a_cut_at_any_point_leaves_nothing_and_the_object_comes_again(
    desk: Reception, tmp_path: Path, after: int
) -> None:
    image = write_image(tmp_path / "1.dcm", 1, size=450)
    with proxy(desk.port, after, then_cut=True) as through:
        assert storescu(through, image).returncode != 0
    until(lambda: not desk.receiver._connections, "noticed")
    assert list(desk.parts.iterdir()) == []
    assert desk.taken() == {}
    assert storescu(desk.port, image).returncode == 0
    assert len(desk.taken()) == 1


def test_a_port_in_use_says_what_to_do(desk: Reception) -> None:
    dicom = desk.clinic.site.file.dicom
    assert dicom is not None
    again = dicom.model_copy(update={"port": desk.port})
    with pytest.raises(Unavailable, match="set \\[dicom\\] port"):
        Receiver(desk.clinic.site, again, lambda _: None)


def test_logs_name_nobody(
    desk: Reception,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("pydicom", "pynetdicom"):  # as `set_up_logging` does
        monkeypatch.setattr(logging.getLogger(name), "level", logging.CRITICAL)
    caplog.set_level(logging.DEBUG)
    image = write_image(tmp_path / "1.dcm", 1, size=450)
    assert storescu(desk.port, image).returncode == 0
    with proxy(desk.port, 200_000, then_cut=True) as through:
        storescu(through, image)
    storescu(desk.port, image, aet="UNKNOWN")
    until(lambda: not desk.receiver._connections, "ended")
    assert "received objects=1" in caplog.text
    assert "UNKNOWN does not call QA_DAEMON, or may not send" in caplog.text
    for word in ("CANARY", CANARY_UID):
        assert word not in caplog.text


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate with key for `server` and for `client`; a stranger's too."""
    folder, openssl = tmp_path_factory.mktemp("papers"), installed("openssl")

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True, timeout=60)

    for ca in ("ca", "stranger-ca"):
        run("req", "-x509", *key, "-days", "2", "-subj", f"/CN={ca}",
            "-keyout", f"{ca}.key", "-out", f"{ca}.pem")  # fmt: skip
    for who, ca in (("server", "ca"), ("client", "ca"), ("stranger", "stranger-ca")):
        run("req", *key, "-subj", f"/CN={who}",
            "-keyout", f"{who}.key", "-out", f"{who}.csr")  # fmt: skip
        run("x509", "-req", "-in", f"{who}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", "2", "-out", f"{who}.pem")  # fmt: skip
    return folder


def _with_tls(papers: Path, *, client_ca: bool) -> str:
    keys = f'certificate_file = "{papers}/server.pem"\nkey_file = "{papers}/server.key"\n'
    if client_ca:
        keys += f'client_ca_file = "{papers}/ca.pem"\n'
    return PEERS.replace("port = 0\n", f"port = 0\n{keys}")


def test_tls_lets_in_whom_the_authority_signed(tmp_path: Path, papers: Path) -> None:
    image = write_image(tmp_path / "1.dcm", 1)
    with reception(tmp_path, peers=_with_tls(papers, client_ca=True)) as desk:
        for who, is_let_in in (("client", True), ("stranger", False)):
            said = echoscu(desk.port, "+tls", str(papers / f"{who}.key"),
                           str(papers / f"{who}.pem"), "+cf", str(papers / "ca.pem"))  # fmt: skip
            assert (said.returncode == 0) == is_let_in, said
        assert echoscu(desk.port).returncode != 0
        command = [installed("storescu"), "-aec", "QA_DAEMON", "+tls", str(papers / "client.key"),
                   str(papers / "client.pem"), "+cf", str(papers / "ca.pem"), "127.0.0.1",
                   str(desk.port), str(image)]  # fmt: skip
        assert subprocess.run(command, timeout=60).returncode == 0
        (archived,) = desk.taken().values()
        assert (pydicom.dcmread(archived).pixel_array == pixels(1)).all()


def test_tls_without_client_certificates_hides_what_is_sent(tmp_path: Path, papers: Path) -> None:
    with reception(tmp_path, peers=_with_tls(papers, client_ca=False)) as desk:
        assert echoscu(desk.port, "+tla", "+cf", str(papers / "ca.pem")).returncode == 0


def test_papers_that_cannot_be_used_refuse_to_start(tmp_path: Path, papers: Path) -> None:
    good = _with_tls(papers, client_ca=True)
    for wrong, key in (
        (good.replace("server.key", "client.key"), "dicom.key_file"),
        (good.replace("server.pem", "nowhere.pem"), "dicom.certificate_file"),
        (good.replace("ca.pem", "ca.key"), "dicom.client_ca_file"),
    ):
        with pytest.raises(SiteError, match=key):
            Reception(tmp_path, peers=wrong)
