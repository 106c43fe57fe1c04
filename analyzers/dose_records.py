"""What a dose is computed on and held against: CT slices, structures, dose grids.

Vendor-neutral, in the patient coordinate system of DICOM (PS3.3 C.7.6.2.1.1: +x to the patient's
left, +y to the back, +z to the head), mm and Gy.  A stored array has the shape `(rows, columns)`,
or `(frames, rows, columns)`.  There is nothing in these records to judge by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError

FloatArray = NDArray[np.float64]

KEPT_SLICE = "a CT slice: kept for dose reconstruction"
KEPT_LOCALIZER = "a CT localizer: kept, and no part of the volume"
KEPT_STRUCTURES = "a structure set: kept for dose reconstruction"
KEPT_DOSE = "a dose grid: kept for comparison with reconstructed dose"
SAME_PLANE_MM = 0.1
SAME_STEP_MM = 0.01


@dataclass(frozen=True, slots=True)
class DoseIdentity:
    """Whose record this is.  Stays inside the store: never in a log line, alert or metric."""

    patient_id: str | None = field(default=None, repr=False)
    plan_uid: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)
    series_uid: str | None = field(default=None, repr=False)
    sop_instance_uid: str | None = field(default=None, repr=False)
    frame_of_reference_uid: str | None = field(default=None, repr=False)
    label: str | None = field(default=None, repr=False)
    """What a person called it: the label of a structure set."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where the pixels of an image plane lie in the patient.

    `origin_mm` is the middle of the first pixel, shape `(3,)`.  `along_row` and `along_column` are
    the unit vectors, shape `(3,)`, in which the column index and the row index rise, at right
    angles to each other.  `spacing_mm` is (between rows, between columns), as PixelSpacing has it.
    """

    origin_mm: FloatArray
    along_row: FloatArray
    along_column: FloatArray
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> FloatArray:
        """The unit vector across the plane, right-handed with row and column."""
        return np.cross(self.along_row, self.along_column)

    def at(self, row: float, column: float, offset_mm: float = 0.0) -> FloatArray:
        """The point at a row and a column, counted from 0, and so far along the normal: mm, `(3,)`.

        PS3.3 equation C.7.6.2.1-1.
        """
        return np.asarray(
            self.origin_mm
            + self.along_column * (row * self.spacing_mm[0])
            + self.along_row * (column * self.spacing_mm[1])
            + self.normal * offset_mm
        )


@dataclass(frozen=True, eq=False)
class CtSlice:
    """One slice of a CT, shape `(rows, columns)`: int16 where that holds all values, else float32.

    `unit` is `HU`, or `unknown` where the file says that its values are something else: `hu` is
    what to compute with.  `padding` are the lowest and the highest value that stand for no
    measurement (outside of the reconstruction circle), in the unit of `values`.
    """

    values: NDArray[np.int16] | NDArray[np.float32]
    placement: Placement
    unit: str = "HU"
    is_localizer: bool = False
    thickness_mm: float | None = None
    tilt_deg: float = 0.0
    """GantryDetectorTilt; a tilted series is a sheared volume."""
    padding: tuple[float, float] | None = None
    kvp: float | None = None
    patient_position: str = "unknown"
    """HFS, HFP, FFS, FFP …"""
    instance_number: int | None = None
    performed_at: datetime | None = None
    identity: DoseIdentity = field(default_factory=DoseIdentity)
    warnings: tuple[str, ...] = ()
    # What jobs ask every record for.  A CT scanner is none of the machines that are watched.
    machine_class: None = None
    machine_serial: None = None
    energy: None = None

    @property
    def not_judged(self) -> str:
        """Why nothing is judged."""
        return KEPT_LOCALIZER if self.is_localizer else KEPT_SLICE

    @property
    def hu(self) -> NDArray[np.int16] | NDArray[np.float32]:
        """The values in HU.  Raises `AnalysisError` where they are not, or this is no slice."""
        if self.is_localizer:
            raise AnalysisError("a localizer is a projection: it has no Hounsfield units")
        if self.unit != "HU":
            raise AnalysisError("the values of this slice are not in Hounsfield units")
        return self.values

    @property
    def offset_mm(self) -> float:
        """Where the slice lies along its own normal, from the origin of the patient system."""
        return float(self.placement.origin_mm @ self.placement.normal)


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour: `points_mm` are `(points, 3)`, the last one not repeated.

    `shape` is DICOM's word: CLOSED_PLANAR, OPEN_PLANAR, POINT …
    """

    shape: str
    points_mm: FloatArray

    @property
    def encloses(self) -> bool:
        """Whether it is the outline of an area, which two points are not."""
        return self.shape in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR") and len(self.points_mm) >= 3


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """One region of interest.

    `name` may hold anything that a person typed: for pages that show identity, never for logs.
    `kind` is DICOM's word (PTV, ORGAN, EXTERNAL …) or `unknown`.
    """

    number: int
    name: str | None = field(repr=False)
    kind: str
    contours: tuple[Contour, ...]
    frame_of_reference_uid: str | None = field(default=None, repr=False)

    @property
    def by_slice(self) -> dict[float, tuple[Contour, ...]]:
        """The outlines that lie across z, by z in mm to the hundredth, from the feet upward.

        Raises `AnalysisError` where one lies otherwise: it belongs to no slice.
        """
        planes: dict[float, list[Contour]] = {}
        for contour in self.contours:
            if not contour.encloses:
                continue
            z_mm = contour.points_mm[:, 2]
            if np.ptp(z_mm) > SAME_PLANE_MM:
                raise AnalysisError("a contour of this structure is not transverse")
            planes.setdefault(round(float(z_mm.mean()), 2) + 0.0, []).append(contour)
        return {z_mm: tuple(planes[z_mm]) for z_mm in sorted(planes)}


