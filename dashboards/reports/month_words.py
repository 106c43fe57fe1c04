"""What of the store's words may leave the clinic: places on a machine, texts without identities.

Words of a file or an analyzer stay inside; where they would stand, nothing stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from qa_daemon.site.settings import Machine

NUMBER = re.compile(r"[-+]?\d{1,6}(\.\d{1,4})?")
LEAF = re.compile(r"\d{0,2}[ABXY]\d{0,3},?")
ANGLES = re.compile(r"[GCT]-?\d{1,3}(\.\d)?")
PLACE_WORDS = frozenset(
    (
        *("bank", "gap", "lateral", "longitudinal", "vertical", "lat", "lng", "vrt", "control"),
        *("point", "to", "deg", "leaf", "pair", "picket", "wanted", "at", "mm", "segment", "x"),
        *("y", "sub-beam", "kV", "water", "by", "exposures", "s"),
    )
)
LONGEST_PLACE = 80
LEFT_OUT = "[left out]"
FORMULA_STARTS = "=+-@\t\r\uff1d\uff0b\uff0d\uff20\u2212"
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a number was found, if that is a place on the machine; else nothing is told.

    `ids` are the filters and applicators of a kV unit, which name its beams.
    """

    ids: frozenset[str] = frozenset()
    _known: dict[str, str] = field(default_factory=dict)

    def __call__(self, at: str | None) -> str:
        """The place, or an empty text."""
        if not at:
            return ""
        if at not in self._known and len(self._known) < 10_000:
            self._known[at] = at if self._is_place(at) else ""
        return self._known.get(at, "")

    def _is_place(self, at: str) -> bool:
        if len(at) > LONGEST_PLACE:
            return False
        words = at.replace("(", " ").replace(")", " ").replace("/", " ").split()
        return all(
            word.rstrip(",") in PLACE_WORDS
            or word in self.ids
            or any(p.fullmatch(word.rstrip(",")) for p in (NUMBER, LEAF, ANGLES))
            for word in words
        )


def places_of(machine: Machine | None) -> Places:
    """The places of a machine."""
    unit = machine.srt if machine is not None else None
    if unit is None:
        return Places()
    filters = (beam.filter for beam in unit.beams)
    return Places(frozenset([*filters, *(one.id for one in unit.applicators)]))


@dataclass(frozen=True, slots=True)
class Scrub:
    """Takes out of typed texts what identifies somebody in the records of the month."""

    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, words: Collection[str]) -> Scrub:
        """`words` in lower case."""
        if not words:
            return cls(None)
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        either = "|".join(map(re.escape, longest_first))
        return cls(re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE))

    def __call__(self, text: str) -> str:
        """The text without them."""
        return text if self.pattern is None else self.pattern.sub(LEFT_OUT, text)


def inert(text: str) -> str:
    """A text that no table program takes for a formula, in characters that it can hold."""
    shown = UNPRINTABLE.sub(lambda c: " " if c[0].isspace() else "?", text)
    return f"'{shown}" if shown.lstrip()[:1] in FORMULA_STARTS and shown.strip() else shown


def inert_row(cells: Iterable[object]) -> list[object]:
    """A row of a table; numbers stay numbers."""
    return [inert(cell) if isinstance(cell, str) else cell for cell in cells]
