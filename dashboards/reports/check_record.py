"""What the store, the archive and the site file know of one output check, for its report.

The store keeps numbers; the factors behind them are worked out again from the file in the archive,
which is how a result can be recomputed.  Each output is compared with the stored one: where they
differ, the report says so.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from analyzers.core import ReadError
from analyzers.formats import srt_checks_json
from analyzers.numerics.kv_output import InAirOutput
from analyzers.output_checks import CheckType, ReadingGroup
from analyzers.output_factors import is_dose_to_water, output_of, rate_gy_per_min
from analyzers.output_findings import OUTPUT_CHECKS
from analyzers.output_registry import baseline_of
from analyzers.srt.srt_output import POINTS
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store import check_signatures, output_baselines, srt_tables, unit_blocks
from qa_daemon.store.archive import Archive
from qa_daemon.store.check_signatures import Signature
from qa_daemon.store.output_baselines import WATER, OutputBaseline
from qa_daemon.store.queries import Queries, StoredMeasurement, StoredResult
from qa_daemon.store.same_records import READERS
from qa_daemon.store.srt_tables import StoredTable
from qa_daemon.store.store import Store
from qa_daemon.store.unit_blocks import PastBlock

ANALYZER = "srt_output"
CHECK_LIST = "srt-checks-json"
SAME = 1e-9
"""Two ways of working out one number agree within this share of it."""


class CannotReport(Exception):  # noqa: N818 - an answer for a person
    """There is no report of this result; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the records are."""

    site: Site
    store: Store
    queries: Queries
    archive: Archive


@dataclass(frozen=True, slots=True)
class RowRecord:
    """One row of a check with the chain worked out again and the numbers that were stored.

    `chain` is None where the row gives no output, and `why_not` says why.  `baseline_gy_per_min`
    is what the stored deviation refers to, `baseline_said` whose it is.  `agrees`: the chain gives
    the stored output.
    """

    row: ReadingGroup
    chain: InAirOutput | None
    why_not: str
    output: StoredMeasurement | None = None
    deviation: StoredMeasurement | None = None
    k1: StoredMeasurement | None = None
    k2: StoredMeasurement | None = None
    baseline_gy_per_min: float | None = None
    baseline_said: str = ""
    agrees: bool = True


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """All that is known of a check.  `file_fault` says what is wrong with the archived file."""

    result: StoredResult
    unit: Machine
    at: datetime
    rows: tuple[RowRecord, ...]
    operators: tuple[str, ...]
    file_fault: str
    signature: Signature | None
    blocks: tuple[PastBlock, ...]
    tables: tuple[StoredTable, ...]


def check_record(source: Source, result: int) -> CheckRecord:
    """Everything about a check of a kV unit.  Raises `CannotReport`."""
    stored = source.queries.result(result)
    unit = source.site.machine_named(stored.machine) if stored is not None else None
    if stored is None or unit is None or unit.machine_class != "srt":
        raise CannotReport("this is no result of a superficial unit of the site file")
    if stored.format not in (*READERS, CHECK_LIST) or not stored.analyses:
        raise CannotReport("this result is no output check and no list of routine tests")
    if stored.performed_at is None:
        raise CannotReport("this check does not say when it was made")
    at = datetime.fromisoformat(stored.performed_at)
    rows, operators, fault = _archived(source.archive, stored)
    baselines = output_baselines.every(source.store, unit.name)
    day = at.astimezone(source.site.zone).date()
    return CheckRecord(
        result=stored,
        unit=unit,
        at=at,
        rows=tuple(_records(rows, stored, baselines)),
        operators=operators,
        file_fault=fault,
        signature=check_signatures.signature_of(source.store, result),
        blocks=tuple(unit_blocks.of_file(source.store, stored.file)),
        tables=tuple(srt_tables.in_use(source.store, unit.name, day).values()),
    )


def is_of_a_curve(row: ReadingGroup) -> bool:
    """Whether the row is one point of a curve, and is not asked for an output of its own."""
    return bool(row.absorber_mm_al) or row.check_type in POINTS


def check_types(record: CheckRecord) -> list[CheckType]:
    """What the rows were measured for, each once."""
    return list(dict.fromkeys(one.row.check_type for one in record.rows))


def _archived(
    archive: Archive, stored: StoredResult
) -> tuple[tuple[ReadingGroup, ...], tuple[str, ...], str]:
    """The rows and operators of the archived file, or what is wrong with it."""
    path = archive.path_of(stored.sha256)
    fault = ""
    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != stored.sha256:
                raise OSError("damaged")
        if stored.format == CHECK_LIST:
            return (), (srt_checks_json.read(path).operator,), ""
        (session,) = READERS[stored.format or ""].read_sessions(path)
        return session.rows, tuple(dict.fromkeys(row.operator for row in session.rows)), ""
    except OSError:
        fault = "the file that was judged is not in the archive any more, or it was damaged"
    except ReadError as why:
        fault = f"this version cannot read the archived file any more ({why.code})"
    except ValueError:
        fault = "the archived file does not hold exactly one session"
    return (), (), fault


def _records(
    rows: tuple[ReadingGroup, ...], stored: StoredResult, baselines: list[OutputBaseline]
) -> list[RowRecord]:
    """The rows in the order in which the analyzer had them, so that repeats find their place."""
    numbers = {
        (m.metric, m.at): m
        for analysis in stored.analyses
        if analysis.analyzer == ANALYZER
        for m in analysis.measurements
    }
    # A baseline that was signed later was not known to whoever judged this result.
    known = output_baselines.registered([b for b in baselines if b.at <= stored.created_at])
    turns: Counter[tuple[str, str]] = Counter()

    def stored_as(metric: str, at: str) -> StoredMeasurement | None:
        turns[metric, at] += 1
        turn = turns[metric, at]
        return numbers.get((metric, at if turn == 1 else f"{at} ({turn})"))

    found = []
    for row in rows:
        to_water = is_dose_to_water(row)
        at = row.beam + (WATER if to_water else "")
        signed = baseline_of(known, row.beam, row.performed_at, to_water=to_water)
        is_judged = signed is not None or row.reference_output is not None
        chain, why_not = _chain(row)
        if is_of_a_curve(row) or not (is_judged or row.check_type in OUTPUT_CHECKS):
            found.append(RowRecord(row, chain, why_not))
            continue
        output = stored_as("output", at)
        if chain is None:
            found.append(RowRecord(row, chain, why_not, agrees=output is None))
            continue
        deviation = stored_as("output_deviation", at) if is_judged else None
        rate = rate_gy_per_min(chain)
        baseline, said = _baseline(row, output, deviation, baselines)
        found.append(
            RowRecord(
                row=row,
                chain=chain,
                why_not="",
                output=output,
                deviation=deviation,
                k1=stored_as("uncertainty_k1", at),
                k2=stored_as("uncertainty_k2", at),
                baseline_gy_per_min=baseline,
                baseline_said=said,
                agrees=output is not None
                and math.isclose(rate, output.value, rel_tol=SAME)
                and is_judged is (deviation is not None),
            )
        )
    return found


def _chain(row: ReadingGroup) -> tuple[InAirOutput | None, str]:
    try:
        return output_of(row), ""
    except ValueError as why:
        return None, str(why)


def _baseline(
    row: ReadingGroup,
    output: StoredMeasurement | None,
    deviation: StoredMeasurement | None,
    baselines: list[OutputBaseline],
) -> tuple[float | None, str]:
    """What the stored deviation refers to, and whose reference that is."""
    if output is None or deviation is None:
        return None, ""
    known = output.value / (1.0 + deviation.value / 100.0)
    for one in reversed(baselines):
        fits = one.beam == row.beam and one.to_water is is_dose_to_water(row)
        if fits and one.gy_per_min and math.isclose(one.gy_per_min, known, rel_tol=SAME):
            of_result = f", from result {one.result}" if one.result is not None else ""
            return known, f"signed by {one.actor}, in force from {one.since_at.date()}{of_result}"
    if row.reference_output and math.isclose(row.reference_output, known, rel_tol=SAME):
        return known, "stated in the file, not signed"
    return known, "by the stored deviation; neither signed nor stated in the file"
