"""What a worker does with one file, and the killable processes it does it in.

A worker reads and measures; it never judges and never touches the store.  It gets memory and time
limits; one that dies or hangs costs its own file alone.  Reports come back as JSON text and are
checked against their schema.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool
from pydantic import ValidationError

from analyzers.catalogue import Catalogue, Recognized, load
from analyzers.core import (
    AnalysisError,
    Analyzer,
    Bundle,
    Context,
    LeafTable,
    NotApplicable,
    ReadError,
)
from analyzers.delivered_technique import technique_of
from analyzers.mlc_geometry import with_model
from analyzers.output_checks import OutputCheck
from analyzers.output_references import with_references
from analyzers.output_registry import against, unit_of
from analyzers.portal_images import PortalImage
from analyzers.records import Delivery
from analyzers.sheet_cells import Spreadsheet
from analyzers.srt_treatments import SrtTreatment
from qa_daemon.job_images import PICTURE, beside_partners, classified, preview
from qa_daemon.job_plans import as_named_file, beside_plans, with_the_rest
from qa_daemon.job_sheets import as_claimed, mapped
from qa_daemon.keys import keys_of
from qa_daemon.model import (
    AnalysisReport,
    Job,
    LeafNumbers,
    MatchReport,
    PartReport,
    Report,
    Value,
)

PR_SET_PDEATHSIG = 1


class WorkerDied(Exception):  # noqa: N818 - a fact, decided upon by the caller
    """A worker crashed or ran out of time on a file."""


class WorkersLost(Exception):  # noqa: N818 - a fact, decided upon by the caller
    """The worker processes went away through no fault of the file: it is to be tried again."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one worker may use."""

    time_s: float = 180.0
    memory_bytes: int = 4 << 30
    threads: int = 1
    cache: str | None = None
    """Where compiled kernels are kept; None: beside the code."""


