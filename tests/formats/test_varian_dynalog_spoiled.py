"""Real Dynalogs with a fault put into their text: what no longer describes a clean delivery.

The faults are those of copying, of disks and of machines.  Places are drawn from a seed.  What
cannot be told is not here: a row of 50 ms that is missing while the leaves stand, a flag that is
wrong where no dose is given, a leaf or jaw that was wanted elsewhere all along.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from analyzers.core import AnalysisError, Measurement, NotApplicable, ReadError
from analyzers.formats.varian_dynalog import read
from analyzers.machine import meterset, mlc_positions
from tests.formats.small_dynalogs import DOSE, GANTRY, NEXT, ON, PRIOR, SEGMENT, Rows
from tests.machine.judging import measured, worst
from tests.real_data import files, skip_without

A_FILES = list({path.name: path for path in files("dynalog", "*/A*.dlg")}.values())
"""One of each: two are the same delivery."""
ARC = "A_vmat.dlg"
COUNT_MM = 0.0196078
PLACES = 4
Fault = Callable[[Rows, str, random.Random], None]
pytestmark = skip_without("dynalog")


@cache
def lines_of(path: Path) -> tuple[tuple[bytes, ...], tuple[tuple[int, ...], ...]]:
    lines = path.read_bytes().splitlines()
    return tuple(lines[:6]), tuple(tuple(map(int, line.split(b","))) for line in lines[6:])


def judged(path: Path, folder: Path, fault: Fault, seed: int) -> str:
    """The verdict over the leaves and the meterset, or the code the pair is refused with."""
    for bank in "AB":
        header, rows = lines_of(path.with_name(bank + path.name[1:]))
        changed = [list(row) for row in rows]
        fault(changed, bank, random.Random(seed))
        text = [*header, *(",".join(map(str, row)).encode() for row in changed), b""]
        (folder / f"{bank}x.dlg").write_bytes(b"\n".join(text))
    try:
        delivery = read(folder / "Ax.dlg", folder / "Bx.dlg")
    except ReadError as why:
        return why.code
    found: dict[str, Measurement] = {}
    for analyzer in (mlc_positions.ANALYZER, meterset.ANALYZER):
        try:
            found |= measured(analyzer, delivery, "clinac")
        except NotApplicable:
            continue
        except AnalysisError:
            return "INVALID"
    return worst(found, "clinac")


def nothing(_rows: Rows, _bank: str, _random: random.Random) -> None:
    """No fault."""


def rows_lost(rows: Rows, _bank: str, random: random.Random) -> None:
    count = random.randint(3, 40)
    start = random.randrange(10, len(rows) - count - 1)
    del rows[start : start + count]


def cut(rows: Rows, _bank: str, random: random.Random) -> None:
    del rows[random.randrange(2, len(rows) - 4) :]


def rows_repeated(rows: Rows, _bank: str, random: random.Random) -> None:
    count = random.randint(4, 40)
    start = random.randrange(10, len(rows) - count - 1)
    rows[start:start] = [list(row) for row in rows[start : start + count]]


def rows_swapped(rows: Rows, _bank: str, random: random.Random) -> None:
    start = random.randrange(10, len(rows) - 20)
    rows[start], rows[start + 10] = rows[start + 10], rows[start]


def beam_off_but_in_a_few_rows(rows: Rows, _bank: str, random: random.Random) -> None:
    kept = set(random.sample(range(len(rows)), 8))
    for n, row in enumerate(rows):
        row[ON] = row[ON] if n in kept else 0


def leaf_runs_away(rows: Rows, bank: str, random: random.Random) -> None:
    start, leaf = random.randrange(10, len(rows) - 10), random.randrange(60)
    if bank == "A":
        for row in rows[start : start + 5]:
            row[15 + 4 * leaf] += round(8.0 / COUNT_MM)


def both_banks_shifted(rows: Rows, bank: str, _random: random.Random) -> None:
    by = round(0.9 / COUNT_MM) * (1 if bank == "A" else -1)
    for row in rows:
        row[15::4] = [value + by for value in row[15::4]]


def both_banks_wanted_elsewhere(rows: Rows, bank: str, random: random.Random) -> None:
    both_banks_shifted(rows, bank, random)
    by = round(0.9 / COUNT_MM) * (1 if bank == "A" else -1)
    for row in rows:
        row[14::4] = [value + by for value in row[14::4]]


def one_column(column: int, by: int) -> Fault:
    def fault(rows: Rows, _bank: str, random: random.Random) -> None:
        rows[random.randrange(10, len(rows) - 10)][column] += by

    fault.__name__ = f"column_{column}_by_{by}"
    return fault


FAULTS: tuple[Fault, ...] = (
    rows_lost,
    cut,
    rows_repeated,
    rows_swapped,
    beam_off_but_in_a_few_rows,
    leaf_runs_away,
    both_banks_shifted,
    both_banks_wanted_elsewhere,
    one_column(DOSE, 700),
    one_column(DOSE, -700),
    one_column(SEGMENT, 1),
    one_column(PRIOR, 50),
    one_column(NEXT, 50),
    one_column(GANTRY, 20),
    one_column(7, 20),
    one_column(8, 10),
    one_column(11, -10),
)


@pytest.mark.parametrize("path", A_FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_pair_without_a_fault_passes(path: Path, tmp_path: Path) -> None:
    assert judged(path, tmp_path, nothing, 0) == "PASS"


@pytest.mark.parametrize("path", A_FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_real_pair_with_a_fault_never_passes(path: Path, fault: Fault, tmp_path: Path) -> None:
    said = {seed: judged(path, tmp_path, fault, seed) for seed in range(PLACES)}
    assert [seed for seed, verdict in said.items() if verdict in ("PASS", "TOLERANCE")] == []


def one_row_lost(rows: Rows, _bank: str, random: random.Random) -> None:
    del rows[random.randrange(20, len(rows) - 20)]


def one_row_repeated(rows: Rows, _bank: str, random: random.Random) -> None:
    start = random.randrange(20, len(rows) - 20)
    rows.insert(start, list(rows[start]))


@pytest.mark.parametrize("fault", [one_row_lost, one_row_repeated], ids=lambda f: f.__name__)
def test_a_single_row_is_missed_while_all_leaves_move(fault: Fault, tmp_path: Path) -> None:
    (path,) = (p for p in A_FILES if p.name == ARC)
    _, rows = lines_of(path)
    off = {n for n, row in enumerate(rows) if row[ON] == 0}
    told = {}
    for seed in range(4 * PLACES):
        place = random.Random(seed).randrange(20, len(rows) - 20)
        # Next to a row without beam nothing is told of leaves.
        if not off & set(range(place - 2, place + 3)):
            told[seed] = judged(path, tmp_path, fault, seed)
    assert len(told) > 2 * PLACES
    assert set(told.values()) == {"ACTION"}
