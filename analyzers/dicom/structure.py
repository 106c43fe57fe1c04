"""The bytes of a DICOM file, checked before any library reads them.

A file is an optional preamble of 128 bytes with `DICM`, an optional group 0002 (always explicit,
little-endian) that names the transfer syntax, and a data set of elements: tag, length, value
(PS3.5 section 7, PS3.10 section 7).  Real plans of one planning system begin with the data set.
The check walks all elements with a stack of its own, so that depth, number and every length are
known to be sound.  Implicit and explicit little-endian are read; nothing is repaired.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from analyzers.core import ReadError, TruncatedError

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
REFUSED_SYNTAXES = {
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "big-endian",
}
LARGEST_FILE = 64 * 1024 * 1024
MOST_ELEMENTS = 500_000
MOST_DEPTH = 12
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SOP_CLASS = 0x00080016
PIXELS = 0x7FE00008
EXPORT_AGAIN = "export the file again"

IMPLICIT_HEADER = struct.Struct("<HHI")
EXPLICIT_HEADER = struct.Struct("<HH2sH")
LONG_LENGTH = struct.Struct("<I")
SHORT_FORMS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_FORMS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
FORMS = SHORT_FORMS | LONG_FORMS
NOT_IN_A_DATA_SET = (0, 2, 0xFFFE)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the data set begins, and how its elements are written.

    `syntax` is None in a file without group 0002, `explicit` then by the first element.
    """

    offset: int
    syntax: str | None
    media_class: str | None

    def explicit(self, content: bytes) -> bool:
        """Whether elements carry their value representation."""
        if self.syntax is not None:
            return self.syntax != IMPLICIT
        return content[self.offset + 4 : self.offset + 6] in FORMS


class Element(NamedTuple):
    """The header of one element: its value is `length` bytes at `value`."""

    tag: int
    form: bytes | None
    length: int
    value: int


def layout(content: bytes) -> Layout:
    """Read preamble and group 0002; a head of a file is enough."""
    position = 132 if content[128:132] == b"DICM" else 0
    said: dict[int, str | None] = {0x00020002: None, 0x00020010: None}
    while content[position : position + 2] == b"\x02\x00":
        element = _element(content, position, explicit=True)
        if element is None or element.length > len(content) - element.value:
            break
        if element.tag in said:
            said[element.tag] = _ascii(content, element)
        position = element.value + element.length
    return Layout(position, said[0x00020010], said[0x00020002])


def sop_class(head: bytes) -> str | None:
    """The SOP class that the first bytes of a file give; None when they are no DICOM.

    The data set's own class decides; that of group 0002 stands in where the data set cannot be
    looked into (deflated).  Without preamble only a group 0008 that leads to the class counts.
    """
    found = layout(head)
    position, explicit = found.offset, found.explicit(head)
    while head[position : position + 2] == b"\x08\x00":
        element = _element(head, position, explicit=explicit)
        if element is None or element.length > len(head) - element.value:
            break
        if element.tag == SOP_CLASS:
            return _ascii(head, element)
        position = element.value + element.length
    return found.media_class


def _ascii(content: bytes, element: Element) -> str:
    value = content[element.value : element.value + element.length]
    return value.rstrip(b"\0 ").decode("ascii", "replace")


def _element(content: bytes, position: int, *, explicit: bool) -> Element | None:
    """The element header at `position`; None where the content ends inside it."""
    if position + 8 > len(content):
        return None
    group, number, length = IMPLICIT_HEADER.unpack_from(content, position)
    tag = group << 16 | number
    if group == 0xFFFE or not explicit:
        return Element(tag, None, length, position + 8)
    _, _, form, short = EXPLICIT_HEADER.unpack_from(content, position)
    if form not in LONG_FORMS:
        return Element(tag, form, short, position + 8)
    if position + 12 > len(content):
        return None
    (length,) = LONG_LENGTH.unpack_from(content, position + 8)
    return Element(tag, form, length, position + 12)


Elements = dict[int, "tuple[int, int] | list[Elements]"]
"""A data set: tag -> where its value begins and how long it is, or the items of a sequence."""
NOTHING: Elements = {}
"""What all empty items are, so that half a million of them take no memory; never added to."""


@dataclass(slots=True)
class _Open:
    """A data set (`elements`) or a sequence (`items`) that the walk is inside of.

    It ends at `end`, or at its delimiter where `end` is None, and in any case before `limit`.
    """

    end: int | None
    limit: int
    explicit: bool
    elements: Elements | None
    items: list[Elements]


