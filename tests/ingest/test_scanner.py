"""The scan alone, without any file event: nothing is taken early, nothing is missed."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qa_daemon.ingest.folders import Folder
from qa_daemon.store.archive import Archive, Forbidden
from qa_daemon.store.outbox import Outbox
from tests.ingest.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, settle_time=0.05)
    yield made
    made.close()


@pytest.fixture
def patient_clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Waits much longer than any of the writers below pauses, and looks all the time."""
    made = Clinic(tmp_path, settle_time=0.7, rescan_every=0.1)
    yield made
    made.close()


def until(condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < patience_s
        time.sleep(0.01)


def wait_for(clinic: Clinic, rows: int) -> None:
    until(lambda: len(clinic.rows()) >= rows)


def append_slowly(path: Path) -> None:
    for _ in range(7):
        with path.open("ab") as stream:
            stream.write(b"MAIN 1 ")
        time.sleep(0.12)


def pause_in_the_middle(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        stream.write(b"MAIN 1 ")
        time.sleep(0.25)
        stream.write(b"MAIN 1 ")
        time.sleep(0.25)
        stream.write(b"end")


def open_write_close_six_times(path: Path) -> None:
    for part in range(6):
        path.write_bytes(b"MAIN 1" + bytes(part))
        time.sleep(0.15)


def allocate_then_fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        stream.truncate(700)
        for part in range(7):
            time.sleep(0.12)
            stream.seek(100 * part)
            stream.write(b"MAIN 1  " * 10)


def copy_with_the_old_time_of_writing(path: Path) -> None:
    for part in range(7):
        with path.open("r+b" if part else "wb") as stream:
            stream.truncate(700)
            stream.seek(100 * part)
            stream.write(b"MAIN 1  " * 10)
        os.utime(path, ns=(10**18, 10**18))  # looks old and complete from the first byte on
        time.sleep(0.12)


def rename_when_finished(path: Path) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(b"MAIN 1")
    time.sleep(1.0)
    part.rename(path)


@pytest.mark.parametrize(
    "write",
    [
        append_slowly,
        pause_in_the_middle,
        open_write_close_six_times,
        allocate_then_fill,
        copy_with_the_old_time_of_writing,
        rename_when_finished,
    ],
    ids=lambda write: write.__name__,
)
def test_a_file_that_is_being_written_is_not_taken(
    patient_clinic: Clinic, write: Callable[[Path], None]
) -> None:
    clinic = patient_clinic
    clinic.scanner.start()
    path = clinic.incoming / "a_1.bin"
    write(path)
    assert clinic.rows() == []
    wait_for(clinic, 1)
    (stored,) = [p for p in (clinic.site.state_dir / "archive").rglob("*") if p.is_file()]
    assert stored.read_bytes() == path.read_bytes()


def test_what_is_appended_after_ingest_is_a_revision(clinic: Clinic) -> None:
    path = clinic.drop("a_1.bin", b"MAIN 1")
    clinic.process()
    before = path.stat()
    with path.open("ab") as stream:
        stream.write(b"2")
    clinic.process()
    assert clinic.rows() == [("a_1.bin", "replaced"), ("a_1.bin", "done")]
    assert clinic.active() == {"a_1.bin": (None, 12.0)}
    assert path.stat().st_ino == before.st_ino
    path.write_bytes(b"MAIN 1")  # the old content again
    clinic.process()
    assert clinic.active() == {"a_1.bin": (None, 1.0)}
    clinic.assert_sound()


def test_a_file_rewritten_with_its_old_size_and_time_is_seen(clinic: Clinic) -> None:
    path = clinic.drop("a_1.bin", b"MAIN 1")
    os.utime(path, ns=(10**18, 10**18))
    clinic.process()
    path.write_bytes(b"MAIN 2")
    os.utime(path, ns=(10**18, 10**18))
    clinic.process()
    assert clinic.active() == {"a_1.bin": (None, 2.0)}


def test_a_touched_file_changes_nothing(clinic: Clinic) -> None:
    path = clinic.drop("a_1.bin", b"MAIN 1")
    clinic.process()
    path.touch()
    path.chmod(0o600)
    clinic.process()
    assert clinic.rows() == [("a_1.bin", "done")]
    assert len(clinic.queries.results_since()) == 1


def test_ten_copies_at_once_are_one_result(clinic: Clinic) -> None:
    copies = [
        threading.Thread(target=clinic.drop, args=(f"share{n}/a_1.bin", b"MAIN 1"))
        for n in range(10)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    clinic.process()
    states = [state for _, state in clinic.rows()]
    assert sorted(states) == ["done", *["duplicate"] * 9]
    assert len(clinic.active()) == 1
    clinic.assert_sound()


def test_when_the_original_changes_a_copy_takes_its_place(clinic: Clinic) -> None:
    first = clinic.drop("first_1.bin", b"MAIN 1")
    clinic.process()
    clinic.drop("second_1.bin", b"MAIN 1")
    clinic.process()
    first.write_bytes(b"MAIN 2")
    clinic.process()
    assert clinic.active() == {"first_1.bin": (None, 2.0), "second_1.bin": (None, 1.0)}
    clinic.assert_sound()


def test_a_revision_to_content_known_elsewhere_withdraws_the_old_result(clinic: Clinic) -> None:
    partial = clinic.drop("first_1.bin", b"MAIN 1")
    clinic.drop("second_1.bin", b"MAIN 12")
    clinic.process()
    partial.write_bytes(b"MAIN 12")
    clinic.process()
    assert clinic.active() == {"second_1.bin": (None, 12.0)}
    assert [t.result for t in clinic.queries.board()] == [
        r.id for r in clinic.queries.results_since()
    ]
    clinic.assert_sound()


def test_only_regular_files_are_opened(clinic: Clinic, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a_1.bin").write_bytes(b"MAIN 1")
    (clinic.incoming / "link_1.bin").symlink_to(secret / "a_1.bin")
    (clinic.incoming / "loop").symlink_to(clinic.incoming)
    (clinic.incoming / "outside").symlink_to(secret)
    os.mkfifo(clinic.incoming / "fifo_1.bin")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(clinic.incoming / "s_1.bin"))
        clinic.drop("folder_1.bin/inside_2.bin", b"MAIN 2")
        clinic.process()
    assert clinic.rows() == [("inside_2.bin", "done")]


ZOO = [
    b"M\xc3\xbcller_1.bin",
    b"new\nline_1.bin",
    b"esc\x1b[31m_1.bin",
    b"\xe9t\xe9_1.bin",
    b"\\xe9t_1.bin",
    "a\u202etxt_1.bin".encode(),
    b"x" * 249 + b"_1.bin",
    b"CON_1.bin",
    b"trailing_1.bin ",
    b"-rf_1.bin",
    b"=cmd()_1.bin",
    b"..._1.bin.",
    b"%s%n_1.bin",
]


def test_any_name_works_and_none_is_in_a_log_line(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    folder = clinic.incoming / os.fsdecode(b"CANARY\xff")
    folder.mkdir()
    for number, name in enumerate(ZOO):
        (folder / os.fsdecode(name)).write_bytes(b"MAIN %d" % number)
    with caplog.at_level("DEBUG", logger="qa_daemon"):
        clinic.process()
    taken = [name for name in ZOO if not name.startswith(b".")]
    assert [state for _, state in clinic.rows()] == ["done"] * len(taken)
    judged = [r.getMessage() for r in caplog.records if r.getMessage().startswith("file judged")]
    assert len(judged) == len(taken)
    for hidden in ("CANARY", "_1.bin", str(clinic.top)):
        assert hidden not in caplog.text
    clinic.settle()
    assert len(clinic.rows()) == len(taken)  # known again, byte for byte


def test_a_share_that_goes_and_comes_is_no_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = Clinic(tmp_path, settle_time=0.05)
    clinic.drop("a_1.bin", b"MAIN 1")
    clinic.process()
    away = tmp_path / "away"
    clinic.incoming.rename(away)
    for _ in range(3):
        clinic.settle()
    (status,) = [s for s in clinic.scanner.status() if s.machine == "TB1"]
    assert not status.is_reachable
    assert status.last_scan_s_ago is not None
    away.rename(clinic.incoming)
    clinic.drop("b_1.bin", b"MAIN 2")
    clinic.process()
    assert all(s.is_reachable for s in clinic.scanner.status())
    assert clinic.states() == {"a_1.bin": "done", "b_1.bin": "done"}
    told = [r for r in caplog.records if "cannot be reached" in r.getMessage()]
    assert len(told) == 1
    clinic.assert_sound()
    clinic.close()


def test_a_folder_below_that_we_may_not_list_is_no_silence(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.drop("a_1.bin", b"MAIN 1")
    clinic.drop("CANARY/b_1.bin", b"MAIN 2")
    really = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("CANARY"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path)

    def of_machine() -> dict[str, object]:
        (status,) = [s for s in clinic.scanner.status() if s.machine == "TB1"]
        assert str(clinic.top) not in repr(status.form())
        return status.form()

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        clinic.process()
        assert of_machine()["is_reachable"] is False
        assert clinic.states() == {"a_1.bin": "done"}
    clinic.process()
    assert of_machine()["is_reachable"] is True
    assert clinic.states() == {"a_1.bin": "done", "b_1.bin": "done"}


def test_a_folder_of_the_file_system_itself_is_left_alone(clinic: Clinic) -> None:
    for name in ("lost+found", "System Volume Information", "$RECYCLE.BIN"):
        clinic.drop(f"{name}/a_1.bin", b"MAIN 1")
    clinic.process()
    assert clinic.rows() == []


def test_after_a_restart_nothing_is_taken_twice(tmp_path: Path) -> None:
    first = Clinic(tmp_path, settle_time=0.05)
    first.drop("a_1.bin", b"MAIN 1")
    first.settle()
    first.close()
    again = Clinic(tmp_path, settle_time=0.05)
    again.process()
    assert again.rows() == [("a_1.bin", "done")]
    again.assert_sound()
    again.close()


def test_an_empty_file_is_quarantined_after_a_minute(tmp_path: Path) -> None:
    now = [1000.0]
    clinic = Clinic(tmp_path, clock=lambda: now[0])
    for name in ("a_1.bin", "b_1.bin"):
        clinic.drop(name, b"")
    for elapsed in (0.0, 30.0, 29.0):
        now[0] += elapsed
        clinic.scanner.run_once()
    assert clinic.rows() == []
    now[0] += 2.0
    clinic.scanner.run_once()
    clinic.judge()
    assert clinic.active() == {"a_1.bin": ("EMPTY",), "b_1.bin": ("EMPTY",)}
    assert not [p for p in (clinic.site.state_dir / "archive").rglob("*") if p.is_file()]
    clinic.close()


def test_a_file_that_is_too_large_is_never_copied(clinic: Clinic) -> None:
    clinic.drop("a_1.bin", b"MAIN 1" + bytes(600_000))
    clinic.process()
    assert clinic.active() == {"a_1.bin": ("TOO_LARGE",)}
    assert not [p for p in (clinic.site.state_dir / "archive").rglob("*") if p.is_file()]


class ForbiddingArchive(Archive):
    """May not read some files."""

    forbidden = True

    def take(
        self, source: Path, is_settled: Callable[[os.stat_result], bool] = lambda _: True
    ) -> tuple[str, os.stat_result]:
        if self.forbidden and source.name.startswith("x"):
            raise Forbidden
        return super().take(source, is_settled)


def test_a_file_we_may_not_read_is_visible_and_taken_when_we_may(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, archive=ForbiddingArchive, settle_time=0.05)
    secret = clinic.drop("x_1.bin", b"MAIN 1")
    clinic.drop("a_1.bin", b"MAIN 2")
    clinic.process()
    assert clinic.active() == {"x_1.bin": ("UNREADABLE",), "a_1.bin": (None, 2.0)}
    clinic.process()
    assert len(clinic.rows()) == 2
    ForbiddingArchive.forbidden = False
    secret.chmod(0o644)
    clinic.process()
    assert clinic.active() == {"x_1.bin": (None, 1.0), "a_1.bin": (None, 2.0)}
    clinic.assert_sound()
    clinic.close()


def test_a_copy_we_may_read_now_is_looked_at_by_the_alerts(tmp_path: Path) -> None:
    ForbiddingArchive.forbidden = True
    clinic = Clinic(tmp_path, archive=ForbiddingArchive, settle_time=0.05)
    clinic.drop("a_1.bin", b"MAIN 1")
    secret = clinic.drop("x_1.bin", b"MAIN 1")
    clinic.process()
    (unread,) = [r.id for r in clinic.queries.results_since() if r.error_code]
    alerts = Outbox(clinic.store, "alerts")
    alerts.done(alerts.pending(9))
    ForbiddingArchive.forbidden = False
    secret.chmod(0o644)
    clinic.process()
    assert clinic.states() == {"a_1.bin": "done", "x_1.bin": "duplicate"}
    assert [item.result for item in alerts.pending(9)] == [unread]
    clinic.close()


def test_the_system_s_refusal_is_told_from_other_errors(tmp_path: Path) -> None:
    top = Path("/tmp") / f"qa-{os.getpid()}-{tmp_path.name}"
    top.mkdir()
    top.chmod(0o777)
    closed = top / "closed.bin"
    closed.write_bytes(b"MAIN 1")
    closed.chmod(0)
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            Archive(top / "state").take(closed)
        except Forbidden:
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


class FailingArchive(Archive):
    """Fails a few times, as a share with a fault or a full disk does."""

    errors: list[int] = []

    def take(
        self, source: Path, is_settled: Callable[[os.stat_result], bool] = lambda _: True
    ) -> tuple[str, os.stat_result]:
        if self.errors:
            code = self.errors.pop()
            raise OSError(code, os.strerror(code))
        return super().take(source, is_settled)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.ESTALE, errno.EBUSY])
def test_a_passing_fault_never_costs_the_file(tmp_path: Path, code: int) -> None:
    now = [1000.0]
    clinic = Clinic(tmp_path, archive=FailingArchive, clock=lambda: now[0])
    FailingArchive.errors = [code] * 4
    clinic.drop("a_1.bin", b"MAIN 1")
    clinic.drop("b_1.bin", b"MAIN 2")
    for _ in range(12):
        now[0] += 2.0
        clinic.scanner.run_once()
    assert clinic.states() == {"a_1.bin": "queued", "b_1.bin": "queued"}
    clinic.judge()
    clinic.assert_sound()
    clinic.close()


def test_a_share_that_hangs_holds_no_other_folder_up(tmp_path: Path) -> None:
    hangs = threading.Event()

    class HangingArchive(Archive):
        def take(
            self, source: Path, is_settled: Callable[[os.stat_result], bool] = lambda _: True
        ) -> tuple[str, os.stat_result]:
            if "share" in source.parts:
                hangs.wait(20.0)
            return super().take(source, is_settled)

    (tmp_path / "share").mkdir()
    (tmp_path / "share/a_1.bin").write_bytes(b"MAIN 1")
    folders = [
        Folder(str(tmp_path / "share"), "TB1", is_network=True),
        Folder(str(tmp_path / "in"), "TB1"),
    ]
    clinic = Clinic(tmp_path, archive=HangingArchive, folders=folders, settle_time=0.05)
    clinic.drop("b_1.bin", b"MAIN 2")
    clinic.scanner.start()
    wait_for(clinic, 1)
    assert clinic.states() == {"b_1.bin": "queued"}
    hangs.set()
    wait_for(clinic, 2)
    clinic.close()
