"""A result's page: verdict, numbers with the limits that judged them, figures, and the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from numpy.typing import NDArray

from dashboards.figures import Figure
from dashboards.web.clinic import Clinic
from dashboards.web.draw_axes import axes
from dashboards.web.draw_epid import field, planar, starshot, vmat
from dashboards.web.draw_fluence import fluence
from dashboards.web.draw_image import image
from dashboards.web.draw_leaf_check import leaf_check
from dashboards.web.draw_leaves import leaves
from dashboards.web.draw_pickets import pickets
from dashboards.web.draw_portal import portal
from dashboards.web.draw_winston_lutz import winston_lutz
from dashboards.web.identity import identity
from dashboards.web.images import ImageView
from dashboards.web.images import of_result as image_of_result
from dashboards.web.wording import LOOKS, Look, action_of, quantity, tolerance_of
from qa_daemon.model import Verdict
from qa_daemon.store import check_signatures
from qa_daemon.store.courses import ResultCourse
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement, StoredResult

Draw = Callable[[Mapping[str, NDArray[Any]], Any], Figure | None]
PICTURE = "image"
"""What an image looks like, drawn where nobody measured anything in it."""
DRAWN: dict[str, tuple[str, Draw]] = {
    "fluence": ("delivered_fluence", lambda arrays, _: fluence(arrays)),
    "leaves": ("mlc_positions", leaves),
    "leaf-check": ("leaf_log_check", leaf_check),
    "axes": ("axes", lambda arrays, _: axes(arrays)),
    "picket-fence": ("picket_fence", pickets),
    "winston-lutz": ("winston_lutz", winston_lutz),
    "vmat-drgs": ("vmat_drgs", vmat),
    "vmat-drmlc": ("vmat_drmlc", vmat),
    "field": ("field", field),
    "starshot": ("starshot", starshot),
    "planar-image": ("planar_image", planar),
    "portal-dose": (
        "portal_dose",
        lambda arrays, _: portal(arrays, "Predicted", "Portal image against its prediction"),
    ),
    "in-vivo": (
        "in_vivo_constancy",
        lambda arrays, _: portal(arrays, "Baseline", "Transit image against its baseline"),
    ),
    PICTURE: (PICTURE, lambda arrays, _: image(arrays)),
}
"""Figures by their names in addresses: which analyzer's arrays they show, and who draws them."""


@dataclass(frozen=True, slots=True)
class NumberView:
    """One row of an analysis."""

    metric: str
    meaning: str
    value: str
    place: str
    tolerance: str
    action: str
    look: Look
    source: str


@dataclass(frozen=True, slots=True)
class AnalysisView:
    """One analyzer's answer."""

    title: str
    name: str
    version: str
    look: Look
    failure: str
    not_applicable: str
    notes: tuple[str, ...]
    numbers: list[NumberView]


@dataclass(frozen=True, slots=True)
class FigureView:
    """One figure's place on the page."""

    name: str
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """Everything on the page that is not copied from the result as it is."""

    look: Look
    headline: str
    interrupted: str
    analyses: list[AnalysisView]
    figures: list[FigureView]
    figures_missing: str
    source: list[tuple[str, str]]
    course: ResultCourse
    image: ImageView | None
    unit: str | None
    """The kV unit whose check it is."""
    signed: str
    who: list[tuple[str, str]] | None
    """Identity; None for everybody but a physicist."""
    may_decide: bool


def view(clinic: Clinic, request: Request, result: StoredResult) -> ResultView:
    """What the page of a result shows to whoever asks."""
    course = clinic.courses.of_result(result.id)
    subject = f"patient {course.patient}" if course.patient else f"result {result.id}"
    may_see = clinic.people.may_see(request, [subject])
    order = sorted(result.analyses, key=lambda a: -int(a.verdict) if a.verdict is not None else 1)
    drawn, missing = _figures(clinic, result)
    return ResultView(
        look=LOOKS[result.verdict],
        headline=_headline(clinic, result),
        interrupted=_interrupted(result),
        analyses=[_analysis(clinic, said) for said in order],
        figures=[FigureView(name, f.title, f.summary) for name, f in drawn.items()],
        figures_missing=missing,
        source=_source(clinic, result),
        course=course,
        image=image_of_result(clinic, result.id),
        unit=_unit(clinic, result),
        signed=_signed(clinic, result),
        who=identity(clinic, result.id) if may_see else None,
        may_decide=may_see,
    )


