"""Delivered dose of a fraction on a kV unit: from its timer and the latest accepted output.

Reads `SrtTreatment`.  D = DR · sum (t_i + eps) · PDD/100 at the surface, the prescribed depth and
the depth that ultrasound measured.  The dose at the prescribed depth, with that of other records of
the same fraction, is held against the prescription.  What is missing (an accepted output, a signed
table, a depth inside it) is said, and the verdict is INVALID: nothing is guessed.
"""

from __future__ import annotations

import math
from datetime import datetime

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
)
from analyzers.numerics.kv_treatment import DeliveredDose, beam_time_s, treatment_time_s
from analyzers.srt_dose import DAY_S, DeliveredDoseSettings, DoseChain, dose_chain
from analyzers.srt_table_values import SignedTables
from analyzers.srt_treatments import AcceptedOutput, SrtTreatment, TreatmentInputs

END_EFFECTS_DIFFER_S = 0.5
OLD_END_EFFECT_D = 400.0
SURFACE, PRESCRIBED, ULTRASOUND = "surface", "prescribed depth", "ultrasound depth"

SURFACE_DOSE = Metric("surface_dose", "Gy", "Dose to water at the surface, of this record alone")
PRESCRIBED_DOSE = Metric(
    "prescribed_depth_dose", "Gy", "Dose to water at the prescribed depth, of this record alone"
)
ULTRASOUND_DOSE = Metric(
    "ultrasound_depth_dose", "Gy", "Dose to water at the depth measured by ultrasound"
)
DOSE_ERROR = Metric(
    "dose_error",
    "%",
    "Dose of the fraction at the prescribed depth, all of its records together, minus the "
    "prescribed dose, over that",
    {
        "srt": Limits.within(
            tolerance=3.0, action=5.0, source="NZ SR 1982/72 for 5 %; tolerance product default"
        )
    },
)
ULTRASOUND_ERROR = Metric(
    "ultrasound_dose_difference",
    "%",
    "Dose at the depth measured by ultrasound minus the prescribed dose, over that",
)
UNCERTAINTY_K1 = Metric("uncertainty_k1", "%", "Standard uncertainty of the dose (k = 1)")
UNCERTAINTY_K2 = Metric("uncertainty_k2", "%", "Expanded uncertainty of the dose (k = 2)")
TIME_NEEDED = Metric(
    "time_needed",
    "s",
    "Timer setting that would have delivered what was prescribed, or what other records left of it",
)
TIME_DIFFERENCE = Metric("time_difference", "s", "Time given minus the time needed")
OUTPUT_AGE = Metric("output_age", "d", "Age of the accepted output at the treatment")
SAME_SECOND = (
    "another record of this fraction is of the same second: it was taken for a copy and not "
    "counted; if both were given, correct the time of one"
)
METRICS = (
    *(SURFACE_DOSE, PRESCRIBED_DOSE, ULTRASOUND_DOSE, DOSE_ERROR, ULTRASOUND_ERROR),
    *(UNCERTAINTY_K1, UNCERTAINTY_K2, TIME_NEEDED, TIME_DIFFERENCE, OUTPUT_AGE),
)


def analyze(treatment: SrtTreatment, context: Context[DeliveredDoseSettings]) -> Analysis:
    """The doses of a record.  Raises `AnalysisError` that names what is missing."""
    try:
        return _analyze(treatment, context.settings)
    except ValueError as why:
        raise AnalysisError(f"the dose cannot be calculated: {why}") from None


def _analyze(treatment: SrtTreatment, settings: DeliveredDoseSettings) -> Analysis:
    inputs, output = _known(treatment)
    age_d = _age_d(treatment.performed_at, output, settings)
    tables = SignedTables(inputs.unit, inputs.tables)
    chain = dose_chain(treatment.setup, tables, output, settings)
    eps_s, notes = _end_effect(treatment, inputs)
    if age_d > settings.recent_output_d:
        notes.append(f"the accepted output was {age_d:.0f} days old")
    beam_s = beam_time_s(treatment.parts_s, eps_s)
    surface = chain.delivered(beam_s, len(treatment.parts_s))
    prescribed = chain.at_depth(surface, treatment.prescribed_depth_mm)
    at = treatment.setup.beam
    found = [
        SURFACE_DOSE.measured(surface.gy, at=at),
        PRESCRIBED_DOSE.measured(prescribed.gy, at=at),
        DOSE_ERROR.measured(_error_percent(treatment, inputs, prescribed.gy), at=at),
        OUTPUT_AGE.measured(age_d, at=at),
        *_uncertainties(surface, SURFACE),
        *_uncertainties(prescribed, PRESCRIBED),
        *_times(treatment, inputs, chain, eps_s, notes),
    ]
    if treatment.ultrasound_depth_mm is not None:
        seen = chain.at_depth(surface, treatment.ultrasound_depth_mm)
        off = 100.0 * (seen.gy / treatment.prescribed_gy - 1.0)
        found += [ULTRASOUND_DOSE.measured(seen.gy, at=at), ULTRASOUND_ERROR.measured(off, at=at)]
        found += _uncertainties(seen, ULTRASOUND)
    unknown = ", ".join(str(o.result) for o in inputs.other_parts if o.dose_gy is None)
    if unknown:
        notes.append(
            "the dose of the fraction is not known: other records of it have none: results "
            f"{unknown}"
        )
    if inputs.other_parts:
        results = ", ".join(str(other.result) for other in inputs.other_parts)
        notes.append(f"other records of this fraction are counted with it: results {results}")
    if inputs.copies:
        notes.append(SAME_SECOND)
    if treatment.fraction > treatment.fractions_planned:
        notes.append("a fraction more than planned")
    return Analysis(found, notes=[*chain.notes, *notes])


