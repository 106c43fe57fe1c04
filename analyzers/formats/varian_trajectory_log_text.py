"""What is written in words: metadata block, companion text file, file name, beam names.

All of it identifies a patient and stays inside `Identity`; nothing here puts it into a message.
Companion files as checked on real machine files (version 2.1 and 3.0 logs); the metadata block of
version 4 and later follows public readers, which differ in the keys, so that synonyms are known and
the order decides where a key is not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from analyzers.records import Identity

FIELDS = {
    "patient id": "patient_id",
    "plan name": "plan_label",
    "plan label": "plan_label",
    "plan id": "plan_label",
    "plan uid": "plan_uid",
    "sop instance uid": "plan_uid",
    "plan sop instance uid": "plan_uid",
    "original mu": "planned_mu",
    "mu planned": "planned_mu",
    "planned mu": "planned_mu",
    "remaining mu": "remaining_mu",
    "mu remaining": "remaining_mu",
    "energy": "energy",
    "beam name": "beam_name",
    "beamname": "beam_name",
    "beam number": "beam_number",
    "logging scale": "logging_scale",
}
METADATA_ORDER = (
    "patient_id",
    "plan_label",
    "plan_uid",
    "planned_mu",
    "remaining_mu",
    "energy",
    "beam_name",
)
NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?(?:[eE][+-]?\d{1,2})?")
GROUPED = re.compile(
    r"(?P<whole>[+-]?[1-9]\d{0,2}(?P<mark>[ \u00a0\u202f,.'\u2019])\d{3}(?:(?P=mark)\d{3}){0,3})"
    r"(?:(?!(?P=mark))[.,](?P<part>\d{1,15}))?"
)
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
MOST_PLANNED_MU = 1e6
STATES = {"Water Level"}
"""Keys of the machine's sample whose value is a word: no other word is taken over."""
STATE = re.compile(r"[A-Za-z _-]{1,20}")
NAME = re.compile(r"(?P<prefix>.*)_(?P<stamp>\d{14})\.(?:bin|txt)", re.IGNORECASE | re.DOTALL)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - differences of local stamps, no zone is known


@dataclass(frozen=True, slots=True)
class Description:
    """What a metadata block or a companion says about the beam."""

    identity: Identity = field(default_factory=Identity)
    planned_mu: float | None = None
    planned_mu_unusable: bool = False
    """A planned meterset is stated, but not as a number of MU."""
    energy: str | None = None
    machine_parameters: Mapping[str, float] = field(default_factory=dict)
    machine_states: Mapping[str, str] = field(default_factory=dict)


def metadata(block: bytes) -> Description:
    """Read the metadata block of a log of version 4 or later."""
    rows = _rows(_text(block).splitlines())
    known = _known(rows)
    for (key, value), name in zip(rows, METADATA_ORDER, strict=False):
        if key.casefold() not in FIELDS:
            known.setdefault(name, value)
    return _description(known)


def companion(content: bytes) -> Description | None:
    """Read a companion text file; None when it is not one.

    Rows up to the first empty line describe the beam, the rows after it one sample of the machine.
    Numbers of the latter become `machine_parameters` under their own key, unit included, as the
    file says them (a negative 12 V supply is written without its sign); the words that `STATES`
    names become `machine_states`.
    """
    lines = _text(content).splitlines()
    end = next((k for k, line in enumerate(lines) if not line.strip()), len(lines))
    beam, machine = _rows(lines[:end]), _rows(lines[end:])
    if b"\0" in content or not _is_companion(beam + machine):
        return None
    numbers = {key: value for key, text in machine if (value := _number(text)) is not None}
    states = {key: text for key, text in machine if key in STATES and STATE.fullmatch(text)}
    description = _description(_known(machine) | _known(beam), numbers)
    return replace(description, machine_states=states)


def recognize_companion(head: bytes) -> bool:
    """A text whose first row is the patient's id and that holds a plan UID and a logging scale."""
    return b"\0" not in head and _is_companion(_rows(_text(head).splitlines()))


def name_key(name: str) -> tuple[str, float] | None:
    """What a file name says: the part before the time stamp, and the stamp in seconds."""
    found = NAME.fullmatch(name)
    performed_at = performed(name)
    if found is None or performed_at is None:
        return None
    return found["prefix"], (performed_at - EPOCH).total_seconds()


def performed(name: str) -> datetime | None:
    """The machine's local time from the 14 digits at the right of a file name."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found["stamp"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - zone unknown
    except ValueError:
        return None


def beam_name(raw: bytes) -> str:
    """A sub-beam's name; real logs write `_` as `+AF8-`, as UTF-7 does."""
    return re.sub(r"\+([A-Za-z0-9/]{3,})-", _from_utf7, _text(raw.split(b"\0", 1)[0]).strip())


def _from_utf7(found: re.Match[str]) -> str:
    """The characters behind `+…-`; anything that is not exactly UTF-7 stays as it is."""
    digits = found[1]
    try:
        decoded = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        text = decoded.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return found[0]
    exact = base64.b64encode(decoded).decode("ascii").rstrip("=") == digits
    return text if exact and text.isprintable() else found[0]


def _text(content: bytes) -> str:
    content = content.rstrip(b"\0")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _rows(lines: Iterable[str]) -> list[tuple[str, str]]:
    """`Beam Number :<tab>1` -> ("Beam Number", "1"); lines without a key are left out.

    `Trim : (A)<tab>2` -> ("Trim (A)", "2"): real keys carry stray colons and spaces.
    """
    rows = []
    for line in lines:
        key, found, value = line.partition("\t" if "\t" in line else ":")
        key = " ".join(key.replace(":", " ").split())
        if found and key:
            rows.append((key, value.strip(" \t\0")))
    return rows


def _known(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The rows whose key is known, by our own name of it."""
    return {FIELDS[k]: value for key, value in rows if (k := key.casefold()) in FIELDS}


def _is_companion(rows: Sequence[tuple[str, str]]) -> bool:
    first = rows[0][0].casefold() if rows else ""
    return FIELDS.get(first) == "patient_id" and {"plan_uid", "logging_scale"} <= set(_known(rows))


def _number(text: str) -> float | None:
    """A number with a decimal point or comma, thousands apart or not; `1,300` may be either."""
    if AMBIGUOUS.fullmatch(text):
        return None
    if NUMBER.fullmatch(text):
        return float(text.replace(",", "."))
    grouped = GROUPED.fullmatch(text)
    if grouped is None:
        return None
    return float(f"{grouped['whole'].replace(grouped['mark'], '')}.{grouped['part'] or 0}")


def _planned_mu(text: str) -> float | None:
    """A planned meterset; any other unit than MU makes it unusable."""
    planned_mu = _number(text[:-2].rstrip() if text[-2:].casefold() == "mu" else text)
    return planned_mu if planned_mu is not None and 0.0 <= planned_mu <= MOST_PLANNED_MU else None


def _description(
    known: Mapping[str, str], machine_parameters: Mapping[str, float] | None = None
) -> Description:
    planned_mu = _planned_mu(known.get("planned_mu", ""))
    number = known.get("beam_number", "")
    return Description(
        identity=Identity(
            patient_id=known.get("patient_id") or None,
            plan_label=known.get("plan_label") or None,
            plan_uid=known.get("plan_uid") or None,
            beam_name=known.get("beam_name") or None,
            beam_number=int(number) if re.fullmatch(r"\d{1,9}", number, re.ASCII) else None,
        ),
        planned_mu=planned_mu,
        planned_mu_unusable="planned_mu" in known and planned_mu is None,
        energy=known.get("energy") or None,
        machine_parameters=machine_parameters or {},
    )
