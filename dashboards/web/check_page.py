"""The form of a check: what is in it before somebody types, and what was typed so far."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from analyzers.numerics.kv_corrections import PRESSURE_KPA, TEMPERATURE_C
from analyzers.output_columns import MOST_READINGS
from analyzers.output_rows import WIDE_SPREAD, WIDEST_SPREAD
from dashboards.web.check_kinds import BACKUP_TIMER, KINDS, MOST_ROWS, Cards, Kind, count
from dashboards.web.check_numbers import PRESSURES
from dashboards.web.check_setting import Card, Setting, is_in_force, label
from qa_daemon.site.srt_settings import Instrument

LIKELY = "0123456789abcdefghijklmnopqrstuvwxyz"
RULES = json.dumps(
    {
        "temperature": TEMPERATURE_C,
        "pressure": PRESSURE_KPA,
        "per": PRESSURES,
        "wide": WIDE_SPREAD,
        "widest": WIDEST_SPREAD,
    }
)
"""The bounds that the page holds numbers against while they are typed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of a list to choose from."""

    value: str
    text: str


@dataclass(frozen=True, slots=True)
class CardView:
    """A card with its fields; `readings` are the names of those for readings."""

    card: Card
    baseline: str
    readings: list[str]

    @property
    def may_add(self) -> bool:
        """Whether it may have another reading."""
        return len(self.readings) < MOST_READINGS


@dataclass(frozen=True, slots=True)
class FormView:
    """The whole form.  `values` are what stands in the fields, by their names."""

    kind: Kind
    kinds: list[Kind]
    lacks: list[str]
    cards: list[CardView]
    values: Mapping[str, str]
    beams: list[Choice]
    applicators: list[Choice]
    chambers: list[Choice]
    electrometers: list[Choice]
    pressure_units: list[str]
    backup_timer: str
    rules: str
    may_add_rows: bool
    has_settings: bool


def first_values(kind: Kind, setting: Setting, rows: int) -> dict[str, str]:
    """What stands in a new form: no reading, temperature or pressure, and no answer."""
    values = {
        "key": "f" + "".join(secrets.choice(LIKELY) for _ in range(15)),
        "kind": kind.name,
        "rows": str(rows),
        "at": f"{setting.now:%Y-%m-%dT%H:%M}",
        "chamber": setting.usual("chamber"),
        "electrometer": setting.usual("electrometer"),
        "applicator": setting.reference.id if setting.reference else "",
        "beam": label(setting.beams[0]) if len(setting.beams) == 1 else "",
    }
    for card in setting.cards(kind, rows):
        values[card.field("is")] = card.title
        values[card.field("n")] = str(kind.readings)
        if card.beam is None or card.applicator is None:
            continue
        values[card.field("applicator")] = card.applicator.id
        last = setting.basis(card.beam, card.applicator)
        like = last.last or last.signed
        if like is not None:
            values[card.field("timer")] = f"{like.timer_set_s:g}"
            values[card.field("n")] = str(len(like.readings_nc))
    return values


def changed(do: str, form: Mapping[str, str], kind: Kind) -> dict[str, str]:
    """The form with a field or card more or less, as a button asks: `add:0`, `drop:0`, `more`."""
    values = dict(form)
    what, _, number = do.partition(":")
    name = f"r{number[:3]}-n"
    fields = count(form.get(name, ""), kind.readings, MOST_READINGS)
    rows = count(form.get("rows", ""), kind.rows, MOST_ROWS)
    if what == "add":
        values[name] = str(min(fields + 1, MOST_READINGS))
    elif what == "drop":
        values[name] = str(max(fields - 1, 1))
        values.pop(f"{name[:-2]}-m{fields - 1}", None)
    elif what == "more":
        values["rows"] = str(min(rows + 1, MOST_ROWS))
    elif what == "fewer":
        values["rows"] = str(max(rows - 1, 1))
    return values


def view(kind: Kind, setting: Setting, values: Mapping[str, str]) -> FormView:
    """The form with these values."""
    rows = count(values.get("rows", ""), kind.rows, MOST_ROWS)
    today = setting.now.date()
    own = {card.field("is"): card.title for card in setting.cards(kind, rows)}
    return FormView(
        kind=kind,
        kinds=list(KINDS.values()),
        lacks=setting.lacks,
        cards=[_card(card, kind, setting, values) for card in setting.cards(kind, rows)],
        values=own | dict(values),
        beams=[Choice(label(beam), label(beam)) for beam in setting.beams],
        applicators=[Choice(a.id, f"{a.id}, {a.ssd_cm:g} cm") for a in setting.applicators],
        chambers=[_instrument(i, today) for i in setting.chambers],
        electrometers=[_instrument(i, today) for i in setting.electrometers],
        pressure_units=sorted(PRESSURES, key=["kPa", "hPa", "mmHg", "inHg"].index),
        backup_timer=BACKUP_TIMER,
        rules=RULES,
        may_add_rows=kind.cards is Cards.SETTING and rows < MOST_ROWS,
        has_settings=kind.cards is Cards.SETTING,
    )


def _card(card: Card, kind: Kind, setting: Setting, values: Mapping[str, str]) -> CardView:
    fields = count(values.get(card.field("n"), ""), kind.readings, MOST_READINGS)
    return CardView(
        card,
        _baseline(card, setting, values),
        [card.field(f"m{k}") for k in range(fields)],
    )


def _baseline(card: Card, setting: Setting, values: Mapping[str, str]) -> str:
    if card.beam is None:
        return ""
    chosen = setting.applicator_called(values.get(card.field("applicator"), "")) or card.applicator
    signed = setting.signed_of(f"{label(card.beam)} {chosen.id}") if chosen else None
    if signed is None:
        return "No signed baseline: the output is for the trend alone, and is no pass."
    kind = "dose to water" if signed.to_water else "air kerma"
    return f"Baseline {signed.gy_per_min:.4g} Gy/min ({kind}), {signed.since_at.date()}"


def _instrument(instrument: Instrument, today: date) -> Choice:
    until = f"until {instrument.expires}"
    if not is_in_force(instrument, today):
        until = f"OUT OF CALIBRATION since {instrument.expires}"
    certificate = ""
    if instrument.kind == "chamber":
        certificate = f"; certificate {instrument.t_ref_c:g} °C, {instrument.p_ref_kpa:g} kPa"
    return Choice(
        instrument.serial, f"{instrument.model}, {instrument.serial}; {until}{certificate}"
    )
