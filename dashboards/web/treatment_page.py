"""One patient's plans and fractions as people read them."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.web.clinic import Clinic, When
from dashboards.web.identity import plan_label
from dashboards.web.wording import LOOKS, Look, match_reason, plural, quantity
from qa_daemon.fractions import BeamState, Fraction, FractionBeam
from qa_daemon.model import Verdict
from qa_daemon.store.courses import MOST_DELIVERIES, PlanCourse
from qa_daemon.verdict import worst

NANO = 1_000_000_000
NOT_YET = "not yet"
DELIVERED, NOT_AS_PLANNED, UNDER_WAY = "delivered", "not as planned", "under way"

Verdicts = dict[int, Verdict | None]


@dataclass(frozen=True, slots=True)
class LogView:
    """A result of a beam, with what it says of the log."""

    result: int
    look: Look


@dataclass(frozen=True, slots=True)
class BeamView:
    """One planned beam in one fraction."""

    number: int
    name: str
    look: Look
    word: str
    delivered: str
    planned: str
    logs: list[LogView]


@dataclass(frozen=True, slots=True)
class FractionView:
    """One session; `number` as the treatment record counts it."""

    number: int | None
    when: When
    look: Look
    word: str
    beams: list[BeamView]


@dataclass(frozen=True, slots=True)
class PlanView:
    """One plan and its fractions, the newest first; `label` is empty for all but physicists."""

    result: int
    label: str
    planned: str
    summary: str
    is_too_many: bool
    is_cut: bool
    fractions: list[FractionView]


@dataclass(frozen=True, slots=True)
class LooseView:
    """A log that counts to no plan."""

    when: When
    reason: str
    needs_a_match: bool
    log: LogView


def plans(clinic: Clinic, pseudonym: str, *, may_see: bool) -> list[PlanView]:
    """The patient's plans, the newest first."""
    gap_s = clinic.site.file.plans.fraction_gap.total_seconds()
    courses = clinic.courses.course(pseudonym, gap_s)
    verdicts = clinic.courses.verdicts(
        result
        for course in courses
        for fraction in course.fractions
        for beam in fraction.beams
        for result in beam.results
    )
    return [_plan(clinic, course, verdicts, may_see=may_see) for course in courses]


def loose(clinic: Clinic, pseudonym: str) -> list[LooseView]:
    """The patient's logs that count to no plan."""
    found = clinic.courses.loose_logs(pseudonym)
    verdicts = clinic.courses.verdicts(log.result for log in found)
    return [
        LooseView(
            clinic.when(log.point_ns),
            match_reason(log.reason),
            log.needs_a_match,
            LogView(log.result, LOOKS[verdicts.get(log.result)]),
        )
        for log in found
    ]


def _plan(clinic: Clinic, course: PlanCourse, verdicts: Verdicts, *, may_see: bool) -> PlanView:
    names = clinic.courses.beam_names(course.result) if may_see else {}
    shown = [_fraction(clinic, one, names, verdicts) for one in reversed(course.fractions)]
    planned = course.fractions_planned
    parts = sum(len(beam.results) for one in course.fractions for beam in one.beams)
    return PlanView(
        result=course.result,
        label=plan_label(clinic, course.result) if may_see else "",
        planned=_planned(course),
        summary=_summary(shown, planned),
        is_too_many=planned is not None and len(shown) > planned,
        is_cut=parts >= MOST_DELIVERIES,
        fractions=shown,
    )


def _planned(course: PlanCourse) -> str:
    metersets = [mu for mu in course.planned_mu.values() if mu is not None]
    beams = plural(len(course.planned_mu), "beam")
    known = len(metersets) == len(course.planned_mu) and metersets
    of_all = f", {quantity(sum(metersets), 'MU')} in each fraction" if known else ""
    return f"{beams}{of_all}"


def _summary(shown: list[FractionView], planned: int | None) -> str:
    whole = sum(one.word.startswith(DELIVERED) for one in shown)
    counted = f"{whole} of {planned} planned" if planned is not None else str(whole)
    noun = "fraction" if (planned or whole) == 1 else "fractions"
    said = [f"{counted} {noun} delivered"]
    doubtful = sum(one.word.startswith(f"{DELIVERED};") for one in shown)
    if doubtful:
        said.append(f"{doubtful} of them with a log that is not PASS")
    for word in (NOT_AS_PLANNED, UNDER_WAY):
        count = sum(one.word == word for one in shown)
        if count:
            said.append(f"{count} {word}")
    if planned is None:
        said.append("the plan does not say how many there are")
    return "; ".join(said)


def _fraction(
    clinic: Clinic, fraction: Fraction, names: dict[int, str], verdicts: Verdicts
) -> FractionView:
    gap = clinic.site.file.plans.fraction_gap.total_seconds()
    is_over = clinic.clock().timestamp() - fraction.last_ns / NANO > gap
    beams = [
        _beam(beam, names.get(beam.number, ""), verdicts, is_over=is_over)
        for beam in fraction.beams
    ]
    look, word = _of_fraction(fraction, beams, verdicts)
    return FractionView(fraction.number, clinic.when(fraction.first_ns), look, word, beams)


def _of_fraction(fraction: Fraction, beams: list[BeamView], verdicts: Verdicts) -> tuple[Look, str]:
    """Whole is not yet good: of a whole fraction, the worst verdict of its logs is told."""
    if any(beam.look == LOOKS[Verdict.ACTION] for beam in beams):
        return LOOKS[Verdict.ACTION], NOT_AS_PLANNED
    if not all(beam.is_sound for beam in fraction.beams):
        return LOOKS[None], UNDER_WAY
    of_beams = [worst(map(verdicts.get, beam.results)) for beam in fraction.beams]
    verdict = None if None in of_beams else worst(of_beams)
    if verdict is Verdict.PASS:
        return LOOKS[verdict], DELIVERED
    said = "a log is not judged" if verdict is None else f"a log is {LOOKS[verdict].word}"
    return LOOKS[verdict], f"{DELIVERED}; {said}"


def _beam(beam: FractionBeam, name: str, verdicts: Verdicts, *, is_over: bool) -> BeamView:
    look, word = LOOKS[Verdict.ACTION], beam.state.value
    if beam.is_sound:
        look = LOOKS[Verdict.PASS]
    elif beam.state is BeamState.MISSING and not is_over:
        look, word = LOOKS[None], NOT_YET
    return BeamView(
        number=beam.number,
        name=name,
        look=look,
        word=word,
        delivered=_mu(beam.delivered_mu),
        planned=_mu(beam.planned_mu),
        logs=[LogView(result, LOOKS[verdicts.get(result)]) for result in beam.results],
    )


def _mu(meterset_mu: float | None) -> str:
    return "" if meterset_mu is None else quantity(meterset_mu, "MU")
