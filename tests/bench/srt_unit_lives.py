"""Simulated superficial units for `srt_unit_years`: their sessions judged as the program judges.

`judged` writes a session as a file and has it read, measured and held against the default limits as
a worker does; `alarms_of` lays its outputs beside those before, as the trends do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.catalogue import Catalogue, load
from analyzers.output_checks import CheckType
from analyzers.output_metrics import METRICS
from analyzers.output_text import as_csv
from qa_daemon.jobs import measure as measure_file
from qa_daemon.model import Job, NamedPath, Verdict
from qa_daemon.simulate.srt_session import BEAMS
from qa_daemon.simulate.srt_years import Life
from qa_daemon.simulate.srt_years_rows import registered, rows
from qa_daemon.trends.signals import Series, drift
from qa_daemon.trends.together import steps_together
from qa_daemon.verdict import judge_analysis, judge_value, worst

TOLERANCE_PERCENT = {CheckType.DAILY: 3.0, CheckType.MONTHLY: 2.0, CheckType.ABSOLUTE: 1.0}
MOST_VALUES = 400
"""As many as the trends take."""
FAR_ON_THE_WAY, AHEAD_D, FEW = 0.5, 90.0, 15


@dataclass(frozen=True, slots=True)
class Judged:
    """What the program says of a file: a verdict, or the code of a refusal; deviations in %."""

    verdict: Verdict
    refused: str | None
    has_remark: bool
    deviations: tuple[float, ...]


def judged(life: Life, session: int, path: Path, expires: date | None = None) -> Judged:
    """A session through the file, the reader, the registry, the analyzer and the limits."""
    path.write_bytes(as_csv(rows(life, session)))
    unit = registered(life, session, expires=expires)
    job = Job(file=NamedPath(path=str(path), name=path.name), machine_class="srt", units=(unit,))
    report = measure_file(job, _catalogue())
    if report.error_code is not None:
        return Judged(Verdict.INVALID, report.error_code, False, ())
    outcomes = [
        judge_analysis(
            analysis,
            [judge_value(v, _limits()[v.judged_as or v.metric]) for v in analysis.values],
        )
        for analysis in report.analyses
        if analysis.analyzer == "srt_output"
    ]
    verdict = worst(outcome.verdict for outcome in outcomes)
    assert verdict is not None
    deviations = (
        v.value for a in report.analyses for v in a.values if v.metric == "output_deviation"
    )
    return Judged(verdict, None, bool(report.warnings), tuple(deviations))


def is_beyond(life: Life, session: int) -> bool:
    """Whether a deviation of a session is beyond tolerance, by the numbers of the life alone."""
    limit = TOLERANCE_PERCENT[life.kind[session]]
    return bool((np.abs(life.deviations_percent[session]) > limit).any())


@dataclass(frozen=True, slots=True)
class Values:
    """The checks of one kind: which sessions, days and deviations (n, beams), and baselines."""

    sessions: NDArray[np.intp]
    days: NDArray[np.float64]
    deviations: NDArray[np.floating[Any]]
    process: NDArray[np.int64]
    limit: float

    def series(self, number: int, beam: int) -> Series:
        """The series of a beam up to one of the values."""
        chosen = slice(max(0, number + 1 - MOST_VALUES), number + 1)
        return Series(
            times_d=self.days[chosen],
            values=self.deviations[chosen, beam],
            process=self.process[chosen],
            low=-self.limit,
            high=self.limit,
            expected=0.0,
        )


def values_of(life: Life, kind: CheckType, limit: float | None = None) -> Values:
    """The checks of a kind that have a baseline; each calibration is an event before the next."""
    calibrations = life.of(CheckType.ABSOLUTE)
    sessions = np.array([n for n in life.of(kind) if n > calibrations[0]], dtype=np.intp)
    return Values(
        sessions=sessions,
        days=np.array([(life.at[n] - life.at[0]).days for n in sessions], dtype=np.float64),
        deviations=life.deviations_percent[sessions],
        process=np.searchsorted(calibrations, sessions, side="left").astype(np.int64),
        limit=TOLERANCE_PERCENT[kind] if limit is None else limit,
    )


def is_step(values: Values, number: int) -> bool:
    """Whether a session is told as a step: of a beam, or of all together."""
    steps = steps_together([values.series(number, beam) for beam in range(len(BEAMS))])
    return steps.of_all is not None or any(one is not None for one in steps.of_beams)


def is_drift(series: Series, *, always: bool = False) -> bool:
    """Whether a series is told as a drift.  Not `always`: asked only where a limit is near."""
    return (always or _is_near(series)) and drift(series) is not None


def is_told(values: Values, number: int) -> bool:
    """Either of them, of any beam."""
    beams = range(len(BEAMS))
    return is_step(values, number) or any(is_drift(values.series(number, b)) for b in beams)


def _is_near(series: Series) -> bool:
    """Whether a limit is near at all: what it costs to ask is a hundred times this.

    Looser than the program; `srt_unit_years` compares with asking always.
    """
    now = series.process == series.process[-1]
    t, y = series.times_d[now][-90:], series.values[now][-90:]
    if y.size < FEW:
        return False
    off = t - t.mean()
    slope = float(off @ y / (off @ off))
    ahead = y.mean() + slope * (off[-1] + AHEAD_D)
    assert series.high is not None
    return bool(abs(ahead) > FAR_ON_THE_WAY * series.high)


@cache
def _catalogue() -> Catalogue:
    return load()


@cache
def _limits() -> dict[str, Any]:
    return {metric.name: metric.limits.get("srt") for metric in METRICS}
