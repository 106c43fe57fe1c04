"""Depth doses and profiles of an output check: points in, what is held against the signed out.

The readings are corrected as those of an output.  That the chamber's response changes with depth
and place is left out: a change against points measured in the same way is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.kv_treatment import DepthDose
from analyzers.output_checks import CheckType, ReadingGroup, Signed
from analyzers.output_factors import is_dose_to_water, relative_rate
from analyzers.output_findings import Findings, Rows, grouped, of_type, refuse_other_setups
from analyzers.output_metrics import FIELD_WIDTH, FLATNESS, PDD, PDD_CHANGE, SYMMETRY

Floats = NDArray[np.float64]

FEWEST_DEPTHS = 3
"""The first of them is what the others are divided by."""
FEWEST_INSIDE = 5
"""Positions in the flattened part."""
HALF = 0.5
FLATTENED = 0.8
"""Share of the field's width, in its middle, of which flatness and symmetry are asked."""


def depth_doses(rows: Rows, signed: Signed, found: Findings) -> None:
    """Percent depth doses, and their largest difference from the signed curve.

    Percent of the reading at the surface.  Without a reading there it is divided by that at the
    first depth, where the signed curve is taken to hold.  Depths that the curve does not reach are
    not compared.
    """
    for beam, group in grouped(of_type(rows, CheckType.PDD), lambda row: row.beam):
        try:
            depths_mm, values = _points(group, "depth_mm")
            if len(depths_mm) < FEWEST_DEPTHS:
                raise ValueError(f"{FEWEST_DEPTHS} different depths are needed")
            curve = signed.depth_doses.get(beam)
            percents = values / values[0] * _first_percent(curve, float(depths_mm[0]))
        except ValueError as why:
            found.cannot(PDD_CHANGE, beam, str(why))
            continue
        for depth_mm, percent in zip(depths_mm, percents, strict=True):
            found.add(PDD.measured(percent, at=f"{beam} {depth_mm:g} mm"))
        if curve is None:
            found.without_reference(PDD_CHANGE, beam, "no depth dose of it is signed")
        else:
            _compare(beam, depths_mm, percents, curve, found)


def _first_percent(curve: DepthDose | None, depth_mm: float) -> float:
    if depth_mm == 0.0:
        return 100.0
    if curve is None:
        raise ValueError("no reading at 0 mm, and no signed depth dose to begin from")
    return curve.at(depth_mm)


def _compare(
    beam: str, depths_mm: Floats, percents: Floats, curve: DepthDose, found: Findings
) -> None:
    deepest_mm = float(np.max(curve.depth_mm))
    inside = depths_mm <= deepest_mm
    if not all(inside):
        found.notes.append(
            f"pdd_change at {beam}: the signed depth dose ends at {deepest_mm:g} mm; "
            f"{len(depths_mm) - int(inside.sum())} depths beyond are not compared"
        )
    if inside.sum() < FEWEST_DEPTHS:
        found.cannot(PDD_CHANGE, beam, "too few depths inside the signed depth dose")
        return
    signed = np.array([curve.at(float(depth)) for depth in depths_mm[inside]])
    change = percents[inside] - signed
    worst = int(np.argmax(np.abs(change)))
    found.add(PDD_CHANGE.measured(abs(float(change[worst])), at=beam))
    found.notes.append(
        f"pdd_change at {beam}: {change[worst]:+.2f} % points at {depths_mm[inside][worst]:g} mm, "
        f"the signed is {signed[worst]:.4g} %"
    )


def profiles(rows: Rows, found: Findings) -> None:
    """Field width, flatness and symmetry of each beam, axis and depth: for the trend."""
    for at, group in grouped(of_type(rows, CheckType.PROFILE), _profile_at):
        try:
            profile = Profile.of(*_points(group, "position_mm"))
        except ValueError as why:
            found.cannot(FIELD_WIDTH, at, str(why))
            continue
        found.add(FIELD_WIDTH.measured(profile.width_mm, at=at))
        try:
            flatness, symmetry = profile.flatness_percent(), profile.symmetry_percent()
        except ValueError as why:
            found.cannot(FLATNESS, at, str(why))
            continue
        found.add(FLATNESS.measured(flatness, at=at))
        found.add(SYMMETRY.measured(symmetry, at=at))


