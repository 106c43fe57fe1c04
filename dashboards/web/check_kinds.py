"""Kinds of check that can be typed in, and which fields each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from analyzers.output_checks import CheckType
from analyzers.srt_routine import ROUTINE, Frequency, RoutineTest

MOST_ROWS = 24
BACKUP_TIMER = "SRT.D.TIMER.BACKUP"
"""Typed as the time that was set and the time that the backup timer shows."""


class Cards(Enum):
    """What a check has a card for."""

    BEAM = "each beam, with the reference applicator"
    APPLICATOR = "each applicator, with one beam"
    SETTING = "each setting of one beam"


@dataclass(frozen=True, slots=True)
class Own:
    """A field that the cards of a kind have beside time and readings, by its column."""

    column: str
    label: str
    unit: str
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of check.

    `routine`: the tests of the routine that are asked with it.  `rows` are the cards at first, of
    settings alone, `readings` the fields of a card where no earlier check tells.
    """

    type: CheckType
    title: str
    says: str
    cards: Cards = Cards.SETTING
    routine: Frequency | None = None
    own: tuple[Own, ...] = ()
    rows: int = 1
    readings: int = 3

    @property
    def name(self) -> str:
        """In addresses and forms."""
        return self.type.value

    @property
    def items(self) -> list[RoutineTest]:
        """The tests of the routine that are answered on a list, not by readings."""
        return [t for t in ROUTINE if t.frequency is self.routine and t.check_type is None]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            CheckType.DAILY,
            "Daily",
            "Before the first patient of the day.",
            Cards.BEAM,
            Frequency.DAILY,
        ),
        Kind(
            CheckType.MONTHLY,
            "Monthly",
            "Output of each beam with the traceable chamber, and the monthly tests.",
            Cards.BEAM,
            Frequency.MONTHLY,
        ),
        Kind(
            CheckType.ABSOLUTE,
            "Absolute",
            "Absolute output of each beam, and the annual tests.",
            Cards.BEAM,
            Frequency.ANNUAL,
        ),
        Kind(
            CheckType.HVL,
            "Half-value layer",
            "One card for each thickness of absorber; the first without any (0).",
            own=(Own("absorber_mm_al", "Absorber", "mm Al"),),
            rows=5,
        ),
        Kind(
            CheckType.LINEARITY,
            "Timer linearity",
            "One card for each time; three different times or more.",
            rows=4,
        ),
        Kind(
            CheckType.TIMER,
            "Timer, end effect",
            "Two different times; or one exposure, and several that are as long together. "
            "A time by stopwatch tests the timer itself.",
            own=(
                Own("exposures", "Exposures that one reading adds up", "", is_needed=False),
                Own("timer_measured_s", "Time by stopwatch", "s", is_needed=False),
            ),
            rows=2,
        ),
        Kind(
            CheckType.REPRODUCIBILITY,
            "Reproducibility",
            "Many readings at one setting.",
            readings=10,
        ),
        Kind(
            CheckType.APPLICATOR_FACTOR,
            "Applicator factors",
            "The reference applicator first; the others are held against it.",
            Cards.APPLICATOR,
        ),
        Kind(
            CheckType.ANGLE,
            "Head angle",
            "One card for each angle of the head; the first upright (0).",
            own=(Own("head_angle_deg", "Angle of the head", "deg"),),
            rows=3,
        ),
    )
}
DAILY = KINDS[CheckType.DAILY.value]


def count(text: str, otherwise: int, most: int) -> int:
    """A number of cards or fields out of a form."""
    if text.isascii() and text.isdigit() and len(text) < 4:
        return min(max(int(text), 1), most)
    return otherwise


def missing_items(kind: Kind, answered: Sequence[str]) -> list[RoutineTest]:
    """Tests of a kind's list that were not answered."""
    return [test for test in kind.items if test.id not in answered]
