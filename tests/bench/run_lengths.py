"""How long control charts leave a steady process alone, and how soon they see a shift.

Average run lengths by simulation of normal values, for limits that are known and for those found
from the first 30 values as the program finds them; a run that is not over after `LONGEST` values
counts as that long.
"""

from __future__ import annotations

import numpy as np

from qa_daemon.trends.chart import PHASE_ONE, Usual, chart_of, usual_of

RUNS, LONGEST = 4000, 4000
SHIFTS = (0.0, 0.5, 1.0, 2.0, 3.0)
KNOWN = Usual(0.0, 1.0, PHASE_ONE, 0.0, widened=False)


def measure() -> dict[str, object]:
    """Average run lengths by shift in sigma: of single values, of their average, of the pair."""
    return {
        "known limits": {f"{shift:g} sigma": _lengths(shift, known=True) for shift in SHIFTS},
        "limits of 30 values": {
            f"{shift:g} sigma": _lengths(shift, known=False) for shift in SHIFTS
        },
    }


def _lengths(shift: float, *, known: bool) -> dict[str, float]:
    random = np.random.default_rng(int(10 * shift))
    found: dict[str, list[int]] = {"3 sigma": [], "average": [], "pair": []}
    for _ in range(RUNS):
        usual = KNOWN if known else usual_of(random.normal(size=PHASE_ONE))
        assert usual is not None
        chart = chart_of(random.normal(shift, 1.0, LONGEST), usual)
        for name, marks in (
            ("3 sigma", chart.beyond),
            ("average", chart.average_beyond),
            ("pair", chart.beyond | chart.average_beyond),
        ):
            found[name].append(int(np.argmax(marks)) + 1 if marks.any() else LONGEST)
    return {name: round(float(np.mean(lengths)), 1) for name, lengths in found.items()}
