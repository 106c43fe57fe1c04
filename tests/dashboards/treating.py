"""A clinic with plans, logs and a treatment record of them, put in through the store's front door.

Who the patients are, and what plans and beams are called, stands in `SECRETS`: no page shows any of
it to somebody who is not signed in as a physicist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from qa_daemon.model import (
    AnalysisReport,
    DeliveredBeam,
    DeliveryKeys,
    MatchReport,
    MatchState,
    PlanKeys,
    PlannedBeam,
    RecordedBeam,
    RecordKeys,
    Report,
    RivalBeam,
    Value,
)
from qa_daemon.pipeline import judge
from qa_daemon.store.ledger import Arrival, Fingerprint
from qa_daemon.store.plans import FoundPlans, Plans
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.results import Provenance, Results, Used
from tests.dashboards.clinic import Clinic
from tests.dashboards.serving import Served, serving
from tests.dashboards.visiting import LINE, PEOPLE

PATIENT = "CANARY-PATIENT-1"
OTHER_PATIENT = "CANARY-PATIENT-2"
LABEL, COPY_LABEL = "CANARY-LABEL", "CANARY-COPY"
UID, COPY_UID, OTHER_UID = "1.2.777.1", "1.2.777.2", "1.2.777.3"
BEAMS = {1: ("CANARY-BEAM-A", 100.0), 2: ("CANARY-BEAM-B", 50.0)}
FIELD = "CANARY-FIELD"
SECRETS = ("CANARY", "1.2.777")
SAID = (
    "planned beam found by leaves 0.02 mm off, jaws 0.00 mm off; "
    "plan unknown, patient agrees, beam unknown, meterset agrees, energy unknown, machine agrees"
)


@dataclass(frozen=True, slots=True)
class Log:
    """A log to put in: beam and its meterset from and to in MU; None: it needs a match."""

    beam: int = 1
    part_mu: tuple[float, float] | None = None
    leaf_mm: float = 0.05
    keys: DeliveryKeys = field(
        default_factory=lambda: DeliveryKeys(plan_uid=UID, patient_id=PATIENT, planned_mu=100.0)
    )


class TreatingClinic(Clinic):
    """One in which two people can sign in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, more=PEOPLE)
        for file in ("a.password", "b.password"):
            (folder / file).write_text(LINE + "\n")
        self.pseudonyms = Pseudonyms(self.site.state_dir, self.store)
        self.plans = Plans(self.store, self.pseudonyms)
        self.results = Results(self.store, ["alerts"], self.plans)

    def plan(self, uid: str, label: str, patient: str = PATIENT, days: float = 40.0) -> int:
        """A plan of both beams for three fractions."""
        keys = PlanKeys(
            plan_uid=uid,
            patient_id=patient,
            label=label,
            fractions=3,
            beams=tuple(
                PlannedBeam(number=number, name=name, meterset_mu=mu, energy="6x", machine="TB1")
                for number, (name, mu) in BEAMS.items()
            ),
        )
        told = {"patient_id": patient, "plan_label": label, "plan_uid": uid}
        return self.put(
            Report(format="dicom-rtplan", not_judged="kept", keys=keys, identity=told), days * 24
        )

    def log(self, told: Log, hours: float) -> int:
        """A log, matched where it says which part of a beam it is; else it needs a match."""
        match = MatchReport(
            state=MatchState.NEEDS_A_MATCH,
            reason="needs a match: 2 planned beams fit about as well; choose its plan",
        )
        used = self.plans.for_log(told.keys, "", "TB1")
        if told.part_mu is not None:
            part = DeliveredBeam(
                plan=0,
                number=told.beam,
                planned_mu=BEAMS[told.beam][1],
                from_mu=told.part_mu[0],
                to_mu=told.part_mu[1],
            )
            match = MatchReport(state=MatchState.MATCHED, beams=(part,))
        else:
            rivals = [
                RivalBeam(plan=place, number=number, score=score, said=SAID)
                for place in range(len(used.files))
                for number, score in ((1, 0.758), (2, 0.5))
            ]
            match = match.model_copy(update={"rivals": tuple(rivals)})
        said = AnalysisReport(
            analyzer="mlc_positions",
            version="1",
            values=(Value(metric="worst_leaf_rms", value=told.leaf_mm, unit="mm", at="A31"),),
        )
        patient = {"patient_id": told.keys.patient_id} if told.keys.patient_id else {}
        report = Report(
            format="varian-trajectory-log",
            analyses=(said,),
            keys=told.keys,
            match=match,
            identity={**patient, "beam_name": BEAMS[told.beam][0]},
        )
        return self.put(report, hours, used)

    def record(self, delivered_mu: Mapping[int, float], hours: float) -> int:
        """A treatment record of the first plan's second fraction."""
        keys = RecordKeys(
            plan_uid=UID,
            patient_id=PATIENT,
            beams=tuple(
                RecordedBeam(number=number, fraction=2, delivered_mu=mu, termination="NORMAL")
                for number, mu in delivered_mu.items()
            ),
        )
        told = {"patient_id": PATIENT, "plan_uid": UID}
        return self.put(
            Report(format="dicom-rtrecord", not_judged="kept", keys=keys, identity=told), hours
        )

    def put(self, report: Report, hours: float, used: FoundPlans | None = None) -> int:
        """Judge and store a report of a file as old as that."""
        self._files += 1
        at = self.now - timedelta(hours=hours)
        name = f"CANARY_{self._files}.bin"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        written = Fingerprint(f"/in/TB1/{name}", 10, 1_000_000_000, name)
        file = self.ledger.add(Arrival(written, "/in/TB1", name, "TB1", sha256, report.format))
        machine = self.site.machine_named("TB1")
        made = Provenance("0.1.0", self.site.fingerprint, "TB1", "truebeam", at)
        saved = self.results.save(
            file, [], report, judge(report, self.site, machine), made, None, Used(used)
        )
        assert saved is not None
        return saved


