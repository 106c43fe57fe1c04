"""From the accepted output of a kV unit to the dose of one set-up, every factor kept for display.

DR = DR_ref · AF · B_w(cutout)/B_w(applicator) · (f/(f + g))² · shield at the surface, DR_ref dose
to water with the reference applicator.  An output measured as air kerma becomes dose to water by
B_w of the reference applicator and the mu_en ratio.  All tables are the unit's own, signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from analyzers.core import Settings
from analyzers.numerics.kv_treatment import (
    DeliveredDose,
    DepthDose,
    SurfaceRate,
    dose_at_depth,
    surface_dose,
)
from analyzers.numerics.kv_uncertainty import (
    AIR_KERMA,
    DOSE_TO_WATER,
    TG_61,
    Budget,
    Component,
    timer_component,
)
from analyzers.output_registry import SAME_CM
from analyzers.srt_table_values import SignedTables, diameter_of
from analyzers.srt_tables import APPLICATOR_FACTOR, BACKSCATTER, MU_EN_RATIO, TableKind
from analyzers.srt_tables import DEPTH_DOSE as DEPTH_DOSE_TABLE
from analyzers.srt_tables import EFFECTIVE_SSD as EFFECTIVE_SSD_TABLE
from analyzers.srt_treatments import AcceptedOutput, Setup

OWN = "product default: [analyzer.srt_delivered_dose]"
DAY_S = 86_400.0


class DeliveredDoseSettings(Settings):
    """`[analyzer.srt_delivered_dose]`: how old an output may be, and standard uncertainties."""

    recent_output_d: float = Field(default=7.0, gt=0, le=31)
    """An accepted output that is older gets a remark."""
    oldest_output_d: float = Field(default=31.0, gt=0, le=100)
    """With one that is older no dose is calculated."""
    gap_cm: float = Field(default=0.1, ge=0, le=2)
    depth_mm: float = Field(default=0.2, ge=0, le=5)
    timer_s: float = Field(default=0.1, ge=0, le=5)
    """Of timer and end effect of one part."""
    applicator_factor_percent: float = Field(default=0.5, ge=0, le=10)
    cutout_percent: float = Field(default=1.0, ge=0, le=10)
    """Of the ratio of backscatter factors."""
    shield_percent: float = Field(default=1.0, ge=0, le=10)
    pdd_percent: float = Field(default=2.0, ge=0, le=10)


@dataclass(frozen=True, slots=True, eq=False)
class DoseChain:
    """The dose rate of a set-up, the depth dose that goes with it, and what was used.

    `budget` holds the rate's uncertainty, without the timer.
    """

    rate: SurfaceRate
    curve: DepthDose
    budget: Budget
    settings: DeliveredDoseSettings
    gap_changes_depth_dose: bool
    notes: tuple[str, ...]

    def delivered(self, beam_s: float, parts: int) -> DeliveredDose:
        """Dose at the surface after `beam_s` seconds with beam, in so many parts."""
        u_s = self.settings.timer_s * parts**0.5
        timer = timer_component(beam_s, 0.0, timer_s=u_s)
        return surface_dose(beam_s, self.rate, self.budget.with_components(timer))

    def at_depth(self, surface: DeliveredDose, depth_mm: float) -> DeliveredDose:
        """The dose at a depth; at the surface the same.  ValueError: beyond the table."""
        if depth_mm == 0.0:
            return surface
        pdd = Component("PDD", self.settings.pdd_percent, OWN)
        found = dose_at_depth(
            surface,
            self.curve,
            depth_mm,
            depth_uncertainty_mm=self.settings.depth_mm,
            pdd_component=pdd,
        )
        if not self.gap_changes_depth_dose:
            return found
        gap = Component("PDD at the gap", self._gap_percent(depth_mm), "inverse square to depth")
        return DeliveredDose(depth_mm, found.gy, found.budget.with_components(gap))

    def _gap_percent(self, depth_mm: float) -> float:
        """The table is of no gap: what the inverse square alone changes of it, in percent."""
        f, g, z = self.rate.effective_ssd_cm, self.rate.gap_cm, depth_mm / 10.0
        return 100.0 * abs(((f + g) / (f + g + z) * (f + z) / f) ** 2 - 1.0)


def dose_chain(
    setup: Setup, tables: SignedTables, output: AcceptedOutput, settings: DeliveredDoseSettings
) -> DoseChain:
    """The chain of a set-up.  ValueError: what is missing, or lies outside a table."""
    beam, applicator = tables.beam(setup), tables.applicator(setup.applicator_id)
    if abs(setup.ssd_cm - applicator.ssd_cm) > SAME_CM:
        raise ValueError(
            f"ssd_cm is {setup.ssd_cm:g}, and the applicator sets {applicator.ssd_cm:g} cm"
        )
    used = [APPLICATOR_FACTOR, DEPTH_DOSE_TABLE]
    reference, budget, said = _reference(tables, setup, output, used)
    if tables.factor(beam, tables.reference) != 1.0:
        raise ValueError("the applicator factors do not refer to the reference applicator")
    factor = tables.factor(beam, applicator)
    own = [Component("applicator factor", settings.applicator_factor_percent, OWN)]
    b_w, b_w_cutout = None, None
    if setup.cutout_diameter_cm is not None:
        used.append(BACKSCATTER)
        b_w = tables.b_w(applicator.ssd_cm, diameter_of(applicator), beam)
        b_w_cutout = tables.b_w(applicator.ssd_cm, setup.cutout_diameter_cm, beam)
        own.append(Component("cutout", settings.cutout_percent, OWN))
    if setup.shield is not None:
        own.append(Component("shield", settings.shield_percent, OWN))
    ssd_cm = applicator.ssd_cm
    if setup.gap_cm != 0.0:
        used.append(EFFECTIVE_SSD_TABLE)
        ssd_cm = tables.effective_ssd_cm(beam, applicator)
    rate = SurfaceRate(
        reference_gy_per_min=reference,
        applicator_factor=factor,
        b_w_applicator=b_w,
        b_w_cutout=b_w_cutout,
        effective_ssd_cm=ssd_cm,
        gap_cm=setup.gap_cm,
        shield=1.0 if setup.shield is None else setup.shield,
    )
    own.append(rate.gap_component(settings.gap_cm))
    notes = (said, _factors_said(rate, setup), *_hashes(tables, used))
    return DoseChain(
        rate=rate,
        curve=tables.depth_dose(setup),
        budget=budget.with_components(*own),
        settings=settings,
        gap_changes_depth_dose=setup.gap_cm != 0.0,
        notes=notes,
    )


def _reference(
    tables: SignedTables, setup: Setup, output: AcceptedOutput, used: list[TableKind]
) -> tuple[float, Budget, str]:
    """Dose rate to water with the reference applicator, its uncertainty, and a sentence."""
    default = DOSE_TO_WATER if output.to_water else AIR_KERMA
    percent = default.k1_percent if output.k1_percent is None else output.k1_percent
    budget = Budget((Component("output", percent, "the output check"),))
    kind = "dose to water" if output.to_water else "air kerma"
    said = (
        f"output {output.gy_per_min:.6g} Gy/min {kind}, result {output.result}, "
        f"{output.at.isoformat(timespec='minutes')}"
    )
    if output.to_water:
        return output.gy_per_min, budget, said
    used += [BACKSCATTER, MU_EN_RATIO]
    beam, reference = tables.beam(setup), tables.reference
    b_w = tables.b_w(reference.ssd_cm, diameter_of(reference), beam)
    ratio = tables.mu_en_ratio(beam)
    whole = budget.with_components(
        Component("B_w", 1.5, TG_61), Component("mu_en ratio", 1.5, TG_61)
    )
    to_water = output.gy_per_min * b_w * ratio
    return (
        to_water,
        whole,
        f"{said}; B_w {b_w:.6g}, mu_en ratio {ratio:.6g}: dose to water {to_water:.6g} Gy/min",
    )


def _factors_said(rate: SurfaceRate, setup: Setup) -> str:
    gap = f" (f {rate.effective_ssd_cm:g} cm, gap {setup.gap_cm:g} cm)" if setup.gap_cm else ""
    return (
        f"{setup.beam}: applicator factor {rate.applicator_factor:.6g}, B_w cutout over applicator "
        f"{rate.cutout_ratio:.6g}, inverse square {rate.gap_factor:.6g}{gap}, shield "
        f"{rate.shield:.6g}; {rate.gy_per_min:.6g} Gy/min to water at the surface"
    )


def _hashes(tables: SignedTables, used: list[TableKind]) -> list[str]:
    return [
        f"table {kind.name}, from {tables.table(kind).valid_from}, SHA-256 "
        f"{tables.table(kind).sha256}"
        for kind in dict.fromkeys(used)
    ]
