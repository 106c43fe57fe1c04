"""Plans and the logs that belong to them: found by keys, whatever comes first.

A log is judged with the plans that are here; when a plan comes, the logs it may be of are queued
again.  Nothing is decided here: matching is the analyzers' business.  No look-up grows with the
number of stored plans.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from qa_daemon.fractions import NANO
from qa_daemon.model import (
    DeliveryKeys,
    Event,
    MatchReport,
    PlanKeys,
    RecordKeys,
    Report,
    State,
)
from qa_daemon.store.ledger import LedgerFile, file_of, move, queue_all
from qa_daemon.store.plan_choices import choice, field_key
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.resumptions import join_resumed
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    files,
    patients,
    plan_uids,
    planned_beams,
    plans,
    recorded_beams,
)
from qa_daemon.store.store import Store

MOST_PLANS = 40
"""So many plans are held against one log; those that no log names are chosen by meterset."""
SAME_MU, SAME_MU_SHARE = 0.5, 0.005
FRACTION_GAP = timedelta(hours=3)
LOGS_OF_A_PLAN = timedelta(days=90)
"""Logs that do not name their plan are not held against one that arrives so long after them."""
AT_ONCE = 500
TOO_MANY = f"more than {MOST_PLANS} plans may be its plan"
CHOICE_GONE = "the plan that was chosen for it is not here any more"


@dataclass(frozen=True, slots=True)
class FoundPlans:
    """The plans that a log may be of.

    `is_chosen`: a physicist said so of the first, or that it is none here; `is_for_field`: said of
    another log of its field.  `doubt` is why a person has to decide, whatever fits.
    `is_awaited`: the log names a plan that is not here.
    """

    files: tuple[LedgerFile, ...] = ()
    is_chosen: bool = False
    is_for_field: bool = False
    doubt: str | None = None
    is_awaited: bool = False

    @property
    def ids(self) -> tuple[object, ...]:
        """What makes it the same answer."""
        files = tuple(file.id for file in self.files)
        return files, self.is_chosen, self.is_for_field, self.doubt


@dataclass(frozen=True, slots=True)
class Saved:
    """A result that was just stored, as far as this module needs to know it."""

    result: int
    machine: str | None
    point_ns: int


class Plans:
    """Finds plans for logs and logs for plans; a fraction's logs are at most a gap apart."""

    def __init__(
        self, store: Store, pseudonyms: Pseudonyms, fraction_gap: timedelta = FRACTION_GAP
    ) -> None:
        self._store = store
        self._pseudonyms = pseudonyms
        self._gap_ns = int(fraction_gap.total_seconds() * NANO)

    def for_log(self, keys: DeliveryKeys, sha256: str, machine: str | None) -> FoundPlans:
        """The plans to hold a log against."""
        with self._store.read() as connection:
            return self._find(connection, keys, sha256, machine)

    def keep(
        self,
        connection: Connection,
        file: LedgerFile,
        others: Sequence[int],
        report: Report,
        saved: Saved,
        used: FoundPlans | None,
    ) -> None:
        """Store a new result's keys in the transaction that stores the result.

        `others` are the files that were read with it, which have no keys of their own any more.
        Queues what has to be judged again because of it: the logs of a new plan, and a log whose
        plans changed while it was judged.
        """
        for identity in (file.id, *others):
            _forget(connection, identity)
        if isinstance(report.keys, PlanKeys):
            self._keep_plan(connection, file, report.keys, saved)
        elif isinstance(report.keys, RecordKeys):
            self._keep_record(connection, file, report.keys, saved)
        elif isinstance(report.keys, DeliveryKeys):
            now = self._keep_delivery(connection, file, report.keys, report.match, saved, used)
            if used is not None and now.ids != used.ids:
                move(connection, file.id, Event.INPUT_CAME)

    # -- logs ------------------------------------------------------------------------------------

    def _find(
        self, connection: Connection, keys: DeliveryKeys, sha256: str, machine: str | None
    ) -> FoundPlans:
        chosen = choice(connection, sha256, field_key(keys, machine))
        if chosen is None:
            return self._by_keys(connection, keys)
        if chosen.plan_sha256 is None:
            return FoundPlans(is_chosen=True)
        found = _live(connection, files.c.sha256 == chosen.plan_sha256)
        if not found:
            return replace(self._by_keys(connection, keys), doubt=CHOICE_GONE)
        if chosen.sha256 == sha256:
            return FoundPlans(tuple(found), is_chosen=True)
        others = [f for f in self._by_keys(connection, keys).files if f.id != found[0].id]
        return FoundPlans((*found, *others), is_chosen=True, is_for_field=True)

    def _by_keys(self, connection: Connection, keys: DeliveryKeys) -> FoundPlans:
        if keys.plan_uid is not None:
            named = select(plan_uids.c.file).where(plan_uids.c.uid == keys.plan_uid)
            found = _live(connection, files.c.id.in_(named))
            return FoundPlans(tuple(found), is_awaited=not found)
        patient = self._pseudonyms.of(keys.patient_id)
        if patient is not None:
            found = _live(connection, plans.c.patient == patient)
            if len(found) > MOST_PLANS and keys.planned_mu is not None:
                near = _meterset_is_near(keys.planned_mu)
                found = _live(connection, plans.c.patient == patient, near)
        elif keys.planned_mu is not None:
            found = _live(connection, _meterset_is_near(keys.planned_mu))
        else:
            return FoundPlans()
        cut = len(found) > MOST_PLANS
        return FoundPlans(tuple(found[:MOST_PLANS]), doubt=TOO_MANY if cut else None)

    def _keep_delivery(
        self,
        connection: Connection,
        file: LedgerFile,
        keys: DeliveryKeys,
        match: MatchReport | None,
        saved: Saved,
        used: FoundPlans | None,
    ) -> FoundPlans:
        patient = self._pseudonyms.of(keys.patient_id)
        beams = match.beams if match is not None and used is not None else ()
        plan = used.files[beams[0].plan].id if used is not None and beams else None
        if plan is not None and patient is None:
            whose = select(plans.c.patient).where(plans.c.file == plan)
            patient = connection.execute(whose).scalar_one_or_none()
        connection.execute(
            insert(deliveries).values(
                file=file.id,
                result=saved.result,
                machine=saved.machine,
                patient=patient,
                patient_is_told=keys.patient_id is not None,
                plan_uid=keys.plan_uid,
                beam_number=keys.beam_number,
                field=keys.field,
                planned_mu=keys.planned_mu,
                point_ns=saved.point_ns,
                state=match.state.value if match is not None else None,
                reason=match.reason if match is not None else None,
                plan=plan,
                rivals=_rivals(match, used),
            )
        )
        if beams:
            rows = [
                beam.model_dump(exclude={"plan"})
                | {"file": file.id, "plan": plan, "point_ns": saved.point_ns}
                for beam in beams
            ]
            connection.execute(insert(delivered_beams), rows)
        meet(connection, patient, saved)
        join_resumed(connection, file.id, self._gap_ns)
        return self._find(connection, keys, file.sha256, saved.machine)

    # -- plans and records -----------------------------------------------------------------------

    def _keep_plan(
        self, connection: Connection, file: LedgerFile, keys: PlanKeys, saved: Saved
    ) -> None:
        patient = self._pseudonyms.of(keys.patient_id)
        metersets = [beam.meterset_mu for beam in keys.beams]
        known = [mu for mu in metersets if mu is not None]
        connection.execute(
            insert(plans).values(
                file=file.id,
                plan_uid=keys.plan_uid,
                patient=patient,
                label=keys.label,
                fractions=keys.fractions,
                dose_per_fraction_gy=keys.dose_per_fraction_gy,
                total_mu=sum(known) if known and len(known) == len(metersets) else None,
            )
        )
        uids = dict.fromkeys(keys.earlier_plan_uids, False)
        if keys.plan_uid is not None:
            uids[keys.plan_uid] = True
        if uids:
            rows = [{"uid": uid, "file": file.id, "is_own": own} for uid, own in uids.items()]
            connection.execute(insert(plan_uids), rows)
        if keys.beams:
            beams = [{"file": file.id} | beam.model_dump() for beam in keys.beams]
            connection.execute(insert(planned_beams), beams)
        meet(connection, patient, saved)
        since = datetime.fromisoformat(self._store.now()) - LOGS_OF_A_PLAN
        arrived_since = since.isoformat(timespec="milliseconds")
        _queue_logs_of(connection, patient, list(uids), known, arrived_since)

    def _keep_record(
        self, connection: Connection, file: LedgerFile, keys: RecordKeys, saved: Saved
    ) -> None:
        whose = {
            "file": file.id,
            "patient": self._pseudonyms.of(keys.patient_id),
            "plan_uid": keys.plan_uid,
            "machine": saved.machine,
            "point_ns": saved.point_ns,
            "arrived_at": file.arrived_at,
            "state": "open",
        }
        rows = [beam.model_dump() | whose for beam in keys.beams]
        if rows:
            connection.execute(insert(recorded_beams), rows)


