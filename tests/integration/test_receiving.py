"""The whole daemon receives: from Orthanc, and through kill -9 in the middle."""

from __future__ import annotations

import hashlib
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import Row, select

from qa_daemon.store.archive import Archive
from qa_daemon.store.schema import files
from qa_daemon.store.store import Store, url_of
from tests.ingest.receiving import CANARY_UID, echoscu, pixels, storescu, write_images
from tests.integration.daemon import Daemon, write_site
from tests.servers import free_port, installed, orthanc_server

pytestmark = pytest.mark.xdist_group("receiving")
SECTION = """
[dicom]
port = {port}
keep_free_gb = 0.1

[[dicom.peer]]
ae_title = "STORESCU"
addresses = ["127.0.0.1"]

[[dicom.peer]]
ae_title = "ORTHANC"
addresses = ["127.0.0.0/24"]
"""


def rows(daemon: Daemon) -> list[Row[tuple[str, str]]]:
    """Folder and content of every file of the ledger."""
    opened = Store(url_of(daemon.folder / "state"), lambda: datetime.now(UTC))
    with closing(opened) as store, store.read() as connection:
        query = select(files.c.folder, files.c.sha256)
        return list(connection.execute(query))


def numbers(daemon: Daemon) -> list[int]:
    """Of which images the archive holds the pixels, row by row; all others raise."""
    found = []
    archive = Archive(daemon.folder / "state")
    for _, sha256 in rows(daemon):
        path = archive.path_of(sha256)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        image = pydicom.dcmread(path)
        number = int(image.SOPInstanceUID.rpartition(".")[2])
        assert (image.pixel_array == pixels(number)).all()
        found.append(number - 100_000)
    return sorted(found)


def is_taken_in(daemon: Daemon) -> bool:
    """Whether the ledger has all that was answered; what a worker says of it is not waited for."""
    return not any((daemon.folder / "state" / "inbox").iterdir())


def test_what_orthanc_forwards_is_in_the_ledger_and_no_log_names_anybody(tmp_path: Path) -> None:
    installed("Orthanc")
    port = free_port()
    config = write_site(tmp_path, more=SECTION.format(port=port))
    images = write_images(tmp_path / "images", range(20))
    (tmp_path / "orthanc").mkdir()
    with Daemon(config) as daemon, orthanc_server(tmp_path / "orthanc", port) as orthanc:
        assert echoscu(port).returncode == 0
        sent = storescu(orthanc.dicom_port, "+sd", images, aec="ORTHANC")
        assert sent.returncode == 0, sent
        for _ in range(2):  # once more: nothing new
            assert orthanc.send_all() == 20
            daemon.until(lambda: is_taken_in(daemon), "in the ledger")
        assert numbers(daemon) == list(range(20))
        assert {folder for folder, _ in rows(daemon)} == {"dicom/ORTHANC"}
    log = daemon.log.read_text()
    assert "received objects=20" in log
    assert daemon.process.returncode == 0
    for word in ("CANARY", CANARY_UID):
        assert word not in log


def test_kill_9_loses_nothing_that_was_answered_and_doubles_nothing(tmp_path: Path) -> None:
    port = free_port()
    config = write_site(tmp_path, more=SECTION.format(port=port))
    images = write_images(tmp_path / "images", range(150))
    inbox = tmp_path / "state" / "inbox"
    command = [installed("storescu"), "-v", "-aec", "QA_DAEMON", "+sd", "127.0.0.1", str(port)]
    daemon = Daemon(config)
    daemon.__enter__()
    try:
        with (tmp_path / "sent").open("wb") as log:
            sending = subprocess.Popen([*command, str(images)], stdout=log, stderr=log)
        daemon.until(lambda: any(rows(daemon)) and any(inbox.iterdir()), "in the middle")
        time.sleep(0.05)
    finally:
        daemon.process.kill()
        daemon.process.wait()
    assert sending.wait(60) != 0, "it had sent everything: the kill came too late"
    answered = (tmp_path / "sent").read_text().count("Received Store Response (Success)")
    assert 0 < answered < 150

    with Daemon(config) as again:
        again.until(lambda: is_taken_in(again), "taken in")
        kept = numbers(again)
        assert answered <= len(kept) <= answered + 1  # the last answer may have been cut off
        assert len(set(kept)) == len(kept)
        assert list((tmp_path / "state" / "inbox-parts").iterdir()) == []
        assert storescu(port, "+sd", images).returncode == 0
        again.until(lambda: is_taken_in(again), "in the ledger")
        assert numbers(again) == list(range(150))
