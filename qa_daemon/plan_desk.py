"""Which plans a log is measured with, before anybody measures it.

A log is read once for its keys, and its plans are looked up.  What a physicist chose goes before
all evidence.  A log whose plan is not here yet is judged by itself meanwhile, and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from analyzers.catalogue import Catalogue
from analyzers.records import Delivery
from qa_daemon.model import DeliveryKeys, Job, MatchState, Report
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.ledger import LedgerFile
from qa_daemon.store.plans import FoundPlans, Plans

NONE_OF_THEM = "a physicist said that none of the plans here is this log's"
MISSING = "no plan: the one that the log names has not arrived"


@dataclass(frozen=True, slots=True)
class PlanDesk:
    """Finds the plans of logs."""

    plans: Plans
    archive: Archive
    site: Site
    catalogue: Catalogue

    def beside(
        self,
        job: Job,
        file: LedgerFile,
        machine: Machine | None,
        measure: Callable[[Job], Report],
    ) -> tuple[Job, FoundPlans | None]:
        """The job with its plans; None where the file has none.  Raises what `measure` raises."""
        # What this version could not tell when the file came is told by reading it.
        if file.format is not None and not self._has_a_plan(file.format):
            return job, None
        read = measure(job.model_copy(update={"only_keys": True}))
        if not isinstance(read.keys, DeliveryKeys):
            return job, None
        machine = machine or self.site.machine_of_serial(read.machine_serial)
        name = machine.name if machine else read.machine_serial
        found = self.plans.for_log(read.keys, file.sha256, name)
        return job.model_copy(update=self._told(found, file, machine)), found

    def _has_a_plan(self, format_name: str) -> bool:
        return issubclass(self.catalogue.format_named(format_name).yields, Delivery)

    def _told(
        self, found: FoundPlans, file: LedgerFile, machine: Machine | None
    ) -> dict[str, object]:
        told: dict[str, object] = {
            "plans": tuple(self.archive.named(plan) for plan in found.files),
            "plan_is_chosen": found.is_chosen,
            "is_chosen_for_field": found.is_for_field,
            "doubt": found.doubt,
            **self.site.machine_names(machine),
        }
        if found.is_chosen and not found.files:
            told["no_plan"] = NONE_OF_THEM
        elif found.is_awaited:
            told |= self._absence(file)
        return told

    def _absence(self, file: LedgerFile) -> dict[str, object]:
        """Whether it waits, or has waited for long enough."""
        rules = self.site.file.plans
        if self.site.clock() - datetime.fromisoformat(file.arrived_at) < rules.arrive_within:
            return {"no_plan": MISSING, "no_plan_is": MatchState.WAITING}
        overdue = MatchState.FAILED if rules.required else MatchState.ABSENT
        return {"no_plan": MISSING, "no_plan_is": overdue}
