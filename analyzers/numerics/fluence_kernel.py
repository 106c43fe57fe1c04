"""Exact time and area integrals of openings between straight moving edges.

An edge that moves evenly from `before` to `after` has passed x for a share of the time that rises
linearly between the two: every pixel gets the area under that ramp, the left edge of an opening
positive and the right one negative.  A line is kept as the difference from pixel to pixel, so that
an edge costs only the pixels it moves through; one running sum gives the fluence.

Where edges cross inside a sample interval, it is split into pieces in which the same edges bound
the opening.  When a jaw uncovers part of a strip across the leaves meanwhile, the share is weighted
with the uncovered height, which is linear in each piece; the area under the ramp is then a cubic.

All in one file: numba's cache notices changes only in the file that a compiled function is in.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy")
parallel_kernel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Motion = tuple[float, float]
"""Position before and after one sample interval, straight in between."""
Jaws = tuple[Motion, Motion]
Strip = tuple[float, float]
"""Low and high side across the leaves."""
Edges = tuple[Motion, Motion, Jaws]
"""Of an opening along the leaves: left, right, jaws."""
Beam = tuple[Floats, Floats, Floats, Floats, Floats]
"""MU per interval; at the samples left and right leaf of one pair, x jaws (samples, 2), y jaws."""

MOST_TIMES = 13
"""The ends of an interval and eleven pairs of edges that can cross in it."""


@kernel
def pixel_at(x_edges_mm: Floats, x_mm: float, near: int) -> int:
    """The pixel that holds x, found by walking from a pixel near it."""
    while near > 0 and x_mm < x_edges_mm[near]:
        near -= 1
    while near < len(x_edges_mm) - 2 and x_mm >= x_edges_mm[near + 1]:
        near += 1
    return near


@kernel
def let_through(x_mm: float, low_mm: float, high_mm: float, weight: Motion) -> float:
    """Integral up to x of what an edge lets through that moves from low to high; low <= x."""
    if x_mm >= high_mm:
        passed = (high_mm - low_mm) * (2.0 * weight[0] + weight[1]) / 6.0
        return passed + 0.5 * (weight[0] + weight[1]) * (x_mm - high_mm)
    s = (x_mm - low_mm) / (high_mm - low_mm)
    return (high_mm - low_mm) * s * s * (0.5 * weight[0] + (weight[1] - weight[0]) * s / 6.0)


# Of the ways to write the loop that were timed, this one compiles to by far the fastest code.
@kernel
def pass_edge(line: Floats, x_edges_mm: Floats, edge: Motion, weight: Motion, near: int) -> int:
    """Add what an edge lets through to its right; `weight` is per unit of time, before and after.

    Gives a pixel near the edge.  The last entry of `line` is for what is beyond it.
    """
    last = len(x_edges_mm) - 2
    low, high = min(edge[0], edge[1]), max(edge[0], edge[1])
    ordered = weight if edge[0] <= edge[1] else (weight[1], weight[0])
    pixel = pixel_at(x_edges_mm, low, near)
    until, mean = 0.0, 0.0
    if low < x_edges_mm[0] < high:
        until = let_through(x_edges_mm[0], low, high, ordered)
    if low >= x_edges_mm[last + 1]:
        pixel = last + 1
    # An edge that never gets onto the pixels opens all of them, or none.
    more = pixel <= last and high > x_edges_mm[0]
    while more:
        start, end = x_edges_mm[pixel], x_edges_mm[pixel + 1]
        before, mean_before = until, mean
        until = let_through(end, low, high, ordered)
        mean = (until - before) / (end - start)
        line[pixel] += mean - mean_before
        more = high > end and pixel < last
        pixel += 1
    line[pixel] += 0.5 * (weight[0] + weight[1]) - mean
    return min(max(pixel - 1, 0), last)


@kernel
def run_up(line: Floats) -> None:
    """From differences to values; the pixels after the last edge are closed, not nearly closed."""
    last = len(line) - 1
    while last >= 0 and line[last] == 0.0:
        last -= 1
    total = 0.0
    for pixel in range(len(line)):
        total += line[pixel]
        line[pixel] = max(total, 0.0) if pixel < last else 0.0


@kernel
def add_crossing(times: Floats, count: int, a: Motion, b: Motion) -> int:
    """Insert the time at which two edges cross inside the interval, in order."""
    before, after = a[0] - b[0], a[1] - b[1]
    if before * after >= 0.0:
        return count
    time = before / (before - after)
    place = count
    while place > 1 and times[place - 1] > time:
        times[place] = times[place - 1]
        place -= 1
    times[place] = time
    return count + 1


@kernel
def at_time(motion: Motion, time: float) -> float:
    """Position at a time from 0 to 1."""
    return motion[0] * (1.0 - time) + motion[1] * time


@kernel
def cut_at_crossings(times: Floats, left: Motion, right: Motion, jaw_x: Jaws) -> int:
    """Times between which the same edges bound the opening; the end is left out."""
    times[0] = 0.0
    count = add_crossing(times, 1, left, jaw_x[0])
    count = add_crossing(times, count, right, jaw_x[1])
    count = add_crossing(times, count, left, right)
    count = add_crossing(times, count, left, jaw_x[1])
    count = add_crossing(times, count, jaw_x[0], right)
    return add_crossing(times, count, jaw_x[0], jaw_x[1])


@kernel
def cut_at_strip(times: Floats, count: int, strip: Strip, jaw_y: Jaws) -> int:
    """Adds the times between which the same edges bound the strip."""
    low, high = (strip[0], strip[0]), (strip[1], strip[1])
    count = add_crossing(times, count, jaw_y[0], low)
    count = add_crossing(times, count, jaw_y[0], high)
    count = add_crossing(times, count, jaw_y[1], low)
    count = add_crossing(times, count, jaw_y[1], high)
    return add_crossing(times, count, jaw_y[0], jaw_y[1])


@kernel
def uncovered(strip: Strip, jaw_y: Jaws, time: float) -> float:
    """Height of the strip between the jaws."""
    low = max(strip[0], at_time(jaw_y[0], time))
    return max(min(strip[1], at_time(jaw_y[1], time)) - low, 0.0)


@kernel
def edges_in(beam: Beam, k: int) -> Edges:
    """What bounds the opening along the leaves in one interval."""
    _, left, right, jaw_x, _ = beam
    jaws = ((jaw_x[k, 0], jaw_x[k + 1, 0]), (jaw_x[k, 1], jaw_x[k + 1, 1]))
    return (left[k], left[k + 1]), (right[k], right[k + 1]), jaws


@kernel
def jaw_y_in(beam: Beam, k: int) -> Jaws:
    """What bounds it across them."""
    jaw_y = beam[4]
    return (jaw_y[k, 0], jaw_y[k + 1, 0]), (jaw_y[k, 1], jaw_y[k + 1, 1])


@kernel
def add_pieces(
    line: Floats, x_edges_mm: Floats, mu: float, edges: Edges, strip: Strip, jaw_y: Jaws
) -> None:
    """One interval of one strip, piece by piece between all crossings."""
    left, right, (jaw_1, jaw_2) = edges
    times = np.empty(MOST_TIMES)
    count = cut_at_strip(times, cut_at_crossings(times, left, right, edges[2]), strip, jaw_y)
    times[count] = 1.0
    for piece in range(count):
        start, end = times[piece], times[piece + 1]
        middle = 0.5 * (start + end)
        opened = max(at_time(left, middle), at_time(jaw_1, middle))
        closed = min(at_time(right, middle), at_time(jaw_2, middle))
        if opened >= closed or uncovered(strip, jaw_y, middle) <= 0.0:
            continue
        share = mu * (end - start)
        before = share * uncovered(strip, jaw_y, start)
        after = share * uncovered(strip, jaw_y, end)
        first = (
            max(at_time(left, start), at_time(jaw_1, start)),
            max(at_time(left, end), at_time(jaw_1, end)),
        )
        second = (
            min(at_time(right, start), at_time(jaw_2, start)),
            min(at_time(right, end), at_time(jaw_2, end)),
        )
        near = max(int(np.searchsorted(x_edges_mm, first[0])) - 1, 0)
        near = pass_edge(line, x_edges_mm, first, (before, after), near)
        pass_edge(line, x_edges_mm, second, (-before, -after), near)


@kernel
def same_side(a: Motion, b: Motion) -> bool:
    """Whether the two edges do not cross."""
    return (a[0] - b[0]) * (a[1] - b[1]) >= 0.0


@kernel
def closes(strip: Strip, low: Motion, high: Motion) -> bool:
    """Whether y jaws leave nothing of a strip open at any time in an interval."""
    above, below = min(low[0], low[1]) >= strip[1], max(high[0], high[1]) <= strip[0]
    return above or below or (low[0] >= high[0] and low[1] >= high[1])


@kernel
def add_straight(
    line: Floats, x_edges_mm: Floats, strip: Strip, height: float, beam: Beam, todo: Indices
) -> tuple[Indices, Indices]:
    """The intervals in which no jaw cuts the strip and no edges cross; the others come back.

    First those in which edges cross, then those in which a jaw cuts the strip.
    """
    crossing, cut = np.empty_like(todo), np.empty_like(todo)
    crossings, cuts = 0, 0
    near_left, near_right = 0, 0
    for k in todo:
        low, high = jaw_y_in(beam, k)
        if max(low[0], low[1]) > strip[0] or min(high[0], high[1]) < strip[1]:
            if not closes(strip, low, high):
                cut[cuts] = k
                cuts += 1
            continue
        left, right, (jaw_1, jaw_2) = edges_in(beam, k)
        first = (max(left[0], jaw_1[0]), max(left[1], jaw_1[1]))
        second = (min(right[0], jaw_2[0]), min(right[1], jaw_2[1]))
        straight = same_side(left, jaw_1) and same_side(right, jaw_2)
        if straight and first[0] <= second[0] and first[1] <= second[1]:
            mu = beam[0][k] * height
            near_left = pass_edge(line, x_edges_mm, first, (mu, mu), near_left)
            near_right = pass_edge(line, x_edges_mm, second, (-mu, -mu), near_right)
        elif not (straight and first[0] >= second[0] and first[1] >= second[1]):
            crossing[crossings] = k
            crossings += 1
    return crossing[:crossings], cut[:cuts]


@kernel
def add_strip(
    line: Floats, x_edges_mm: Floats, strip: Strip, height: float, beam: Beam, todo: Indices
) -> Indices:
    """The intervals in which no jaw cuts the strip; the others come back."""
    crossing, cut = add_straight(line, x_edges_mm, strip, height, beam, todo)
    beyond = ((0.0, 0.0), (1.0, 1.0))
    for k in crossing:
        add_pieces(line, x_edges_mm, beam[0][k] * height, edges_in(beam, k), (0.0, 1.0), beyond)
    return cut


@kernel
def add_pair(parts: Floats, strips_mm: Floats, x_edges_mm: Floats, beam: Beam) -> None:
    """One leaf pair into its strips: as a whole where no jaw cuts it, else strip by strip."""
    whole = np.zeros(len(x_edges_mm))
    pair = (strips_mm[0], strips_mm[-1])
    cut = add_strip(whole, x_edges_mm, pair, 1.0, beam, np.flatnonzero(beam[0]))
    run_up(whole)
    for s in range(len(parts)):
        strip = (strips_mm[s], strips_mm[s + 1])
        height = strip[1] - strip[0]
        if len(cut) > 0:
            line = parts[s]
            for k in add_strip(line, x_edges_mm, strip, height, beam, cut):
                add_pieces(
                    line, x_edges_mm, beam[0][k], edges_in(beam, k), strip, jaw_y_in(beam, k)
                )
            run_up(line)
        parts[s] += height * whole


@parallel_kernel
def strip_fluence(
    strips_mm: Floats,
    first_strip: Indices,
    x_edges_mm: Floats,
    increments_mu: Floats,
    left_mm: Floats,
    right_mm: Floats,
    jaw_x_mm: Floats,
    jaw_y_mm: Floats,
) -> Floats:
    """Fluence of each strip along x times its height, (strips, pixels + 1), in MU mm.

    Strips are the parts of leaf pairs in pixel rows: pair p has those from `first_strip[p]` up to
    `first_strip[p + 1]`.  Leaves are (pairs, samples) here.  The last column is of no use.
    """
    parts = np.zeros((len(strips_mm) - 1, len(x_edges_mm)))
    for p in prange(len(left_mm)):
        first, end = first_strip[p], first_strip[p + 1]
        if first < end:
            beam = (increments_mu, left_mm[p], right_mm[p], jaw_x_mm, jaw_y_mm)
            add_pair(parts[first:end], strips_mm[first : end + 1], x_edges_mm, beam)
    return parts