class Workers:
    """A pool of spawned processes that read and measure files.

    An idle worker that is killed from outside breaks the whole pool, which is then built anew.
    """

    def __init__(self, count: int, limits: WorkerLimits) -> None:
        self._count = count
        self._limits = limits
        self._changing = threading.Lock()
        self._unfinished: set[Future[Any]] = set()
        self._closed = False
        self._pool = self._new_pool()

    def measure(self, job: Job) -> Report:
        """Read and measure one file in a worker.  Raises `WorkerDied` and `WorkersLost`."""
        future = self._schedule(self._limits.time_s, measure_as_json, job.model_dump_json())
        try:
            return Report.model_validate_json(future.result())
        except FutureTimeout:
            raise WorkerDied(f"reading took longer than {self._limits.time_s:.0f} s") from None
        except ProcessExpired as why:
            raise WorkerDied(f"the worker ended with exit code {why.exitcode}") from None
        except BrokenProcessPool:
            raise WorkersLost("the pool of workers broke") from None
        except (MemoryError, RecursionError) as why:
            raise WorkerDied(f"the worker ran out of memory ({type(why).__name__})") from None
        except ValidationError:
            raise WorkerDied("the worker's report does not follow the schema") from None

    def warm_up(self, count: int) -> None:
        """Start the processes and compile the kernels before the first file comes."""
        for _ in range(count):
            self._schedule(None, warm_up)

    def close(self) -> None:
        """End all workers; unfinished files stay queued."""
        with self._changing:
            self._closed = True
            self._abandon_pool()

    def _schedule(
        self, time_s: float | None, function: Callable[..., Any], *args: object
    ) -> Future[Any]:
        with self._changing:
            if self._closed:
                raise WorkersLost("the workers are closed")
            if not self._pool.active:
                self._abandon_pool()
                self._pool = self._new_pool()
            future: Future[Any] = self._pool.schedule(function, args=args, timeout=time_s)
            self._unfinished.add(future)
            future.add_done_callback(self._unfinished.discard)
            return future

    def _new_pool(self) -> ProcessPool:
        # Read when NumPy is loaded, which in a worker is before anything of ours runs there.
        os.environ["OPENBLAS_NUM_THREADS"] = str(self._limits.threads)
        return ProcessPool(
            max_workers=self._count,
            max_tasks=500,  # a fresh process now and then: libraries leak
            context=get_context("spawn"),
            initializer=_start_worker,
            initargs=[self._limits, os.getpid()],
        )

    def _abandon_pool(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        # The pool leaves the futures of a stopped pool open for ever.
        for future in list(self._unfinished):
            if not future.done():
                future.set_exception(WorkersLost("the workers were ended"))


def measure_as_json(job: str) -> str:
    """`measure`, for crossing a process boundary."""
    return measure(Job.model_validate_json(job), _catalogue()).model_dump_json()


def measure(job: Job, catalogue: Catalogue) -> Report:
    """Read one file and put every analyzer's question to it.

    An unreadable file gives a report with an error; a bug raises.
    """
    try:
        recognized = as_claimed(job, catalogue)
    except ReadError as why:
        return Report(error_code=why.code, error_message=str(why))
    side = recognized.format.companions if recognized.is_companion else None
    if side is not None and not side.is_required:
        return Report(
            format=recognized.format.name,
            performed_at=side.performed_at(job.file.name),
            machine_class=recognized.format.machine_class,
            not_judged="a side file whose main file has not arrived",
        )
    try:
        record = _read(recognized, job)
        if isinstance(record, Bundle):
            return _parts(recognized.format.name, recognized.format.machine_class, record, job)
        record = _beside_unit(record, job)
        if isinstance(record, Delivery) and job.resumed_by:
            record = with_the_rest(record, job, catalogue)
        if isinstance(record, PortalImage):
            record = classified(record, job)
            if not job.only_keys:
                record = beside_partners(record, job, catalogue)
    except ReadError as why:
        return Report(error_code=why.code, error_message=str(why))
    found: MatchReport | None = None
    if isinstance(record, Delivery) and not job.only_keys:
        record, found = beside_plans(with_model(record, job.mlc), job, catalogue)
    told = getattr(record, "machine_class", None)  # not every kind of record tells its machine
    machine_class = job.machine_class or told or recognized.format.machine_class
    reports: list[AnalysisReport] = []
    traces: dict[str, Any] = {}
    if isinstance(record, PortalImage) and not job.only_keys:
        traces[PICTURE] = preview(record)
    if record.not_judged is None and not job.only_keys:
        reports = [
            _put_question(analyzer, record, machine_class, job, traces)
            for analyzer in catalogue.analyzers_for(record)
        ]
    report = _report(recognized.format.name, machine_class, record, reports, _save(traces, job))
    return report.model_copy(update={"match": found})


def _read(recognized: Recognized, job: Job) -> Any:
    """What the file holds; of a clinic's own table what its mapping makes of it."""
    record = recognized.format.read(
        as_named_file(job.file), [as_named_file(c) for c in job.companions]
    )
    return mapped(record, job) if isinstance(record, Spreadsheet) else record


def _beside_unit(record: Any, job: Job) -> Any:
    """A record of a kV unit with what the clinic knows of the unit.  Raises `ReadError`."""
    if isinstance(record, OutputCheck):
        # Where a file calls its unit otherwise and the folder is believed, it is the folder's.
        of_folder = (unit for unit in job.units if job.unit_of_folder in unit.names)
        unit = unit_of(record, job.units) or next(of_folder, None)
        return record if unit is None else with_references(against(record, unit), unit)
    if isinstance(record, SrtTreatment):
        return replace(record, inputs=job.treatment)
    return record


def _parts(format_name: str, machine_class: str, bundle: Bundle, job: Job) -> Report:
    """Every record as a file in the scratch folder."""
    if job.scratch is None and not job.only_keys:
        raise ValueError("a file of several records needs a scratch folder")
    kept: list[PartReport] = []
    # A reading for keys alone is thrown away: nobody would take up what it wrote.
    for part in () if job.only_keys else bundle.parts:
        descriptor, path = tempfile.mkstemp(dir=job.scratch, suffix=".part")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(part.content)
        kept.append(PartReport(name=part.name, scratch=Path(path).name))
    return Report(
        format=format_name,
        machine_class=machine_class,
        not_judged=f"holds {len(bundle.parts)} records, each of which has a result of its own",
        last_at=bundle.last_at,
        warnings=tuple(bundle.warnings),
        parts=tuple(kept),
    )


def warm_up() -> None:
    """Import the catalogue and compile every kernel once."""
    from analyzers.numerics.warm_up import compile_kernels

    _catalogue()
    compile_kernels()


@cache
def _catalogue() -> Catalogue:
    return load()


def _put_question(
    analyzer: Analyzer[Any, Any],
    record: object,
    machine_class: str,
    job: Job,
    traces: dict[str, Any],
) -> AnalysisReport:
    said = AnalysisReport(analyzer=analyzer.name, version=analyzer.version)
    settings = analyzer.settings.model_validate(job.settings.get(analyzer.name, {}))
    try:
        analysis = analyzer.analyze(record, Context(machine_class, settings))
    except NotApplicable as why:
        return said.model_copy(update={"not_applicable": str(why)})
    except AnalysisError as why:
        return said.model_copy(update={"failure": str(why)})
    traces[analyzer.name] = analysis.traces
    finite = [m for m in analysis.measurements if math.isfinite(m.value)]
    missing = dict.fromkeys(
        m.metric.name for m in analysis.measurements if not math.isfinite(m.value)
    )
    values = tuple(
        Value(
            metric=m.metric.name,
            value=m.value,
            unit=m.metric.unit,
            at=m.at,
            reference=m.reference,
            judged_as=m.judged_as.name if m.judged_as else None,
            stated=m.stated,
        )
        for m in finite
    )
    failure = f"{', '.join(missing)} could not be computed" if missing else None
    return said.model_copy(
        update={
            "failure": failure,
            "not_judged": analysis.not_judged,
            "values": values,
            "notes": tuple(analysis.notes),
            "leaves": _leaves(analysis.leaves),
        }
    )


def _leaves(table: LeafTable | None) -> LeafNumbers | None:
    if table is None:
        return None
    columns = {
        name: tuple(float(x) if math.isfinite(x) else None for x in column)
        for name, column in table.columns.items()
    }
    return LeafNumbers(leaves=tuple(table.leaves), columns=columns)


def _report(
    format_name: str,
    machine_class: str,
    record: Any,
    reports: list[AnalysisReport],
    arrays: str | None,
) -> Report:
    identity = record.identity
    fields = {name: getattr(identity, name) for name in identity.__slots__}
    return Report(
        format=format_name,
        machine_class=machine_class or None,  # a plan is of no machine's class
        machine_serial=record.machine_serial,
        machine_name=getattr(record, "machine_name", None),  # logs do not name their machine
        performed_at=record.performed_at,
        last_at=getattr(record, "last_at", None),  # of tables that people write
        energy=record.energy,
        technique=technique_of(record) if isinstance(record, Delivery) else None,
        series=getattr(record, "series", None),  # most records are of one kind
        not_judged=record.not_judged,
        warnings=record.warnings,
        identity={name: _text(value) for name, value in fields.items() if value},
        analyses=tuple(reports),
        arrays=arrays,
        keys=keys_of(record),
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _save(traces: Mapping[str, Mapping[str, Any]], job: Job) -> str | None:
    if job.scratch is None or not any(traces.values()):
        return None
    from qa_daemon.arrays import write

    descriptor, path = tempfile.mkstemp(dir=job.scratch, suffix=".h5")
    os.close(descriptor)
    write(Path(path), traces)
    return Path(path).name


def _start_worker(limits: WorkerLimits, parent: int) -> None:
    # A worker must not outlive a killed parent, and must not hear the terminal's Ctrl-C.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # the parent was killed before we asked
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["NUMBA_NUM_THREADS"] = str(limits.threads)
    if limits.cache is not None:
        os.environ["NUMBA_CACHE_DIR"] = limits.cache
        # A library of image QA draws nothing here, but looks for fonts whenever it finds no list.
        os.environ["MPLCONFIGDIR"] = str(Path(limits.cache) / "matplotlib")
    os.environ["OMP_NUM_THREADS"] = str(limits.threads)
    os.environ["MPLBACKEND"] = "Agg"  # no screen is ever asked for
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
