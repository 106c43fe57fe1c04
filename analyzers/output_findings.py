"""What several rows of an output check say together: timer, half-value layer, angle, applicators.

Each function takes the rows of one beam and gives measurements with remarks.  A question that the
rows ask and cannot answer gives a number that is none, which is INVALID, with the reason as remark.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from analyzers.core import Measurement, Metric
from analyzers.numerics.kv_beam_quality import beam_quality
from analyzers.numerics.kv_timer import (
    FEWEST_TIMES,
    end_effect_of_many_exposures_s,
    end_effect_of_two_times_s,
    timer_linearity,
)
from analyzers.numerics.repeatability import deviation_percent, repeated
from analyzers.output_checks import CheckType, Mode, ReadingGroup, Signed
from analyzers.output_factors import (
    corrected_nc,
    correction,
    exposure_s,
    is_dose_to_water,
    relative_rate,
)
from analyzers.output_metrics import (
    ANGLE,
    APPLICATOR_FACTOR,
    APPLICATOR_FACTOR_DEVIATION,
    END_EFFECT,
    HOMOGENEITY,
    HVL,
    HVL_DEVIATION,
    LINEARITY,
    REPEATABILITY,
)

OUTPUT_CHECKS = (CheckType.DAILY, CheckType.MONTHLY, CheckType.ANNUAL, CheckType.ABSOLUTE)
SAME_SETUP = ("ssd_cm", "tube_current_ma", "chamber_sn")
Rows = Sequence[ReadingGroup]
Key = TypeVar("Key", bound=Hashable)


@dataclass
class Findings:
    """Measurements and remarks as they come; a place is never named twice for one metric."""

    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    turns: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    not_judged: int = 0

    def add(self, measurement: Measurement) -> None:
        """Take a measurement; where its place has one already it becomes `... (2)`."""
        place = measurement.metric.name, measurement.at
        self.turns[place] += 1
        turn = self.turns[place]
        if turn > 1:
            measurement = replace(measurement, at=f"{measurement.at} ({turn})")
        self.measurements.append(measurement)

    def cannot(self, metric: Metric, at: str, why: str) -> None:
        """Say that a quantity which the rows ask for cannot be had: INVALID."""
        self.add(metric.measured(math.nan, at=at))
        self.notes.append(f"{metric.name} at {at}: {why}")

    def without_reference(self, metric: Metric, at: str, why: str) -> None:
        """Say that a quantity is there, and nothing to hold it against: it must not pass unseen."""
        self.not_judged += 1
        self.notes.append(f"{metric.name} at {at}: not judged, {why}")


def of_type(rows: Rows, *types: CheckType) -> list[ReadingGroup]:
    """The rows measured for one of these."""
    return [row for row in rows if row.check_type in types]


def grouped(
    rows: Iterable[ReadingGroup], key: Callable[[ReadingGroup], Key]
) -> Iterator[tuple[Key, list[ReadingGroup]]]:
    """The rows by key, in the order in which the keys come."""
    groups: dict[Key, list[ReadingGroup]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    yield from groups.items()


def refuse_other_setups(rows: Rows, names: Iterable[str] = SAME_SETUP) -> None:
    """ValueError for rows of which no ratio means anything: another distance, current or chamber.

    A column that some rows leave empty is held against the others alone.
    """
    for name in names:
        if len({getattr(row, name) for row in rows} - {None}) > 1:
            raise ValueError(f"the rows differ in {name}: measure again with one")


def timers(rows: Rows, found: Findings) -> None:
    """Linearity and end effect, of rows at different times or with several exposures."""
    for beam, group in grouped(of_type(rows, CheckType.TIMER, CheckType.LINEARITY), _place):
        asks_linearity = any(row.check_type is CheckType.LINEARITY for row in group)
        timed = [row for row in group if row.mode is Mode.TIMER]
        try:
            refuse_other_setups(group)
            singles = [(row.timer_set_s, corrected_nc(row)) for row in timed if _count(row) == 1]
            many = [row for row in timed if _count(row) > 1]
            answered = _by_times(beam, singles, asks_linearity, found)
            for row in many:
                _by_exposures(beam, row, singles, found)
        except ValueError as why:
            found.cannot(END_EFFECT, beam, str(why))
            continue
        is_timed = all(row.timer_measured_s is not None for row in group)
        if not (answered or many) and (asks_linearity or not is_timed):
            why_not = "two different times, or one exposure and several of the same time, needed"
            found.cannot(END_EFFECT, beam, why_not)


def _by_times(
    beam: str, singles: Sequence[tuple[float, float]], asks_linearity: bool, found: Findings
) -> bool:
    """By two times, or by the line through more; whether there was an end effect to be had."""
    times = sorted({time for time, _ in singles})
    if len(times) >= FEWEST_TIMES:
        line = timer_linearity([t for t, _ in singles], [m for _, m in singles])
        found.add(LINEARITY.measured(abs(line.largest_residual_percent), at=beam))
        found.add(END_EFFECT.measured(line.end_effect_s, at=beam))
        return True
    if asks_linearity:
        found.cannot(LINEARITY, beam, f"{FEWEST_TIMES} different times are needed")
    if len(times) < 2:
        return False
    first, second = (repeated([m for t, m in singles if t == time]).mean for time in times)
    found.add(
        END_EFFECT.measured(end_effect_of_two_times_s(times[0], first, times[1], second), at=beam)
    )
    return True


def _by_exposures(
    beam: str, row: ReadingGroup, singles: Sequence[tuple[float, float]], found: Findings
) -> None:
    """By one exposure against several that are as long together."""
    exposures = int(_count(row))
    total_s = exposures * row.timer_set_s
    same = [m for t, m in singles if math.isclose(t, total_s, rel_tol=1e-6)]
    at = f"{beam} by {exposures} exposures"
    if not same:
        found.cannot(END_EFFECT, at, f"no single exposure of {total_s:g} s to hold them against")
        return
    eps_s = end_effect_of_many_exposures_s(
        total_s, repeated(same).mean, corrected_nc(row), exposures
    )
    found.add(END_EFFECT.measured(eps_s, at=at))


def half_value_layers(rows: Rows, signed: Signed, found: Findings) -> None:
    """Half-value layer by added absorbers; without any, the one that the rows state.

    It is held against that of the beam as registered, and where none is, against the stated one.
    """
    for beam, group in grouped(of_type(rows, CheckType.HVL), _place):
        stated = {row.hvl_mm_al for row in group if row.hvl_mm_al is not None}
        if len(stated) > 1:
            found.cannot(HVL, beam, "the rows state different half-value layers in hvl_mm_al")
            continue
        reference = stated.pop() if stated else None
        if all(row.absorber_mm_al is None for row in group):
            if reference is None:
                found.cannot(HVL, beam, "no absorber_mm_al, and no hvl_mm_al either")
            else:
                found.add(HVL.measured(reference, at=beam))
                found.without_reference(HVL, beam, "as stated, not measured in these rows")
            continue
        try:
            refuse_other_setups(group)
            quality = beam_quality(
                [row.absorber_mm_al or 0.0 for row in group], [relative_rate(row) for row in group]
            )
        except ValueError as why:
            found.cannot(HVL, beam, str(why))
            continue
        found.add(HVL.measured(quality.hvl1_mm, at=beam))
        if quality.homogeneity is not None:
            found.add(HOMOGENEITY.measured(quality.homogeneity, at=beam))
        known = signed.hvl_mm_al.get(beam)
        if known is not None and reference is not None and not math.isclose(known, reference):
            found.notes.append(
                f"hvl at {beam}: the rows state {reference:g} mm Al, the beam is registered with "
                f"{known:g} mm Al, which was taken"
            )
        reference = reference if known is None else known
        if reference is not None:
            deviation = deviation_percent(quality.hvl1_mm, reference)
            found.add(HVL_DEVIATION.measured(deviation, at=beam))
        else:
            found.without_reference(HVL_DEVIATION, beam, "no hvl_mm_al to hold it against")


def repeatability(rows: Rows, found: Findings) -> None:
    """Spread of all readings of a reproducibility test at one setting."""
    asked = of_type(rows, CheckType.REPRODUCIBILITY)
    for (beam, set_s), group in grouped(asked, lambda row: (_place(row), row.timer_set_s)):
        at = f"{beam} {set_s:g} s"
        try:
            refuse_other_setups(group)
            spread = repeated(
                [
                    reading * correction(row) / sum(exposure_s(row))
                    for row in group
                    for reading in row.readings_nc
                ]
            ).percent
        except ValueError as why:
            found.cannot(REPEATABILITY, at, str(why))
            continue
        if spread is None:
            found.cannot(REPEATABILITY, at, "one reading shows no spread")
        else:
            found.add(REPEATABILITY.measured(spread, at=at))


def applicator_factors(rows: Rows, signed: Signed, found: Findings) -> None:
    """Output with each applicator over that with the reference one, by tube potential and filter.

    The reference applicator is the registered one, measured in this session in whatever kind of
    check of the output; where none is registered, the first row's.
    """
    asked = of_type(rows, CheckType.APPLICATOR_FACTOR)
    for beam, group in grouped(asked, _potential):
        first = _reference_row(rows, beam, group, signed)
        others = [row for row in group if not _is_reference(row, signed)]
        if first is None:
            if any(row.reference_output is None for row in others):
                found.cannot(APPLICATOR_FACTOR, beam, "the reference applicator was not measured")
            else:
                found.notes.append(
                    f"applicator_factor at {beam}: none, because the reference applicator was not "
                    "measured; the outputs are held against their own references"
                )
            continue
        others = [row for row in others if row is not first]
        if not others and first.reference_output is None:
            found.cannot(APPLICATOR_FACTOR, beam, "one applicator alone: measure a second one")
        for row in others:
            _factor(f"{beam} {row.applicator_id}/{first.applicator_id}", row, first, signed, found)


def _reference_row(rows: Rows, beam: str, group: Rows, signed: Signed) -> ReadingGroup | None:
    if signed.reference_applicator is None:
        return group[0]
    of_session = of_type(rows, *OUTPUT_CHECKS)
    for row in (*group, *of_session):
        if _potential(row) == beam and _is_reference(row, signed):
            return row
    return None


def _is_reference(row: ReadingGroup, signed: Signed) -> bool:
    """Whether its applicator is the registered reference; not, where none is registered."""
    reference = signed.reference_applicator
    return reference is not None and row.applicator_id.casefold() == reference.casefold()


def _factor(
    at: str, row: ReadingGroup, first: ReadingGroup, signed: Signed, found: Findings
) -> None:
    """One factor, and how far it is from the signed one."""
    if is_dose_to_water(row) != is_dose_to_water(first):
        found.cannot(APPLICATOR_FACTOR, at, "one is a dose to water, the other an air kerma")
        return
    try:
        refuse_other_setups((row, first), ("chamber_sn",))
        factor = relative_rate(row) / relative_rate(first)
    except ValueError as why:
        found.cannot(APPLICATOR_FACTOR, at, str(why))
        return
    found.add(APPLICATOR_FACTOR.measured(factor, at=at))
    table = signed.factors if is_dose_to_water(row) else signed.factors_in_air
    known, source = table.get(row.beam), "the signed table"
    if not _is_reference(first, signed):
        known = None
    if known is None and row.reference_output and first.reference_output:
        known = row.reference_output / first.reference_output
        source = "the ratio of the two reference outputs"
    if known is None:
        found.without_reference(
            APPLICATOR_FACTOR_DEVIATION, at, "no applicator factor and no two outputs are signed"
        )
        return
    found.add(APPLICATOR_FACTOR_DEVIATION.measured(deviation_percent(factor, known), at=at))
    found.notes.append(f"applicator_factor at {at}: {factor:.5g} against {known:.5g}, {source}")


def angles(rows: Rows, found: Findings) -> None:
    """Largest change of the output with the angle of the head."""
    for beam, group in grouped(of_type(rows, CheckType.ANGLE), _place):
        upright = [row for row in group if row.head_angle_deg == 0.0]
        first = upright[0] if upright else group[0]
        others = [row for row in group if row is not first]
        if not others:
            found.cannot(ANGLE, beam, "one angle alone: measure a second one")
            continue
        try:
            refuse_other_setups(group)
            reference = relative_rate(first)
            changes = [deviation_percent(relative_rate(row), reference) for row in others]
        except ValueError as why:
            found.cannot(ANGLE, beam, str(why))
            continue
        worst = max(range(len(others)), key=lambda k: abs(changes[k]))
        angle = others[worst].head_angle_deg
        at = beam if angle is None else f"{beam} {angle:g} deg"
        found.add(ANGLE.measured(abs(changes[worst]), at=at))


def _place(row: ReadingGroup) -> str:
    return row.beam


def _potential(row: ReadingGroup) -> str:
    return f"{row.kvp:g} kV {row.filter_id}"


def _count(row: ReadingGroup) -> float:
    return row.exposures or 1.0
