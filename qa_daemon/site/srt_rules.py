"""Rules of jurisdictions for superficial kV units, as a table that a clinic picks from.

They are examples that were read in the texts named, no legal advice: the clinic confirms its own.
Where a jurisdiction says nothing, the product's own default stands, which is never the wider one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """What a jurisdiction asks of output checks.

    A full calibration is due every `calibration_months`.  A physicist signs each output check
    within `sign_within_days`.  `third_party_months`: an output check by somebody else, None where
    none is asked for.
    """

    title: str
    source: str
    calibration_months: int = 12
    sign_within_days: int = 30
    third_party_months: int | None = None


RULES: Mapping[str, Rules] = {
    "none": Rules("No jurisdiction chosen", "product defaults, those of Oregon"),
    "oregon": Rules("Oregon", "OAR 333-123-0035, -0040, -0145"),
    "arizona": Rules("Arizona", "9-7-9 Appendix A (accelerators)", third_party_months=24),
    "nevada": Rules("Nevada", "NAC 459.610"),
    "new-zealand": Rules("New Zealand", "SR 1982/72"),
    "crcpd": Rules("CRCPD model rule", "SSRCR Part X"),
}
