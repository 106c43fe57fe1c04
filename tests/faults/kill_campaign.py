"""Random SIGKILLs of the daemon while files arrive; then one clean run and a reconciliation.

`python -m tests.faults.kill_campaign --kills 100 --data FOLDER` prints a JSON summary; exit code 1
when anything was lost, doubled or left over.  `--whole` kills the daemon with pages and alerts.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.schema import outbox
from qa_daemon.store.store import Store, url_of
from tests.faults.life import HEADLESS, PATIENCE_S, WHOLE, Dropper, Life
from tests.faults.oracle import canonical, faults_of
from tests.integration.daemon import write_site
from tests.integration.test_clinic_day import points_in, points_of
from tests.servers import InfluxServer, influx_server


@dataclass
class Summary:
    """What a campaign did and what it found."""

    kills: int
    files: int
    kills_while_starting: int = 0
    workers_killed: int = 0
    judged_before_clean_run: int = 0
    points: int | None = None
    seconds: float = 0.0
    clean_run_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    same_as_without_kills: bool | None = None


class Campaign:
    """A site that is killed again and again."""

    def __init__(
        self, folder: Path, data: Sequence[Path], seed: int, *, whole: bool = False, more: str = ""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = write_site(folder, settle="200 ms", more=more)
        self.incoming = folder / "incoming" / "TB1"
        self.state_dir = folder / "state"
        self._command = WHOLE if whole else HEADLESS
        self._nobody_reads = set() if whole else {"alerts", "trends"}
        self._chance = random.Random(seed)
        self._data = list(data)
        self._chance.shuffle(self._data)

    def run(self, kills: int, *, longest_life_s: float = 1.0) -> Summary:
        """Kill, run clean, reconcile."""
        summary, begin = Summary(kills, len(self._data)), time.monotonic()
        for number in range(kills):
            share = self._data[number * len(self._data) // kills :]
            share = share[
                : (number + 1) * len(self._data) // kills - number * len(self._data) // kills
            ]
            self._one_life(number, share, summary, longest_life_s)
        begin_clean = time.monotonic()
        summary.judged_before_clean_run = self._count("results") if kills else 0
        self._run_clean(summary)
        summary.clean_run_s = round(time.monotonic() - begin_clean, 1)
        summary.seconds = round(time.monotonic() - begin, 1)
        return summary

    def results(self) -> list[StoredResult]:
        """What the store says in the end."""
        with closing(self._store()) as store:
            return Queries(store).results_since(limit=1_000_000)

    def _one_life(
        self, number: int, share: Sequence[Path], summary: Summary, longest_life_s: float
    ) -> None:
        dropper = Dropper(share, self.incoming, self._chance)
        life = Life(self._command, self.config)
        if number % 4 == 3:
            summary.kills_while_starting += 1
            dropper.start()
            time.sleep(self._chance.uniform(0.0, 1.5))
        else:
            life.wait_until_serving()
            dropper.start()
            time.sleep(self._chance.uniform(0.0, longest_life_s))
            if number % 8 == 1:
                summary.workers_killed += 1
                life.kill_a_worker(self._chance)
                time.sleep(self._chance.uniform(0.0, 0.3))
        life.kill()
        dropper.join()
        if life.orphans():
            summary.faults.append("workers outlived the daemon")

    def _run_clean(self, summary: Summary) -> None:
        for file in self._data:  # a campaign without kills drops everything here
            if not (self.incoming / file.name).exists():
                (self.incoming / file.name).write_bytes(file.read_bytes())
        life = Life(self._command, self.config)
        life.wait_until_serving()
        until = time.monotonic() + PATIENCE_S
        while not self._is_finished() and time.monotonic() < until:
            assert life.process.poll() is None, life.log()[-2000:].decode()
            time.sleep(0.1)
        life.end()
        dropped = {str(p): p.read_bytes() for p in self.incoming.iterdir()}
        with closing(self._store()) as store:
            summary.faults += faults_of(self.state_dir, dropped, store, self._nobody_reads)

    def _is_finished(self) -> bool:
        ended = sum(self._count(f"files.{s}") for s in ("done", "quarantined", "duplicate"))
        with closing(self._store()) as store, store.read() as connection:
            waiting = set(connection.execute(select(outbox.c.sink)).scalars())
        return ended == len(self._data) and waiting <= self._nobody_reads

    def _count(self, name: str) -> int:
        with closing(self._store()) as store:
            return Queries(store).counts().get(name, 0)

    def _store(self) -> Store:
        return Store(url_of(self.state_dir), lambda: datetime.now(UTC))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--data", type=Path, required=True, help="folder of log files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest-life", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--whole", action="store_true", help="the daemon with pages and alerts")
    parser.add_argument("--influx", action="store_true", help="with a real InfluxDB behind it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        server = None
        if given.influx:
            Path(folder, "influx").mkdir()
            server = ending.enter_context(influx_server(Path(folder, "influx")))
        summary = _campaign(Path(folder), given, server)
    print(json.dumps(asdict(summary), indent=1))
    return 0 if summary.same_as_without_kills and not summary.faults else 1


def _campaign(folder: Path, given: argparse.Namespace, server: InfluxServer | None) -> Summary:
    data, more = sorted(p for p in given.data.iterdir() if p.is_file()), ""
    if server is not None:
        server.query("CREATE DATABASE qa")
        more = f'[influx]\nurl = "{server.url}"\napi = "v1"\ndatabase = "qa"\n'
    killed = Campaign(folder / "killed", data, given.seed, whole=given.whole, more=more)
    summary = killed.run(given.kills, longest_life_s=given.longest_life)
    calm = Campaign(folder / "calm", data, given.seed, whole=given.whole)
    summary.faults += calm.run(0).faults
    summary.same_as_without_kills = canonical(killed.results()) == canonical(calm.results())
    if server is not None:
        rows = server.rows("qa", "qa")
        expected = points_of(killed.results())
        summary.points = len(rows)
        if len(rows) != len(expected) or points_in(rows) != expected:
            summary.faults.append(f"{len(rows)} points in InfluxDB for {len(expected)} numbers")
    return summary


if __name__ == "__main__":
    sys.exit(main())
