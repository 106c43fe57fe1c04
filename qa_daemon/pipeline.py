"""The whole product on one screen: read, measure, judge, store.

Alerts, trends, sinks and pages follow from the store, each with its own cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from qa_daemon.image_desk import ImageDesk
from qa_daemon.jobs import WorkerDied
from qa_daemon.model import (
    SOFTWARE,
    Event,
    ImageKeys,
    Job,
    PartReport,
    PlanKeys,
    RecordKeys,
    Report,
)
from qa_daemon.output_desk import OutputDesk
from qa_daemon.plan_desk import PlanDesk
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.ledger import Arrival, Fingerprint, Group, Ledger, LedgerFile
from qa_daemon.store.results import Provenance, Results, Used
from qa_daemon.unit_rules import against_clinic, is_output_check
from qa_daemon.verdict import Outcome, judge_analysis, judge_value

MOST_CRASHES = 2
RADIOSURGERY = "radiosurgery machine"
OTHER = (
    "the serial in this file is not that of the machine in whose folder it lies: move it to the "
    "folder of its machine, or correct the serial in the site file, and release it"
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The way of a file from the archive to a result."""

    measure: Callable[[Job], Report]
    site: Site
    archive: Archive
    ledger: Ledger
    results: Results
    plans: PlanDesk
    images: ImageDesk
    outputs: OutputDesk

    def process(self, group: Group) -> int | None:
        """Read, measure, judge, store; the result's id.  None: the worker died, try again."""
        file = group.main
        machine = self.site.machine_named(file.machine)
        job = self.outputs.beside(self.archive.job(group, machine, self.site), machine)
        used, beside, fraction = None, None, None
        try:
            job, fraction = self.outputs.with_inputs(job, file, machine, self.measure)
            job, used = self.plans.beside(job, file, machine, self.measure)
            ready = self.images.beside(job, group, machine, self.measure)
            group, beside = ready.group, ready.used
            report = ready.report or self.measure(ready.job)
        except WorkerDied as why:
            if self.ledger.crashed(file) < MOST_CRASHES:
                return None
            report = Report(error_code="POISON", error_message=f"{why}; tried {MOST_CRASHES} times")
        parts = report.parts
        report = accepted(report, machine, self.site)
        self._enter_parts(file, parts, is_refused=report.error_code is not None)
        machine = _machine_of(report, machine, self.site)
        outcomes = judge(report, self.site, machine)
        arrays = self.archive.keep_arrays(report.arrays)
        made = _made(report, self.site, machine)
        return self.results.save(
            file, group.others, report, outcomes, made, arrays, Used(used, beside, fraction)
        )

    def _enter_parts(
        self, file: LedgerFile, parts: Sequence[PartReport], *, is_refused: bool
    ) -> None:
        """The records of a file that holds several become files below its path, or none of them.

        Written anew with more records, it gives the same files and some more; one that differs is
        a revision of its own.
        """
        arrivals = []
        for part in parts:
            scratch = self.archive.scratch / Path(part.scratch).name
            if is_refused:
                scratch.unlink()
                continue
            sha256, status = self.archive.take(scratch)
            scratch.unlink()
            name = f"{file.name}#{part.name}"
            seen = Fingerprint(f"{file.folder}/{name}", status.st_size, file.mtime_ns, "part")
            arrivals.append(Arrival(seen, file.folder, name, file.machine, sha256))
        if arrivals:
            self.ledger.add_all(arrivals)

    def end_waiting(self, *, at_once: bool = False) -> int:
        """Let files wait for what they belong with no longer than the site says; how many ended.

        `at_once`: nothing more will come for the sets of images that are here.
        """
        ended = self.images.end_waiting(at_once=at_once)
        rules = self.site.file.plans
        before = (self.site.clock() - rules.arrive_within).astimezone(UTC)
        event = Event.INPUT_CAME if rules.required else Event.NOT_COMING
        return ended + self.ledger.end_waiting(before.isoformat(timespec="milliseconds"), event)


def accepted(report: Report, of_folder: Machine | None, site: Site) -> Report:
    """A report, or its refusal where the file is not of the machine in whose folder it lies."""
    if is_output_check(report):
        return against_clinic(report, of_folder, site)
    if _is_of_another(report, of_folder, site):
        return Report(format=report.format, error_code="OTHER_MACHINE", error_message=OTHER)
    return report


def judge(report: Report, site: Site, machine: Machine | None) -> list[Outcome]:
    """Hold every number of a report against the clinic's limits of that day."""
    machine_class = machine.machine_class if machine else report.machine_class or ""
    on = (site.zoned(report.performed_at) or site.today()).date()
    is_test = isinstance(report.keys, ImageKeys)
    of_machine = RADIOSURGERY if is_test and machine and machine.radiosurgery else None
    plan_class = _plan_class(report, site) or of_machine
    return [
        judge_analysis(
            analysis,
            [
                judge_value(
                    value,
                    site.limits_for(
                        f"{analysis.analyzer}.{value.judged_as or value.metric}",
                        machine_class,
                        machine,
                        on,
                        plan_class,
                    ),
                )
                for value in analysis.values
            ],
        )
        for analysis in report.analyses
    ]


def _is_of_another(report: Report, machine: Machine | None, site: Site) -> bool:
    """Whether a file says itself that it is not of the machine in whose folder it lies.

    An image may carry the serial of its panel: it has to name another machine of the site.
    """
    if isinstance(report.keys, ImageKeys):
        named = site.machine_told(report.machine_serial, report.machine_name)
        return machine is not None and named is not None and named is not machine
    return _is_machines_own(report) and _differs(report, machine)


def _machine_of(report: Report, of_folder: Machine | None, site: Site) -> Machine | None:
    """Whose file it is: the folder's machine, else the one that the file names.

    What no machine writes itself, as a treatment record, may lie in any folder: there the file's
    own word goes first.
    """
    named = site.machine_told(report.machine_serial, report.machine_name)
    if isinstance(report.keys, ImageKeys):
        return of_folder or named
    if not _is_machines_own(report) and _differs(report, of_folder):
        return named
    return of_folder or named


def _is_machines_own(report: Report) -> bool:
    return not isinstance(report.keys, PlanKeys | RecordKeys)


def _differs(report: Report, machine: Machine | None) -> bool:
    if machine is None or machine.serial is None or report.machine_serial is None:
        return False
    return machine.serial.strip().casefold() != report.machine_serial.strip().casefold()


def _plan_class(report: Report, site: Site) -> str | None:
    """By the plan that was found, and by what the log calls its plan."""
    plan = report.match.plan if report.match is not None else None
    labels = [plan.label if plan else None, report.identity.get("plan_label")]
    return site.plan_class_of(
        [label for label in labels if label],
        plan.dose_per_fraction_gy if plan else None,
        plan.techniques if plan else (),
    )


def _made(report: Report, site: Site, machine: Machine | None) -> Provenance:
    return Provenance(
        software=SOFTWARE,
        site_hash=site.fingerprint,
        machine=machine.name if machine else report.machine_serial,
        machine_class=machine.machine_class if machine else report.machine_class,
        performed_at=site.zoned(report.performed_at),
    )
