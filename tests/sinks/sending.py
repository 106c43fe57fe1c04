"""What the tests of the sink share: a clinic that writes to a server, and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from qa_daemon.model import Verdict
from qa_daemon.sinks.drain import Drain, Pace
from qa_daemon.sinks.influx import InfluxSink
from tests.alerts.clinic import Clinic, analysis

FAST = Pace(first_s=0.05, longest_s=0.2, misconfigured_s=0.1)
VERDICTS = (Verdict.PASS, Verdict.TOLERANCE, Verdict.ACTION, Verdict.INVALID, None)


def v1(url: str, database: str = "qa", **more: object) -> dict[str, object]:
    """A site file that writes to an InfluxDB 1.x."""
    return {"influx": {"url": url, "api": "v1", "database": database, "timeout": "1 s", **more}}


def v2(url: str, **more: object) -> dict[str, object]:
    """A site file that writes to `/api/v2/write`."""
    return {"influx": {"url": url, "api": "v2", "bucket": "qa", "timeout": "1 s", **more}}


def drain_of(clinic: Clinic, pace: Pace = FAST) -> Drain:
    """A drain that was not started yet."""
    return Drain(clinic.store, clinic.influx_box, clinic.queries, InfluxSink(clinic.site), pace)


def drain_that_takes_off(clinic: Clinic) -> Drain:
    """A drain whose sink knows the store, as that of the service does."""
    sink = InfluxSink(clinic.site, clinic.store)
    return Drain(clinic.store, clinic.influx_box, clinic.queries, sink, FAST)


def fill(clinic: Clinic, results: int) -> None:
    """Results of all verdicts on two machines, some at the same instant."""
    for number in range(results):
        clinic.put(
            analysis(VERDICTS[number % 5]),
            analysis(VERDICTS[(number // 5) % 5], "axes"),
            minutes=number // 4,
            machine=("TB1", "TB2")[number % 2],
        )


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Give the threads time; fails when it does not come true."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def waiting(clinic: Clinic) -> int:
    """How many results the sink has not taken."""
    return len(clinic.influx_box.pending(100_000))


def written_lines(requests: list[tuple[str, dict[str, str], bytes]]) -> list[str]:
    """The lines of all requests."""
    return [line for _, _, body in requests for line in body.decode().splitlines()]


def empty_folder(tmp_path: Path, name: str) -> Path:
    """A folder of that name."""
    folder = tmp_path / name
    folder.mkdir()
    return folder
