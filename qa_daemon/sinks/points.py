"""A stored result as InfluxDB points: few bounded tags, numbers as fields, time from the data.

No file name, no free text and nothing of a patient leaves the store.  The tag sets are fixed, and
a result keeps its instant, so that writing it again overwrites it and changes nothing.  The energy
is one of those that linacs have, so that a target current at 6x and one at 15x are two series.

| measurement | tags | fields |
|---|---|---|
| `qa` | site, machine, energy, analyzer, metric, unit | value, verdict, tolerance_*, action_* |
| `qa_analysis` | site, machine, analyzer | verdict |
| `qa_result` | site, machine | verdict |

What has a number for each beam (`srt_output`) has a tag `at` besides; of several numbers at one
place, the worst is sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from analyzers.core import Limits
from qa_daemon.site.settings import OF_NO_MACHINE
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement, StoredResult
from qa_daemon.store.trend_series import BY_BEAM

OTHER_CHARACTER = re.compile(r"[^A-Za-z0-9 ._/()+-]")
NO_ENERGY, OTHER_ENERGY = "none", "other"
"""The tags of a file that says no energy, and of one that says what no linac has."""
ENERGY = re.compile(r"([1-9]\d?)(?:\.0)?([xe])(?:[ -]?(fff|srs|hdtse))?", re.IGNORECASE | re.ASCII)

ESCAPED = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})

Field = float | int | None


def lines_of(result: StoredResult, site: str) -> list[str]:
    """The lines to send; a quantity that was not judged has no `verdict`."""
    of, at = {"site": site, "machine": result.machine or OF_NO_MACHINE}, result.point_ns
    energy = _energy(result.energy)
    lines = [line_of("qa_result", of, {"verdict": _integer(result.verdict)}, at)]
    for analysis in result.analyses:
        name = analysis.analyzer
        said = {"verdict": _integer(analysis.verdict)}
        lines.append(line_of("qa_analysis", of | {"analyzer": name}, said, at))
        for (metric, place), measured in _one_each(analysis).items():
            series = _series_of(site, of["machine"], name, energy, metric, measured.unit, place)
            lines.append(_number_line(series, measured, at))
    return [line for line in lines if line]  # a point without any number is an empty line


def line_of(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, Field], point_ns: int
) -> str:
    """One point in line protocol; empty where no field is a number.

    Byte by byte what influxdb-client's `Point` writes, five times as fast: years of results are
    sent again after a database was lost.
    """
    numbers = [f"{name}={text}" for name in sorted(fields) if (text := _text(fields[name]))]
    if not numbers:
        return ""
    return f"{_series(measurement, tuple(tags.items()))} {','.join(numbers)} {point_ns}"


@lru_cache(maxsize=20_000)
def _series(measurement: str, tags: tuple[tuple[str, str], ...]) -> str:
    """A clinic has some thousand series, and each of them millions of points."""
    named = [f"{name}={_escaped(value)}" for name, value in sorted(tags) if value]
    return ",".join((measurement, *named))


@lru_cache(maxsize=20_000)
def _series_of(
    site: str, machine: str, analyzer: str, energy: str, metric: str, unit: str, place: str
) -> str:
    tags = {"site": site, "machine": machine, "analyzer": analyzer}
    tags |= {"energy": energy, "metric": metric, "unit": unit or "1", "at": place}
    return _series("qa", tuple(tags.items()))


def _number_line(series: str, measured: StoredMeasurement, point_ns: int) -> str:
    """What `line_of` writes of a number, its limits and its verdict; the fields are in order."""
    value, verdict = _text(float(measured.value)), measured.verdict
    fields = _limits(measured.limits)
    if value:
        fields += f"value={value},"
    if verdict is not None:
        fields += f"verdict={verdict:d}i,"
    return f"{series} {fields[:-1]} {point_ns}" if fields else ""


@lru_cache(maxsize=10_000)
def _limits(limits: Limits) -> str:
    """The fields of limits, sorted, each with a comma behind it.

    Limits that are equal are one: -0.0 is written as 0, whichever of both came first.
    """
    numbers = (
        ("action_high", limits.action_high),
        ("action_low", limits.action_low),
        ("tolerance_high", limits.tolerance_high),
        ("tolerance_low", limits.tolerance_low),
    )
    said = ((name, _text(None if n is None else n + 0.0)) for name, n in numbers)
    return "".join(f"{name}={text}," for name, text in said if text)


def _text(number: Field) -> str:
    if number is None or not math.isfinite(number):
        return ""
    return f"{number}i" if isinstance(number, int) else str(float(number)).removesuffix(".0")


def _escaped(value: str) -> str:
    text = value.translate(ESCAPED)
    return f"{text} " if text.endswith("\\") else text


def _one_each(analysis: StoredAnalysis) -> Mapping[tuple[str, str], StoredMeasurement]:
    """Of several values of a metric (one for each target, each beam) the one that is judged worst.

    They would be one point, and the last written would hide the others.
    """
    worst: dict[tuple[str, str], StoredMeasurement] = {}
    by_beam = analysis.analyzer in BY_BEAM
    for measured in analysis.measurements:
        place = OTHER_CHARACTER.sub("_", measured.at or "all") if by_beam else ""
        had = worst.get((measured.metric, place))
        if had is None or _badness(measured) >= _badness(had):
            worst[measured.metric, place] = measured
    return worst


def _badness(measured: StoredMeasurement) -> int:
    return -1 if measured.verdict is None else int(measured.verdict)


@lru_cache(maxsize=1000)
def _energy(said: str | None) -> str:
    """`6X-FFF` -> `6xFFF`: a tag has few values, whatever a file says."""
    if not said:
        return NO_ENERGY
    found = ENERGY.fullmatch(said.strip())
    if found is None:
        return OTHER_ENERGY
    return f"{found[1]}{found[2].lower()}{(found[3] or '').upper()}"


def _integer(verdict: int | None) -> int | None:
    return None if verdict is None else int(verdict)
