"""A store with the history of one output, a value a day."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, Report, Value
from qa_daemon.store import trend_signals
from qa_daemon.store.results import Provenance
from qa_daemon.store.trend_signals import TOLD, StoredSignal
from qa_daemon.trends.follower import TrendFollower
from qa_daemon.verdict import judge_analysis, judge_value
from tests.store.stores import TestStore

DAILY = Limits.within(tolerance=3.0, action=5.0)
MONTHLY = Limits.within(tolerance=2.0, action=3.0)
BEAM = "70 kV F2 A30"
START = datetime(2025, 11, 3, 6, 30, tzinfo=UTC)
METRICS = [("srt_output", "output_deviation")]


def quiet(n: int, seed: int = 1) -> list[float]:
    """Values of a steady output."""
    return [float(x) for x in np.random.default_rng(seed).normal(0.0, 0.4, n)]


QUIET = 60


@cache
def _quiet_store() -> bytes:
    """Sixty steady days; made once."""
    with TemporaryDirectory() as folder:
        history = History(Path(folder), empty=True)
        history.save_all(quiet(QUIET))
        history.store.close()
        with closing(sqlite3.connect(Path(folder, "store.sqlite3"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(folder, "store.sqlite3").read_bytes()


class History:
    """Days of one unit, 60 quiet ones first; `follow` looks at what is new, as the service does."""

    def __init__(self, folder: Path, *, empty: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not empty:
            (folder / "store.sqlite3").write_bytes(_quiet_store())
        self.made = TestStore(folder)
        self.store = self.made.store
        self.follower = TrendFollower(self.store, METRICS, ZoneInfo("Europe/Berlin"))
        self.last = self.made.queries.last_result_id()

    def save(
        self,
        day: int,
        value: float,
        *,
        beam: str = BEAM,
        version: str = "1",
        monthly: bool = False,
        energy: str | None = None,
    ) -> int:
        """Store the check of one day."""
        of = f"{beam}{version}{monthly}{energy}"
        return self.session(day, {beam: value}, of, version, monthly=monthly, energy=energy)

    def session(
        self,
        day: int,
        values: Mapping[str, float],
        of: str = "all",
        version: str = "1",
        *,
        monthly: bool = False,
        energy: str | None = None,
    ) -> int:
        """Store the check of several beams."""
        at = START + timedelta(days=day, minutes=1 if monthly else 0)
        judged_as = "output_deviation_monthly" if monthly else None
        numbers = tuple(
            Value(metric="output_deviation", value=v, unit="%", at=beam, judged_as=judged_as)
            for beam, v in values.items()
        )
        said = AnalysisReport(analyzer="srt_output", version=version, values=numbers)
        limits = MONTHLY if monthly else DAILY
        outcome = judge_analysis(said, [judge_value(number, limits) for number in numbers])
        report = Report(format="srt-output-csv", analyses=(said,), energy=energy)
        file = self.made.arrive(f"{day}{of}.csv", machine="SRT1")
        made = Provenance("0", "site", "SRT1", "srt", at)
        result = self.made.results.save(file, [], report, [outcome], made)
        assert result is not None
        return result

    def save_all(self, values: Sequence[float], first_day: int = 0, shuffled: bool = False) -> int:
        """Store a value a day, in order or not; the result of the last day."""
        days = list(enumerate(values, first_day))
        last = days[-1]
        if shuffled:
            random.Random(3).shuffle(days)
        ids = {day: self.save(day, value) for day, value in days}
        return ids[last[0]]

    def follow(self, *results: int) -> list[StoredSignal]:
        """Look at results; the signals that people are told of and that are open then."""
        self.follower.write(self.made.queries.results_of(results))
        return [s for s in trend_signals.open_of(self.store, "SRT1") if s.kind in TOLD]

    def charted(self) -> list[StoredSignal]:
        """Those of control charts."""
        return [s for s in trend_signals.open_of(self.store, "SRT1") if s.kind not in TOLD]
