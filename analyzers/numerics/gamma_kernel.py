"""Gamma at many reference points: which cells of the evaluated grid to look into, and when to stop.

Per reference point, cells are visited in order of distance (Wendling et al. 2007, Med. Phys. 34,
1647).  A cell is skipped if its distance and the gap between the reference dose and the cell's
range of doses already exceed the best value; both are exact for multilinear interpolation.

Grids are three-dimensional here; a missing axis has one plane.  Positions are in cells of the
evaluated grid: a whole number (`home`) and a fraction per index of each reference axis.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from analyzers.numerics.gamma_cell_kernel import (
    Box,
    Surface,
    Vector,
    clip,
    clipped,
    dot,
    least_to_matter,
    search_box,
    search_cell,
)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Positions = tuple[tuple[Indices, Indices, Indices], tuple[Floats, Floats, Floats]]
Grid = tuple[Floats, Floats, Floats, Floats]
"""Dose; smallest and largest dose of each cell; cell widths over the distance criterion."""
Order = tuple[Indices, Floats]
"""Cells relative to the home cell, nearest first; squared distance below which none of them is."""


@njit(cache=True, nogil=True, error_model="numpy")
def inside(home: int, fraction: float, size: int) -> tuple[int, float, float]:
    """The closest place on one axis of the grid: cell and fraction; how far off, in cells."""
    position = clip(home + fraction, 0.0, size - 1.0)
    cell = max(min(int(position), size - 2), 0)
    return cell, position - cell, position - (home + fraction)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def start_values(
    points: Indices, reference: Floats, criterion: Floats, positions: Positions, grid: Grid
) -> tuple[Floats, Floats]:
    """Evaluated minus reference dose, and f, at the grid's closest position to each point."""
    dose, _, _, widths = grid
    (home0, home1, home2), (fraction0, fraction1, fraction2) = positions
    size0, size1, size2 = dose.shape
    difference = np.empty(len(reference))
    start = np.empty(len(reference))
    for n in prange(len(reference)):
        p0, p1, p2 = points[n]
        c0, t0, off0 = inside(home0[p0], fraction0[p0], size0)
        c1, t1, off1 = inside(home1[p1], fraction1[p1], size1)
        c2, t2, off2 = inside(home2[p2], fraction2[p2], size2)
        n0, n1, n2 = min(c0 + 1, size0 - 1), min(c1 + 1, size1 - 1), min(c2 + 1, size2 - 1)
        d00 = dose[c0, c1, c2] * (1.0 - t2) + dose[c0, c1, n2] * t2
        d01 = dose[c0, n1, c2] * (1.0 - t2) + dose[c0, n1, n2] * t2
        d10 = dose[n0, c1, c2] * (1.0 - t2) + dose[n0, c1, n2] * t2
        d11 = dose[n0, n1, c2] * (1.0 - t2) + dose[n0, n1, n2] * t2
        low, high = d00 * (1.0 - t1) + d01 * t1, d10 * (1.0 - t1) + d11 * t1
        difference[n] = low * (1.0 - t0) + high * t0 - reference[n]
        away = (off0 * widths[0], off1 * widths[1], off2 * widths[2])
        start[n] = dot(away, away) + (difference[n] / criterion[n]) ** 2
    return difference, start


