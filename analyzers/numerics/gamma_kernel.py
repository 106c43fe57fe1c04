"""The smallest gamma at each reference point, with a proof of how small it can be.

Space of Low et al. 1998 (Med. Phys. 25, 656) with the reference point at the origin and lengths in
mm; doses are differences to the reference dose, times the ratio of distance to dose criterion, so
that they are lengths as well.  In a cell the evaluated dose is a trilinear surface s(u); gamma
squared, times the distance criterion squared, is the minimum of f(u) = |u|² + s(u)².  Grids are
three-dimensional here; a missing axis has one plane, and cells without thickness.

Cells are visited in order of distance (Wendling et al. 2007, Med. Phys. 34, 1647) and skipped if
distance and the gap between reference dose and the cell's range of doses exceed the best value.  In
the others two bounds from below make the answer certain:

- s(u)² >= 2 k s(u) - k² for every k.  With k = s at a local minimum of f, the right-hand side plus
  |u|² has the same slope there as f; if it is convex, the local minimum is the cell's minimum.  Its
  Hessian is 2 (1 + k M), where M holds the mixed derivatives of s, so |k| |M| < 1 is enough.
- In a small box s is a plane to within its mixed terms; the minimum over that slab is closed form.

All in one file: numba's cache notices changes only in the file that a compiled function is in.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
parallel_kernel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Vector = tuple[float, float, float]
Box = tuple[Vector, Vector]
Surface = tuple[Vector, float, Vector, Vector, float, tuple[float, float]]
"""Low corner of the cell; value, slope, mixed derivatives (12, 02, 01) and (012) there; smallest
and largest value in the cell."""
Best = tuple[float, Vector, float]
"""The smallest f so far, where it was found, and the value of the surface there."""
Cell = tuple[int, int, int]
Positions = tuple[Indices, Indices, Floats]
"""Shape of the reference; home cell and fraction of the indices of its axes, axis after axis."""
Grid = tuple[Floats, Floats, Floats, Floats, Floats]
"""Dose; smallest and largest dose of each cell; cell widths in mm, and their inverse."""
Order = tuple[Indices, Floats]
"""Cells relative to the home cell, nearest first; mm² of distance below which none of them is."""
Sought = tuple[float, float, Cell, Vector]
"""Reference dose; ratio of distance to dose criterion; home cell and fraction."""
Proof = tuple[Floats, float]
"""Distance criteria that the root of f is compared with, and tolerance, in mm."""

DESCENTS = 12
"""Gauss-Newton steps before a box is split instead; the error falls by |k| |M| at each."""
MOST_TWIST = 0.95
"""Of |k| |M|: leaves the bound some curvature."""
CLOSED = 1.0 - 1e-12
"""A bound this close to the found value, relatively, is equal to it but for rounding."""
PASSES = 1.0 - 1e-9
"""Gamma of a point that passes; boxes around one that only just does need not shrink to nothing."""
MOST_BOXES = 100_000
"""Of one point, in branch and bound; a point that needs more stays unproven."""
STEPS = 4
"""Of the first walk.  Any number gives the same gamma; this one makes the search short."""


@kernel
def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def clip(value: float, low: float, high: float) -> float:
    """The number in [low, high] closest to `value`."""
    return min(max(value, low), high)


@kernel
def clipped(at: Vector, box: Box) -> Vector:
    """The point of the box closest to `at`."""
    low, high = box
    return (
        clip(at[0], low[0], high[0]),
        clip(at[1], low[1], high[1]),
        clip(at[2], low[2], high[2]),
    )


@kernel
def expand(surface: Surface, at: Vector) -> tuple[float, Vector, Vector]:
    """Value, slope and mixed second derivatives of the surface at a point."""
    corner, value, (s0, s1, s2), (m12, m02, m01), third, (least, most) = surface
    a0, a1, a2 = at[0] - corner[0], at[1] - corner[1], at[2] - corner[2]
    mixed = (m12 + third * a0, m02 + third * a1, m01 + third * a2)
    slope = (
        s0 + m01 * a1 + mixed[1] * a2,
        s1 + m01 * a0 + mixed[0] * a2,
        s2 + m02 * a0 + mixed[0] * a1,
    )
    value += s0 * a0 + (s1 + m01 * a0) * a1 + slope[2] * a2
    # Beside a dose larger by many powers of ten, rounding would lead out of the cell's doses.
    return clip(value, least, most), slope, mixed


@kernel
def nearest_on_plane(intercept: float, slope: Vector, box: Box) -> Vector:
    """The u in the box with the smallest |u|² + (intercept + slope·u)², exactly.

    It is u = clip(-r slope) with r the residual at the minimum, the one zero of a falling piecewise
    linear function of r: Newton inside a closing bracket, which ends on the right piece.
    """
    low, high = box
    residual = intercept / (1.0 + dot(slope, slope))
    below, above = -math.inf, math.inf
    for _ in range(64):
        constant, steepness = intercept, 1.0
        for axis in range(3):
            free = -residual * slope[axis]
            if free < low[axis]:
                constant += slope[axis] * low[axis]
            elif free > high[axis]:
                constant += slope[axis] * high[axis]
            else:
                steepness += slope[axis] * slope[axis]
        update = constant / steepness
        if abs(update - residual) <= 4e-16 * abs(update):
            break
        if update > residual:
            below = residual
        else:
            above = residual
        residual = update if below < update < above else 0.5 * (below + above)
    return clipped((-residual * slope[0], -residual * slope[1], -residual * slope[2]), box)


@kernel
def largest_twist(surface: Surface, box: Box) -> float:
    """At least the largest eigenvalue, by size, of the mixed derivatives anywhere in the box."""
    _, _, low_mixed = expand(surface, box[0])
    _, _, high_mixed = expand(surface, box[1])
    a = max(abs(low_mixed[0]), abs(high_mixed[0]))
    b = max(abs(low_mixed[1]), abs(high_mixed[1]))
    c = max(abs(low_mixed[2]), abs(high_mixed[2]))
    # A symmetric 3x3 matrix with an empty diagonal: row sums, or its norm (two eigenvalues of one
    # sign balance the third).  The first is exact when only one entry is not zero.
    return min(a + b + c - min(a, b, c), math.sqrt(4.0 / 3.0 * (a * a + b * b + c * c)))


@kernel
def convex_bound(
    at: Vector, value: float, slope: Vector, pull: float, twist: float, box: Box
) -> float:
    """Lower bound of f over the box from 2 k s - k² + |u|², expanded at a point of the box.

    k is `pull`, or as much of it as leaves the expression convex.
    """
    low, high = box
    k = pull
    if abs(pull) * twist > MOST_TWIST:
        k = math.copysign(MOST_TWIST / twist, pull)
    convexity = 1.0 - abs(k) * twist
    shorten = -0.5 / convexity
    bound = dot(at, at) + k * (2.0 * value - k)
    for axis in range(3):
        gradient = 2.0 * (at[axis] + k * slope[axis])
        move = clip(shorten * gradient, low[axis] - at[axis], high[axis] - at[axis])
        bound += move * (gradient + convexity * move)
    return bound


@kernel
def slab_bound(surface: Surface, box: Box) -> float:
    """Lower bound of f over the box from the plane at its center, thickened by the mixed terms."""
    low, high = box
    center = (0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1]), 0.5 * (low[2] + high[2]))
    h0, h1, h2 = high[0] - center[0], high[1] - center[1], high[2] - center[2]
    value, slope, mixed = expand(surface, center)
    thickness = (
        abs(mixed[0]) * h1 * h2
        + abs(mixed[1]) * h0 * h2
        + abs(mixed[2]) * h0 * h1
        + abs(surface[4]) * h0 * h1 * h2
    )
    intercept = value - dot(slope, center)
    at = clipped((0.0, 0.0, 0.0), box)
    there = intercept + dot(slope, at)
    if abs(there) <= thickness:
        return dot(at, at)
    intercept -= math.copysign(thickness, there)
    at = nearest_on_plane(intercept, slope, box)
    residual = intercept + dot(slope, at)
    return dot(at, at) + residual * residual


@kernel
def search_box(surface: Surface, box: Box, best: Best) -> tuple[Best, float]:
    """The better of `best` and what a descent finds in the box, and a lower bound of f in the box.

    Ends as soon as the bound shows that nothing better is there.  The best point so far says where
    to start and, for most boxes, already with which k to prove that they hold nothing.
    """
    twist = largest_twist(surface, box)
    at = clipped(best[1], box)
    value, slope, _ = expand(surface, at)
    bound = convex_bound(at, value, slope, best[2], twist, box)
    if bound >= CLOSED * best[0]:
        return best, bound
    found = dot(at, at) + value * value
    for _ in range(DESCENTS):
        bound = max(bound, convex_bound(at, value, slope, value, twist, box))
        if bound >= CLOSED * min(best[0], found):
            break
        trial = nearest_on_plane(value - dot(slope, at), slope, box)
        trial_value, trial_slope, _ = expand(surface, trial)
        trial_found = dot(trial, trial) + trial_value * trial_value
        if trial_found >= found:
            break
        at, value, slope, found = trial, trial_value, trial_slope, trial_found
    return (found, at, value) if found < best[0] else best, bound


@kernel
def split(surface: Surface, box: Box) -> tuple[Box, Box]:
    """Halves of the box across the axis that bends the surface most."""
    low, high = box
    h0, h1, h2 = high[0] - low[0], high[1] - low[1], high[2] - low[2]
    middle = (0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1]), 0.5 * (low[2] + high[2]))
    _, _, (m12, m02, m01) = expand(surface, middle)
    bend12, bend02, bend01 = abs(m12) * h1 * h2, abs(m02) * h0 * h2, abs(m01) * h0 * h1
    bend = abs(surface[4]) * h0 * h1 * h2
    # Of two axes that bend it alike, the longer.
    gain0 = h0 * (bend02 + bend01 + bend)
    gain1 = h1 * (bend12 + bend01 + bend)
    gain2 = h2 * (bend12 + bend02 + bend)
    if gain0 >= gain1 and gain0 >= gain2:
        end, start = (middle[0], high[1], high[2]), (middle[0], low[1], low[2])
    elif gain1 >= gain2:
        end, start = (high[0], middle[1], high[2]), (low[0], middle[1], low[2])
    else:
        end, start = (high[0], high[1], middle[2]), (low[0], low[1], middle[2])
    return (low, end), (start, high)


@kernel
def least_to_matter(best: float, proof: Proof) -> float:
    """What f must stay below to change the result.

    That is for gamma to fall by more than the tolerance, or to 1 by one of the criteria: a point
    that passes is found to.
    """
    distances_mm, tolerance_mm = proof
    length = math.sqrt(best)
    least = max(length - tolerance_mm, 0.0)
    for distance_mm in distances_mm:
        if least < PASSES * distance_mm < length:
            least = PASSES * distance_mm
    return least * least


@kernel
def range_bound(surface: Surface, box: Box) -> float:
    """Lower bound of f over the box from its distance and the values at its corners.

    Closes boxes that the slab cannot: beside one extreme dose, surfaces are constant on faces.
    """
    low, high = box
    least, most = math.inf, -math.inf
    for corner in range(8):
        at = (
            high[0] if corner & 1 else low[0],
            high[1] if corner & 2 else low[1],
            high[2] if corner & 4 else low[2],
        )
        value, _, _ = expand(surface, at)
        least, most = min(least, value), max(most, value)
    gap = max(least, -most, 0.0)
    nearest = clipped((0.0, 0.0, 0.0), box)
    return dot(nearest, nearest) + gap * gap


@kernel
def search_cell(
    surface: Surface, box: Box, best: Best, proof: Proof, boxes: int
) -> tuple[Best, int]:
    """The better of `best` and the minimum of f in the box; its root is right to the tolerance.

    Also how many of `boxes` are left; with none left nothing is proven.
    """
    waiting = [box]
    while len(waiting) > 0 and boxes > 0:
        boxes -= 1
        part = waiting.pop()
        best, bound = search_box(surface, part, best)
        enough = least_to_matter(best[0], proof)
        if bound >= enough or range_bound(surface, part) >= enough:
            continue
        if slab_bound(surface, part) < enough:
            first, second = split(surface, part)
            waiting.append(second)
            waiting.append(first)
    return best, boxes


@kernel
def box_of(cell: Cell, sought: Sought, grid: Grid) -> Box:
    """Where a cell lies as seen from the reference point."""
    _, _, home, fraction = sought
    size, width = grid[0].shape, grid[3]
    low0 = (cell[0] - home[0] - fraction[0]) * width[0]
    low1 = (cell[1] - home[1] - fraction[1]) * width[1]
    low2 = (cell[2] - home[2] - fraction[2]) * width[2]
    return (low0, low1, low2), (
        low0 + width[0] if size[0] > 1 else low0,
        low1 + width[1] if size[1] > 1 else low1,
        low2 + width[2] if size[2] > 1 else low2,
    )


@kernel
def surface_of(cell: Cell, box: Box, sought: Sought, grid: Grid) -> Surface:
    """The trilinear surface of a cell, as a length."""
    expected, ratio, _, _ = sought
    dose, lowest, highest = grid[0], grid[1], grid[2]
    c0, c1, c2 = cell
    extremes = ((lowest[c0, c1, c2] - expected) * ratio, (highest[c0, c1, c2] - expected) * ratio)
    n0 = min(c0 + 1, dose.shape[0] - 1)
    n1 = min(c1 + 1, dose.shape[1] - 1)
    n2 = min(c2 + 1, dose.shape[2] - 1)
    d000, d001 = dose[c0, c1, c2], dose[c0, c1, n2]
    d010, d011 = dose[c0, n1, c2], dose[c0, n1, n2]
    d100, d101 = dose[n0, c1, c2], dose[n0, c1, n2]
    d110, d111 = dose[n0, n1, c2], dose[n0, n1, n2]
    inverse = grid[4]
    i0, i1, i2 = inverse[0], inverse[1], inverse[2]
    slope = ((d100 - d000) * i0 * ratio, (d010 - d000) * i1 * ratio, (d001 - d000) * i2 * ratio)
    m12 = ((d011 - d010) - (d001 - d000)) * ratio
    m02 = ((d101 - d100) - (d001 - d000)) * ratio
    m01 = ((d110 - d100) - (d010 - d000)) * ratio
    third = ((d111 - d110) - (d101 - d100)) * ratio - m12
    mixed = (m12 * i1 * i2, m02 * i0 * i2, m01 * i0 * i1)
    return box[0], (d000 - expected) * ratio, slope, mixed, third * i0 * i1 * i2, extremes


@kernel
def cell_at(at: Vector, sought: Sought, grid: Grid) -> Cell:
    """The cell that holds a position; the closest one if it is outside the grid."""
    _, _, home, fraction = sought
    cells, inverse = grid[1].shape, grid[4]
    c0 = home[0] + math.floor(at[0] * inverse[0] + fraction[0])
    c1 = home[1] + math.floor(at[1] * inverse[1] + fraction[1])
    c2 = home[2] + math.floor(at[2] * inverse[2] + fraction[2])
    return (
        max(min(c0, cells[0] - 1), 0),
        max(min(c1, cells[1] - 1), 0),
        max(min(c2, cells[2] - 1), 0),
    )


@kernel
def inside(home: int, fraction: float, size: int) -> tuple[int, float, float]:
    """The closest place on one axis of the grid: point and fraction; how far off, in cells."""
    position = clip(home + fraction, 0.0, size - 1.0)
    point = int(position)
    return point, position - point, position - (home + fraction)


@kernel
def closest_value(home: Cell, fraction: Vector, grid: Grid) -> tuple[Vector, float]:
    """The way in mm to the position in the grid closest to a reference point, and the dose there.

    Weighted doses, not a surface: on a grid point the dose is right to the last digit.
    """
    dose, width = grid[0], grid[3]
    c0, t0, off0 = inside(home[0], fraction[0], dose.shape[0])
    c1, t1, off1 = inside(home[1], fraction[1], dose.shape[1])
    c2, t2, off2 = inside(home[2], fraction[2], dose.shape[2])
    n0, n1, n2 = c0 + (t0 > 0.0), c1 + (t1 > 0.0), c2 + (t2 > 0.0)
    d00 = dose[c0, c1, c2] * (1.0 - t2) + dose[c0, c1, n2] * t2
    d01 = dose[c0, n1, c2] * (1.0 - t2) + dose[c0, n1, n2] * t2
    d10 = dose[n0, c1, c2] * (1.0 - t2) + dose[n0, c1, n2] * t2
    d11 = dose[n0, n1, c2] * (1.0 - t2) + dose[n0, n1, n2] * t2
    low, high = d00 * (1.0 - t1) + d01 * t1, d10 * (1.0 - t1) + d11 * t1
    return (off0 * width[0], off1 * width[1], off2 * width[2]), low * (1.0 - t0) + high * t0


@kernel
def walk(sought: Sought, grid: Grid, limit: float) -> Best:
    """A good first value, if below `limit`: downhill from the reference point, a cell at a time."""
    cells = grid[1].shape
    first, _ = box_of((0, 0, 0), sought, grid)
    _, last = box_of((cells[0] - 1, cells[1] - 1, cells[2] - 1), sought, grid)
    at = clipped((0.0, 0.0, 0.0), (first, last))
    best = (limit, at, 0.0)
    for _ in range(STEPS):
        cell = cell_at(at, sought, grid)
        surface = surface_of(cell, box_of(cell, sought, grid), sought, grid)
        value, slope, _ = expand(surface, at)
        found = dot(at, at) + value * value
        if found < best[0]:
            best = (found, at, value)
        at = nearest_on_plane(value - dot(slope, at), slope, (first, last))
    return best


@kernel
def sweep(
    sought: Sought, grid: Grid, order: Order, best: Best, proof: Proof, certify: bool
) -> tuple[Best, bool]:
    """One pass over the cells around a point: the best, and whether it is proven.

    Without `certify` a cell gets one descent; with it, branch and bound.
    """
    expected, ratio, home, _ = sought
    lowest, highest = grid[1], grid[2]
    offsets, reach = order
    cells = lowest.shape
    proven, boxes = True, MOST_BOXES
    enough = least_to_matter(best[0], proof)
    for n in range(len(reach)):
        if reach[n] >= best[0]:
            break
        c0, c1, c2 = home[0] + offsets[n, 0], home[1] + offsets[n, 1], home[2] + offsets[n, 2]
        if not (0 <= c0 < cells[0] and 0 <= c1 < cells[1] and 0 <= c2 < cells[2]):
            continue
        gap = max(lowest[c0, c1, c2] - expected, expected - highest[c0, c1, c2], 0.0) * ratio
        if reach[n] + gap * gap >= best[0]:
            continue
        box = box_of((c0, c1, c2), sought, grid)
        nearest = clipped((0.0, 0.0, 0.0), box)
        if dot(nearest, nearest) + gap * gap >= best[0]:
            continue
        surface = surface_of((c0, c1, c2), box, sought, grid)
        if certify:
            best, boxes = search_cell(surface, box, best, proof, boxes)
            proven = boxes > 0
        else:
            before = best[0]
            best, bound = search_box(surface, box, best)
            if best[0] < before:
                enough = least_to_matter(best[0], proof)
            proven = proven and bound >= enough
    return best, proven


@kernel
def place_of(point: int, positions: Positions) -> tuple[Cell, Vector]:
    """Home cell and fraction of the reference point with this index into the flattened grid."""
    shape, home, fraction = positions
    rest, p2 = divmod(point, shape[2])
    p0, p1 = divmod(rest, shape[1])
    p1 += shape[0]
    p2 += shape[0] + shape[1]
    return (home[p0], home[p1], home[p2]), (fraction[p0], fraction[p1], fraction[p2])


@parallel_kernel
def start_values(points: Indices, positions: Positions, grid: Grid) -> tuple[Floats, Floats]:
    """At the grid's closest position to each point: evaluated dose, and mm² to it."""
    dose = np.empty(len(points))
    apart = np.empty(len(points))
    for n in prange(len(points)):
        home, fraction = place_of(points[n], positions)
        way, dose[n] = closest_value(home, fraction, grid)
        apart[n] = dot(way, way)
    return dose, apart


