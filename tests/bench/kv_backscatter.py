"""Backscatter by our own Monte Carlo against the excerpt of TG-61 table V.

For each quality and field of the excerpt, in percent of B_w; `error` is the largest standard error
of ours in the row, k = 1.
"""

from __future__ import annotations

import numpy as np

from analyzers.numerics.kv_monte_carlo import Field, scattering
from analyzers.numerics.kv_spectrum import spectrum_of_quality
from tests.numerics import tg61_excerpt

HISTORIES = 200_000
TUBE_KV = {0.5: 50.0, 0.6: 50.0, 1.0: 70.0, 1.2: 70.0, 2.0: 100.0, 3.0: 100.0}
FIELDS = [(ssd, d) for ssd in (10, 20) for d in (1, 2, 3, 5)] + [(30, 5), (30, 10)]


def measure() -> dict[str, object]:
    """Differences by SSD and diameter in cm, then by half-value layer in mm Al."""
    theirs = tg61_excerpt.b_w()
    rows: dict[str, object] = {"histories": HISTORIES}
    every = []
    for ssd_cm, diameter_cm in FIELDS:
        row, errors = {}, []
        for hvl_mm_al, tube_kv in TUBE_KV.items():
            ours = scattering(
                spectrum_of_quality(tube_kv, hvl_mm_al),
                Field(float(ssd_cm), diameter_cm / 2.0),
                histories=HISTORIES,
            )
            b_w = theirs.at(float(ssd_cm), float(diameter_cm), hvl_mm_al)
            row[f"hvl_{hvl_mm_al:g}_percent"] = round(100.0 * (ours.b_w / b_w - 1.0), 2)
            errors.append(100.0 * ours.b_w_error / ours.b_w)
        every += list(row.values())
        rows[f"{ssd_cm}/{diameter_cm}"] = row | {"error_percent": round(max(errors), 2)}
    rows["mean_percent"] = round(float(np.mean(every)), 2)
    return rows
