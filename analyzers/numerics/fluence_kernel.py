"""Exact time and area integrals of openings between straight moving edges.

An edge that moves evenly from `before` to `after` has passed x for a share of the time that rises
linearly between the two: every pixel gets the area under that ramp, the left edge of an opening
positive and the right one negative.  A line is kept as the difference from pixel to pixel, so that
an edge costs only the pixels it moves through; one running sum gives the fluence.

Where edges cross inside a sample interval, it is split into pieces in which the same edges bound
the opening.  When a jaw uncovers part of a strip across the leaves meanwhile, the share is weighted
with the uncovered height, which is linear in each piece; the area under the ramp is then a cubic.

Intervals are sorted into ranges, each of which has a map of its own; a range costs the lines that
change in it.

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
Leaves = tuple[Floats, Floats, Indices, Indices]
"""Left and right leaf (pairs, samples); of each row the two pairs that must both be open."""
Target = tuple[Floats, Indices, Floats, Floats, Indices, Floats]
"""Parts (ranges, lines, pixels); of each strip its line, its edges, its share; the first strip of
each row; pixel edges."""
Delivery = tuple[Floats, Indices, Floats, Floats]
"""MU and range per interval; at the samples x jaws and y jaws (samples, 2)."""

STILL_MM = 1e-300
"""An edge that moves less stands; one over it must be a number."""
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


# Of the ways to write the loop that were timed, this one compiles to by far the fastest code.
@kernel
def pass_edge(line: Floats, x_edges_mm: Floats, edge: Motion, weight: Motion, near: int) -> int:
    """Add what an edge lets through to its right; `weight` is per unit of time, before and after.

    Gives a pixel near the edge.  The last entry of `line` is for what is beyond it.

    A share s of the way is passed for the weight up to s, a quadratic in x: its mean over a piece
    of a pixel is what it is in the middle, and what the curvature adds.  Differences of its
    integral over the whole way would leave small pixels only a few digits.
    """
    last = len(x_edges_mm) - 2
    low, high = min(edge[0], edge[1]), max(edge[0], edge[1])
    slope = weight[0] if edge[0] <= edge[1] else weight[1]
    bend = 0.5 * (weight[0] + weight[1]) - slope
    whole = slope + bend
    per_mm = 1.0 / (high - low) if high - low > STILL_MM else 0.0
    pixel, before = pixel_at(x_edges_mm, low, near), 0.0
    if low >= x_edges_mm[last + 1]:
        pixel = last + 1
    # An edge that never gets onto the pixels opens all of them, or none.
    more = pixel <= last and high > x_edges_mm[0]
    while more:
        start, end = x_edges_mm[pixel], x_edges_mm[pixel + 1]
        first, until = max(start, low), min(end, high)
        middle = (0.5 * (first + until) - low) * per_mm
        width = (until - first) * per_mm
        mean = middle * (slope + bend * middle) + bend * width * width * (1.0 / 12.0)
        if first > start or until < end:
            mean = (mean * (until - first) + whole * (end - until)) / (end - start)
        line[pixel] += mean - before
        before = mean
        more = high > end and pixel < last
        pixel += 1
    line[pixel] += whole - before
    return min(max(pixel - 1, 0), last)


@kernel
def run_up(line: Floats) -> int:
    """From differences to values; gives the end of the pixels that are open.

    The pixels after the last edge are closed, not nearly closed.
    """
    last = len(line) - 1
    while last >= 0 and line[last] == 0.0:
        last -= 1
    total = 0.0
    for pixel in range(len(line)):
        total += line[pixel]
        line[pixel] = max(total, 0.0) if pixel < last else 0.0
    return max(last, 0)


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
def move_over(part: Floats, line: Floats, share: float) -> None:
    """Add a line of differences to a line of pixels, and leave it empty."""
    for pixel in range(run_up(line)):
        part[pixel] += share * line[pixel]
    line[:] = 0.0


@kernel
def by_range(increments_mu: Floats, ranges: Indices, count: int) -> tuple[Indices, Indices]:
    """The intervals with MU in the order of their ranges, and where each range starts in that."""
    starts = np.zeros(count + 1, dtype=np.int64)
    for k in range(len(increments_mu)):
        if increments_mu[k] > 0.0 and ranges[k] >= 0:
            starts[ranges[k] + 1] += 1
    for r in range(count):
        starts[r + 1] += starts[r]
    order = np.empty(starts[count], dtype=np.int64)
    place = starts.copy()
    for k in range(len(increments_mu)):
        if increments_mu[k] > 0.0 and ranges[k] >= 0:
            order[place[ranges[k]]] = k
            place[ranges[k]] += 1
    return order, starts


@kernel
def both_open(
    beam: Beam, ranges: Indices, left_mm: Floats, right_mm: Floats
) -> tuple[Beam, Indices]:
    """The beam through two pairs at once, the second given by its leaves.

    Intervals are cut where leaves of the two pairs cross: in each piece the same one bounds.
    """
    mu, left, right, jaw_x, jaw_y = beam
    most = 3 * len(mu) + 1
    new_mu, new_ranges = np.empty(most), np.empty(most, dtype=np.int64)
    new_left, new_right = np.empty(most), np.empty(most)
    new_x, new_y = np.empty((most, 2)), np.empty((most, 2))
    times = np.empty(4)
    new = 0
    for k in range(len(left)):
        times[0], cuts = 0.0, 1
        if k < len(mu):
            two_left, two_right = (left_mm[k], left_mm[k + 1]), (right_mm[k], right_mm[k + 1])
            cuts = add_crossing(times, cuts, (left[k], left[k + 1]), two_left)
            cuts = add_crossing(times, cuts, (right[k], right[k + 1]), two_right)
        times[cuts] = 1.0
        # The last sample is the end of the last interval, and begins none.
        after = min(k + 1, len(mu))
        for cut in range(cuts):
            time = times[cut]
            if k < len(mu):
                new_mu[new] = mu[k] * (times[cut + 1] - time)
                new_ranges[new] = ranges[k]
            new_left[new] = max(
                at_time((left[k], left[after]), time), at_time((left_mm[k], left_mm[after]), time)
            )
            new_right[new] = min(
                at_time((right[k], right[after]), time),
                at_time((right_mm[k], right_mm[after]), time),
            )
            for side in range(2):
                # Written so that a jaw at rest stays where it is, to the last bit.
                new_x[new, side] = jaw_x[k, side] + (jaw_x[after, side] - jaw_x[k, side]) * time
                new_y[new, side] = jaw_y[k, side] + (jaw_y[after, side] - jaw_y[k, side]) * time
            new += 1
    both = (new_mu[: new - 1], new_left[:new], new_right[:new], new_x[:new], new_y[:new])
    return both, new_ranges[: new - 1]


@kernel
def add_row(
    parts: Floats,
    part: Indices,
    strips_mm: Floats,
    shares: Floats,
    x_edges_mm: Floats,
    beam: Beam,
    ranges: Indices,
) -> None:
    """One row of leaves into its strips: as a whole where no jaw cuts it, else strip by strip."""
    order, starts = by_range(beam[0], ranges, len(parts))
    whole, line = np.zeros(len(x_edges_mm)), np.zeros(len(x_edges_mm))
    row = (strips_mm[0], strips_mm[-1])
    for r in range(len(parts)):
        todo = order[starts[r] : starts[r + 1]]
        if len(todo) == 0:
            continue
        cut = add_strip(whole, x_edges_mm, row, 1.0, beam, todo)
        end = run_up(whole)
        for s in range(len(part)):
            if len(cut) > 0:
                strip = (strips_mm[s], strips_mm[s + 1])
                height = strip[1] - strip[0]
                for k in add_strip(line, x_edges_mm, strip, height, beam, cut):
                    mu, jaw_y = beam[0][k], jaw_y_in(beam, k)
                    add_pieces(line, x_edges_mm, mu, edges_in(beam, k), strip, jaw_y)
                move_over(parts[r, part[s]], line, shares[s] / height)
            for pixel in range(end):
                parts[r, part[s], pixel] += shares[s] * whole[pixel]
        whole[:] = 0.0


@kernel
def add_one_of(leaves: Leaves, p: int, to: Target, delivery: Delivery) -> None:
    """One row of leaves."""
    left_mm, right_mm, lower, upper = leaves
    parts, part, strips_mm, shares, first_strip, x_edges_mm = to
    increments_mu, ranges, jaw_x_mm, jaw_y_mm = delivery
    first, end = first_strip[p], first_strip[p + 1]
    if first == end:
        return
    own, other = lower[p], upper[p]
    beam = (increments_mu, left_mm[own], right_mm[own], jaw_x_mm, jaw_y_mm)
    if own != other:
        beam, ranges = both_open(beam, ranges, left_mm[other], right_mm[other])
    lines, row_mm = part[first:end], strips_mm[first : end + 1]
    add_row(parts, lines, row_mm, shares[first:end], x_edges_mm, beam, ranges)


@parallel_kernel
def add_fluence(leaves: Leaves, to: Target, delivery: Delivery, at_once: bool) -> None:
    """Add the MU through each strip, times its share, to line `part` of its range in `parts`.

    Strips are the parts of leaf rows in pixel rows: row p has those from `first_strip[p]` up to
    `first_strip[p + 1]`, and no two rows share a line.  `at_once`: on all processors.
    """
    if at_once:
        for p in prange(len(leaves[2])):
            add_one_of(leaves, p, to, delivery)
    else:
        for p in range(len(leaves[2])):
            add_one_of(leaves, p, to, delivery)
