"""The phantom of simulated CT, structures and dose: a box of water with a rod, the target in it.

Patient coordinates, mm, the middle of the box at 0, 0, 0.  The rod runs along z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qa_daemon.simulate.dicom_file import ROOT

Array = NDArray[np.float64]

BOX_MM = 120.0
"""Width and height of the box of water."""
ROD_AT_MM = (30.0, 0.0)
ROD_RADIUS_MM = 15.0
WATER_HU, AIR_HU, ROD_HU = 0.0, -1000.0, 800.0
CORD_AT_MM = (0.0, 45.0)
CORD_RADIUS_MM = 5.0

FRAME_OF_REFERENCE = f"{ROOT}.6"
CT_SERIES = f"{ROOT}.5"
STRUCTURE_SET = f"{ROOT}.7"
DOSE = f"{ROOT}.8"


def slice_uid(number: int) -> str:
    """The SOP instance of a slice of the CT, counted from 1."""
    return f"{CT_SERIES}.{number}"


def centers_mm(count: int, spacing_mm: float) -> Array:
    """The middles of so many pixels or slices, around 0, shape `(count,)`."""
    return np.asarray((np.arange(count) - (count - 1) / 2.0) * spacing_mm)


def hounsfield(x_mm: Array, y_mm: Array, rod_hu: float = ROD_HU) -> Array:
    """One slice, all are alike: shape `(rows, columns)`, by the middles of the pixels."""
    x, y = np.meshgrid(x_mm, y_mm)
    inside = (np.abs(x) <= BOX_MM / 2.0) & (np.abs(y) <= BOX_MM / 2.0)
    rod = np.hypot(x - ROD_AT_MM[0], y - ROD_AT_MM[1]) <= ROD_RADIUS_MM
    return np.where(rod, rod_hu, np.where(inside, WATER_HU, AIR_HU))


def circle_mm(center_mm: tuple[float, float], radius_mm: float, points: int, z_mm: float) -> Array:
    """A regular polygon with its corners on the circle, shape `(points, 3)`."""
    angle = np.arange(points) * (2.0 * np.pi / points)
    x, y = radius_mm * np.cos(angle) + center_mm[0], radius_mm * np.sin(angle) + center_mm[1]
    return np.column_stack([x, y, np.full(points, z_mm)])


def rectangle_mm(half_x_mm: float, half_y_mm: float, x_shift_mm: float, z_mm: float) -> Array:
    """A rectangle around (shift, 0), shape `(4, 3)`."""
    x = np.array([-half_x_mm, half_x_mm, half_x_mm, -half_x_mm]) + x_shift_mm
    y = np.array([-half_y_mm, -half_y_mm, half_y_mm, half_y_mm])
    return np.column_stack([x, y, np.full(4, z_mm)])
