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
def ramp_area(start: float, end: float, edge: Motion, weight: Motion) -> float:
    """Integral of the weighted share over the pixel from start to end, which the edge enters."""
    low, high = edge
    at_low, at_high = weight
    if low > high:
        low, high = high, low
        at_low, at_high = at_high, at_low
    area = max(end - max(high, start), 0.0) * 0.5 * (at_low + at_high)
    if low < high:
        p, q = max(low, start), min(high, end)
        s, t = (p - low) / (high - low), (q - low) / (high - low)
        mean = at_low * (s + t) / 2 + (at_high - at_low) * (s * s + s * t + t * t) / 6
        area += (q - p) * mean
    return area


@kernel
def pass_edge(line: Floats, x_edges_mm: Floats, edge: Motion, weight: Motion, near: int) -> int:
    """Add what an edge lets through to its right; `weight` is per unit of time, before and after.

    Gives a pixel where the edge was.  The last entry of `line` is for what is beyond it.
    """
    before, after = edge
    low, high = min(before, after), max(before, after)
    last = len(x_edges_mm) - 2
    total = 0.5 * (weight[0] + weight[1])
    if high <= x_edges_mm[0]:
        line[0] += total
        return 0
    if low >= x_edges_mm[last + 1]:
        line[last + 1] += total
        return last
    pixel = pixel_at(x_edges_mm, low, near)
    start, end = x_edges_mm[pixel], x_edges_mm[pixel + 1]
    if start <= low and high <= end:
        # The usual case in closed form: the share is open from its mean position on.
        area = total * (end - before) - (after - before) * (weight[0] + 2.0 * weight[1]) / 6.0
        line[pixel] += area / (end - start)
        line[pixel + 1] += total - area / (end - start)
        return pixel
    previous = 0.0
    while True:
        start, end = x_edges_mm[pixel], x_edges_mm[pixel + 1]
        mean = ramp_area(start, end, edge, weight) / (end - start)
        line[pixel] += mean - previous
        previous = mean
        if high <= end or pixel == last:
            break
        pixel += 1
    line[pixel + 1] += total - previous
    return pixel


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
def add_pieces(
    line: Floats,
    x_edges_mm: Floats,
    mu: float,
    edges: Edges,
    strip: Strip,
    jaw_y: Jaws,
    times: Floats,
    near: Indices,
) -> None:
    """One interval of one strip, piece by piece between all crossings."""
    left, right, (jaw_1, jaw_2) = edges
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
        weight = (
            share * uncovered(strip, jaw_y, start),
            share * uncovered(strip, jaw_y, end),
        )
        first = (
            max(at_time(left, start), at_time(jaw_1, start)),
            max(at_time(left, end), at_time(jaw_1, end)),
        )
        second = (
            min(at_time(right, start), at_time(jaw_2, start)),
            min(at_time(right, end), at_time(jaw_2, end)),
        )
        near[0] = pass_edge(line, x_edges_mm, first, weight, near[0])
        near[1] = pass_edge(line, x_edges_mm, second, (-weight[0], -weight[1]), near[1])


@kernel
def same_side(a: Motion, b: Motion) -> bool:
    """Whether the two edges do not cross."""
    return (a[0] - b[0]) * (a[1] - b[1]) >= 0.0


@kernel
def add_uncovered(
    line: Floats,
    x_edges_mm: Floats,
    mu: float,
    edges: Edges,
    times: Floats,
    near: Indices,
) -> None:
    """One interval of a strip that no jaw covers, per unit of its height."""
    left, right, (jaw_1, jaw_2) = edges
    if same_side(left, jaw_1) and same_side(right, jaw_2):
        first = (max(left[0], jaw_1[0]), max(left[1], jaw_1[1]))
        second = (min(right[0], jaw_2[0]), min(right[1], jaw_2[1]))
        if first[0] >= second[0] and first[1] >= second[1]:
            return
        if first[0] <= second[0] and first[1] <= second[1]:
            near[0] = pass_edge(line, x_edges_mm, first, (mu, mu), near[0])
            near[1] = pass_edge(line, x_edges_mm, second, (-mu, -mu), near[1])
            return
    beyond = ((0.0, 0.0), (1.0, 1.0))
    add_pieces(line, x_edges_mm, mu, edges, (0.0, 1.0), beyond, times, near)


@kernel
def covers(low: float, high: float, jaw_y: Jaws) -> int:
    """Over the interval: 0 the jaws leave all of [low, high] open, 2 none of it, 1 else."""
    jaw_1, jaw_2 = jaw_y
    if max(jaw_1) <= low and min(jaw_2) >= high:
        return 0
    if min(jaw_1) >= high or max(jaw_2) <= low:
        return 2
    return 2 if jaw_1[0] >= jaw_2[0] and jaw_1[1] >= jaw_2[1] else 1


@kernel
def add_pair(
    whole: Floats,
    parts: Floats,
    strips_mm: Floats,
    x_edges_mm: Floats,
    increments_mu: Floats,
    left_mm: Floats,
    right_mm: Floats,
    jaw_x_mm: Floats,
    jaw_y_mm: Floats,
) -> None:
    """All intervals of one leaf pair: where it is uncovered into `whole`, else strip by strip."""
    times = np.empty(MOST_TIMES)
    near = np.zeros(2, dtype=np.int64)
    for k in range(len(increments_mu)):
        mu = increments_mu[k]
        if mu <= 0.0:
            continue
        jaw_y = (
            (jaw_y_mm[k, 0], jaw_y_mm[k + 1, 0]),
            (jaw_y_mm[k, 1], jaw_y_mm[k + 1, 1]),
        )
        cover = covers(strips_mm[0], strips_mm[-1], jaw_y)
        if cover == 2:
            continue
        jaw_x = (
            (jaw_x_mm[k, 0], jaw_x_mm[k + 1, 0]),
            (jaw_x_mm[k, 1], jaw_x_mm[k + 1, 1]),
        )
        edges = ((left_mm[k], left_mm[k + 1]), (right_mm[k], right_mm[k + 1]), jaw_x)
        if cover == 0:
            add_uncovered(whole, x_edges_mm, mu, edges, times, near)
            continue
        for s in range(len(parts)):
            strip = (strips_mm[s], strips_mm[s + 1])
            cover = covers(strip[0], strip[1], jaw_y)
            if cover == 0:
                add_uncovered(parts[s], x_edges_mm, mu * (strip[1] - strip[0]), edges, times, near)
            elif cover == 1:
                add_pieces(parts[s], x_edges_mm, mu, edges, strip, jaw_y, times, near)


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
            whole = np.zeros(len(x_edges_mm))
            add_pair(
                whole,
                parts[first:end],
                strips_mm[first : end + 1],
                x_edges_mm,
                increments_mu,
                left_mm[p],
                right_mm[p],
                jaw_x_mm,
                jaw_y_mm,
            )
            run_up(whole)
            for s in range(first, end):
                run_up(parts[s])
                parts[s] += (strips_mm[s + 1] - strips_mm[s]) * whole
    return parts
