"""What a check of a kV unit starts from: its beams, the instruments, and what was signed before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from analyzers.output_checks import ReadingGroup
from analyzers.output_columns import REFERENCE_TEMPERATURES_C, UNIT_MODELS
from dashboards.web.check_kinds import Cards, Kind
from qa_daemon.check_desk import CheckDesk
from qa_daemon.site.settings import Machine
from qa_daemon.site.srt_settings import Applicator, Beam, Instrument, SrtUnit
from qa_daemon.store.output_baselines import OutputBaseline


@dataclass(frozen=True, slots=True)
class Basis:
    """What is known of a beam: its signed baseline, how that was measured, and the last check."""

    baseline: OutputBaseline | None
    signed: ReadingGroup | None
    last: ReadingGroup | None

    @property
    def factors(self) -> ReadingGroup | None:
        """Whose factors are taken: those of the signed check, else of the last one."""
        return self.signed or self.last


@dataclass(frozen=True, slots=True)
class Card:
    """A place for readings; of settings, beam and applicator are chosen once for all."""

    number: int
    beam: Beam | None = None
    applicator: Applicator | None = None
    title: str = ""

    def field(self, name: str) -> str:
        """What a field of this card is called."""
        return f"r{self.number}-{name}"


class Setting:
    """A unit as a form sees it on a day; `lacks` says why nothing can be measured with it yet."""

    def __init__(
        self, desk: CheckDesk, machine: Machine, instruments: tuple[Instrument, ...], now: datetime
    ) -> None:
        unit = machine.srt or SrtUnit()
        self.machine = machine
        self.desk = desk
        self.now = now
        self.beams, self.applicators = unit.beams, unit.applicators
        self.model = unit.model if unit.model in UNIT_MODELS else "Other"
        self.chambers = [
            i
            for i in instruments
            if i.kind == "chamber" and i.t_ref_c in REFERENCE_TEMPERATURES_C and i.n_k_gy_per_c
        ]
        self.electrometers = [i for i in instruments if i.kind == "electrometer"]
        named = [a for a in unit.applicators if a.id == unit.reference_applicator]
        self.reference = (*named, *unit.applicators, None)[0]
        self._signed = desk.signed(machine, now)
        self._known: dict[str, Basis] = {}

    @property
    def unit_id(self) -> str:
        """What records call the unit."""
        return self.machine.serial or self.machine.name

    @property
    def lacks(self) -> list[str]:
        """What a physicist has to enter into the site file before readings can be typed."""
        said = {
            "the unit's beams and filters ([machine.srt] beams)": self.beams,
            "its applicators ([machine.srt] applicators)": self.applicators,
            "an ion chamber with its certificate: t_ref_c of 20 or 22, and n_k_gy_per_c "
            "([[instrument]])": self.chambers,
            "an electrometer ([[instrument]])": self.electrometers,
        }
        return [text for text, there in said.items() if not there]

    def basis(self, beam: Beam, applicator: Applicator) -> Basis:
        """What is known of a beam."""
        name = f"{label(beam)} {applicator.id}"
        if name not in self._known:
            baseline = self._signed.get(name)
            signed = self.desk.signed_row(baseline) if baseline is not None else None
            self._known[name] = Basis(baseline, signed, self.desk.last_row(self.machine, name))
        return self._known[name]

    def signed_of(self, name: str) -> OutputBaseline | None:
        """The baseline in force for a beam with its applicator (`70 kV F2 A30`)."""
        return self._signed.get(name)

    def cards(self, kind: Kind, rows: int) -> list[Card]:
        """The cards of a check; `rows` is how many settings there are."""
        if self.reference is None or not self.beams:
            return []
        if kind.cards is Cards.BEAM:
            return [Card(k, beam, self.reference, label(beam)) for k, beam in enumerate(self.beams)]
        if kind.cards is Cards.APPLICATOR:
            others = [a for a in self.applicators if a is not self.reference]
            return [
                Card(k, None, applicator, f"Applicator {applicator.id}")
                for k, applicator in enumerate([self.reference, *others])
            ]
        return [Card(k, title=f"Setting {k + 1}") for k in range(rows)]

    def beam_called(self, name: str) -> Beam | None:
        """The beam of that label."""
        return next((beam for beam in self.beams if label(beam) == name), None)

    def applicator_called(self, name: str) -> Applicator | None:
        """The applicator of that id."""
        return next((a for a in self.applicators if a.id == name), None)

    def usual(self, kind: str) -> str:
        """The serial of the instrument to be chosen beforehand: the last one used, if in force.

        Empty where there is a choice that a person has to make.
        """
        listed = self.chambers if kind == "chamber" else self.electrometers
        today = self.now.date()
        good = [i.serial for i in listed if is_in_force(i, today)]
        if self.beams and self.reference is not None:
            last = self.basis(self.beams[0], self.reference).factors
            used = (last.chamber_sn if kind == "chamber" else last.electrometer_sn) if last else ""
            if used in good:
                return used
        return good[0] if len(good) == 1 else ""


def label(beam: Beam) -> str:
    """`70 kV F2`: a beam without its applicator."""
    return f"{beam.kvp:g} kV {beam.filter}"


def is_in_force(instrument: Instrument, on: date) -> bool:
    """Whether its calibration holds on a day."""
    return instrument.calibrated <= on < instrument.expires