@dataclass(frozen=True, eq=False)
class Structures:
    """A structure set.

    `series_uids` are the series that it was drawn on, `frame_of_reference_uids` all that it names:
    a structure counts in its own.
    """

    structures: tuple[Structure, ...]
    series_uids: tuple[str, ...] = field(default=(), repr=False)
    frame_of_reference_uids: tuple[str, ...] = field(default=(), repr=False)
    approval: str | None = None
    performed_at: datetime | None = None
    """When it was drawn, local."""
    identity: DoseIdentity = field(default_factory=DoseIdentity)
    warnings: tuple[str, ...] = ()
    not_judged: str = KEPT_STRUCTURES
    machine_class: None = None
    machine_serial: None = None
    energy: None = None


@dataclass(frozen=True, slots=True)
class DoseReferences:
    """What of which plan a dose is of.

    `plan_uids` are all plans that it names; `fraction_group` and `beam_numbers` where it is a part
    of one.
    """

    plan_uids: tuple[str, ...] = field(default=(), repr=False)
    fraction_group: int | None = None
    beam_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class DoseGrid:
    """Dose at the middles of voxels: float32, shape `(frames, rows, columns)`.

    `placement` is that of the first frame; `offsets_mm`, shape `(frames,)`, begin with 0, rise, and
    run along its normal.  `values` are Gy where `unit` is GY; `dose_gy` is what to compare with.
    """

    values: NDArray[np.float32]
    placement: Placement
    offsets_mm: FloatArray
    unit: str = "GY"
    """GY or RELATIVE."""
    kind: str = "PHYSICAL"
    """PHYSICAL, EFFECTIVE or ERROR."""
    summation: str = "PLAN"
    """PLAN, BEAM, FRACTION …, or `unknown`."""
    references: DoseReferences = field(default_factory=DoseReferences)
    heterogeneity: tuple[str, ...] = ()
    """What corrects for inhomogeneity: IMAGE, ROI_OVERRIDE, WATER; empty where it is not said."""
    performed_at: datetime | None = None
    """When it was computed, local."""
    identity: DoseIdentity = field(default_factory=DoseIdentity)
    warnings: tuple[str, ...] = ()
    not_judged: str = KEPT_DOSE
    machine_class: None = None
    machine_serial: None = None
    energy: None = None

    @property
    def dose_gy(self) -> NDArray[np.float32]:
        """The physical dose, Gy.  Raises `AnalysisError` where the grid holds something else."""
        if self.unit != "GY":
            raise AnalysisError("the dose is relative: nothing says how much 1 Gy is in it")
        if self.kind != "PHYSICAL":
            raise AnalysisError(f"the grid holds {self.kind} values, not physical dose")
        return self.values

    @property
    def is_uniform(self) -> bool:
        """Whether all frames are the same distance apart, to a hundredth of a mm."""
        steps_mm = np.diff(self.offsets_mm)
        return bool(steps_mm.size == 0 or np.ptp(steps_mm) <= SAME_STEP_MM)

    def spacing_mm(self) -> tuple[float, ...]:
        """Between frames, rows and columns; a plane has no first one.

        Raises `AnalysisError` where the frames are not the same distance apart.
        """
        if not self.is_uniform:
            raise AnalysisError("the planes of the dose are not the same distance apart")
        if len(self.offsets_mm) == 1:
            return self.placement.spacing_mm
        step_mm = float(self.offsets_mm[-1]) / (len(self.offsets_mm) - 1)
        return (step_mm, *self.placement.spacing_mm)
