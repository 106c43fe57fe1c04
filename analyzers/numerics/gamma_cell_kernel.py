"""The smallest gamma inside one box of one grid cell, with a proof of how small it can be.

Space of Low et al. 1998 (Med. Phys. 25, 656) with the reference point at the origin: lengths are in
units of the distance criterion, doses are differences to the reference dose in units of the dose
criterion.  In a cell the evaluated dose is a trilinear surface s(u); gamma squared is the minimum
of f(u) = |u|² + s(u)².  One- and two-dimensional grids are cells without thickness.

Two bounds from below make the answer certain:

- s(u)² >= 2 k s(u) - k² for every k.  With k = s at a local minimum of f, the right-hand side plus
  |u|² has the same slope there as f; if it is convex, the local minimum is the cell's minimum.  Its
  Hessian is 2 (1 + k M), where M holds the mixed derivatives of s, so |k| |M| < 1 is enough.
- In a small box s is a plane to within its mixed terms; the minimum over that slab is closed form.
"""

from __future__ import annotations

import math

from numba import njit

Vector = tuple[float, float, float]
Box = tuple[Vector, Vector]
Surface = tuple[Vector, float, Vector, Vector, float]
"""Low corner of the cell; value, slope, mixed derivatives (12, 02, 01) and (012) there."""

DESCENTS = 12
"""Gauss-Newton steps before a box is split instead; the error falls by |k| |M| at each."""
CLOSED = 1.0 - 1e-12
"""A bound this close to the found value, relatively, is equal to it but for rounding."""


@njit(cache=True, nogil=True, error_model="numpy")
def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, nogil=True, error_model="numpy")
def clip(value: float, low: float, high: float) -> float:
    """The number in [low, high] closest to `value`."""
    return min(max(value, low), high)


@njit(cache=True, nogil=True, error_model="numpy")
def clipped(at: Vector, box: Box) -> Vector:
    """The point of the box closest to `at`."""
    low, high = box
    return (
        clip(at[0], low[0], high[0]),
        clip(at[1], low[1], high[1]),
        clip(at[2], low[2], high[2]),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def expand(surface: Surface, at: Vector) -> tuple[float, Vector, Vector]:
    """Value, slope and mixed second derivatives of the surface at a point."""
    corner, value, (s0, s1, s2), (m12, m02, m01), third = surface
    a0, a1, a2 = at[0] - corner[0], at[1] - corner[1], at[2] - corner[2]
    mixed = (m12 + third * a0, m02 + third * a1, m01 + third * a2)
    slope = (
        s0 + m01 * a1 + mixed[1] * a2,
        s1 + m01 * a0 + mixed[0] * a2,
        s2 + m02 * a0 + mixed[0] * a1,
    )
    value += s0 * a0 + (s1 + m01 * a0) * a1 + slope[2] * a2
    return value, slope, mixed


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
def convex_bound(at: Vector, value: float, slope: Vector, twist: float, box: Box) -> float:
    """Lower bound of f over the box from 2 k s - k² + |u|², expanded at a point of the box.

    k is the value there, or as much of it as leaves the expression convex.
    """
    low, high = box
    k = value
    if abs(value) * twist > 0.9:
        k = math.copysign(0.9 / twist, value)
    convexity = 1.0 - abs(k) * twist
    bound = dot(at, at) + k * (2.0 * value - k)
    for axis in range(3):
        gradient = 2.0 * (at[axis] + k * slope[axis])
        move = clip(-0.5 * gradient / convexity, low[axis] - at[axis], high[axis] - at[axis])
        bound += move * (gradient + convexity * move)
    return bound


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
def search_box(surface: Surface, box: Box, best: float) -> tuple[float, float]:
    """Smallest f found in the box by descent, and a lower bound of f over the box.

    Ends as soon as the bound shows that nothing below `best` or below the found value is there.
    """
    twist = largest_twist(surface, box)
    at = clipped((0.0, 0.0, 0.0), box)
    value, slope, _ = expand(surface, at)
    found, bound = dot(at, at) + value * value, dot(at, at)
    for _ in range(DESCENTS):
        bound = max(bound, convex_bound(at, value, slope, twist, box))
        if bound >= CLOSED * min(best, found):
            break
        trial = nearest_on_plane(value - dot(slope, at), slope, box)
        trial_value, trial_slope, _ = expand(surface, trial)
        trial_found = dot(trial, trial) + trial_value * trial_value
        if trial_found >= found:
            break
        at, value, slope, found = trial, trial_value, trial_slope, trial_found
    return found, bound


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
def least_to_matter(best: float, tolerance: float) -> float:
    """What f must stay below for its root to lie more than `tolerance` under the root of `best`."""
    root = max(math.sqrt(best) - tolerance, 0.0)
    return root * root


@njit(cache=True, nogil=True, error_model="numpy")
def search_cell(surface: Surface, box: Box, best: float, tolerance: float) -> float:
    """The smaller of `best` and the minimum of f in the box; its root is right to `tolerance`."""
    waiting = [box]
    while len(waiting) > 0:
        part = waiting.pop()
        found, bound = search_box(surface, part, best)
        best = min(best, found)
        enough = least_to_matter(best, tolerance)
        if bound < enough and slab_bound(surface, part) < enough:
            first, second = split(surface, part)
            waiting.append(second)
            waiting.append(first)
    return best