@njit(cache=True, nogil=True, error_model="numpy")
def surface_of(
    dose: Floats, cell: tuple[int, int, int], box: Box, expected: float, criterion: float
) -> Surface:
    """The trilinear surface of one cell in the units of the criteria."""
    c0, c1, c2 = cell
    n0 = min(c0 + 1, dose.shape[0] - 1)
    n1 = min(c1 + 1, dose.shape[1] - 1)
    n2 = min(c2 + 1, dose.shape[2] - 1)
    scale = 1.0 / criterion
    # Doses first become differences: what follows subtracts close numbers only once.
    d000, d001 = dose[c0, c1, c2] - expected, dose[c0, c1, n2] - expected
    d010, d011 = dose[c0, n1, c2] - expected, dose[c0, n1, n2] - expected
    d100, d101 = dose[n0, c1, c2] - expected, dose[n0, c1, n2] - expected
    d110, d111 = dose[n0, n1, c2] - expected, dose[n0, n1, n2] - expected
    low, high = box
    w0, w1, w2 = high[0] - low[0], high[1] - low[1], high[2] - low[2]
    i0 = 1.0 / w0 if w0 > 0.0 else 0.0
    i1 = 1.0 / w1 if w1 > 0.0 else 0.0
    i2 = 1.0 / w2 if w2 > 0.0 else 0.0
    slope = (
        (d100 - d000) * i0 * scale,
        (d010 - d000) * i1 * scale,
        (d001 - d000) * i2 * scale,
    )
    m12 = ((d011 - d010) - (d001 - d000)) * scale
    m02 = ((d101 - d100) - (d001 - d000)) * scale
    m01 = ((d110 - d100) - (d010 - d000)) * scale
    third = ((d111 - d110) - (d101 - d100)) * scale - m12
    mixed = (m12 * i1 * i2, m02 * i0 * i2, m01 * i0 * i1)
    return low, d000 * scale, slope, mixed, third * i0 * i1 * i2


@njit(cache=True, nogil=True, error_model="numpy")
def box_of(offset: Indices, fraction: Vector, size: tuple[int, int, int], widths: Floats) -> Box:
    """The cell at an offset from the home cell; the reference point is the origin."""
    low0 = (offset[0] - fraction[0]) * widths[0]
    low1 = (offset[1] - fraction[1]) * widths[1]
    low2 = (offset[2] - fraction[2]) * widths[2]
    return (low0, low1, low2), (
        low0 + widths[0] if size[0] > 1 else low0,
        low1 + widths[1] if size[1] > 1 else low1,
        low2 + widths[2] if size[2] > 1 else low2,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    expected: float,
    criterion: float,
    home: tuple[int, int, int],
    fraction: Vector,
    grid: Grid,
    order: Order,
    best: float,
    tolerance: float,
    certify: bool,
) -> tuple[float, bool]:
    """One pass over the cells around a point: best f, and whether it is proven to `tolerance`.

    Without `certify` a cell gets one descent; with it, branch and bound.
    """
    dose, lowest, highest, widths = grid
    offsets, reach = order
    cells = lowest.shape
    proven = True
    for n in range(len(reach)):
        if reach[n] >= best:
            break
        c0, c1, c2 = home[0] + offsets[n, 0], home[1] + offsets[n, 1], home[2] + offsets[n, 2]
        if not (0 <= c0 < cells[0] and 0 <= c1 < cells[1] and 0 <= c2 < cells[2]):
            continue
        box = box_of(offsets[n], fraction, dose.shape, widths)
        nearest = clipped((0.0, 0.0, 0.0), box)
        gap = max(lowest[c0, c1, c2] - expected, expected - highest[c0, c1, c2], 0.0) / criterion
        if dot(nearest, nearest) + gap * gap >= best:
            continue
        surface = surface_of(dose, (c0, c1, c2), box, expected, criterion)
        if certify:
            best = search_cell(surface, box, best, tolerance)
        else:
            found, bound = search_box(surface, box, best)
            best = min(best, found)
            proven = proven and bound >= least_to_matter(best, tolerance)
    return best, proven or certify


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def smallest_gamma(
    points: Indices,
    reference: Floats,
    criterion: Floats,
    start: Floats,
    positions: Positions,
    grid: Grid,
    order: Order,
    tolerance: float,
) -> Floats:
    """Gamma of each point: no farther than `tolerance` above the true minimum, never below it.

    `start` is an f that is known to be reached, or the square of the cap.
    """
    (home0, home1, home2), (fraction0, fraction1, fraction2) = positions
    gamma = np.empty(len(reference))
    for n in prange(len(reference)):
        p0, p1, p2 = points[n]
        home = (home0[p0], home1[p1], home2[p2])
        fraction = (fraction0[p0], fraction1[p1], fraction2[p2])
        best, proven = sweep(
            reference[n], criterion[n], home, fraction, grid, order, start[n], tolerance, False
        )
        if not proven:
            best, _ = sweep(
                reference[n], criterion[n], home, fraction, grid, order, best, tolerance, True
            )
        gamma[n] = math.sqrt(best)
    return gamma