def _profile_at(row: ReadingGroup) -> str:
    depth = "" if row.depth_mm is None else f" {row.depth_mm:g} mm"
    return f"{row.beam} {row.profile_axis}{depth}"


def _points(group: Sequence[ReadingGroup], column: str) -> tuple[Floats, Floats]:
    """Places in mm, rising, each once, and the mean of what was read there."""
    if len({is_dose_to_water(row) for row in group}) > 1:
        raise ValueError("some rows are a dose to water, others an air kerma")
    refuse_other_setups(group)
    at: dict[float, list[float]] = {}
    for row in group:
        at.setdefault(getattr(row, column), []).append(relative_rate(row))
    places = sorted(at)
    return np.array(places), np.array([float(np.mean(at[place])) for place in places])


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Readings over the position in mm, rising, linear between them; edges at half the axis' value.

    Field width is the distance of the points of half the value on the beam axis, 0 mm, which are
    the first ones outward (IEC 60976: 50 % of the axis).
    """

    position_mm: Floats
    value: Floats
    left_mm: float
    right_mm: float

    @classmethod
    def of(cls, position_mm: Floats, value: Floats) -> Profile:
        """ValueError: the axis is not between two positions, or no reading is below half."""
        if not position_mm[0] < 0.0 < position_mm[-1]:
            raise ValueError("positions on both sides of the axis, 0 mm, are needed")
        half = HALF * float(np.interp(0.0, position_mm, value))
        right = position_mm >= 0.0
        edges = [
            _crossing(-position_mm[~right][::-1], value[~right][::-1], half),
            _crossing(position_mm[right], value[right], half),
        ]
        return cls(position_mm, value, -edges[0], edges[1])

    @property
    def width_mm(self) -> float:
        """From edge to edge."""
        return self.right_mm - self.left_mm

    def flatness_percent(self) -> float:
        """100 · (max - min)/(max + min), flattened part (AAPM TG-45).  ValueError: as below."""
        values = self._at(self._from_middle_mm())
        return float(100.0 * (values.max() - values.min()) / (values.max() + values.min()))

    def symmetry_percent(self) -> float:
        """Largest difference of two points as far left and right of the middle.

        Over the value on the axis, in percent, in the flattened part (AAPM TG-45: point
        difference).  ValueError: too few positions lie there.
        """
        from_middle_mm = self._from_middle_mm()
        difference = self._at(from_middle_mm) - self._at(-from_middle_mm)
        axis = float(np.interp(0.0, self.position_mm, self.value))
        return float(100.0 * np.abs(difference).max() / axis)

    @property
    def _middle_mm(self) -> float:
        return (self.left_mm + self.right_mm) / 2.0

    def _at(self, from_middle_mm: Floats) -> Floats:
        return np.interp(self._middle_mm + from_middle_mm, self.position_mm, self.value)

    def _from_middle_mm(self) -> Floats:
        """The flattened part's two ends, and the positions inside."""
        reach = FLATTENED * self.width_mm / 2.0
        measured = self.position_mm - self._middle_mm
        inside = measured[np.abs(measured) <= reach]
        if len(inside) < FEWEST_INSIDE:
            raise ValueError(
                f"{len(inside)} positions in the middle {100 * FLATTENED:g} % of the field, "
                f"{FEWEST_INSIDE} needed"
            )
        return np.array([-reach, *inside, reach])


def _crossing(outward_mm: Floats, value: Floats, half: float) -> float:
    """How far from the axis the value falls below half; positions from the axis outward."""
    below = np.flatnonzero(value < half)
    if not below.size or below[0] == 0:
        raise ValueError("readings above and below half of the axis on both sides are needed")
    k = int(below[0])
    share = (value[k - 1] - half) / (value[k - 1] - value[k])
    return float(outward_mm[k - 1] + share * (outward_mm[k] - outward_mm[k - 1]))
