"""Results as the JSON that users and other programs rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from analyzers.core import Limits
from qa_daemon.model import ImageKeys, Report, Verdict
from qa_daemon.store.queries import (
    StoredAnalysis,
    StoredClass,
    StoredMeasurement,
    StoredResult,
)
from qa_daemon.verdict import Outcome, why_not_judged, worst

Form = dict[str, object]


def stored(result: StoredResult) -> Form:
    """A result of the store."""
    error = (
        {"code": result.error_code, "message": result.error_message} if result.error_code else None
    )
    return {
        "id": result.id,
        "file": result.path,
        "companions": list(result.companions),
        "sha256": result.sha256,
        "format": result.format,
        "machine": result.machine,
        "performed_at": result.performed_at,
        "verdict": _name(result.verdict),
        "not_judged": result.not_judged,
        "error": error,
        "classification": _as_form(result.classified),
        "warnings": list(result.warnings),
        "analyses": [_analysis(a) for a in result.analyses],
    }


def one_shot(
    file: str,
    companions: Sequence[str],
    sha256: str | None,
    machine: str | None,
    performed_at: datetime | None,
    report: Report,
    outcomes: Sequence[Outcome],
    *,
    part: str | None = None,
) -> Form:
    """A result that was not stored; `part` names one record of a file that holds several."""
    error = (
        {"code": report.error_code, "message": report.error_message} if report.error_code else None
    )
    verdict = Verdict.INVALID if error else worst(o.verdict for o in outcomes)
    return ({} if part is None else {"part": part}) | {
        "file": file,
        "companions": list(companions),
        "sha256": sha256,
        "format": report.format,
        "machine": machine,
        "performed_at": performed_at.isoformat() if performed_at else None,
        "verdict": _name(verdict),
        "not_judged": why_not_judged(report, verdict),
        "error": error,
        "classification": _classification(report),
        "warnings": list(report.warnings),
        "analyses": [_analysis(_as_stored(o)) for o in outcomes],
    }


def _classification(report: Report) -> Form | None:
    """What an image shows, and why; None for what is no image."""
    keys = report.keys
    if not isinstance(keys, ImageKeys):
        return None
    return _as_form(StoredClass(keys.kind, keys.rule, keys.evidence, keys.phantom))


def _as_form(classified: StoredClass | None) -> Form | None:
    return None if classified is None else asdict(classified)


def _as_stored(outcome: Outcome) -> StoredAnalysis:
    said = outcome.report
    return StoredAnalysis(
        said.analyzer,
        said.version,
        outcome.verdict,
        said.failure,
        said.not_applicable,
        said.notes,
        tuple(
            StoredMeasurement(
                j.value.metric,
                j.value.value,
                j.value.unit,
                j.value.at,
                j.verdict,
                j.limits or Limits(source="trend only"),
            )
            for j in outcome.judged
        ),
    )


def _analysis(analysis: StoredAnalysis) -> Form:
    return {
        "analyzer": analysis.analyzer,
        "version": analysis.version,
        "verdict": _name(analysis.verdict),
        "failure": analysis.failure,
        "not_applicable": analysis.not_applicable,
        "notes": list(analysis.notes),
        "measurements": [_measurement(m) for m in analysis.measurements],
    }


def _measurement(measurement: StoredMeasurement) -> Form:
    return {
        "metric": measurement.metric,
        "value": measurement.value,
        "unit": measurement.unit,
        "at": measurement.at,
        "verdict": _name(measurement.verdict),
        "limits": _limits(measurement.limits) if measurement.verdict is not None else None,
    }


def _limits(limits: Limits) -> Form:
    return {
        "tolerance_low": limits.tolerance_low,
        "tolerance_high": limits.tolerance_high,
        "action_low": limits.action_low,
        "action_high": limits.action_high,
        "source": limits.source,
    }


def _name(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.name
