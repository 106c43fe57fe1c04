"""Our own backscatter factors, to be held against those that a clinic enters: never used for dose.

From `analyzers.numerics.kv_monte_carlo.scattering`, 200,000 histories a point, standard error at
most 0.5 % (k = 1); method and validation are in docs/reference/kv-backscatter.md.  They are
1.2 % higher than TG-61's excerpt on average.
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzers.numerics.kv_tables import LayeredTable, OutsideTable, layered
from analyzers.srt_tables import BACKSCATTER, UnitTable

DIAMETERS_CM = (1.0, 2.0, 3.0, 5.0, 10.0)
HVL_MM_AL = (0.52, 1.15, 2.20)
"""Of tubes at 50, 70 and 100 kV."""
B_W_BY_SSD = {
    10.0: (
        (1.0500, 1.0633, 1.0690),
        (1.0712, 1.0986, 1.1149),
        (1.0826, 1.1221, 1.1462),
        (1.0957, 1.1501, 1.1884),
        (1.1065, 1.1810, 1.2473),
    ),
    15.0: (
        (1.0502, 1.0637, 1.0693),
        (1.0718, 1.0996, 1.1159),
        (1.0831, 1.1251, 1.1487),
        (1.0967, 1.1536, 1.1954),
        (1.1091, 1.1846, 1.2543),
    ),
    20.0: (
        (1.0503, 1.0638, 1.0695),
        (1.0717, 1.1003, 1.1161),
        (1.0839, 1.1251, 1.1512),
        (1.0977, 1.1559, 1.1958),
        (1.1109, 1.1883, 1.2665),
    ),
    30.0: (
        (1.0504, 1.0639, 1.0697),
        (1.0722, 1.1010, 1.1168),
        (1.0842, 1.1257, 1.1516),
        (1.0980, 1.1596, 1.1991),
        (1.1122, 1.1916, 1.2673),
    ),
}
"""By SSD in cm; a row for each diameter, a column for each half-value layer."""
FAR_PERCENT = 3.0
"""TG-61 and simulations by others agree to 1 to 2 %: what is further off is worth a look."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A clinic's backscatter factors less ours, in percent of ours.

    `compared` counts the rows that ours reach; of the others nothing is said.
    """

    rows: int
    compared: int
    mean_percent: float
    largest_percent: float
    largest_at: str

    @property
    def said(self) -> str:
        """A sentence for people."""
        if not self.compared:
            return "none of its rows lies where our own computed values do: not compared"
        look = "; look at that row" if abs(self.largest_percent) > FAR_PERCENT else ""
        return (
            f"{self.compared} of {self.rows} rows held against our own computed values: "
            f"{self.mean_percent:+.1f} % on average, at most {self.largest_percent:+.1f} % at "
            f"{self.largest_at}{look}"
        )


def compared(table: UnitTable) -> Comparison | None:
    """A table of backscatter factors against ours; None for another kind."""
    if table.kind != BACKSCATTER.name:
        return None
    ours = _ours()
    found: list[tuple[float, str]] = []
    for row in table.rows:
        ssd_cm, diameter_cm, hvl_mm, b_w = map(float, row)
        try:
            own = ours.at(ssd_cm, diameter_cm, hvl_mm)
        except OutsideTable:
            continue
        at = f"SSD {ssd_cm:g} cm, {diameter_cm:g} cm, HVL {hvl_mm:g} mm Al"
        found.append((100.0 * (b_w / own - 1.0), at))
    if not found:
        return Comparison(len(table.rows), 0, 0.0, 0.0, "")
    largest, at = max(found, key=lambda one: abs(one[0]))
    mean = sum(percent for percent, _ in found) / len(found)
    return Comparison(len(table.rows), len(found), mean, largest, at)


def _ours() -> LayeredTable:
    return layered(
        ("SSD (cm)", tuple(B_W_BY_SSD)),
        ("diameter (cm)", "HVL (mm Al)"),
        [(DIAMETERS_CM, HVL_MM_AL, values) for values in B_W_BY_SSD.values()],
    )
