"""`qa-daemon srt time`: the time that a prescription needs now, for checks of a plan by hand.

It is worked out as the delivered dose is, from the latest accepted output and the signed tables of
the unit; where one is missing, or the unit is blocked, there is no time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from analyzers.numerics.kv_treatment import treatment_time_s
from analyzers.output_registry import RegisteredUnit
from analyzers.srt_dose import DAY_S, DeliveredDoseSettings, DoseChain, dose_chain
from analyzers.srt_table_values import SignedTables
from analyzers.srt_treatments import Setup
from qa_daemon.app import open_site, open_store
from qa_daemon.commands.srt_tables import unit_named
from qa_daemon.output_desk import registered
from qa_daemon.store.kv_fractions import ANALYZER, Asked, FoundInputs, find_inputs

NO_ANSWER = 1
NOTE = "An aid for checking a plan: the physicist answers for the time that is set."


@dataclass(frozen=True, slots=True)
class Prescribed:
    """Dose in Gy at a depth in mm; the end effect in s, None for the unit's own measurement."""

    dose_gy: float
    depth_mm: float
    end_effect_s: float | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The answer: seconds to set, and what they were made of."""

    time_s: float
    chain: DoseChain
    percent: float
    end_effect_s: float
    k2_percent: float
    remarks: tuple[str, ...]


def treatment_time(
    config: Path, unit: str, setup: Setup, prescribed: Prescribed, *, as_json: bool
) -> int:
    """Print the time and its factors; the exit code."""
    site = open_site(config)
    machine = unit_named(site, unit)
    known = registered(site, machine)
    settings = DeliveredDoseSettings.model_validate(site.analyzer_settings.get(ANALYZER, {}))
    try:
        setup = completed(setup, known)
        now = site.clock()
        asked = Asked(
            machine=machine.name,
            beam=f"{setup.kvp:g} kV {setup.filter_id}",
            reference=known.reference_applicator,
            at=now,
            day=now.astimezone(site.zone).date(),
            course="",
            fraction=0,
            file=0,
        )
        found = find_inputs(open_store(site), asked)
        planned = plan(setup, prescribed, known, found, (asked, settings))
    except ValueError as why:
        typer.echo(f"no time: {why}", err=True)
        return NO_ANSWER
    typer.echo(json.dumps(_form(planned)) if as_json else _as_lines(planned, prescribed))
    return 0


def completed(setup: Setup, unit: RegisteredUnit) -> Setup:
    """With the applicator's own distance, and the filter where the kV has but one.

    ValueError: an applicator that is not the unit's, a kV without or with several filters.
    """
    applicator = SignedTables(unit, ()).applicator(setup.applicator_id)
    filters = [beam.filter_id for beam in unit.beams if beam.kvp == setup.kvp]
    if not setup.filter_id and len(filters) != 1:
        raise ValueError(f"{setup.kvp:g} kV has {len(filters)} filters: name one")
    return replace(
        setup,
        ssd_cm=applicator.ssd_cm,
        applicator_id=applicator.id,
        filter_id=setup.filter_id or filters[0],
    )


def plan(
    setup: Setup,
    prescribed: Prescribed,
    unit: RegisteredUnit,
    found: FoundInputs,
    asked: tuple[Asked, DeliveredDoseSettings],
) -> Planned:
    """The time of a set-up.  ValueError: what is missing, or why there must be none."""
    now, settings = asked[0].at, asked[1]
    if found.blocked is not None:
        raise ValueError(f"the unit is blocked ({found.blocked})")
    if found.output is None:
        raise ValueError("no output check of this beam with the reference applicator is accepted")
    age_d = (now - found.output.at).total_seconds() / DAY_S
    if age_d > settings.oldest_output_d:
        raise ValueError(f"the latest accepted output is {age_d:.0f} days old")
    tables = SignedTables(unit, [stored.table for stored in found.tables])
    chain = dose_chain(setup, tables, found.output, settings)
    remarks = []
    if age_d > settings.recent_output_d:
        remarks.append(f"the accepted output is {age_d:.0f} days old")
    eps_s = prescribed.end_effect_s
    if eps_s is None:
        if found.end_effect is None:
            raise ValueError("no accepted check of the unit says the timer's end effect: state it")
        eps_s = found.end_effect.seconds
        remarks.append(f"end effect of result {found.end_effect.result}")
    depth_mm = prescribed.depth_mm
    percent = chain.curve.at(depth_mm) if depth_mm else 100.0
    time_s = treatment_time_s(
        prescribed.dose_gy, chain.rate, pdd_percent=percent, end_effect_s=eps_s
    )
    dose = chain.at_depth(chain.delivered(time_s + eps_s, 1), depth_mm)
    return Planned(time_s, chain, percent, eps_s, dose.budget.k2_percent, tuple(remarks))


def _as_lines(planned: Planned, prescribed: Prescribed) -> str:
    return "\n".join(
        [
            f"{planned.time_s:.2f} s for {prescribed.dose_gy:g} Gy at {prescribed.depth_mm:g} mm, "
            f"uncertainty of the dose {planned.k2_percent:.1f} % (k=2)",
            f"PDD {planned.percent:.6g} %, end effect {planned.end_effect_s:.4g} s",
            *planned.chain.notes,
            *planned.remarks,
            NOTE,
        ]
    )


def _form(planned: Planned) -> dict[str, object]:
    rate = planned.chain.rate
    return {
        "time_s": planned.time_s,
        "reference_gy_per_min": rate.reference_gy_per_min,
        "applicator_factor": rate.applicator_factor,
        "cutout_ratio": rate.cutout_ratio,
        "inverse_square": rate.gap_factor,
        "shield": rate.shield,
        "pdd_percent": planned.percent,
        "end_effect_s": planned.end_effect_s,
        "uncertainty_k2_percent": planned.k2_percent,
        "notes": [*planned.chain.notes, *planned.remarks],
    }
