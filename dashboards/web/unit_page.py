"""What the page of a kV unit shows: whether it may treat, what is due, how its beams stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from analyzers.srt_tables import KINDS
from dashboards.web.clinic import Clinic, When
from dashboards.web.unit_state import StateView, by_potential, state
from dashboards.web.wording import LOOKS, Look, instant
from qa_daemon.due import Item, LastDone, Standing, items
from qa_daemon.site.settings import Machine
from qa_daemon.site.srt_rules import RULES, Rules
from qa_daemon.site.srt_settings import Instrument
from qa_daemon.store import (
    check_signatures,
    output_baselines,
    routine_done,
    srt_tables,
    unit_blocks,
)
from qa_daemon.store.check_signatures import Unsigned
from qa_daemon.store.output_baselines import OutputBaseline
from qa_daemon.store.srt_tables import StoredTable
from qa_daemon.store.unit_blocks import Block

EXPIRES_SOON = timedelta(days=60)
EXPIRES_VERY_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DueView:
    """A test of the routine as a row: when it was done last, with what verdict, when it is due."""

    title: str
    beam: str
    frequency: str
    standing: str
    is_late: bool
    by: date
    last: date | None
    look: Look | None
    result: int | None


@dataclass(frozen=True, slots=True)
class ExpiryView:
    """An instrument and how long its calibration still holds."""

    instrument: Instrument
    word: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class SignatureView:
    """A check that waits for a physicist's signature."""

    result: int
    when: When
    look: Look
    is_late: bool


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of the unit with its rows; `counts` where treatments of today are held against it."""

    stored: StoredTable
    title: str
    source: str
    columns: list[str]
    rows: list[list[str]]
    counts: bool
    state: str
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class UnitView:
    """Everything on the page.  `beams` are those whose output was checked; `done` is not due."""

    name: str
    machine: Machine
    rules: Rules
    state: StateView
    blocks: list[tuple[Block, When]]
    due: list[DueView]
    done: list[DueView]
    beams: list[str]
    unsigned: list[SignatureView]
    baselines: list[tuple[OutputBaseline, str]]
    instruments: list[ExpiryView]
    tables: list[TableView]


def view(clinic: Clinic, machine: Machine) -> UnitView:
    """The page of a unit."""
    rules = RULES[machine.srt.rules if machine.srt else "none"]
    done = last_done(clinic, machine.name)
    found = {beam for (test, beam) in done if test in ("SRT.D.OUT", "SRT.M.OUT")}
    beams = sorted(found, key=by_potential)
    today = clinic.clock().astimezone(clinic.site.zone).date()
    routine = items(done, beams, today, rules.calibration_months)
    blocks = unit_blocks.open_blocks(clinic.store, machine.name)
    return UnitView(
        name=machine.name,
        machine=machine,
        rules=rules,
        state=state(clinic, machine.name, routine, blocks),
        blocks=[(block, clinic.when(block.point_ns)) for block in blocks],
        due=[_due(item) for item in routine if item.standing is not Standing.DONE],
        done=[_due(item) for item in routine if item.standing is Standing.DONE],
        beams=beams,
        unsigned=_unsigned(
            clinic, check_signatures.unsigned(clinic.store, machine.name), rules.sign_within_days
        ),
        baselines=[
            (baseline, clinic.local(baseline.since))
            for baseline in reversed(output_baselines.every(clinic.store, machine.name))
        ],
        instruments=[_expiry(each, today) for each in clinic.site.file.instrument],
        tables=_tables(clinic, machine.name, today),
    )


def _tables(clinic: Clinic, machine: str, today: date) -> list[TableView]:
    """Every table, the newest first; what waits for a signature stands before the others."""
    used = {one.id for one in srt_tables.in_use(clinic.store, machine, today).values()}
    shown = []
    for stored in srt_tables.every(clinic.store, machine):
        table, counts = stored.table, stored.id in used
        shown.append(
            TableView(
                stored,
                KINDS[stored.kind].title,
                table.source,
                [f"{c.name}{f' ({c.unit})' if c.unit else ''}" for c in table.columns],
                [[c if isinstance(c, str) else f"{c:g}" for c in row] for row in table.rows],
                counts,
                _state(stored, counts=counts),
                stored.signed_by is None and stored.withdrawn_by is None,
            )
        )
    return sorted(shown, key=lambda one: not one.is_waiting)


def _state(stored: StoredTable, *, counts: bool) -> str:
    if stored.withdrawn_by is not None:
        return f"withdrawn by {stored.withdrawn_by}: {stored.withdrawn_reason}"
    if stored.signed_by is None:
        return "not signed: it is not used"
    said = f"signed by {stored.signed_by}: {stored.signed_reason}"
    return f"in use, {said}" if counts else f"of another time, {said}"


def last_done(clinic: Clinic, machine: str) -> dict[tuple[str, str], LastDone]:
    """When each test of a unit's routine was done last, by test and beam, in the clinic's days."""
    return {
        (done.test, done.beam): LastDone(
            instant(done.point_ns).astimezone(clinic.site.zone).date(), done.result, done.verdict
        )
        for done in routine_done.newest(clinic.store, machine)
    }


def _due(item: Item) -> DueView:
    return DueView(
        title=item.test.title,
        beam=item.beam,
        frequency=item.test.frequency.value,
        standing=item.standing.value,
        is_late=item.standing is Standing.OVERDUE,
        by=item.by,
        last=item.last.on if item.last else None,
        look=LOOKS[item.last.verdict] if item.last else None,
        result=item.last.result if item.last else None,
    )


def _unsigned(clinic: Clinic, waiting: Sequence[Unsigned], within_days: int) -> list[SignatureView]:
    late_before = clinic.clock() - timedelta(days=within_days)
    return [
        SignatureView(
            one.result,
            clinic.when(one.point_ns),
            LOOKS[one.verdict],
            instant(one.point_ns) < late_before,
        )
        for one in waiting
    ]


def _expiry(instrument: Instrument, today: date) -> ExpiryView:
    left = instrument.expires - today
    if left <= timedelta(0):
        return ExpiryView(instrument, "out of calibration", is_bad=True)
    is_bad = left <= EXPIRES_VERY_SOON
    word = f"{left.days} days left" if left <= EXPIRES_SOON else "in force"
    return ExpiryView(instrument, word, is_bad)
