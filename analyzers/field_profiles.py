"""Profiles of an open field through its middle, and how far they are from a baseline's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.portal_images import Pixels, PortalImage

CORE = 0.8
"""Of the field's width: where flatness and symmetry are asked for (IEC 60976)."""
STRIP_MM = 5.0
DARK = 0.5
"""Percentile that is taken for no radiation."""
BORDER_SHARE = 0.15
"""Scatter beside a field is less."""
EVERY_MM = 1.0
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Along one axis through the field's middle: places in mm at the isocenter, mean signal."""

    places_mm: Numbers
    signal: Numbers
    edges_mm: tuple[float, float]
    """Where the signal is half of that in the middle."""

    @property
    def middle_mm(self) -> float:
        """Half way between the edges."""
        return sum(self.edges_mm) / 2.0

    @property
    def width_mm(self) -> float:
        """Between the edges."""
        return self.edges_mm[1] - self.edges_mm[0]

    def ratios(self, from_middle_mm: Numbers) -> Numbers:
        """Off-axis ratios: the signal there over the signal in the middle."""
        return self.at(from_middle_mm) / self.at(np.zeros(1))

    def at(self, from_middle_mm: Numbers) -> Numbers:
        """The signal, linear between pixels, at places from the field's middle."""
        return np.interp(self.middle_mm + from_middle_mm, self.places_mm, self.signal)


def profiles(image: PortalImage) -> tuple[Profile, Profile]:
    """Along x and along y.  Raises `AnalysisError` where no edge is in the image.

    Pixels in no unit stand on a pedestal of the imager's own, which would hide a share of every
    change of an off-axis ratio: their dark is taken off.
    """
    values, y_mm = image.values[::-1], image.y_mm[::-1]
    if image.pixels is Pixels.RELATIVE:
        values = values - np.percentile(values, DARK)
    rough_y = _profile(y_mm, values[:, values.shape[1] // 2])
    across_y = np.abs(y_mm - rough_y.middle_mm) <= STRIP_MM
    x = _profile(image.x_mm, values[across_y].mean(axis=0))
    across_x = np.abs(image.x_mm - x.middle_mm) <= STRIP_MM
    return x, _profile(y_mm, values[:, across_x].mean(axis=1))


def cut_off(image: PortalImage) -> tuple[bool, bool]:
    """Whether the field reaches the border of the image along x, and along y.

    It does where the outermost pixels hold more than `BORDER_SHARE` of the signal in the middle.
    """
    values = image.values - np.percentile(image.values, DARK)
    rows, columns = values.shape
    middle_y, middle_x = rows // 2, columns // 2
    reach = max(2, min(rows, columns) // 50)
    along_x = np.median(values[middle_y - reach : middle_y + reach], axis=0)
    along_y = np.median(values[:, middle_x - reach : middle_x + reach], axis=1)
    x, y = (
        bool(max(signal[:2].mean(), signal[-2:].mean()) > BORDER_SHARE * np.percentile(signal, 90))
        for signal in (along_x, along_y)
    )
    return x, y


def _profile(places_mm: Numbers, signal: Numbers) -> Profile:
    background = float(np.percentile(signal, 2))
    top = float(np.percentile(signal, 90)) - background
    lit = np.flatnonzero(signal - background > 0.5 * top)
    if top <= 0.0 or not lit.size or lit[0] == 0 or lit[-1] == len(signal) - 1:
        raise AnalysisError("the edges of the field are not in the image")
    level = background + 0.5 * (float(np.median(signal[lit])) - background)
    low = _crossing(places_mm, signal, int(lit[0]) - 1, level)
    return Profile(places_mm, signal, (low, _crossing(places_mm, signal, int(lit[-1]), level)))


def _crossing(places_mm: Numbers, signal: Numbers, index: int, level: float) -> float:
    """Where the signal passes the level, between a pixel and the next (or near by)."""
    rising = signal[index + 1] > signal[index]
    while 0 < index < len(signal) - 2 and (signal[index] > level) is rising:
        index -= 1
    while 0 <= index < len(signal) - 2 and (signal[index + 1] < level) == rising:
        index += 1
    step = signal[index + 1] - signal[index]
    share = (level - signal[index]) / step if step else 0.5
    return float(places_mm[index] + share * (places_mm[index + 1] - places_mm[index]))


def constancy_percent(now: Profile, baseline: Profile) -> float:
    """Mean magnitude of the change of the off-axis ratios in the field's core, in percent.

    TG-142 (Klein 2009), Table II: (1/N) sum |T - B| / B, here every millimeter over 80 % of the
    narrower of both widths.
    """
    half_mm = CORE * min(now.width_mm, baseline.width_mm) / 2.0
    places_mm = np.arange(-half_mm, half_mm + EVERY_MM / 2.0, EVERY_MM)
    before = baseline.ratios(places_mm)
    return float(100.0 * np.mean(np.abs(now.ratios(places_mm) - before) / before))