@parallel_kernel
def smallest_lengths(
    points: Indices,
    reference: tuple[Floats, Floats],
    limit: Floats,
    distances_mm: Floats,
    tolerance_mm: float,
    certify: bool,
    positions: Positions,
    grid: Grid,
    order: Order,
) -> tuple[Floats, Flags]:
    """The root of the smallest f of each point, in mm, and whether it is proven.

    `reference` is the dose of the points and their ratio of distance to dose criterion; `limit` an
    f that is known to be reached, or that of the cap; `distances_mm` what the root is compared
    with.  No root is below the true minimum.  With `certify` none is farther above it than the
    tolerance, nor on the wrong side of a distance.
    """
    expected, ratio = reference
    length = np.empty(len(points))
    is_proven = np.zeros(len(points), dtype=np.bool_)
    for n in prange(len(points)):
        home, fraction = place_of(points[n], positions)
        sought = (expected[n], ratio[n], home, fraction)
        proof = (distances_mm, tolerance_mm)
        best = walk(sought, grid, limit[n])
        best, proven = sweep(sought, grid, order, best, proof, False)
        if certify and not proven:
            best, proven = sweep(sought, grid, order, best, proof, True)
        length[n] = math.sqrt(best[0])
        is_proven[n] = proven
    return length, is_proven
