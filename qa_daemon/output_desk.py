"""What the clinic knows of its kV units, laid beside a check before it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from analyzers.output_registry import (
    Baseline,
    Certificate,
    RegisteredApplicator,
    RegisteredBeam,
    RegisteredUnit,
)
from qa_daemon.model import Job
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store import output_baselines
from qa_daemon.store.store import Store

CLASS = "srt"


@dataclass(frozen=True, slots=True)
class OutputDesk:
    """Beams, instruments and signed baselines of the clinic's kV units."""

    site: Site
    store: Store

    def beside(self, job: Job, machine: Machine | None) -> Job:
        """The job with the units that its file may be of."""
        if machine is not None and machine.machine_class != CLASS:
            return job
        units = [m for m in self.site.machines if m.machine_class == CLASS]
        known = tuple(registered(self.site, unit, self._baselines(unit)) for unit in units)
        return job.model_copy(update={"units": known}) if known else job

    def _baselines(self, unit: Machine) -> tuple[Baseline, ...]:
        return output_baselines.registered(output_baselines.every(self.store, unit.name))


def registered(
    site: Site, machine: Machine, baselines: tuple[Baseline, ...] = ()
) -> RegisteredUnit:
    """A unit of the site file, with its baselines."""
    unit = machine.srt
    names = (machine.name,) if machine.serial is None else (machine.name, machine.serial)
    return RegisteredUnit(
        names=names,
        beams=tuple(RegisteredBeam(b.kvp, b.filter, b.hvl_mm_al) for b in unit.beams)
        if unit
        else (),
        applicators=tuple(
            RegisteredApplicator(a.id, a.ssd_cm, a.diameter_cm, a.x_cm, a.y_cm)
            for a in (unit.applicators if unit else ())
        ),
        certificates=tuple(
            Certificate(i.kind, i.serial, i.calibrated, i.expires, i.t_ref_c, i.p_ref_kpa)
            for i in site.file.instrument
        ),
        baselines=baselines,
        reference_applicator=unit.reference_applicator if unit else None,
    )