class StructureCheck:
    """One walk over all elements of a file.  Codes of what it raises begin with `codes`."""

    def __init__(self, content: bytes, codes: str) -> None:
        self._content = content
        self._codes = codes
        self._open: list[_Open] = []
        self._sequences = _Sequences()

    def run(self, found: Layout) -> Elements:
        """Walk to the end, and take the data set apart; pixels and what follows are left out.

        Raises `ReadError`, and `TruncatedError` for a file that ends early.
        """
        size, root = len(self._content), Elements()
        self._open = [_Open(size, size, found.explicit(self._content), root, [])]
        position, elements = found.offset, 0
        while True:
            inside = self._open[-1]
            if position == inside.end:
                self._open.pop()
                if not self._open:
                    return root
                continue
            elements += 1
            if elements > MOST_ELEMENTS:
                raise self._error("ELEMENTS", f"more than {MOST_ELEMENTS} elements")
            element = _element(self._content, position, explicit=inside.explicit)
            if element is None or element.value > inside.limit:
                raise self._ends_early(inside, position)
            position = self._step(inside, element, position)

    def _step(self, inside: _Open, element: Element, position: int) -> int:
        """Where the walk goes on after this element header."""
        tag, _, length, value = element
        if inside.elements is None:
            if tag == ITEM:
                return self._enter(inside, element, into=None)
            if tag != SEQUENCE_END:
                raise self._error("STRUCTURE", f"no item begins at offset {position}")
        elif tag != ITEM_END:
            return self._value(inside, inside.elements, element, position)
        if inside.end is not None or length:
            raise self._error("STRUCTURE", f"a delimiter at offset {position} closes nothing")
        self._open.pop()
        return value

    def _value(self, inside: _Open, elements: Elements, element: Element, position: int) -> int:
        """Step over a value, or into it when it is a sequence."""
        tag, form, length, value = element
        if tag >> 16 in NOT_IN_A_DATA_SET:
            raise self._error(
                "STRUCTURE", f"an element at offset {position} does not belong into a data set"
            )
        if form is not None and form not in FORMS:
            raise self._error("STRUCTURE", f"no value representation at offset {position + 4}")
        if tag in elements:
            raise self._error("STRUCTURE", f"an element occurs twice at offset {position}")
        if length == UNDEFINED and tag >= PIXELS:
            raise self._error("TRANSFER", f"encapsulated data at offset {position}")
        # In implicit files the dictionary tells; so it does for what is of unknown form.
        is_sequence = self._sequences[tag] if form in (None, b"UN") else form == b"SQ"
        if length == UNDEFINED or is_sequence:
            return self._enter(inside, element, into=elements)
        if length > inside.limit - value:
            raise self._ends_early(inside, position)
        elements[tag] = value, length
        return value + length

    def _enter(self, inside: _Open, element: Element, *, into: Elements | None) -> int:
        """Begin a sequence of the data set `into`, or (None) an item of the sequence inside."""
        tag, form, length, value = element
        if len(self._open) >= 2 * MOST_DEPTH:
            raise self._error("DEPTH", f"sequences in one another, more than {MOST_DEPTH} deep")
        end = None if length == UNDEFINED else value + length
        if end is not None and end > inside.limit:
            raise self._ends_early(inside, value)
        items: list[Elements] = []
        elements: Elements | None = None
        if into is None:
            if end == value:
                inside.items.append(NOTHING)
                return value
            elements = {}
            inside.items.append(elements)
        else:
            into[tag] = items
        # What is of unknown form (UN) is written implicitly inside (PS3.5 section 6.2.2).
        explicit = inside.explicit and form != b"UN"
        limit = inside.limit if end is None else end
        self._open.append(_Open(end, limit, explicit, elements, items))
        return value

    def _ends_early(self, inside: _Open, position: int) -> ReadError:
        """The whole file may still be growing; an item that is too short will not."""
        size = len(self._content)
        if inside.limit == size:
            return TruncatedError(
                f"{self._codes}_SHORT",
                f"{size} bytes, and the element at offset {position} goes beyond them; "
                f"wait for the copy to end or {EXPORT_AGAIN}",
            )
        return self._error("STRUCTURE", f"an element at offset {position} leaves its item")

    def _error(self, code: str, what: str) -> ReadError:
        return ReadError(f"{self._codes}_{code}", f"{what}; {EXPORT_AGAIN}")


class _Sequences(dict[int, bool]):
    """Tag -> whether the dictionary says it is a sequence, looked up once."""

    def __missing__(self, tag: int) -> bool:
        # pydicom takes a quarter of a second: only who reads a file imports it.
        from pydicom.datadict import dictionary_VR

        try:
            found = bool(dictionary_VR(tag) == "SQ")
        except KeyError:
            found = False  # private, or of a later edition of the standard
        self[tag] = found
        return found
