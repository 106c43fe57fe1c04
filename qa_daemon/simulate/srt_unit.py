"""The unit of simulated treatments: what its tables say, in closed forms that are made up.

Of the size that units of this class have; the outputs, filters and applicators are those of
simulated output checks (`srt_session`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from qa_daemon.simulate.srt_curves import SSD_CM, percent
from qa_daemon.simulate.srt_session import APPLICATORS, BEAMS

EFFECTIVE_SSD_CM = 14.6
REFERENCE = "A30"
MU_EN_RATIO: Mapping[float, float] = {0.3: 1.034, 0.52: 1.028, 1.15: 1.019, 2.2: 1.017, 3.0: 1.018}
"""Over the half-value layer in mm Al, which those of the beams are among."""
DIAMETERS_CM = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
SSDS_CM = (10.0, 15.0, 20.0)
DEPTHS_MM = tuple(step / 2.0 for step in range(61))
DECIMALS = 6


def b_w(diameter_cm: float, hvl_mm_al: float) -> float:
    """Backscatter factor; rises with field and quality."""
    most = 0.09 + 0.0565 * hvl_mm_al
    return 1.0 + most * (1.0 - math.exp(-diameter_cm / 2.5))


def factor(applicator: str, kvp: float) -> float:
    """Dose rate to water over that of the reference applicator: air kerma, and scatter."""
    diameter_cm, in_air = APPLICATORS[applicator]
    hvl_mm = BEAMS[kvp].hvl_mm_al
    return in_air * b_w(diameter_cm, hvl_mm) / b_w(APPLICATORS[REFERENCE][0], hvl_mm)


def to_water_gy_per_min(kvp: float) -> float:
    """Dose rate to water at the surface with the reference applicator."""
    beam = BEAMS[kvp]
    scatter = b_w(APPLICATORS[REFERENCE][0], beam.hvl_mm_al)
    return beam.output_gy_per_min * scatter * MU_EN_RATIO[beam.hvl_mm_al]


def rows(kind: str) -> list[dict[str, object]]:
    """The rows of a kind of table.  ValueError for another kind."""
    beams = [{"kvp": kvp, "filter_id": beam.filter_id} for kvp, beam in BEAMS.items()]
    each = [(of, name) for of in beams for name in APPLICATORS]
    if kind == "applicator_factor":
        return [
            of | {"applicator_id": name, "factor": _rounded(factor(name, float(str(of["kvp"]))))}
            for of, name in each
        ]
    if kind == "effective_ssd":
        return [
            of | {"applicator_id": name, "effective_ssd_cm": EFFECTIVE_SSD_CM} for of, name in each
        ]
    if kind == "mu_en_ratio":
        return [{"hvl_mm_al": hvl, "ratio": ratio} for hvl, ratio in MU_EN_RATIO.items()]
    if kind == "backscatter":
        return [
            {"ssd_cm": ssd, "diameter_cm": d, "hvl_mm_al": hvl, "b_w": _rounded(b_w(d, hvl))}
            for ssd in SSDS_CM
            for d in DIAMETERS_CM
            for hvl in MU_EN_RATIO
        ]
    if kind == "pdd":
        return [
            of
            | {"applicator_id": name, "ssd_cm": SSD_CM, "depth_mm": z}
            | {"pdd_percent": _rounded(percent(z, APPLICATORS[name][0], float(str(of["kvp"]))))}
            for of, name in each
            for z in DEPTHS_MM
        ]
    raise ValueError(f"kind {kind!r}: none that is simulated")


def _rounded(value: float) -> float:
    return round(value, DECIMALS)
