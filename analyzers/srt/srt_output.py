"""Output of a superficial kV unit: readings in, output and its deviation out, with every factor.

Reads any `OutputCheck`.  In-air method of AAPM TG-61, charge proportional to t + eps.  Every row
that names a reference output is held against it: by the limits of its kind of check (daily,
monthly, annual), and by those that the row itself states where they are tighter.  A row without a
reference is not judged; it is counted where others were, so that it cannot hide behind them.
"""

from __future__ import annotations

from analyzers.core import Analysis, Analyzer, Context, Limits, Measurement, Settings
from analyzers.numerics.repeatability import deviation_percent, repeated
from analyzers.output_checks import CheckType, Mode, OutputCheck, ReadingGroup
from analyzers.output_curves import depth_doses, profiles
from analyzers.output_factors import budget_of, is_dose_to_water, output_of, rate_gy_per_min, said
from analyzers.output_findings import (
    OUTPUT_CHECKS,
    Findings,
    angles,
    applicator_factors,
    half_value_layers,
    of_type,
    repeatability,
    timers,
)
from analyzers.output_metrics import (
    DEVIATION,
    JUDGED_AS,
    METRICS,
    OUTPUT,
    SPREAD,
    TIMER_ACCURACY,
    UNCERTAINTY_K1,
    UNCERTAINTY_K2,
    WARM_UP,
    WITHOUT_REFERENCE,
)

HUNDRED_WITHIN = 0.3
"""So near to a factor of 100, output and reference are thought to be in different units."""
POINTS = (CheckType.PDD, CheckType.PROFILE)
STATED = "the row's own tolerance_pct and action_pct"
UNREGISTERED = (
    "not checked here: whether the beam and the chamber are registered for this unit, and whether "
    "their calibrations are valid"
)


class SrtOutputSettings(Settings):
    """Settings of this analyzer: it has none."""


def analyze(check: OutputCheck, context: Context[SrtOutputSettings]) -> Analysis:  # noqa: ARG001
    """Work out every quantity that the rows of a session ask for.

    One that cannot be had is no number, which is INVALID, and the remarks say why.
    """
    found = Findings()
    outputs = [row for row in check.rows if _is_output(row)]
    for row in outputs:
        _output(row, found)
    for row in check.rows:
        if row.timer_measured_s is not None and row.mode is Mode.TIMER:
            _timer_accuracy(row, row.timer_measured_s, found)
    timers(check.rows, found)
    half_value_layers(check.rows, check.signed, found)
    repeatability(check.rows, found)
    applicator_factors(check.rows, check.signed, found)
    angles(check.rows, found)
    depth_doses(check.rows, check.signed, found)
    profiles(check.rows, found)
    warm_up = of_type(check.rows, CheckType.WARMUP)
    if warm_up:
        found.add(WARM_UP.measured(len(warm_up)))
    reason = _what_is_not_judged([row for row in outputs if row.reference_output is None], found)
    if not check.is_registered:
        found.notes.append(UNREGISTERED)
    return Analysis(
        measurements=found.measurements,
        notes=found.notes,
        not_judged=reason,
    )


def _is_output(row: ReadingGroup) -> bool:
    """Whether a row is asked for its output: by its kind, or by the reference that it names."""
    if row.absorber_mm_al or row.check_type in POINTS:
        return False
    return row.check_type in OUTPUT_CHECKS or row.reference_output is not None


def _output(row: ReadingGroup, found: Findings) -> None:
    at = f"{row.beam} water" if is_dose_to_water(row) else row.beam
    try:
        output = output_of(row)
        spread = repeated(row.readings_nc).percent
    except ValueError as why:
        found.cannot(OUTPUT, at, str(why))
        return
    rate = rate_gy_per_min(output)
    found.add(OUTPUT.measured(rate, at=at))
    if row.reference_output is not None:
        found.notes += _units_doubted(at, rate, row.reference_output)
        found.add(
            Measurement(
                DEVIATION,
                deviation_percent(rate, row.reference_output),
                at,
                judged_as=JUDGED_AS[row.check_type],
                stated=_stated(row),
            )
        )
    budget = budget_of(row)
    found.add(UNCERTAINTY_K1.measured(budget.k1_percent, at=at))
    found.add(UNCERTAINTY_K2.measured(budget.k2_percent, at=at))
    if spread is not None:
        found.add(SPREAD.measured(spread, at=at))
    found.notes.append(said(row, output))


def _units_doubted(at: str, rate: float, reference: float) -> list[str]:
    """A remark where output and reference differ by about a hundred, as cGy and Gy do."""
    for times, which in ((100.0, "reference_output"), (0.01, "the output")):
        if abs(reference / rate / times - 1.0) <= HUNDRED_WITHIN:
            return [
                f"output_deviation at {at}: {reference:.4g} as reference and an output of "
                f"{rate:.4g} differ a hundredfold: {which} looks like cGy/min, Gy/min expected"
            ]
    return []


def _stated(row: ReadingGroup) -> Limits | None:
    """The limits that the row itself names."""
    tolerance, action = row.tolerance_pct, row.action_pct
    if tolerance is None and action is None:
        return None
    return Limits(
        None if tolerance is None else -tolerance,
        tolerance,
        None if action is None else -action,
        action,
        source=STATED,
    )


def _timer_accuracy(row: ReadingGroup, measured_s: float, found: Findings) -> None:
    at = f"{row.beam} {row.timer_set_s:g} s"
    found.add(
        TIMER_ACCURACY.measured(measured_s - row.timer_set_s, at=at, reference=row.timer_set_s)
    )


def _what_is_not_judged(without: list[ReadingGroup], found: Findings) -> str | None:
    """Count the rows without a reference; where nothing at all was judged, say so instead."""
    if without:
        beams = ", ".join(dict.fromkeys(row.beam for row in without))
        found.notes.append(f"no reference output, so not judged: {beams}")
    if any(m.metric.is_judged for m in found.measurements):
        found.add(WITHOUT_REFERENCE.measured(len(without) + found.not_judged))
        return None
    if without:
        return "no row names a reference output: the outputs are kept for the trend"
    return "nothing in these rows has a reference to be held against"


ANALYZER = Analyzer(
    name="srt_output",
    title="Output of a superficial unit",
    version="1",
    accepts=OutputCheck,
    settings=SrtOutputSettings,
    metrics=METRICS,
    analyze=analyze,
)