def _unit(clinic: Clinic, result: StoredResult) -> str | None:
    machine = clinic.site.machine_named(result.machine)
    is_unit = machine is not None and machine.machine_class == "srt"
    return result.machine if is_unit and result.analyses else None


def _signed(clinic: Clinic, result: StoredResult) -> str:
    signature = check_signatures.signature_of(clinic.store, result.id)
    if signature is None:
        return ""
    return f"{signature.actor}, {clinic.local(signature.at)}: {signature.remark}"


def figure(clinic: Clinic, result: StoredResult, name: str) -> Figure | None:
    """One figure; None where there is nothing to draw.  Raises OSError for damaged arrays."""
    from qa_daemon.arrays import read  # HDF5 is loaded when somebody looks at a figure

    analyzer, draw = DRAWN[name]
    said = next((a for a in result.analyses if a.analyzer == analyzer), None)
    if result.arrays is None or (said is None and name != PICTURE):
        return None
    arrays = read(clinic.archive.arrays_path(result.arrays), analyzer)
    return draw(arrays, said) if arrays else None


def _figures(clinic: Clinic, result: StoredResult) -> tuple[dict[str, Figure], str]:
    found: dict[str, Figure] = {}
    for name in DRAWN:
        if name == PICTURE and found:
            continue
        try:
            drawn = figure(clinic, result, name)
        except OSError:
            return found, "The file with this result's arrays is damaged or gone: reprocess it."
        if drawn is not None:
            found[name] = drawn
    return found, ""


def _headline(clinic: Clinic, result: StoredResult) -> str:
    if result.error_code is not None:
        return "The file could not be read."
    if result.verdict is None:
        return f"Nothing was judged: {result.not_judged}."
    if result.verdict is Verdict.PASS:
        return "Every judged number is within tolerance."
    at_fault = [clinic.title(a.analyzer) for a in result.analyses if a.verdict is result.verdict]
    return f"{LOOKS[result.verdict].word} by {', '.join(at_fault)}."


def _interrupted(result: StoredResult) -> str:
    complete = _number(result, "meterset", "complete")
    if complete is None or complete.value >= 1.0:
        return ""
    short = _number(result, "meterset", "planned_error")
    missing = f"; {quantity(short.value, short.unit)} against the plan" if short else ""
    return f"{complete.at or 'the log ends early'}{missing}"


def _number(result: StoredResult, analyzer: str, metric: str) -> StoredMeasurement | None:
    return next(
        (
            m
            for a in result.analyses
            if a.analyzer == analyzer
            for m in a.measurements
            if m.metric == metric
        ),
        None,
    )


def _analysis(clinic: Clinic, said: StoredAnalysis) -> AnalysisView:
    return AnalysisView(
        title=clinic.title(said.analyzer),
        name=said.analyzer,
        version=said.version,
        look=LOOKS[said.verdict],
        failure=said.failure or "",
        not_applicable=said.not_applicable or "",
        notes=said.notes,
        numbers=[
            NumberView(
                metric=m.metric,
                meaning=clinic.meaning(said.analyzer, m.metric),
                value=quantity(m.value, m.unit, m.limits),
                place=m.at or "",
                tolerance=tolerance_of(m.limits, m.unit),
                action=action_of(m.limits, m.unit),
                look=LOOKS[m.verdict],
                source=m.limits.source,
            )
            for m in said.measurements
        ],
    )


def _source(clinic: Clinic, result: StoredResult) -> list[tuple[str, str]]:
    performed = (
        clinic.local(result.performed_at) if result.performed_at else "the file does not say"
    )
    return [
        ("Machine", result.machine or "unknown"),
        ("Machine class", result.machine_class or "unknown"),
        ("Delivered", performed),
        ("Arrived", clinic.local(result.arrived_at)),
        ("Judged", clinic.local(result.created_at)),
        ("Format", result.format or "unknown"),
        ("Energy", result.energy or "the file does not say"),
        ("State of the file", result.file_state.value),
        ("Number of the file", str(result.file)),
        ("SHA-256 of the file", result.sha256),
        ("Software version", result.software),
        ("Site settings", result.site_hash),
    ]