def _live(connection: Connection, *where: ColumnElement[bool]) -> list[LedgerFile]:
    """Plans to hold logs against, newest first where they are too many, else in a fixed order.

    A plan whose file was overwritten stays one, unless with a newer state of itself: exports are
    written under the same name for one patient after the other.
    """
    newer, its_file = plans.alias(), files.alias()
    again = (
        select(newer.c.file)
        .join(its_file, its_file.c.id == newer.c.file)
        .where(newer.c.plan_uid == plans.c.plan_uid, its_file.c.state == State.DONE.value)
    )
    kept = (files.c.state == State.REPLACED.value) & plans.c.plan_uid.is_not(None)
    query = (
        select(files)
        .join(plans, plans.c.file == files.c.id)
        .where(*where, (files.c.state == State.DONE.value) | (kept & ~again.exists()))
        .order_by(files.c.id.desc())
        .limit(MOST_PLANS + 1)
    )
    found = [file_of(row) for row in connection.execute(query).mappings()]
    return found if len(found) > MOST_PLANS else sorted(found, key=lambda file: file.sha256)


def _near(column: ColumnElement[float], meterset_mu: float) -> ColumnElement[bool]:
    reach = max(SAME_MU, SAME_MU_SHARE * meterset_mu)
    return column.between(meterset_mu - reach, meterset_mu + reach)


