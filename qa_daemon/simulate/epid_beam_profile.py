"""How the signal of an open beam runs across a panel: horns, the peak without a filter, a tilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qa_daemon.simulate.epid_panel import Array, Imager
from qa_daemon.simulate.options import known

BEAMS = ("flattened", "fff")
HORN, HORN_MM = 0.03, 60.0
PEAK_MM = 160.0
TILT_AT_MM = 40.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Signal off the axis over that on it, which is 1.

    A flattened beam rises by `HORN` outwards, one without a filter falls as 1/(1 + (r/`PEAK_MM`)²).
    `horn_percent` comes to that at large radii.  `tilt_x_percent` and `tilt_y_percent` are how much
    more signal there is `TILT_AT_MM` out on the positive side of IEC x and y than on the negative
    one, in percent of the axis, as beam symmetry has it.
    """

    beam: str = "flattened"
    horn_percent: float = 0.0
    tilt_x_percent: float = 0.0
    tilt_y_percent: float = 0.0

    def at(self, x_mm: Array, y_mm: Array) -> Array:
        """The profile at points of the isocenter plane, shapes broadcast.

        Raises ValueError for a beam that is not in `BEAMS`.
        """
        known("beam", self.beam, BEAMS)
        squared = x_mm**2 + y_mm**2
        outwards = 1.0 - np.exp(-squared / (2.0 * HORN_MM**2))
        if self.beam == "fff":
            radial = 1.0 / (1.0 + squared / PEAK_MM**2)
        else:
            radial = 1.0 + HORN * outwards
        tilted = self.tilt_x_percent * x_mm + self.tilt_y_percent * y_mm
        return np.asarray(
            radial + (self.horn_percent * outwards + tilted / (2.0 * TILT_AT_MM)) / 100.0
        )

    def on(self, imager: Imager) -> Array:
        """The profile on a panel, first row at the largest y."""
        x_mm = (imager.x_edges_mm[:-1] + imager.x_edges_mm[1:]) / 2.0
        y_mm = ((imager.y_edges_mm[:-1] + imager.y_edges_mm[1:]) / 2.0)[::-1]
        return self.at(x_mm, y_mm[:, np.newaxis])
