"""Reading a unit's signed tables: between their points, never beyond, and no table never guessed.

Every function raises ValueError with a sentence that says what is missing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzers.numerics.kv_tables import layered, line
from analyzers.numerics.kv_treatment import DepthDose
from analyzers.output_registry import SAME_CM, RegisteredApplicator, RegisteredBeam, RegisteredUnit
from analyzers.srt_tables import (
    APPLICATOR_FACTOR,
    BACKSCATTER,
    DEPTH_DOSE,
    EFFECTIVE_SSD,
    KINDS,
    MU_EN_RATIO,
    Cell,
    TableKind,
    UnitTable,
)
from analyzers.srt_treatments import Setup


@dataclass(frozen=True, slots=True)
class SignedTables:
    """The tables of one unit that count on a day, and the unit as the site file has it."""

    unit: RegisteredUnit
    tables: Sequence[UnitTable]

    def rows(self, kind: TableKind) -> Sequence[tuple[Cell, ...]]:
        """The rows of a kind.  ValueError: no table of it is signed for that day."""
        return self.table(kind).rows

    def table(self, kind: TableKind) -> UnitTable:
        """The table of a kind.  ValueError as above, and where it names another unit."""
        for table in self.tables:
            if table.kind == kind.name:
                if table.unit_id.casefold() not in {n.casefold() for n in self.unit.names}:
                    raise ValueError(f"the table of {kind.name} is another unit's")
                return table
        raise ValueError(f"no table of {kind.title[0].lower()}{kind.title[1:]} is signed for it")

    def beam(self, setup: Setup) -> RegisteredBeam:
        """The beam as registered."""
        for beam in self.unit.beams:
            if (
                beam.kvp == setup.kvp
                and beam.filter_id.casefold() == setup.filter_id.strip().casefold()
            ):
                return beam
        raise ValueError(f"{setup.kvp:g} kV with this filter is no beam of the unit")

    def applicator(self, name: str) -> RegisteredApplicator:
        """The applicator as registered."""
        for applicator in self.unit.applicators:
            if applicator.id.casefold() == name.strip().casefold():
                return applicator
        raise ValueError("the applicator is none of the unit's")

    @property
    def reference(self) -> RegisteredApplicator:
        """The applicator of the output checks."""
        if self.unit.reference_applicator is None:
            raise ValueError("the site file names no reference_applicator of the unit")
        return self.applicator(self.unit.reference_applicator)

    def hvl_mm_al(self, beam: RegisteredBeam) -> float:
        """The half-value layer of the beam as commissioned."""
        if beam.hvl_mm_al is None:
            raise ValueError(f"the site file has no hvl_mm_al of {beam.kvp:g} kV")
        return beam.hvl_mm_al

    def factor(self, beam: RegisteredBeam, applicator: RegisteredApplicator) -> float:
        """Of an applicator, to the reference applicator."""
        return self._of_applicator(APPLICATOR_FACTOR, beam, applicator)

    def effective_ssd_cm(self, beam: RegisteredBeam, applicator: RegisteredApplicator) -> float:
        """Of an applicator, from the inverse square fitted to readings over the gap."""
        return self._of_applicator(EFFECTIVE_SSD, beam, applicator)

    def b_w(self, ssd_cm: float, diameter_cm: float, beam: RegisteredBeam) -> float:
        """The backscatter factor of a round field."""
        hvl_mm = self.hvl_mm_al(beam)
        layers: dict[float, dict[tuple[float, float], float]] = defaultdict(dict)
        for row in self.rows(BACKSCATTER):
            at_ssd, at_diameter, at_hvl, value = map(float, row)
            layers[at_ssd][at_diameter, at_hvl] = value
        stacked = []
        for layer in layers.values():
            diameters, hvls = (sorted({key[axis] for key in layer}) for axis in (0, 1))
            values = [[layer[d, h] for h in hvls] for d in diameters]
            stacked.append((diameters, hvls, values))
        names = ("diameter (cm)", "HVL (mm Al)")
        table = layered(("SSD (cm)", list(layers)), names, stacked)
        return table.at(ssd_cm, diameter_cm, hvl_mm)

    def mu_en_ratio(self, beam: RegisteredBeam) -> float:
        """Water to air, free in air."""
        points = [(float(hvl), float(ratio)) for hvl, ratio in self.rows(MU_EN_RATIO)]
        table = line("HVL (mm Al)", [hvl for hvl, _ in points], [ratio for _, ratio in points])
        return table.at(self.hvl_mm_al(beam))

    def depth_dose(self, setup: Setup) -> DepthDose:
        """The curve of the set-up.

        With a cutout it is read between the curves of the round applicators of the same distance,
        by diameter: less scatter reaches the depth than with the whole applicator.
        """
        beam, applicator = self.beam(setup), self.applicator(setup.applicator_id)
        if setup.cutout_diameter_cm is None:
            return self._curve(beam, applicator)
        curves = []
        for other in self.unit.applicators:
            is_round = other.diameter_cm is not None
            if is_round and abs(other.ssd_cm - applicator.ssd_cm) <= SAME_CM:
                try:
                    curves.append((diameter_of(other), self._curve(beam, other)))
                except LookupError:
                    continue
        if not curves:
            raise ValueError("no depth dose of a round applicator of this distance is signed")
        curves.sort(key=lambda one: one[0])
        return _between(curves, setup.cutout_diameter_cm)

    def _curve(self, beam: RegisteredBeam, applicator: RegisteredApplicator) -> DepthDose:
        points = [
            (float(depth), float(percent))
            for kvp, filter_id, name, ssd, depth, percent in self.rows(DEPTH_DOSE)
            if (kvp, filter_id, name) == (beam.kvp, beam.filter_id, applicator.id)
            and abs(float(ssd) - applicator.ssd_cm) <= SAME_CM
        ]
        if not points:
            raise NoCurve(
                f"the table of depth doses has none of {beam.kvp:g} kV with this applicator"
            )
        depths, percents = zip(*points, strict=True)
        return DepthDose(np.array(depths), np.array(percents))

    def _of_applicator(
        self, kind: TableKind, beam: RegisteredBeam, applicator: RegisteredApplicator
    ) -> float:
        for kvp, filter_id, name, value in self.rows(kind):
            if (kvp, filter_id, name) == (beam.kvp, beam.filter_id, applicator.id):
                return float(value)
        title = KINDS[kind.name].title.lower()
        raise ValueError(f"the table of {title} has none of {beam.kvp:g} kV with this applicator")


class NoCurve(ValueError, LookupError):  # noqa: N818 - reads as what is the case
    """The table of depth doses does not hold this applicator."""


def diameter_of(applicator: RegisteredApplicator) -> float:
    """The diameter; of a rectangle that of the circle of equal area.  In cm."""
    if applicator.diameter_cm is not None:
        return applicator.diameter_cm
    if applicator.x_cm is None or applicator.y_cm is None:
        raise ValueError("the applicator has no size in the site file")
    return 2.0 * math.sqrt(applicator.x_cm * applicator.y_cm / math.pi)


def _between(curves: Sequence[tuple[float, DepthDose]], diameter_cm: float) -> DepthDose:
    """The curve of a diameter, as deep as both of its neighbors go."""
    axis = line("cutout (cm)", [d for d, _ in curves], [0.0] * len(curves)).axes[0]
    near = [(curves[place][1], weight) for place, weight in axis.weights(diameter_cm)]
    deepest = min(float(np.max(curve.depth_mm)) for curve, _ in near)
    depths = sorted({float(z) for curve, _ in near for z in curve.depth_mm if z <= deepest})
    percents = [sum(weight * curve.at(z) for curve, weight in near) for z in depths]
    return DepthDose(np.array(depths), np.array(percents))
