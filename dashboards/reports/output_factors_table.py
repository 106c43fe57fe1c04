"""Every factor of an output check as tables: a column for each beam, a row for each factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from analyzers.numerics.repeatability import repeated
from analyzers.output_checks import ReadingGroup, escaped
from analyzers.output_factors import (
    STANDARD_PRESSURE_KPA,
    STATED_BY,
    air_density,
    budget_of,
    corrected_nc,
    is_dose_to_water,
)
from dashboards.reports.check_record import RowRecord
from dashboards.reports.document import Block, Cell, Column, Paragraph, Strong, Symbol, Table
from dashboards.web.wording import MINUS, MOST_DECIMALS
from qa_daemon.store.queries import StoredMeasurement
from qa_daemon.verdict import judge

ABREAST = 4
"""So many beams fit beside each other on a page."""
NONE = "\N{EN DASH}"
ASSUMED = "\N{DAGGER}"
TIMES_TEN = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Shown = Callable[[RowRecord], Cell]


def fixed(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number with so many decimals; a dash where there is none."""
    if value is None:
        return NONE
    return f"{value:{'+' if sign else ''}.{decimals}f}".replace("-", MINUS)


def deviation(measured: StoredMeasurement) -> str:
    """A deviation in percent with two decimals, and as many more as it takes to tell its side."""
    decimals = next(
        (
            d
            for d in range(2, MOST_DECIMALS)
            if judge(round(measured.value, d), measured.limits) is measured.verdict
        ),
        MOST_DECIMALS,
    )
    return fixed(measured.value, decimals, sign=True)


def power(value: float | None) -> str:
    """A number as a mantissa of five digits and a power of ten."""
    if value is None:
        return NONE
    digits, _, exponent = f"{value:.4e}".partition("e")
    return f"{digits}{TIMES_TEN}{str(int(exponent)).translate(SUPERSCRIPTS)}"


def factor_tables(rows: Sequence[RowRecord]) -> Iterator[Block]:
    """The chain of each output, and what was assumed."""
    for first in range(0, len(rows), ABREAST):
        chosen = rows[first : first + ABREAST]
        columns = [Column("", share=1.25)]
        columns += [Column(one.row.beam, right=True, share=1) for one in chosen]
        # Tables that follow one another keep their columns.
        columns += [Column("", share=1)] * (min(len(rows), ABREAST) - len(chosen))
        empty: list[Cell] = [""] * (len(columns) - 1 - len(chosen))
        lines = [[label, *(show(one) for one in chosen), *empty] for label, show in LINES]
        yield Table(columns, lines, keep=True)
    if any(_is_assumed(one.row, name) for one in rows for name in (*STATED_BY, "eps")):
        yield Paragraph(f"{ASSUMED} not stated in the file: taken as 1, the end effect as 0.")
    for one in rows:
        if one.chain is None:
            yield Paragraph(f"{one.row.beam}: no output, because {one.why_not}.")


def other_readings(rows: Sequence[RowRecord]) -> Table:
    """Rows that are not asked for an output of their own, a line for each."""
    columns = [
        Column("Measured for", share=1.2),
        Column("Beam", share=1.6),
        Column(Symbol("t", "/ s"), right=True),
        Column("Set-up", share=1.4),
        Column("Mean / nC", right=True),
        Column(Symbol("P_TP", ""), right=True),
        Column(Symbol("M", "/ nC"), right=True),
    ]
    return Table(columns, [_other(one.row) for one in rows])


def _other(row: ReadingGroup) -> list[Cell]:
    return [
        row.check_type.value.replace("_", " "),
        row.beam,
        f"{row.timer_set_s:g}",
        _set_up(row),
        fixed(repeated(row.readings_nc).mean, 5),
        _or_dash(lambda: fixed(air_density(row), 5)),
        _or_dash(lambda: fixed(corrected_nc(row), 5)),
    ]


def _set_up(row: ReadingGroup) -> str:
    """What is not as in an output check."""
    told = (
        (row.exposures, "", "exposures"),
        (row.absorber_mm_al, "", "mm Al"),
        (row.head_angle_deg, "head at", "°"),
        (row.depth_mm, "depth", "mm"),
        (row.position_mm, row.profile_axis or "", "mm"),
    )
    return ", ".join(
        f"{before} {value:g} {unit}".strip() for value, before, unit in told if value is not None
    )


def _or_dash(work_out: Callable[[], str]) -> str:
    try:
        return work_out()
    except ValueError:
        return NONE


def _field(row: ReadingGroup) -> str:
    if row.applicator_diameter_cm is not None:
        size = f"{row.applicator_diameter_cm:g} cm"
    elif row.applicator_x_cm is not None and row.applicator_y_cm is not None:
        size = f"{row.applicator_x_cm:g} by {row.applicator_y_cm:g} cm"
    else:
        size = NONE
    return f"{size}; {row.ssd_cm:g} cm"


