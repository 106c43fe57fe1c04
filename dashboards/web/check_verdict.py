"""What a check says before it is stored: the verdict of every beam, each factor, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from analyzers.output_checks import ReadingGroup
from analyzers.output_factors import STATED_BY, budget_of, is_dose_to_water, output_of
from analyzers.output_metrics import DEVIATION, WITHOUT_REFERENCE
from analyzers.srt.srt_output import ANALYZER
from dashboards.web.check_entry import Entry
from dashboards.web.check_kinds import DAILY, Cards, missing_items
from dashboards.web.check_numbers import is_doubtful_pressure
from dashboards.web.check_setting import Setting
from dashboards.web.clinic import Clinic
from dashboards.web.wording import LOOKS, Look, action_of, quantity, tolerance_of
from qa_daemon.check_desk import CheckDesk, Judgement
from qa_daemon.model import Verdict
from qa_daemon.store.output_baselines import WATER
from qa_daemon.store.trend_series import Point, SeriesName
from qa_daemon.store.unit_blocks import RECONCILE_PERCENT
from qa_daemon.trends.series import Known, steps_of, with_value
from qa_daemon.verdict import Judged, worst

OLD = timedelta(hours=12)
ROW = re.compile(r"\b(?:record (\d+)|row (\d+) of the session)")
TODO = {
    Verdict.PASS: "In its limits.",
    Verdict.TOLERANCE: "Save it, repeat the measurement once, and tell the physicist, also when "
    "the repeat is in its limits.",
    Verdict.ACTION: "Do not treat with this beam. Look at applicator, filter, seat of the chamber, "
    "timer, temperature and pressure.",
    Verdict.INVALID: "This could not be worked out, so it is no pass.",
    None: "Not judged: no signed baseline for this beam and applicator. The output is kept for the "
    "trend; it is no pass. Ask the physicist to sign a baseline.",
}
ALL = {
    Verdict.PASS: "Save it.",
    Verdict.TOLERANCE: "Save it, repeat once what is marked, and tell the physicist.",
    Verdict.ACTION: "Do not treat. Save this check, which blocks the unit until a physicist clears "
    "it. Repeat the set-up, measure again, and call the physicist.",
    Verdict.INVALID: "This is no pass. Correct what is said below, or call the physicist.",
    None: "Nothing here was judged, so nothing is passed. Save it for the trend and ask the "
    "physicist for a signed baseline.",
}
STORED = {
    Verdict.PASS: "In its limits.",
    Verdict.TOLERANCE: "Repeat once what is marked, and tell the physicist.",
    Verdict.ACTION: "Do not treat: the unit is blocked until a physicist clears it. Call the "
    "physicist.",
    Verdict.INVALID: "This is no pass: call the physicist.",
    None: "Not judged, so not passed: ask the physicist for a signed baseline.",
}


@dataclass(frozen=True, slots=True)
class FactorView:
    """One factor of the chain."""

    symbol: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class BeamView:
    """One row: its output, how far it is off, and what to do about it."""

    title: str
    look: Look
    output: str
    deviation: str
    allowed: str
    baseline: str
    todo: str
    unusual: str
    factors: list[FactorView]


@dataclass(frozen=True, slots=True)
class NumberView:
    """Another number that was judged, or a test that was answered."""

    meaning: str
    at: str
    value: str
    look: Look
    allowed: str


@dataclass(frozen=True, slots=True)
class VerdictView:
    """Everything that is shown.  `open` says what was not checked."""

    look: Look
    todo: str
    beams: list[BeamView]
    numbers: list[NumberView]
    faults: list[str]
    remarks: list[str]
    open: list[str] = field(default_factory=list)


def view(
    clinic: Clinic, desk: CheckDesk, setting: Setting, entry: Entry, typed: dict[str, str]
) -> VerdictView:
    """Judge an entry without storing it."""
    files = [each for each in (entry.output(), entry.checks()) if each is not None]
    judgements = [desk.judge(entry.unit, each) for each in files]
    verdicts = [judgement.verdict for judgement in judgements]
    verdict = worst(verdicts)
    if verdict is Verdict.PASS and None in verdicts:
        verdict = None  # answers in order do not make a pass of an output without a baseline
    values = [
        (outcome.report.analyzer, judged)
        for judgement in judgements
        for outcome in judgement.outcomes
        for judged in outcome.judged
    ]
    shows_rows = bool(entry.rows)
    unusual = _unusual(clinic, entry, [judged for _, judged in values])
    beams = [
        _beam(setting, entry, k, [j for _, j in values], unusual) for k in range(len(entry.rows))
    ]
    return VerdictView(
        look=LOOKS[verdict],
        todo=ALL[verdict],
        beams=beams if shows_rows else [],
        numbers=list(_numbers(clinic, values)),
        faults=[_named(text, entry) for judgement in judgements for text in _faults(judgement)],
        remarks=[
            *([unusual[""]] if "" in unusual else []),
            *_remarks(setting, entry, judgements, typed),
        ],
        open=_open(entry),
    )


def _beam(
    setting: Setting, entry: Entry, k: int, values: list[Judged], unusual: dict[str, str]
) -> BeamView:
    row = entry.rows[k]
    at = row.beam + (WATER if is_dose_to_water(row) else "")
    output = next((j for j in _at(values, at) if j.value.metric == "output"), None)
    off = next((j for j in _at(values, at) if j.value.metric == DEVIATION.name), None)
    verdict = off.verdict if off is not None else None if output is not None else Verdict.INVALID
    asked = entry.kind.cards is not Cards.SETTING
    todo = TODO[verdict] if asked or off is not None else "Worked out together with the others."
    if off is not None and abs(off.value.value) > RECONCILE_PERCENT:
        todo += (
            f" More than {RECONCILE_PERCENT:g} % off: unless a repeat is in its limits, a full "
            "calibration is demanded."
        )
    baseline = setting.signed_of(row.beam)
    return BeamView(
        title=f"{row.beam}, {entry.titles[k]}" if not asked else row.beam,
        look=LOOKS[verdict if asked or off is not None else None],
        output=quantity(output.value.value, "Gy/min") if output is not None else "none",
        deviation=quantity(off.value.value, "%", off.limits) if off is not None else "",
        allowed=_allowed(off) if off is not None else "",
        baseline=(
            f"{baseline.gy_per_min:.4g} Gy/min, signed by {baseline.actor}, "
            f"{baseline.since_at.date()}"
            if baseline is not None and off is not None
            else ""
        ),
        todo=todo,
        unusual=unusual.get(at, "") if off is not None else "",
        factors=list(_factors(row)),
    )


def _unusual(clinic: Clinic, entry: Entry, values: list[Judged]) -> dict[str, str]:
    """What the checks before say of deviations, by place, whatever their verdicts are.

    Empty is the place of all beams together.
    """
    if entry.performed_at is None:
        return {}
    at_ns = int(entry.performed_at.timestamp()) * 10**9
    beams = {
        judged.value.at or "": _with(clinic, entry, judged, at_ns)
        for judged in values
        if judged.value.metric == DEVIATION.name and judged.limits is not None
    }
    if not beams:
        return {}
    steps = steps_of(list(beams.values()))
    seen = dict(zip(beams, steps.of_beams, strict=True)) | {"": steps.of_all}
    return {
        at: f"Not as usual{'' if at else ', the mean of all beams'}: after the checks before, "
        f"{step.usual:.2g} ± {step.reach:.2g} % was to be expected. Measure once more; if it stays "
        "so, tell the physicist before treating."
        for at, step in seen.items()
        if step is not None
    }


def _with(clinic: Clinic, entry: Entry, judged: Judged, at_ns: int) -> Known:
    value, limits = judged.value, judged.limits
    name = SeriesName(
        entry.unit.name,
        ANALYZER.name,
        value.metric,
        place=value.at or "",
        judged_as=value.judged_as or "",
    )
    low = limits.tolerance_low if limits else None
    high = limits.tolerance_high if limits else None
    point = Point(0, at_ns, value.value, low, high, ANALYZER.version, value.unit)
    return with_value(clinic.store, name, point)


def _factors(row: ReadingGroup) -> Iterator[FactorView]:
    """The chain in the order of the formula, then its uncertainty."""
    try:
        output = output_of(row)
    except ValueError as why:
        yield FactorView("", "", str(why))
        return
    for factor in output.factors():
        if factor.symbol == "ISL":
            continue  # measured at the surface
        beside = factor.meaning
        if factor.symbol == "M_raw":
            beside += f" of {len(row.readings_nc)}"
        if factor.symbol == "P_TP":
            beside += (
                f": {row.temperature_c:g} °C, {row.pressure_kpa:g} kPa; certificate "
                f"{row.t_ref_c:g} °C, {row.p_ref_kpa:g} kPa"
            )
        column = STATED_BY.get(
            factor.symbol, "timer_end_effect_s" if factor.symbol == "eps" else ""
        )
        if column and getattr(row, column) is None:
            beside += "; not stated"
        unit = f" {factor.unit}" if factor.unit else ""
        yield FactorView(factor.symbol, f"{factor.value:.7g}{unit}", beside)
    kind = "dose to water" if is_dose_to_water(row) else "air kerma"
    budget = budget_of(row)
    said = f"of the {kind} rate (k = 1; k = 2: {budget.k2_percent:.2g} %)"
    yield FactorView("u", f"{budget.k1_percent:.2g} %", said)


def _at(values: list[Judged], at: str) -> Iterator[Judged]:
    return (judged for judged in values if judged.value.at == at)


def _numbers(clinic: Clinic, values: list[tuple[str, Judged]]) -> Iterator[NumberView]:
    for analyzer, judged in values:
        value = judged.value
        is_silent = value.metric == WITHOUT_REFERENCE.name and judged.verdict is Verdict.PASS
        if judged.verdict is None or value.metric == DEVIATION.name or is_silent:
            continue
        metric = clinic.meanings[f"{analyzer}.{value.metric}"]
        is_answer = analyzer == "srt_checks" and metric.unit == "1"
        yield NumberView(
            meaning=metric.meaning.removeprefix("1 where in order: "),
            at=value.at or "",
            value=("yes" if value.value else "no")
            if is_answer
            else quantity(value.value, value.unit, judged.limits),
            look=LOOKS[judged.verdict],
            allowed="" if is_answer else _allowed(judged),
        )


def _allowed(judged: Judged) -> str:
    if judged.limits is None:
        return ""
    unit = judged.value.unit
    tolerance, action = tolerance_of(judged.limits, unit), action_of(judged.limits, unit)
    parts = [f"tolerance {tolerance}" if tolerance else "", f"action {action}" if action else ""]
    return ", ".join(part for part in parts if part)


def _faults(judgement: Judgement) -> Iterator[str]:
    if judgement.report.error_message is not None:
        yield judgement.report.error_message
    for outcome in judgement.outcomes:
        if outcome.report.failure is not None:
            yield f"{outcome.report.failure}: {'; '.join(_reasons(judgement))}"


def _reasons(judgement: Judgement) -> list[str]:
    """The analyzer's remarks but for those that only repeat a row's factors."""
    notes = [note for outcome in judgement.outcomes for note in outcome.report.notes]
    return [note for note in notes if ": M_raw " not in note]


def _remarks(
    setting: Setting, entry: Entry, judgements: list[Judgement], typed: dict[str, str]
) -> list[str]:
    said = [*entry.remarks]
    for judgement in judgements:
        said += [_named(text, entry) for text in judgement.report.warnings]
        if all(outcome.report.failure is None for outcome in judgement.outcomes):
            said += [_named(text, entry) for text in _reasons(judgement)]
    if is_doubtful_pressure(typed.get("pressure", ""), typed.get("pressure-unit", "")):
        said.append(
            "This pressure in hPa is that of a place above 1900 m. If the barometer shows mmHg, "
            "choose mmHg."
        )
    if entry.performed_at is not None and setting.now - entry.performed_at > OLD:
        said.append(
            f"Measured on {entry.performed_at:%Y-%m-%d at %H:%M}: it does not count for today."
        )
    return list(dict.fromkeys(said))


def _named(text: str, entry: Entry) -> str:
    """A row's number as the card that was typed into."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1] or found[2]) - 1
        return entry.titles[number] if number < len(entry.titles) else found[0]

    return ROW.sub(name, text)


def _open(entry: Entry) -> list[str]:
    """What was not checked, and so is not passed."""
    said = []
    if entry.kind.cards is Cards.BEAM and entry.left_out:
        left = ", ".join(entry.left_out)
        said.append(
            f"Not measured: {left}. Do not treat with it today."
            if entry.kind is DAILY
            else f"Not measured: {left}."
        )
    missing = missing_items(entry.kind, list(entry.answers))
    if missing:
        said.append(f"Not answered, still due: {'; '.join(test.title for test in missing)}.")
    return said
