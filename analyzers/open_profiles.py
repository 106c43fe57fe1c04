"""An open field as an imager shows it: its edges, and its two main profiles, one side for both.

For fits of the imager's kernel.  Lengths at the isocenter plane, signals in CU for each MU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.portal_images import Pixels, Polarity, PortalImage

Floats = NDArray[np.float64]

BAND_MM = 4.0
"""Profiles are means over a band of this width."""
CENTER_MM = 5.0
OUTSIDE_MM = 60.0
POINTS = 120
SAME_FIELD_MM = 3.0
OFF_AXIS_MM = 5.0
UPRIGHT_DEG = 1.0
SATURATED_PERCENT = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class OpenProfiles:
    """`at_mm` are distances from the field's middle, `(2, points)` for x and y, as `signal`.

    The signal is the mean of both sides; `asymmetry_percent` is the largest difference of the two
    inside the field.
    """

    half_mm: tuple[float, float]
    """From the middle to the points of half the central signal, along x and y."""
    center: float
    at_mm: Floats
    signal: Floats
    asymmetry_percent: float
    sid_mm: float

    @property
    def name(self) -> str:
        """Its size in cm, as people call fields."""
        return f"{self.half_mm[0] / 5.0:.1f} x {self.half_mm[1] / 5.0:.1f} cm"


def profiles_of(image: PortalImage) -> OpenProfiles:
    """The profiles of one open field.

    Raises `AnalysisError`: not in calibrated units, no meterset, saturated, collimator turned,
    edges that are not on the image, off the axis, or not where the image's aperture says.
    """
    _refuse_unfit(image)
    mu = float(image.meterset_mu or 0.0)
    x_mm, y_mm, values = image.x_mm, image.y_mm[::-1], image.values[::-1] / mu
    near = np.ix_(np.abs(y_mm) <= CENTER_MM / 2, np.abs(x_mm) <= CENTER_MM / 2)
    center = float(values[near].mean())
    if not center > 0.0:
        raise AnalysisError("there is no signal on the axis")
    rows, columns = np.abs(y_mm) <= BAND_MM / 2, np.abs(x_mm) <= BAND_MM / 2
    lines = ((x_mm, values[rows].mean(axis=0)), (y_mm, values[:, columns].mean(axis=1)))
    edges = [_edges(at_mm, line, center / 2.0) for at_mm, line in lines]
    _refuse_other_field(image, edges)
    folded = [_folded(at, line, edge) for (at, line), edge in zip(lines, edges, strict=True)]
    half_x_mm, half_y_mm = ((high - low) / 2.0 for low, high in edges)
    return OpenProfiles(
        half_mm=(half_x_mm, half_y_mm),
        center=center,
        at_mm=np.stack([at for at, _, _ in folded]),
        signal=np.stack([signal for _, signal, _ in folded]),
        asymmetry_percent=max(uneven for _, _, uneven in folded),
        sid_mm=float(image.sid_mm or 0.0),
    )


def _refuse_unfit(image: PortalImage) -> None:
    if image.pixels is not Pixels.CALIBRATED or image.polarity is Polarity.UNKNOWN:
        raise AnalysisError("not in calibrated units: export it with its dosimetric calibration")
    if not image.meterset_mu or not np.isfinite(image.meterset_mu):
        raise AnalysisError("the image does not state its MU")
    if image.sid_mm is None:
        raise AnalysisError("the image does not state the distance of the imager")
    if image.saturated_percent > SATURATED_PERCENT:
        raise AnalysisError("pixels are saturated: give fewer MU, or more frames")
    if not np.isfinite(image.values).all():
        raise AnalysisError("the image holds values that are no numbers")
    turn_deg = image.collimator_deg
    if turn_deg is not None and abs((turn_deg + 45.0) % 90.0 - 45.0) > UPRIGHT_DEG:
        raise AnalysisError("the collimator is turned: expose open fields at 0 degrees")


def _edges(at_mm: Floats, line: Floats, half: float) -> tuple[float, float]:
    """Where the signal falls to half, outwards from the axis."""
    middle = int(np.abs(at_mm).argmin())
    found = []
    for way in (-1, 1):
        side = line[middle::way]
        below = np.flatnonzero(side < half)
        if not below.size:
            raise AnalysisError("an edge of the field is not on the image")
        k = int(below[0])
        share = (side[k - 1] - half) / (side[k - 1] - side[k])
        place = at_mm[middle::way]
        found.append(float(place[k - 1] + share * (place[k] - place[k - 1])))
    return found[0], found[1]


def _refuse_other_field(image: PortalImage, edges: list[tuple[float, float]]) -> None:
    for low_mm, high_mm in edges:
        if abs(low_mm + high_mm) / 2.0 > OFF_AXIS_MM:
            raise AnalysisError(
                f"the field's middle is {abs(low_mm + high_mm) / 2.0:.1f} mm off the axis"
            )
    aperture = image.aperture
    if aperture is None or (image.collimator_deg or 0.0) % 180.0 > UPRIGHT_DEG:
        return
    for seen, jaws in zip(edges, (aperture.jaw_x_mm, aperture.jaw_y_mm), strict=True):
        if jaws is None or not np.isfinite(jaws).all():
            continue
        away_mm = float(np.abs(np.asarray(seen) - jaws).max())
        if away_mm > SAME_FIELD_MM and aperture.bank_a_mm is None:
            raise AnalysisError(
                f"an edge lies {away_mm:.1f} mm from where the image's jaws say: is it open?"
            )


def _folded(at_mm: Floats, line: Floats, edge: tuple[float, float]) -> tuple[Floats, Floats, float]:
    """Distances from the middle, the mean of both sides there, and how much they differ."""
    middle, half = (edge[0] + edge[1]) / 2.0, (edge[1] - edge[0]) / 2.0
    reach = min(half + OUTSIDE_MM, middle - at_mm[0], at_mm[-1] - middle)
    distance = np.linspace(0.0, reach, POINTS)
    right = np.interp(middle + distance, at_mm, line)
    left = np.interp(middle - distance, at_mm, line)
    inner = distance <= 0.8 * half
    uneven = 200.0 * np.abs(right - left)[inner] / (right + left)[inner]
    return distance, (right + left) / 2.0, float(uneven.max())
