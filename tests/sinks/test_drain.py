from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import pytest

from qa_daemon.model import Verdict
from qa_daemon.sinks.drain import Drain, Misconfigured, Pace, Rejected, Unreachable
from qa_daemon.sinks.influx import InfluxSink, check
from qa_daemon.store.outbox import Item, Outbox
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.store import Store
from tests.alerts.clinic import CANARY, Clinic, analysis
from tests.servers import Stub, free_port
from tests.sinks.sending import FAST, drain_of, fill, v1, v2, wait_until, waiting, written_lines

SITES: dict[str, Callable[..., dict[str, object]]] = {"v1": v1, "v2": v2}
Answer = str | tuple[int, dict[str, str], bytes]


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize(
    "trouble",
    [
        (500, {}, b'{"error":"timeout"}'),
        (503, {}, b"<html>busy</html>"),
        (429, {"Retry-After": "0"}, b""),
        (200, {}, b"<html>please sign in</html>"),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (403, {}, b'{"message":"forbidden"}'),
        "reset",
        "cut",
        "silence",
    ],
    ids=lambda trouble: trouble if isinstance(trouble, str) else str(trouble[0]),
)
def test_trouble_delays_and_loses_nothing(
    stub: Stub, tmp_path: Path, api: str, trouble: Answer
) -> None:
    clinic = Clinic(tmp_path, SITES[api](stub.url, timeout="200 ms"))
    fill(clinic, 10)
    stub.script += [trouble, trouble]
    drain = drain_of(clinic)
    drain.start()
    wait_until(lambda: waiting(clinic) == 0)
    drain.stop()
    assert len(stub.requests) == 3
    assert stub.requests[0][2] == stub.requests[2][2]
    assert clinic.influx_box.status()["behind"] == 0


def test_a_refused_connection_delays_and_loses_nothing(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v1(f"http://127.0.0.1:{free_port()}"))
    fill(clinic, 3)
    drain = drain_of(clinic)
    drain.start()
    wait_until(lambda: clinic.influx_box.status()["last_error"] is not None)
    drain.stop()
    status = clinic.influx_box.status()
    assert (status["behind"], status["last_error"]) == (3, "the server refuses the connection")


def test_a_server_may_ask_for_patience(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v1(stub.url))
    fill(clinic, 1)
    stub.script.append((429, {"Retry-After": "1"}, b""))
    drain = drain_of(clinic)
    begin = time.monotonic()
    drain.start()
    wait_until(lambda: waiting(clinic) == 0)
    drain.stop()
    assert time.monotonic() - begin >= 1.0


def test_a_rejected_result_is_found_and_set_aside_in_few_requests(
    stub: Stub, tmp_path: Path
) -> None:
    clinic = Clinic(tmp_path)
    fill(clinic, 64)
    sink = Picky(refuses={17})
    Drain(clinic.store, clinic.influx_box, clinic.queries, sink, FAST).drain()
    assert waiting(clinic) == 0
    assert clinic.influx_box.status()["behind"] == 1
    assert sorted(sink.taken) == [n for n in range(1, 65) if n != 17]
    assert sink.calls == 1 + 2 * 6


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_configuration_holds_everything(stub: Stub, tmp_path: Path, status: int) -> None:
    clinic = Clinic(tmp_path, v1(stub.url))
    fill(clinic, 20)
    stub.always = (status, {}, b'{"error":"no"}')
    with pytest.raises(Misconfigured, match=f"answered {status}: no"):
        drain_of(clinic).drain()
    assert waiting(clinic) == 20


@pytest.mark.parametrize("said", [b"database is required", b"Please provide either orgID or org"])
def test_a_request_that_no_point_can_mend_sets_none_aside(said: bytes) -> None:
    with pytest.raises(Misconfigured):
        check(400, {}, b'{"error":"' + said + b'"}')
    with pytest.raises(Rejected, match="partial write"):
        check(400, {}, b'{"error":"partial write: field type conflict"}')


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("body", [b'{"error":"Z\xfcrich"}', b"[" * 100_000, b"\xff" * 5_000_000])
def test_an_answer_that_cannot_be_read_holds_up_nothing(
    stub: Stub, tmp_path: Path, api: str, body: bytes
) -> None:
    clinic = Clinic(tmp_path, SITES[api](stub.url))
    fill(clinic, 1)
    for status in (502, 502, 400):
        stub.script.append((status, {"Content-Type": "text/html"}, body))
    with pytest.raises(Unreachable, match="answered 502"):
        drain_of(clinic).drain()
    with pytest.raises(Unreachable, match="answered 502"):
        drain_of(clinic).drain()
    drain_of(clinic).drain()
    status = clinic.influx_box.status()
    assert (waiting(clinic), status["behind"]) == (0, 1)


def test_superseded_results_are_not_written(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v1(stub.url))
    file = clinic.file()
    clinic.put(analysis(Verdict.ACTION), file=file)
    clinic.put(analysis(Verdict.PASS), file=clinic.judge_again(file))
    drain_of(clinic).drain()
    lines = written_lines(stub.requests)
    assert not any("verdict=2i" in line for line in lines)
    assert waiting(clinic) == 0


def test_a_crash_between_write_and_note_sends_the_same_lines_again(
    stub: Stub, tmp_path: Path
) -> None:
    clinic = Clinic(tmp_path, v1(stub.url))
    fill(clinic, 10)
    sink, box = InfluxSink(clinic.site), KilledBeforeNoting(clinic.store, "influx")
    with pytest.raises(Killed):
        Drain(clinic.store, box, clinic.queries, sink).drain()
    drain_of(clinic).drain()
    first, second = (body for _, _, body in stub.requests)
    assert first == second


