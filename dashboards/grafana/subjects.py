"""Which dashboards there are: for each class of machine, for each subject, and those of the whole.

What belongs to a subject is told from what an analyzer reads and from what its metrics are, so that
a new analyzer or metric is on a dashboard without being named here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzers.catalogue import Catalogue
from analyzers.core import MACHINE_CLASSES, Analyzer, Metric
from analyzers.portal_images import PortalImage
from dashboards.grafana.dashboard import Dashboard, Section
from dashboards.grafana.leaves import leaves
from dashboards.grafana.metric_panels import Shown, section_of
from dashboards.grafana.whole_clinic import explorer, health, overview
from qa_daemon.site.site import Site

CLASS_NAMES = {
    "truebeam": "TrueBeam",
    "halcyon": "Halcyon",
    "clinac": "Clinac",
    "elekta": "Elekta",
    "srt": "Superficial units",
}
AnyAnalyzer = Analyzer[Any, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A dashboard on a subject: which analyzers, and which of their metrics."""

    uid: str
    title: str
    description: str
    holds: Callable[[AnyAnalyzer], bool]
    shows: Callable[[Metric], bool] = lambda _: True


def _is_for_units(analyzer: AnyAnalyzer) -> bool:
    return any("srt" in m.limits for m in analyzer.metrics)


def _reads_images(analyzer: AnyAnalyzer) -> bool:
    return analyzer.accepts is PortalImage


def _is_of_a_patient(analyzer: AnyAnalyzer) -> bool:
    """Its image is of a patient's field: dose is compared, by a gamma pass rate."""
    return _reads_images(analyzer) and any(m.name == "gamma_pass" for m in analyzer.metrics)


def _is_of_dose(analyzer: AnyAnalyzer) -> bool:
    return analyzer.name.endswith("delivered_dose")


def _is_gamma_or_fluence(metric: Metric) -> bool:
    return "gamma" in metric.name or "fluence" in metric.name


SUBJECTS = (
    Subject(
        "qa-logs",
        "Deliveries: machine logs",
        "What logs and the machine's own checks say of leaves, axes, meterset and the machine.",
        lambda a: not (_reads_images(a) or _is_for_units(a) or _is_of_dose(a)),
        lambda m: not _is_gamma_or_fluence(m),
    ),
    Subject(
        "qa-fluence-gamma",
        "Fluence and gamma",
        "Delivered fluence against what was expected and what was planned.",
        lambda a: not (_reads_images(a) or _is_for_units(a) or _is_of_dose(a)),
        _is_gamma_or_fluence,
    ),
    Subject(
        "qa-epid",
        "EPID QA",
        "Tests on portal images: pickets, isocenter, VMAT, fields, starshots, phantoms.",
        lambda a: _reads_images(a) and not _is_of_a_patient(a),
    ),
    Subject(
        "qa-portal-in-vivo",
        "Portal dose and in-vivo constancy",
        "Portal images of patients' fields against what was predicted, and against the first day.",
        _is_of_a_patient,
    ),
    Subject(
        "qa-delivered-dose",
        "Delivered dose",
        "Dose that was delivered to the patient, from the record of its delivery.",
        _is_of_dose,
    ),
)


def every_dashboard(catalogue: Catalogue, site: Site) -> list[Dashboard]:
    """All dashboards, in a fixed order; for a site with a file, of its machines and limits."""
    found = [overview(catalogue), *_of_classes(catalogue, site)]
    found += [d for s in SUBJECTS if (d := _of_subject(s, catalogue, site)).sections]
    return [*found, leaves(), explorer(), health()]


def _of_classes(catalogue: Catalogue, site: Site) -> list[Dashboard]:
    wanted = [c for c in MACHINE_CLASSES if not site.machines or Shown(site, c).machines]
    return [_of_class(machine_class, catalogue, site) for machine_class in wanted]


def _of_class(machine_class: str, catalogue: Catalogue, site: Site) -> Dashboard:
    """What is judged on a machine of a class; what is for the trend alone is with its subject."""
    shown = Shown(site, machine_class)
    if machine_class == "srt":  # no other dashboard shows what these units measure
        found = [section_of(a, Shown(site), closed=n > 0) for n, a in _units(catalogue)]
    else:
        found = [section_of(a, shown, closed=True) for a in catalogue.analyzers]
    sections = _first_open([s for s in found if s.panels])
    title = CLASS_NAMES[machine_class]
    return Dashboard(
        f"qa-class-{machine_class}",
        title,
        f"What is judged on machines of this class: {title}. Choose its machines above.",
        sections,
        machines=shown.machines,
    )


def _units(catalogue: Catalogue) -> list[tuple[int, AnyAnalyzer]]:
    return list(enumerate(a for a in catalogue.analyzers if _is_for_units(a)))


def _of_subject(subject: Subject, catalogue: Catalogue, site: Site) -> Dashboard:
    held = [_part(a, subject) for a in catalogue.analyzers if subject.holds(a)]
    found = [section_of(a, Shown(site), closed=True) for a in held if a.metrics]
    return Dashboard(subject.uid, subject.title, subject.description, _first_open(found))


def _part(analyzer: AnyAnalyzer, subject: Subject) -> AnyAnalyzer:
    return replace(analyzer, metrics=tuple(m for m in analyzer.metrics if subject.shows(m)))


def _first_open(sections: Sequence[Section]) -> list[Section]:
    return [replace(s, closed=number > 0) for number, s in enumerate(sections)]
