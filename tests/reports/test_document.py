"""Printed documents: what is on the paper, and what hostile text does to it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboards.reports.document import (
    PAPERS,
    Block,
    Calendar,
    Code,
    Column,
    Document,
    Facts,
    Formula,
    Heading,
    Items,
    Mark,
    Notice,
    Paper,
    Paragraph,
    Signature,
    Strong,
    Symbol,
    Table,
    pdf,
    printable,
)
from tests.reports.paper import facts_of, fonts_of, pages_of, widest_line_pt

A4_PT, LETTER_PT = (595, 842), (612, 792)
HOSTILE = [
    '#import "@preview/cetz:0.3.0": *',
    '#read("/etc/passwd")',
    '#eval("panic()")',
    "$sum_(i=0)^n$ and $ unbalanced",
    r"\u{41} \* \ \n back\slash",
    "*bold* _emph_ `raw` <label> @reference = heading",
    "]} [{ #{ #[ // comment /* open",
    "=cmd()|' /C calc'!A0",
]
NOT_SHOWN = "a\x00b\x1bc\u202edcba\u2066e\ud800f\uffffg\u00adh"


def document(*blocks: Block, paper: Paper = "a4", title: str = "Check") -> Document:
    return Document(
        title=title,
        subtitle="SRT1",
        clinic="Clinic",
        running="SRT1, 2026-03-02",
        footer="Result 12",
        as_of=datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
        verdict=Mark("tolerance", "TOLERANCE"),
        blocks=blocks,
        paper=paper,
    )


EVERY_KIND: tuple[Block, ...] = (
    Heading("A heading"),
    Paragraph("Sentences."),
    Notice("Look here."),
    Notice("Only said.", bad=False),
    Facts([("Unit", "SRT1"), ("Hash", Code("ab" * 32))], columns=1),
    Table(
        [Column("What", share=1), Column("Number", right=True), Column("Verdict")],
        [[Symbol("P_TP", "air density"), Strong("1.02197"), Mark("pass", "PASS")]],
    ),
    *(
        Formula(name)
        for name in ("air kerma", "dose to water", "air density", "deviation", "uncertainty")
    ),
    Items(["One remark", "another"]),
    Calendar(["01", "02"], [("Every day", [Mark("pass", "40"), None])]),
    Signature([("Name", "Physicist A"), ("Date", None)]),
)


def test_every_kind_of_block_is_on_the_paper(tmp_path: Path) -> None:
    (page,) = pages_of(pdf(document(*EVERY_KIND)), tmp_path)
    for said in ("Check", "TOLERANCE", "A heading", "Look here.", "Only said.", "ab" * 32):
        assert said in page
    assert "air density 1.02197 PASS" in page
    assert "Clinic SRT1, 2026-03-02" in page and "Result 12 page 1 of 1" in page
    assert re.search(r"^ *Every day\s+40$", page, re.MULTILINE)
    assert "One remark" in page and "Physicist A" in page and "273.15" in page


def test_the_same_document_gives_the_same_bytes(tmp_path: Path) -> None:
    first = pdf(document(*EVERY_KIND))
    time.sleep(1.1)
    assert pdf(document(*EVERY_KIND)) == first
    assert pdf(document(*EVERY_KIND[1:])) != first
    facts = facts_of(first, tmp_path)
    assert "Mar 2 08:30:00 2026" in " ".join(facts["CreationDate"].split())
    assert facts["Title"] == "Check" and facts["Author"] == "Clinic"
    assert set(fonts_of(first, tmp_path)) == {"yes"}


@pytest.mark.parametrize(("paper", "size"), list(zip(PAPERS, (A4_PT, LETTER_PT), strict=True)))
def test_the_paper_is_the_one_asked_for(
    paper: Paper, size: tuple[int, int], tmp_path: Path
) -> None:
    told = facts_of(pdf(document(paper=paper)), tmp_path)["Page size"].split()
    assert (round(float(told[0])), round(float(told[2]))) == size


def test_markup_in_text_is_text(tmp_path: Path) -> None:
    rows = [[text, Strong(text)] for text in HOSTILE]
    blocks = [Facts([("x", text)], columns=1) for text in HOSTILE]
    found = document(
        *blocks,
        Table([Column("a", share=1), Column(HOSTILE[0], share=1)], rows),
        Items(HOSTILE),
        title=HOSTILE[3],
    )
    text = " ".join(" ".join(pages_of(pdf(found), tmp_path)).split())
    for said in HOSTILE:
        assert " ".join(said.split()) in text, said


def test_what_cannot_be_printed_is_a_question_mark() -> None:
    assert printable(NOT_SHOWN) == "a?b?c?dcba?e?f?g?h"
    assert printable("two\nlines\tand\u00a0more") == "two lines and more"
    pdf(document(Paragraph(NOT_SHOWN), Heading(NOT_SHOWN), table_of(NOT_SHOWN)))


def table_of(text: str) -> Table:
    return Table([Column(text)], [[Code(text)], [Mark("none", text)], [Symbol("none", text)]])


def test_long_words_stay_on_the_paper_and_many_rows_keep_their_head(tmp_path: Path) -> None:
    word = "W" * 900
    rows = [[f"row {k}", word[:60], f"{k}.0"] for k in range(500)]
    columns = [Column("Which"), Column("Word", share=1), Column("Number", right=True)]
    narrow = Table([Column("One"), Column("Two"), Column("Three")], [[word, word, word]])
    content = pdf(document(Facts([(word, word)]), narrow, Table(columns, rows)))
    pages = pages_of(content, tmp_path)
    assert len(pages) > 10 and f"page {len(pages)} of {len(pages)}" in pages[-1]
    of_table = [page for page in pages if re.search(r"row \d+", page)]
    assert len(of_table) > 10
    assert all("Which" in page and "Number" in page for page in of_table)
    text = " ".join(pages)
    assert all(f"row {k} " in text for k in range(500))
    assert widest_line_pt(content, tmp_path) <= A4_PT[0] - 50
