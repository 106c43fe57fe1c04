"""What was typed into a check's form, as records of the schema; and what is wrong beside its field.

Every number is held against the bounds of the schema here, so that the sentence stands where the
mistake is; the record itself is read and judged like any other file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, TypeVar

from analyzers.formats.srt_checks_json import LARGEST, SCHEMA, VERSION
from analyzers.output_checks import Mode, ReadingGroup
from analyzers.output_columns import LONGEST_COMMENT, MOST_READINGS
from analyzers.output_rows import WIDEST_SPREAD
from analyzers.output_text import as_json
from analyzers.srt_routine import RoutineTest
from dashboards.web.check_kinds import BACKUP_TIMER, MOST_ROWS, Kind, count
from dashboards.web.check_numbers import (
    Wrong,
    number,
    number_of,
    pressure_kpa,
    reading_nc,
    temperature_c,
)
from dashboards.web.check_setting import Card, Setting
from dashboards.web.forms import Refusal
from qa_daemon.check_desk import Typed
from qa_daemon.site.settings import Machine
from qa_daemon.site.srt_settings import Applicator, Beam, Instrument, NoFactor
from qa_daemon.unit_rules import CLOCKS_DIFFER_BY

Found = TypeVar("Found")
KEY = re.compile(r"[a-z][0-9a-z]{8,31}", re.ASCII)
LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?", re.ASCII)
OLDEST = timedelta(days=7)
READING = re.compile(r"r\d+-m\d+", re.ASCII)
NOT_WHOLE = "Nothing was done: the form is not whole."
CHANGED = (
    "Nothing was done: the unit's beams or applicators were changed after this form was opened. "
    "Open it again and type the readings anew."
)


@dataclass
class Entry:
    """What a form holds.  `errors` are sentences by field; `remarks` are to be read with a verdict.

    `left_out` are the cards without readings, `titles` those of the rows, in their order.
    """

    kind: Kind
    unit: Machine
    operator: str
    key: str
    performed_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    rows: list[ReadingGroup] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    answers: dict[str, bool | float] = field(default_factory=dict)
    comment: str = ""
    unit_id: str = ""

    def output(self) -> Typed | None:
        """The readings as a file; None without any."""
        return Typed("output", as_json(self.rows)) if self.rows else None

    def checks(self) -> Typed | None:
        """The answered tests as a file; None without any."""
        if not self.answers or self.performed_at is None:
            return None
        tests = {test.id: test for test in self.kind.items}
        told = {
            "schema": SCHEMA,
            "version": VERSION,
            "unit_id": self.unit_id,
            "datetime": self.performed_at.isoformat(),
            "operator": self.operator,
            "comment": self.comment,
            "items": [_item(tests[name], value) for name, value in self.answers.items()],
        }
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        return Typed("checks", text.encode())


@dataclass(frozen=True, slots=True)
class _Room:
    """What all cards have in common."""

    performed_at: datetime
    temperature_c: float
    pressure_kpa: float
    chamber: Instrument
    electrometer: Instrument


def read(form: Mapping[str, str], kind: Kind, setting: Setting, operator: str) -> Entry:
    """Everything that was typed.  Raises `Refusal` for a form that is none of ours."""
    if not KEY.fullmatch(form.get("key", "")):
        raise Refusal(400, "Not understood", NOT_WHOLE)
    entry = Entry(kind, setting.machine, operator, form["key"], unit_id=setting.unit_id)
    entry.performed_at = _tried(entry, "at", lambda: _instant(form.get("at", ""), setting))
    entry.comment = _tried(entry, "comment", lambda: _comment(form.get("comment", ""))) or ""
    for test in kind.items:
        _answer(entry, test, form)
    _Cards(form, setting, entry).read()
    if not (entry.rows or entry.answers or entry.errors):
        entry.errors["form"] = "Nothing is typed in yet: type readings, or answer the questions."
    return entry


class _Cards:
    """The cards of a form, read into rows."""

    def __init__(self, form: Mapping[str, str], setting: Setting, entry: Entry) -> None:
        self._form, self._setting, self._entry = form, setting, entry

    def read(self) -> None:
        kind = self._entry.kind
        rows = count(self._form.get("rows", ""), kind.rows, MOST_ROWS)
        cards = self._setting.cards(kind, rows)
        for card in cards:
            if card.title != self._form.get(card.field("is"), ""):
                raise Refusal(409, "The unit has changed", CHANGED)
        self._refuse_strays(cards)
        filled = [card for card in cards if self._is_filled(card)]
        self._entry.left_out = [card.title for card in cards if card not in filled]
        if not filled:
            return
        room = self._room()
        for card in filled:
            row = self._row(card, room)
            if row is not None:
                self._entry.rows.append(row)
                self._entry.titles.append(card.title)

    def _refuse_strays(self, cards: list[Card]) -> None:
        """A reading that no field of the form is for must not be left out unseen."""
        known = {card.field(f"m{k}") for card in cards for k in range(len(self._texts(card)))}
        if any(READING.fullmatch(name) and name not in known for name in self._form):
            raise Refusal(400, "Not understood", NOT_WHOLE)

    def _texts(self, card: Card) -> list[str]:
        fields = count(self._form.get(card.field("n"), ""), self._entry.kind.readings, 20)
        return [self._form.get(card.field(f"m{k}"), "") for k in range(min(fields, MOST_READINGS))]

    def _is_filled(self, card: Card) -> bool:
        return any(text.strip() for text in self._texts(card))

    def _get(self, name: str, column: str) -> float | None:
        text = self._form.get(name, "")
        return _tried(self._entry, name, lambda: number_of(column, text))

    def _room(self) -> _Room | None:
        form, entry, setting = self._form, self._entry, self._setting
        temperature = _tried(entry, "temperature", lambda: temperature_c(form["temperature"]))
        pressure = _tried(
            entry,
            "pressure",
            lambda: pressure_kpa(form["pressure"], form.get("pressure-unit", "")),
        )
        chamber = self._instrument("chamber", setting.chambers)
        electrometer = self._instrument("electrometer", setting.electrometers)
        if (
            entry.performed_at is None
            or temperature is None
            or pressure is None
            or chamber is None
            or electrometer is None
        ):
            return None
        return _Room(entry.performed_at, temperature, pressure, chamber, electrometer)

    def _instrument(self, name: str, listed: list[Instrument]) -> Instrument | None:
        serial = self._form.get(name, "")
        found = next((each for each in listed if each.serial == serial), None)
        if found is None:
            self._entry.errors[name] = f"Choose the {name} that was used."
        return found

    def _row(self, card: Card, room: _Room | None) -> ReadingGroup | None:
        beam, applicator = self._beam(card), self._applicator(card)
        timer_s = self._get(card.field("timer"), "timer_set_s")
        own: dict[str, Any] = {}
        for extra in self._entry.kind.own:
            name = card.field(extra.column)
            if extra.is_needed or self._form.get(name, "").strip():
                own[extra.column] = self._get(name, extra.column)
        readings = self._readings(card)
        if beam is None or applicator is None or room is None or timer_s is None or not readings:
            return None
        n_k = self._n_k(room.chamber, beam)
        if n_k is None:
            return None
        return ReadingGroup(
            record_id=f"{self._entry.key}-{card.number + 1:02d}",
            unit_id=self._entry.unit_id,
            unit_model=self._setting.model,
            performed_at=room.performed_at,
            check_type=self._entry.kind.type,
            operator=self._entry.operator,
            kvp=beam.kvp,
            filter_id=beam.filter,
            applicator_id=applicator.id,
            applicator_diameter_cm=applicator.diameter_cm,
            applicator_x_cm=applicator.x_cm,
            applicator_y_cm=applicator.y_cm,
            ssd_cm=applicator.ssd_cm,
            timer_set_s=timer_s,
            mode=Mode.TIMER,
            chamber_model=room.chamber.model,
            chamber_sn=room.chamber.serial,
            electrometer_sn=room.electrometer.serial,
            n_k_gy_per_c=n_k,
            readings_nc=tuple(readings),
            temperature_c=room.temperature_c,
            pressure_kpa=room.pressure_kpa,
            t_ref_c=float(room.chamber.t_ref_c or 0.0),
            p_ref_kpa=room.chamber.p_ref_kpa,
            comment=self._entry.comment or None,
            hvl_mm_al=beam.hvl_mm_al,
            **{column: value for column, value in own.items() if value is not None},
            **self._factors(beam, applicator, room),
        )

    def _n_k(self, chamber: Instrument, beam: Beam) -> float | None:
        try:
            return chamber.n_k_at(beam.hvl_mm_al)
        except NoFactor as why:
            self._entry.errors["chamber"] = f"{beam.kvp:g} kV: {why}."
            return None

    def _factors(self, beam: Beam, applicator: Applicator, room: _Room) -> dict[str, Any]:
        """The factors of the check that a physicist signed, as far as they are of the same things.

        So an output is held against a baseline that was made in the same way.
        """
        of = self._setting.basis(beam, applicator).factors
        if of is None:
            return {}
        names = ["tube_current_ma", "timer_end_effect_s", "bsf", "mu_en_ratio"]
        others: list[str] = []
        for same, mine in (
            (of.chamber_sn == room.chamber.serial, ["p_ion", "p_pol", "stem_factor", "bias_v"]),
            (of.electrometer_sn == room.electrometer.serial, ["p_elec"]),
        ):
            (names if same else others).extend(mine)
        lost = [n for n in others if n != "bias_v" and getattr(of, n) not in (None, 1.0)]
        if lost:
            self._entry.remarks.append(
                f"{of.beam}: {', '.join(lost)} of the signed check belong to another instrument "
                "and are taken as 1 here."
            )
        return {name: getattr(of, name) for name in names if getattr(of, name) is not None}

    def _beam(self, card: Card) -> Beam | None:
        found = card.beam or self._setting.beam_called(self._form.get("beam", ""))
        if found is None:
            self._entry.errors["beam"] = "Choose the beam."
        return found

    def _applicator(self, card: Card) -> Applicator | None:
        if self._entry.kind.cards.name == "APPLICATOR":
            return card.applicator
        name = card.field("applicator") if card.beam is not None else "applicator"
        found = self._setting.applicator_called(self._form.get(name, ""))
        if found is None:
            self._entry.errors[name] = "Choose the applicator."
        return found

    def _readings(self, card: Card) -> list[float] | None:
        found, texts = [], self._texts(card)
        for k, text in enumerate(texts):
            name = card.field(f"m{k}")
            if not text.strip():
                self._entry.errors[name] = "Type this reading too, or take the field away."
                return None
            value = _tried(self._entry, name, partial(reading_nc, text))
            if value is None:
                return None
            found.append(value)
        if max(found) > WIDEST_SPREAD * min(found):
            middle = median(found)
            farthest = max(range(len(found)), key=lambda k: abs(found[k] - middle))
            self._entry.errors[card.field(f"m{farthest}")] = (
                f"The largest reading is {max(found) / min(found):.3g} times the smallest: one is "
                "mistyped, or something has moved. Correct it, or measure again."
            )
            return None
        return found


def _answer(entry: Entry, test: RoutineTest, form: Mapping[str, str]) -> None:
    name = f"t-{test.id}"
    if test.is_functional:
        told = form.get(name, "")
        if told in ("yes", "no"):
            entry.answers[test.id] = told == "yes"
        return
    if test.id == BACKUP_TIMER:
        texts = {part: form.get(f"{name}-{part}", "") for part in ("set", "shown")}
        if any(text.strip() for text in texts.values()):
            numbers = [
                _tried(entry, f"{name}-{part}", partial(number_of, "timer_set_s", text))
                for part, text in texts.items()
            ]
            if numbers[0] is not None and numbers[1] is not None:
                entry.answers[test.id] = round((numbers[1] / numbers[0] - 1.0) * 100.0, 4)
        return
    text = form.get(name, "")
    if text.strip():
        value = _tried(entry, name, lambda: _plain(text))
        if value is not None:
            entry.answers[test.id] = value


def _plain(text: str) -> float:
    value = number(text)
    if abs(value) > LARGEST:
        raise Wrong("That cannot be.")
    return value


def _item(test: RoutineTest, value: bool | float) -> dict[str, object]:
    if test.is_functional:
        return {"id": test.id, "passed": value}
    return {"id": test.id, "value": value, "unit": test.unit}


def _instant(text: str, setting: Setting) -> datetime:
    zone = setting.now.tzinfo
    if not LOCAL_TIME.fullmatch(text.strip()):
        raise Wrong("Type when it was measured, as 2026-02-03T07:31.")
    try:
        at = datetime.fromisoformat(text.strip()).replace(tzinfo=zone)
    except ValueError:
        raise Wrong("There is no such day or time.") from None
    if at > setting.now + CLOCKS_DIFFER_BY:
        raise Wrong("That is still to come: correct day and time.")
    if at < setting.now - OLDEST:
        raise Wrong("That is more than a week ago: a physicist brings it in as a file.")
    return at


def _comment(text: str) -> str:
    said = " ".join(text.split())
    if len(said) > LONGEST_COMMENT or not said.isprintable():
        raise Wrong(f"At most {LONGEST_COMMENT} characters.")
    return said


def _tried(entry: Entry, name: str, get: Callable[[], Found]) -> Found | None:
    try:
        return get()
    except Wrong as why:
        entry.errors[name] = str(why)
    except KeyError:
        entry.errors[name] = "Type a number here."
    return None
