"""What the clinic knows of its kV units, laid beside a check before it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from analyzers.output_registry import (
    Baseline,
    Certificate,
    RegisteredApplicator,
    RegisteredBeam,
    RegisteredUnit,
)
from analyzers.srt_tables import APPLICATOR_FACTOR, BACKSCATTER, DEPTH_DOSE
from analyzers.srt_treatments import TreatmentInputs
from qa_daemon.model import Job, KvFractionKeys, Report
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store import output_baselines, srt_tables
from qa_daemon.store.kv_fractions import Asked, FoundInputs, KvFractions
from qa_daemon.store.ledger import LedgerFile
from qa_daemon.store.store import Store

CLASS = "srt"
TREATMENT = "srt-treatment-json"
OF_CHECKS = (APPLICATOR_FACTOR.name, BACKSCATTER.name, DEPTH_DOSE.name)
"""Kinds of tables that output checks are held against."""


@dataclass(frozen=True, slots=True)
class OutputDesk:
    """Beams, instruments and signed baselines of the clinic's kV units."""

    site: Site
    store: Store
    fractions: KvFractions | None = None
    """None where checks alone are asked for."""

    def beside(self, job: Job, machine: Machine | None) -> Job:
        """The job with the units that its file may be of."""
        if machine is not None and machine.machine_class != CLASS:
            return job
        units = [m for m in self.site.machines if m.machine_class == CLASS]
        # A file of a unit's folder is of that unit, or refused: the tables of others are not read.
        known = tuple(
            self._known(unit, with_tables=machine is None or unit.name == machine.name)
            for unit in units
        )
        of_folder = machine.name if machine is not None else None
        told = {"units": known, "unit_of_folder": of_folder}
        return job.model_copy(update=told) if known else job

    def with_inputs(
        self,
        job: Job,
        file: LedgerFile,
        machine: Machine | None,
        measure: Callable[[Job], Report],
    ) -> tuple[Job, tuple[Asked, FoundInputs] | None]:
        """The job of a fraction with what it is calculated with; None for any other file.

        Raises what `measure` raises.
        """
        if file.format != TREATMENT or self.fractions is None:
            return job, None
        read = measure(job.model_copy(update={"only_keys": True}))
        keys, at = read.keys, read.performed_at
        unit = machine or self.site.machine_told(read.machine_serial, read.machine_name)
        if not isinstance(keys, KvFractionKeys) or at is None or unit is None:
            return job, None
        known = registered(self.site, unit)
        asked = Asked(
            machine=unit.name,
            beam=f"{keys.kvp:g} kV {keys.filter_id}",
            reference=known.reference_applicator,
            at=at,
            day=keys.day,
            course=self.fractions.course_of(keys),
            fraction=keys.fraction,
            file=file.id,
        )
        found = self.fractions.find(asked)
        inputs = TreatmentInputs(
            unit=known,
            tables=tuple(stored.table for stored in found.tables),
            output=found.output,
            end_effect=found.end_effect,
            blocked=found.blocked,
            other_parts=tuple(part for _, part in found.others),
            copies=len(found.copies),
        )
        return job.model_copy(update={"treatment": inputs}), (asked, found)

    def _known(self, unit: Machine, *, with_tables: bool) -> RegisteredUnit:
        baselines = output_baselines.registered(output_baselines.every(self.store, unit.name))
        known = registered(self.site, unit, baselines)
        if not with_tables:
            return known
        # The last that was entered comes last, as where a treatment looks for its tables.
        stored = [t for t in reversed(srt_tables.every(self.store, unit.name)) if t.is_in_use]
        return replace(known, tables=tuple(t.table for t in stored if t.kind in OF_CHECKS))


def registered(
    site: Site, machine: Machine, baselines: tuple[Baseline, ...] = ()
) -> RegisteredUnit:
    """A unit of the site file, with its baselines."""
    unit = machine.srt
    serial = () if machine.serial is None else (machine.serial,)
    return RegisteredUnit(
        names=(machine.name, *serial, *machine.plan_names),
        beams=tuple(RegisteredBeam(b.kvp, b.filter, b.hvl_mm_al) for b in unit.beams)
        if unit
        else (),
        applicators=tuple(
            RegisteredApplicator(a.id, a.ssd_cm, a.diameter_cm, a.x_cm, a.y_cm)
            for a in (unit.applicators if unit else ())
        ),
        certificates=tuple(
            Certificate(
                i.kind, i.serial, i.calibrated, i.expires, i.t_ref_c, i.p_ref_kpa, i.n_k_range
            )
            for i in site.file.instrument
        ),
        baselines=baselines,
        reference_applicator=unit.reference_applicator if unit else None,
    )
