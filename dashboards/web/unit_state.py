"""How a kV unit stands today, in one word and one sentence: what the page says first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from analyzers.srt_routine import Frequency
from dashboards.web.clinic import Clinic
from dashboards.web.wording import LOOKS, Look, badness, plural, quantity
from qa_daemon.due import OF_EACH_BEAM, Item, Standing
from qa_daemon.model import Verdict
from qa_daemon.store.output_baselines import WATER
from qa_daemon.store.unit_blocks import Block

OUTPUT = "srt_output.output_deviation"
DAILY_OUTPUT = OF_EACH_BEAM[0]
MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class BeamToday:
    """A beam's output as it was checked last; `is_today`: today."""

    beam: str
    look: Look
    value: str
    on: str
    is_today: bool
    result: int


@dataclass(frozen=True, slots=True)
class StateView:
    """The word with its look, the sentences, and the beams."""

    look: Look
    word: str
    said: list[str]
    beams: list[BeamToday]


def state(
    clinic: Clinic, machine: str, items: Sequence[Item], blocks: Sequence[Block]
) -> StateView:
    """Blocked, not checked today, out of tolerance, or in order; the worst is said."""
    daily = [item for item in items if item.test.frequency is Frequency.DAILY]
    missing = [item for item in daily if item.standing is not Standing.DONE]
    done = [item.last.verdict for item in daily if item.last and item.standing is Standing.DONE]
    worst = max(done, key=badness, default=None)
    said = []
    if blocks:
        look, word = LOOKS[Verdict.ACTION], "Blocked"
        said.append("No treatment until a physicist has found the cause and clears the unit.")
    elif worst in (Verdict.ACTION, Verdict.INVALID):
        look, word = LOOKS[worst], "Out of limits"
        said.append("A check of today is out of its limits. It blocks the unit no longer; look.")
    elif missing:
        look, word = LOOKS[None], "Today's checks are missing" if not done else "Checks are missing"
    elif None in done:
        look, word = LOOKS[None], "Not judged"
        said.append("A check of today had nothing to be held against: that is no pass.")
    elif worst is Verdict.TOLERANCE:
        look, word = LOOKS[Verdict.TOLERANCE], "May treat, beyond tolerance"
        said.append("Tell the physicist.")
    else:
        look, word = LOOKS[Verdict.PASS], "May treat"
        said.append("Today's checks are done and in their limits.")
    if missing:
        said.append(f"Not done today: {_named(missing)}.")
    overdue = [item for item in items if item.standing is Standing.OVERDUE]
    if overdue:
        said.append(f"{plural(len(overdue), 'other test')} overdue: {_named(overdue)}.")
    beams = [_beam(clinic, machine, item) for item in daily if item.test.id == DAILY_OUTPUT]
    found = sorted((b for b in beams if b is not None), key=lambda b: by_potential(b.beam))
    return StateView(look, word, said, found)


def _named(items: Sequence[Item]) -> str:
    first = sorted(items, key=lambda item: item.test.id not in OF_EACH_BEAM)
    names = [f"{i.test.title}{f' ({i.beam})' if i.beam else ''}" for i in first]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{'; '.join(names[:MOST_NAMED])}{more}"


def by_potential(beam: str) -> tuple[float, str]:
    """For sorting beams like `70 kV F2 A30`."""
    first = beam.partition(" ")[0]
    return (float(first) if first.replace(".", "", 1).isdigit() else 0.0, beam)


def _beam(clinic: Clinic, machine: str, item: Item) -> BeamToday | None:
    if item.last is None:
        return None
    analyzer, _, metric = OUTPUT.partition(".")
    # Without a first day, a beam that is never measured so would be looked for in all the archive.
    midnight = datetime.combine(item.last.on, time(), clinic.site.zone)
    since_ns = int(midnight.timestamp()) * 10**9
    points = [
        point
        for at in (item.beam, item.beam + WATER)
        for point in clinic.queries.trend(machine, analyzer, metric, since_ns, limit=1, at=at)
    ]
    newest = max(points, key=lambda point: point.point_ns, default=None)
    if newest is None:
        return None
    return BeamToday(
        item.beam,
        LOOKS[newest.verdict],
        quantity(newest.value, newest.unit, newest.limits),
        clinic.when(newest.point_ns).exact,
        item.standing is Standing.DONE,
        newest.result,
    )
