"""Printed documents: blocks of plain data, set by Typst into a PDF.

A report is a `Document`; what it looks like stands in one template.  Text is handed over as data
and is never markup.  Identical documents give identical bytes: fonts are the compiler's own, the
only time in the file is the document's, and nothing is fetched.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

TEMPLATES = Path(__file__).with_name("templates")
LONGEST_WORD, PIECE = 20, 4
"""Longer words may be broken after each few characters: a table keeps its columns whatever stands
in it."""
WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
HASH = re.compile("[0-9a-f]{16,64}")
BREAK = "\N{ZERO WIDTH SPACE}"
UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Classes of characters that no page can show; those of direction could make it show another."""
Paper = Literal["a4", "us-letter"]
PAPERS: tuple[Paper, ...] = get_args(Paper)
_SETTING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict in a cell: its shape (`pass`, `tolerance`, `action`, `invalid`, `none`), a word."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """A cell that stands out."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A cell of a hash or another text that is read letter by letter."""

    code: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A cell of a quantity: its symbol, one of the template's, and what it means."""

    symbol: str
    meaning: str


Cell = str | Mark | Strong | Code | Symbol


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `share` of the width that is left, 0: as wide as it needs."""

    title: Cell
    right: bool = False
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a section, or of a chapter (`level` 1).

    `on_new_page`: it begins one; `listed`: the table of contents has it.
    """

    text: str
    level: int = 2
    on_new_page: bool = False
    listed: bool = True
    kind: str = "heading"


@dataclass(frozen=True, slots=True)
class Contents:
    """The table of contents: headings down to a level, with their pages."""

    depth: int = 1
    kind: str = "contents"


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing across the page, SVG text, below its title; `alt` says in words what it shows."""

    title: str
    svg: str
    alt: str
    kind: str = "picture"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Notice:
    """Sentences that must not be overlooked; `bad` ones are bold."""

    text: str
    bad: bool = True
    kind: str = "notice"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values, in `columns` pairs side by side."""

    rows: Sequence[tuple[str, Cell]]
    columns: int = 2
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its head is repeated on each page.  `keep`: on one page, where it fits there."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    keep: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Calendar:
    """A narrow column for each day, `days` their heads; each row a name and its marks.

    A mark stands above its text, such as a count; None: nothing on that day.
    """

    days: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Mark | None]]]
    kind: str = "calendar"


@dataclass(frozen=True, slots=True)
class Formula:
    """One of the formulas of the template, by its name."""

    name: str
    kind: str = "formula"


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences."""

    items: Sequence[Cell]
    kind: str = "items"


@dataclass(frozen=True, slots=True)
class Signature:
    """Lines to sign on, side by side: what stands below each, and above it; None: left empty."""

    lines: Sequence[tuple[str, str | None]]
    kind: str = "signature"


Block = (
    Heading
    | Contents
    | Picture
    | Paragraph
    | Notice
    | Facts
    | Table
    | Calendar
    | Formula
    | Items
    | Signature
)


@dataclass(frozen=True, slots=True)
class Document:
    """A document: `running` stands on top of each page beside the clinic's name, `footer` below.

    `as_of` is the only time that the file itself carries.
    """

    title: str
    subtitle: str
    clinic: str
    running: str
    footer: str
    as_of: datetime
    verdict: Mark | None = None
    blocks: Sequence[Block] = field(default_factory=tuple)
    paper: Paper = "a4"


def pdf(document: Document) -> bytes:
    """The document as PDF, pages numbered."""
    import typst  # loaded when somebody prints

    told = _clean({**asdict(document), "as_of": document.as_of.isoformat()})
    # One at a time: a compiler takes its memory for a moment only.
    with _SETTING:
        set_ = typst.compile(
            str(TEMPLATES / "document.typ"),
            root=str(TEMPLATES),
            format="pdf",
            font_paths=[],
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(told, ensure_ascii=True)},
            timestamp=int(document.as_of.timestamp()),
        )
    assert isinstance(set_, bytes)
    return set_


def printable(text: str) -> str:
    """The text in characters that a page can show, with places where long words may break."""
    return WORD.sub(lambda word: BREAK.join(_pieces(word[0])), _visible(text))


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char.isspace() else "?" if unicodedata.category(char) in UNPRINTABLE else char
        for char in text
    )


def _pieces(word: str) -> Iterable[str]:
    return (word[k : k + PIECE] for k in range(0, len(word), PIECE))


def _clean(told: Any) -> Any:
    if isinstance(told, str):
        return printable(told)
    if isinstance(told, Mapping):
        return {name: _clean_of(name, value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_clean(value) for value in told]
    return told


def _clean_of(name: str, value: Any) -> Any:
    if name == "svg":
        return _visible(value)  # words of a drawing are not text
    return value if name == "code" and HASH.fullmatch(value) else _clean(value)
