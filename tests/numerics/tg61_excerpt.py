"""Figures of AAPM TG-61 (Med. Phys. 28, 868, 2001) that worked vectors need.

From tables IV and V.  For tests alone: a clinic enters and signs its
own copy.
"""

from __future__ import annotations

from analyzers.numerics.kv_tables import GridTable, LayeredTable, layered, line

HVL_MM_AL = "HVL (mm Al)"
DIAMETER_CM = "diameter (cm)"
SSD_CM = "SSD (cm)"
_QUALITIES = [0.5, 0.6, 1.0, 1.2, 2.0, 3.0]


def mu_en_ratio() -> GridTable:
    """Water to air, free in air, over HVL."""
    ratios = [1.047, 1.044, 1.039, 1.035, 1.031, 1.028, 1.026, 1.022, 1.020]
    ratios += [1.018, 1.017, 1.018, 1.021, 1.025, 1.029, 1.034, 1.045]
    return line(
        HVL_MM_AL,
        [0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
        ratios,
    )


def b_w() -> LayeredTable:
    """Backscatter of open-ended cones over SSD, diameter and HVL."""
    at_10 = [
        [1.036, 1.038, 1.046, 1.048, 1.055, 1.062],
        [1.058, 1.064, 1.083, 1.088, 1.105, 1.120],
        [1.069, 1.078, 1.103, 1.110, 1.135, 1.159],
        [1.079, 1.091, 1.126, 1.137, 1.177, 1.211],
    ]
    at_20 = [
        [1.036, 1.039, 1.046, 1.049, 1.057, 1.061],
        [1.059, 1.065, 1.083, 1.089, 1.107, 1.116],
        [1.069, 1.077, 1.105, 1.112, 1.138, 1.158],
        [1.080, 1.091, 1.131, 1.143, 1.183, 1.215],
    ]
    at_30 = [
        [1.079, 1.090, 1.130, 1.142, 1.182, 1.221],
        [1.088, 1.102, 1.157, 1.175, 1.238, 1.298],
    ]
    small = [1.0, 2.0, 3.0, 5.0]
    return layered(
        (SSD_CM, [10.0, 20.0, 30.0]),
        (DIAMETER_CM, HVL_MM_AL),
        [
            (small, _QUALITIES, at_10),
            (small, _QUALITIES, at_20),
            ([5.0, 10.0], _QUALITIES, at_30),
        ],
    )