def _quality(row: ReadingGroup) -> str:
    if row.hvl_mm_al is not None:
        return f"{row.hvl_mm_al:g} mm Al"
    return NONE if row.hvl_mm_cu is None else f"{row.hvl_mm_cu:g} mm Cu"


def _readings(one: RowRecord) -> str:
    return "; ".join(f"{reading:.6g}" for reading in one.row.readings_nc)


def _spread(one: RowRecord) -> str:
    return fixed(repeated(one.row.readings_nc).percent, 3)


def _n_k_quality(one: RowRecord) -> str:
    told = one.row.n_k_hvl_mm_al
    return "not stated" if told is None else f"{told:g} mm Al"


def _is_assumed(row: ReadingGroup, name: str) -> bool:
    if name == "eps":
        return row.timer_end_effect_s is None
    return getattr(row, STATED_BY[name]) is None


def _factor(attribute: str, name: str, decimals: int = 5) -> Shown:
    def show(one: RowRecord) -> str:
        if one.chain is None:
            return NONE
        text = fixed(getattr(one.chain, attribute), decimals)
        has_column = name in STATED_BY or name == "eps"
        return f"{text} {ASSUMED}" if has_column and _is_assumed(one.row, name) else text

    return show


def _quantity(one: RowRecord) -> str:
    return "dose to water" if is_dose_to_water(one.row) else "air kerma"


def _output(one: RowRecord) -> Cell:
    return NONE if one.output is None else Strong(fixed(one.output.value, 4))


def _deviation(one: RowRecord) -> Cell:
    if one.deviation is None:
        return NONE
    return Strong(deviation(one.deviation))


def _type_a(one: RowRecord) -> str:
    found = (c for c in budget_of(one.row).components if c.evaluated == "A")
    return fixed(next((component.percent for component in found), None), 2)


LINES: tuple[tuple[Cell, Shown], ...] = (
    ("Record", lambda one: escaped(one.row.record_id)),
    ("Measured for", lambda one: one.row.check_type.value.replace("_", " ")),
    ("Field; distance", lambda one: _field(one.row)),
    ("Half-value layer of the beam", lambda one: _quality(one.row)),
    ("Readings / nC", _readings),
    (Symbol("M_raw", "mean / nC"), _factor("m_raw_nc", "M_raw")),
    ("Spread of a reading / %", _spread),
    (Symbol("T", "room / °C"), lambda one: fixed(one.row.temperature_c, 2)),
    (Symbol("p", "room / kPa"), lambda one: fixed(one.row.pressure_kpa, 3)),
    (Symbol("T_ref", "certificate / °C"), lambda one: fixed(one.row.t_ref_c, 2)),
    (
        Symbol("p_ref", "certificate / kPa"),
        lambda one: fixed(one.row.p_ref_kpa or STANDARD_PRESSURE_KPA, 3),
    ),
    (Symbol("P_TP", "air density"), _factor("p_tp", "P_TP")),
    (Symbol("P_ion", "recombination"), _factor("p_ion", "P_ion")),
    (Symbol("P_pol", "polarity"), _factor("p_pol", "P_pol")),
    (Symbol("P_elec", "electrometer"), _factor("p_elec", "P_elec")),
    (Symbol("M", "corrected / nC"), _factor("corrected_nc", "M")),
    (Symbol("N_K", "air kerma / (Gy/C)"), lambda one: power(one.row.n_k_gy_per_c)),
    ("its beam quality", _n_k_quality),
    (Symbol("P_stem", "stem"), _factor("p_stem", "P_stem")),
    (Symbol("B_w", "backscatter"), _factor("b_w", "B_w")),
    (Symbol("mu_en", "water to air"), _factor("mu_en_ratio", "mu_en")),
    (Symbol("t", "timer / s"), _factor("timer_set_s", "t", 2)),
    (Symbol("eps", "end effect / s"), _factor("end_effect_s", "eps", 3)),
    ("Quantity", _quantity),
    (Strong("Result / (Gy/min)"), _output),
    ("Baseline / (Gy/min)", lambda one: fixed(one.baseline_gy_per_min, 4)),
    (Symbol("delta", "deviation / %"), _deviation),
    (Symbol("u", "of the readings, type A / %"), _type_a),
    (Symbol("u", "k = 1 / %"), lambda one: fixed(one.k1.value if one.k1 else None, 2)),
    (Symbol("U", "k = 2 / %"), lambda one: fixed(one.k2.value if one.k2 else None, 2)),
)
"""In the order of the formula, then what it gives."""
