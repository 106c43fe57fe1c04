"""Units of the catalogue in Grafana's words.

Only units that Grafana does not rescale have a name of its own: `lengthmm` would show 0.02 mm as
20 µm beside limits in mm.  All others are written behind the number as they are.
"""

from __future__ import annotations

NOT_RESCALED = {"%": "percent", "1": "none", "deg": "degree", "degC": "celsius"}
AGE = "dateTimeFromNow"
COUNT = "none"


def unit_of(unit: str) -> str:
    """The unit of a panel."""
    return NOT_RESCALED.get(unit or "1") or f"suffix:{unit}"