def treat(clinic: TreatingClinic) -> dict[str, int]:
    """Three fractions of a plan, a copy of it, and logs that need a match."""
    ids = {"plan": clinic.plan(UID, LABEL)}
    # The first fraction is whole, the second not, and the third is under way.
    ids["whole"] = clinic.log(Log(1, (0.0, 100.0)), 49.0)
    clinic.log(Log(2, (0.0, 20.0)), 48.9)
    ids["resumed"] = clinic.log(Log(2, (20.0, 50.0)), 48.8)
    ids["short"] = clinic.log(Log(1, (0.0, 61.5), leaf_mm=9.0), 25.0)
    ids["record"] = clinic.record({1: 61.5, 2: 50.0}, 24.9)
    ids["under way"] = clinic.log(Log(1, (0.0, 100.0)), 0.5)
    ids["copy"] = clinic.plan(COPY_UID, COPY_LABEL, days=39.0)
    ids["other plan"] = clinic.plan(OTHER_UID, "CANARY-OTHER", OTHER_PATIENT, days=38.0)
    clinic.log(
        Log(2, (0.0, 50.0), keys=DeliveryKeys(plan_uid=OTHER_UID, patient_id=OTHER_PATIENT)), 23.0
    )
    ids["unsure"] = clinic.log(Log(keys=DeliveryKeys(patient_id=PATIENT, planned_mu=100.0)), 6.0)
    field_only = DeliveryKeys(field=FIELD, planned_mu=100.0)
    ids["nameless"] = clinic.log(Log(keys=field_only), 5.0)
    return ids


def pseudonym_of(served: Served, patient: str) -> str:
    found = Pseudonyms(served.clinic.site.state_dir, served.clinic.store).of(patient)
    assert found is not None
    return found


@contextmanager
def treated(folder: Path) -> Iterator[Served]:
    """That clinic, served."""
    clinic = TreatingClinic(folder)
    with serving(clinic, treat(clinic)) as served:
        yield served