def _meterset_is_near(meterset_mu: float) -> ColumnElement[bool]:
    """Plans of this meterset, or with a beam of it."""
    of_beam = select(planned_beams.c.file).where(_near(planned_beams.c.meterset_mu, meterset_mu))
    return or_(files.c.id.in_(of_beam), _near(plans.c.total_mu, meterset_mu))


def _queue_logs_of(
    connection: Connection,
    patient: str | None,
    uids: Sequence[str],
    metersets: Sequence[float],
    arrived_since: str,
) -> None:
    """Queue every log that this plan may be of; of those that do not name it, the newer ones."""
    may_be: list[ColumnElement[bool]] = [deliveries.c.plan_uid.in_(uids)]
    unnamed = deliveries.c.plan_uid.is_(None) & (files.c.arrived_at >= arrived_since)
    for meterset_mu in {*metersets, sum(metersets)} if metersets else ():
        near = _near(deliveries.c.planned_mu, meterset_mu) & unnamed
        may_be.append(near & deliveries.c.patient_is_told.is_(False))
        if patient is not None:
            may_be.append(near & (deliveries.c.patient == patient))
    for part in may_be:
        query = select(deliveries.c.file).join(files, files.c.id == deliveries.c.file).where(part)
        identities = connection.execute(query).scalars().all()
        for start in range(0, len(identities), AT_ONCE):
            queue_all(connection, identities[start : start + AT_ONCE])


def _forget(connection: Connection, file: int) -> None:
    """What an earlier result of this file said."""
    for table in (deliveries, delivered_beams, recorded_beams, plan_uids, planned_beams, plans):
        connection.execute(delete(table).where(table.c.file == file))


def meet(connection: Connection, patient: str | None, saved: Saved) -> None:
    """Keep the list of patients, the newest first."""
    if patient is None:
        return
    here = patients.c.pseudonym == patient
    values = {"result": saved.result, "point_ns": saved.point_ns}
    before = connection.execute(select(patients.c.point_ns).where(here)).scalar_one_or_none()
    if before is None:
        connection.execute(insert(patients).values(pseudonym=patient, **values))
    elif saved.point_ns >= before:
        connection.execute(update(patients).where(here).values(**values))


def _rivals(match: MatchReport | None, used: FoundPlans | None) -> str:
    if match is None or used is None:
        return "[]"
    rivals = [
        rival.model_dump() | {"plan": used.files[rival.plan].sha256} for rival in match.rivals
    ]
    return json.dumps(rivals)