def _known(treatment: SrtTreatment) -> tuple[TreatmentInputs, AcceptedOutput]:
    inputs = treatment.inputs
    if inputs is None:
        raise ValueError(
            "without the clinic's store neither the unit's accepted output nor its signed tables "
            "(applicator_factor, pdd; backscatter and mu_en_ratio where outputs are air kerma) are "
            "known: put the record into the unit's folder, where the service has them"
        )
    if inputs.blocked is not None:
        raise ValueError(f"the unit was blocked at that time ({inputs.blocked})")
    if inputs.output is None:
        raise ValueError(
            "no output check of this beam with the reference applicator was accepted before it"
        )
    return inputs, inputs.output


def _age_d(at: datetime, output: AcceptedOutput, settings: DeliveredDoseSettings) -> float:
    age_d = (at - output.at).total_seconds() / DAY_S
    if not 0.0 <= age_d <= settings.oldest_output_d:
        raise ValueError(
            f"the latest accepted output was {age_d:.0f} days old, at most "
            f"{settings.oldest_output_d:g} allowed"
        )
    return age_d


def _end_effect(treatment: SrtTreatment, inputs: TreatmentInputs) -> tuple[float, list[str]]:
    stated, measured = treatment.timer_end_effect_s, inputs.end_effect
    if stated is None and measured is None:
        raise ValueError(
            "neither the record nor an accepted check of the unit says the timer's end effect"
        )
    if measured is None:
        return float(stated or 0.0), [f"end effect {stated:g} s as the record states"]
    if stated is None:
        notes = [f"end effect {measured.seconds:.4g} s, result {measured.result}"]
        age_d = (treatment.performed_at - measured.at).total_seconds() / DAY_S
        if age_d > OLD_END_EFFECT_D:
            notes.append(f"the end effect was measured {age_d:.0f} days before")
        return measured.seconds, notes
    notes = [f"end effect {stated:g} s as the record states"]
    if abs(stated - measured.seconds) > END_EFFECTS_DIFFER_S:
        notes.append(
            f"the unit's own measurement is {measured.seconds:.3g} s, result {measured.result}"
        )
    return stated, notes


def _error_percent(treatment: SrtTreatment, inputs: TreatmentInputs, own_gy: float) -> float:
    return 100.0 * ((own_gy + inputs.others_gy) / treatment.prescribed_gy - 1.0)


def _times(
    treatment: SrtTreatment,
    inputs: TreatmentInputs,
    chain: DoseChain,
    eps_s: float,
    notes: list[str],
) -> list[Measurement]:
    """The time that was needed and how far the time given was off; none where nothing was left."""
    left_gy = treatment.prescribed_gy - inputs.others_gy
    if math.isnan(left_gy):
        return []
    if left_gy <= 0.0:
        notes.append("other records of this fraction gave the whole dose already")
        return []
    depth_mm = treatment.prescribed_depth_mm
    percent = chain.curve.at(depth_mm) if depth_mm else 100.0
    try:
        needed_s = treatment_time_s(left_gy, chain.rate, pdd_percent=percent, end_effect_s=eps_s)
    except ValueError as why:
        notes.append(f"no time was needed, or none gives this dose: {why}")
        return []
    # What was given in several parts paid the end effect several times.
    given_s = math.fsum(treatment.parts_s) + (len(treatment.parts_s) - 1) * eps_s
    at = treatment.setup.beam
    return [
        TIME_NEEDED.measured(needed_s, at=at),
        TIME_DIFFERENCE.measured(given_s - needed_s, at=at),
    ]


def _uncertainties(dose: DeliveredDose, at: str) -> list[Measurement]:
    return [
        UNCERTAINTY_K1.measured(dose.budget.k1_percent, at=at),
        UNCERTAINTY_K2.measured(dose.budget.k2_percent, at=at),
    ]


ANALYZER = Analyzer(
    name="srt_delivered_dose",
    title="Delivered dose of a fraction on a superficial unit",
    version="1",
    accepts=SrtTreatment,
    settings=DeliveredDoseSettings,
    metrics=METRICS,
    analyze=analyze,
)