def test_secrets_are_sent_and_never_shown(
    stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("hush-hush\n")
    for number, site in enumerate(
        (
            v1(stub.url, user="qa", password_file="secret"),
            v2(stub.url, org="clinic", token_file="secret"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        influx = site["influx"]
        assert isinstance(influx, dict)
        name = "password_file" if number == 0 else "token_file"
        clinic = Clinic(folder, {"influx": {**influx, name: "../secret"}})
        fill(clinic, 1)
        stub.script += [(401, {}, b'{"error":"hm"}')]
        drain = drain_of(clinic)
        drain.start()
        wait_until(lambda: waiting(clinic) == 0)  # noqa: B023
        drain.stop()
        shown = repr(InfluxSink(clinic.site)) + repr(drain) + caplog.text
        shown += str(clinic.influx_box.status())
        assert "hush" not in shown
    sent = [headers["Authorization"] for _, headers, _ in stub.requests]
    assert sent == ["Basic cWE6aHVzaC1odXNo"] * 2 + ["Token hush-hush"] * 2


def test_a_secret_that_cannot_be_read_holds_everything(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v2(stub.url, token_file="missing"))
    fill(clinic, 1)
    with pytest.raises(Misconfigured, match="No such file"):
        drain_of(clinic).drain()
    assert waiting(clinic) == 1


def test_nothing_identifying_is_sent(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v2(stub.url))
    fill(clinic, 30)
    clinic.put_unreadable()
    drain_of(clinic).drain()
    assert written_lines(stub.requests)
    assert CANARY not in str(stub.requests)


def test_pauses_grow_to_five_minutes_and_differ() -> None:
    pace = Pace()
    assert 0.5 <= pace.pause_s(1) <= 1.0
    assert all(150.0 <= pace.pause_s(failures) <= 300.0 for failures in (10, 1000))
    assert len({pace.pause_s(20) for _ in range(10)}) > 1


def test_waiting_for_a_silent_server_stops_nothing_else(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v1(stub.url, timeout="2 s"))
    fill(clinic, 1)
    stub.always = "silence"
    drain = drain_of(clinic)
    drain.start()
    wait_until(lambda: bool(stub.requests))
    begin = time.monotonic()
    clinic.put(analysis(Verdict.PASS), minutes=30)
    assert time.monotonic() - begin < 0.5
    assert time.monotonic() - drain.progress() < 0.1
    stub.let_go.set()
    drain.stop()


def test_with_nothing_to_do_it_moves(stub: Stub, tmp_path: Path) -> None:
    """The watchdog of the service takes a part that does not for one that hangs."""
    drain = drain_of(Clinic(tmp_path, v1(stub.url)))
    drain.start()
    begun = drain.progress()
    wait_until(lambda: drain.progress() > begun)
    again = drain.progress()
    wait_until(lambda: drain.progress() > again)
    drain.stop()


def test_a_fault_of_ours_does_not_end_the_thread(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    fill(clinic, 3)
    sink = Picky(faults=[RuntimeError("a bug"), Unreachable("no answer")])
    drain = Drain(clinic.store, clinic.influx_box, clinic.queries, sink, FAST)
    drain.start()
    wait_until(lambda: waiting(clinic) == 0)
    drain.stop()
    assert sink.taken == [1, 2, 3]


def test_the_next_batch_is_read_while_the_sink_takes_one(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    fill(clinic, 9)
    box = Watched(clinic.store, "influx")
    sink = Picky(meanwhile=[lambda: box.read_on.wait(5) or pytest.fail("nothing was read")])
    Drain(clinic.store, box, clinic.queries, sink, Pace(batch=2)).drain()
    assert sink.taken == list(range(1, 10))
    assert sink.calls == 5
    assert clinic.influx_box.status()["behind"] == 0


def test_what_is_superseded_after_it_was_read_is_written_over_by_its_successor(
    tmp_path: Path,
) -> None:
    clinic = Clinic(tmp_path)
    fill(clinic, 2)
    file = clinic.file()
    old = clinic.put(analysis(Verdict.PASS), file=file)
    box = Watched(clinic.store, "influx")
    new: list[int] = []

    def judge_again() -> None:
        assert box.read_on.wait(5)
        new.append(clinic.put(analysis(Verdict.ACTION), file=clinic.judge_again(file)))

    sink = Picky(meanwhile=[judge_again])
    Drain(clinic.store, box, clinic.queries, sink, Pace(batch=2)).drain()
    assert [n for n in sink.taken if n in (old, *new)][-1:] == new
    assert clinic.influx_box.status()["behind"] == 0


class Watched(Outbox):
    """An outbox that tells when it was asked for what is behind a batch."""

    def __init__(self, store: Store, sink: str) -> None:
        super().__init__(store, sink)
        self.read_on = Event()

    def pending(self, limit: int, after: int = 0) -> list[Item]:
        found = super().pending(limit, after)
        if after:
            self.read_on.set()
        return found


class Killed(BaseException):
    """The process ends here."""


class KilledBeforeNoting(Outbox):
    """An outbox whose process is killed as soon as the sink has taken something."""

    def done(self, items: Sequence[Item]) -> None:  # noqa: ARG002
        raise Killed


class Picky:
    """A sink that raises what it is told to, and rejects some results."""

    def __init__(
        self,
        refuses: set[int] | None = None,
        faults: list[Exception] | None = None,
        meanwhile: list[Callable[[], object]] | None = None,
    ) -> None:
        self.meanwhile = meanwhile or []
        self.refuses = refuses or set()
        self.faults = faults or []
        self.taken: list[int] = []
        self.calls = 0

    def write(self, results: Sequence[StoredResult]) -> None:
        self.calls += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.faults:
            raise self.faults.pop(0)
        if self.refuses & {r.id for r in results}:
            raise Rejected("no")
        self.taken += [r.id for r in results]
