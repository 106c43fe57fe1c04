"""A patient's courses on kV units as people read them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from dashboards.web.clinic import Clinic, When
from dashboards.web.treatment_page import LogView, Verdicts
from dashboards.web.wording import LOOKS, Look, plural, quantity
from qa_daemon.kv_course import Course, KvFraction, course_of
from qa_daemon.model import Verdict
from qa_daemon.store import kv_courses
from qa_daemon.store.kv_courses import FractionRecord
from qa_daemon.verdict import worst

NO_DOSE = "no dose"


@dataclass(frozen=True, slots=True)
class KvFractionView:
    """One fraction with its records."""

    number: int
    when: When
    look: Look
    word: str
    dose: str
    prescribed: str
    records: list[LogView]


@dataclass(frozen=True, slots=True)
class EffectView:
    """BED and EQD2 for one alpha/beta."""

    alpha_beta: str
    bed: str
    eqd2: str


@dataclass(frozen=True, slots=True)
class KvCourseView:
    """One course of one lesion; `label` is empty for all but physicists."""

    pseudonym: str
    label: str
    unit: str
    summary: str
    effects: list[EffectView]
    tdf: str
    remarks: tuple[str, ...]
    fractions: list[KvFractionView]
    is_cut: bool


def kv_courses_of(clinic: Clinic, patient: str, *, may_see: bool) -> list[KvCourseView]:
    """The patient's courses, the one with the newest fraction first."""
    records = kv_courses.of_patient(clinic.store, patient)
    verdicts = clinic.courses.verdicts(record.result for record in records)
    grouped: dict[str, list[FractionRecord]] = defaultdict(list)
    for record in records:
        grouped[record.course].append(record)
    is_cut = len(records) == kv_courses.MOST_RECORDS
    return [
        _course(clinic, of_one, verdicts, may_see=may_see, is_cut=is_cut)
        for of_one in grouped.values()
    ]


def _course(
    clinic: Clinic,
    records: list[FractionRecord],
    verdicts: Verdicts,
    *,
    may_see: bool,
    is_cut: bool,
) -> KvCourseView:
    course = course_of(records, clinic.site.file.courses.alpha_beta_gy)
    told = clinic.queries.identity_of(records[0].result) if may_see else {}
    names = [told[name] for name in ("course_id", "lesion") if name in told]
    units = sorted({record.machine for record in records if record.machine})
    return KvCourseView(
        pseudonym=records[0].course,
        label=", ".join(names),
        unit=", ".join(units),
        summary=_summary(course, records[0]),
        effects=[
            EffectView(
                f"{one.alpha_beta_gy:g} Gy",
                quantity(one.bed_gy, "Gy"),
                quantity(one.eqd2_gy, "Gy"),
            )
            for one in course.effects
        ],
        tdf=_tdf(course),
        remarks=course.remarks,
        fractions=[_fraction(clinic, one, verdicts) for one in reversed(course.fractions)],
        is_cut=is_cut,
    )


def _summary(course: Course, newest: FractionRecord) -> str:
    given = len(course.fractions)
    said = f"{given} of {plural(course.planned, 'planned fraction')} given"
    known = plural(given - course.without_dose, "fraction")
    said += f"; {quantity(course.total_gy, 'Gy')} at {newest.prescribed_depth_mm:g} mm"
    if course.without_dose:
        said += f" in the {known} whose dose is known: the others are not counted"
    planned = course.planned * newest.prescribed_gy
    return f"{said}; {quantity(planned, 'Gy')} prescribed in all"


def _tdf(course: Course) -> str:
    """Never without its interval: how that is counted moves it by more than a point."""
    if course.tdf is None or course.interval_days is None:
        return ""
    return f"{course.tdf:.1f} with T/n {course.interval_days:.2f} days, first to last fraction"


def _fraction(clinic: Clinic, fraction: KvFraction, verdicts: Verdicts) -> KvFractionView:
    of_parts = [verdicts.get(part.result) for part in fraction.parts]
    verdict = None if None in of_parts else worst(of_parts)
    parts = f"; in {len(fraction.parts)} parts" if len(fraction.parts) > 1 else ""
    word = NO_DOSE if fraction.dose_gy is None else _word(verdict)
    return KvFractionView(
        number=fraction.number,
        when=clinic.when(fraction.parts[0].point_ns),
        look=LOOKS[verdict],
        word=f"{word}{parts}",
        dose="" if fraction.dose_gy is None else quantity(fraction.dose_gy, "Gy"),
        prescribed=quantity(fraction.prescribed_gy, "Gy"),
        records=[LogView(part.result, LOOKS[verdicts.get(part.result)]) for part in fraction.parts],
    )


def _word(verdict: Verdict | None) -> str:
    if verdict is Verdict.PASS:
        return "as prescribed"
    return "not judged" if verdict is None else "not as prescribed"
