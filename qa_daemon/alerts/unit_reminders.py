"""kV units: what runs out or is overdue is told once, when it comes to that.

Calibrations of instruments 60 and 30 days ahead and on the day, tests of the routine that are
overdue, checks without a physicist's signature beyond their days.  What was told is stored, so that
a restart neither forgets nor repeats; what no longer holds is forgotten, so that it can come again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from time import monotonic

from sqlalchemy import delete, insert, select

from qa_daemon.alerts.evaluate import notify
from qa_daemon.alerts.messages import unit_reminder
from qa_daemon.due import LastDone, Standing, items
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.site.srt_rules import RULES, Rules
from qa_daemon.store import check_signatures, routine_done
from qa_daemon.store.schema import reminders
from qa_daemon.store.store import Store

LOOK_EVERY_S = 600.0
AHEAD_D = (60, 30, 0)
ALL_UNITS = ""
"""Whose instruments are: of no single unit."""


class UnitReminders:
    """Looks through the kV units now and then; `clock` is monotonic, in seconds."""

    def __init__(self, store: Store, site: Site, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._site = site
        self._clock = clock
        self._looked_at: float | None = None

    def look(self) -> None:
        """Tell what has to be told now."""
        units = [m for m in self._site.machines if m.machine_class == "srt"]
        now = self._clock()
        if not units or (self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S):
            return
        self._looked_at = now
        today = self._site.today().date()
        found = dict(self._instruments(today))
        for unit in units:
            found |= dict(self._of_unit(unit, today))
        self._tell(found)

    def _tell(self, found: dict[str, tuple[str, str]]) -> None:
        with self._store.read() as connection:
            told = set(connection.execute(select(reminders.c.key)).scalars())
        new = [key for key in found if key not in told]
        gone = told - set(found)
        if not new and not gone:
            return
        at = self._store.now()
        with self._store.write() as connection:
            for machine in dict.fromkeys(found[key][0] for key in new):
                lines = [found[key][1] for key in new if found[key][0] == machine]
                notify(connection, None, unit_reminder(self._site, machine, lines), at)
            connection.execute(delete(reminders).where(reminders.c.key.in_(gone)))
            for key in new:
                connection.execute(insert(reminders).values(key=key, told_at=at))

    def _instruments(self, today: date) -> Iterator[tuple[str, tuple[str, str]]]:
        for each in self._site.file.instrument:
            left_d = (each.expires - today).days
            passed = [days for days in AHEAD_D if left_d <= days]
            if not passed:
                continue
            when = f"expires on {each.expires}" if left_d > 0 else f"expired on {each.expires}"
            key = f"calibration {each.kind} {each.serial} {each.expires} {min(passed)}"
            yield key, (ALL_UNITS, f"The calibration of {each.kind} {each.model} {when}.")

    def _of_unit(self, unit: Machine, today: date) -> Iterator[tuple[str, tuple[str, str]]]:
        rules = RULES[unit.srt.rules if unit.srt else "none"]
        done = {
            (one.test, one.beam): LastDone(self._day(one.point_ns), one.result, one.verdict)
            for one in routine_done.newest(self._store, unit.name)
        }
        for item in items(done, [], today, rules.calibration_months):
            if item.standing is Standing.OVERDUE and item.last is not None:
                of = f" of {item.beam}" if item.beam else ""
                yield (
                    f"overdue {unit.name} {item.test.id} {item.beam} {item.last.on}",
                    (
                        unit.name,
                        f"{item.test.title}{of}: due on {item.by}, done last {item.last.on}.",
                    ),
                )
        yield from self._unsigned(unit, rules)

    def _unsigned(self, unit: Machine, rules: Rules) -> Iterator[tuple[str, tuple[str, str]]]:
        before = self._store.instant() - timedelta(days=rules.sign_within_days)
        late = check_signatures.unsigned(self._store, unit.name, before)
        if late:
            yield (
                f"unsigned {unit.name}",
                (
                    unit.name,
                    f"Checks that wait for a physicist's signature for more than "
                    f"{rules.sign_within_days} days: {len(late)}.",
                ),
            )

    def _day(self, point_ns: int) -> date:
        return datetime.fromtimestamp(point_ns / 1e9, UTC).astimezone(self._site.zone).date()
