"""Exact overlap of turned pixels with the pixels of a grid, by a walk around each of them.

By Green's theorem the integral of f over a pixel is that of F dy around it, with F the integral of
f along x up to a point.  F runs straight along each piece of a side that stays in one pixel of the
grid, so that its value in the middle of the piece is its mean.  In each row F starts at the same
column for all sides of a pixel, close to it: then no more than what is near is rounded.

Most pixels lie where a map is empty or flat: they need no walk.

All in one file: numba's cache notices changes only in the file that a compiled function is in.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy")
parallel_kernel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)

Floats = NDArray[np.float64]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Low and high x, low and high y."""
Cell = tuple[int, int]
"""Row and column of a pixel."""
Indices = NDArray[np.int32]
Source = tuple[Floats, Floats, Floats, Floats, Indices]
"""Map, its integral along x up to each pixel, x edges, y edges, and for each pixel the first one
to its right with another value; no point is outside of it."""

STILL = 1e-100
"""A step so short is none; one over it must be a number."""


@kernel
def pixel_at(edges: Floats, position: float, near: int) -> int:
    """The pixel that holds a position, found by walking from a pixel near it."""
    while position < edges[near]:
        near -= 1
    while position >= edges[near + 1]:
        near += 1
    return near


@kernel
def along_side(
    source: Source, start: Point, step: Point, inverse: Point, cell: Cell, from_column: int
) -> tuple[float, Cell]:
    """Integral of F dy from a point in `cell` to the point one step on, and that point's cell.

    `inverse` is one over the step, of no use where that is zero.
    """
    values, before, x_edges, y_edges, _ = source
    row, column = cell
    right, up = int(step[0] > 0.0), int(step[1] > 0.0)
    moves_x, moves_y = abs(step[0]) > STILL, abs(step[1]) > STILL
    passed, total = 0.0, 0.0
    while True:
        # A side that does not move in x or y never leaves its column or row.
        to_x = (x_edges[column + right] - start[0]) * inverse[0] if moves_x else 2.0
        to_y = (y_edges[row + up] - start[1]) * inverse[1] if moves_y else 2.0
        until = min(to_x, to_y, 1.0)
        # Behind where it is already, if the point stands on an edge.
        if until > passed:
            x = start[0] + step[0] * 0.5 * (passed + until)
            mean = before[row, column] - before[row, from_column]
            mean += values[row, column] * (x - x_edges[column])
            total += mean * (until - passed)
            passed = until
        if min(to_x, to_y) >= 1.0:
            return total * step[1], (row, column)
        if to_x <= to_y:
            column += 2 * right - 1
        else:
            row += 2 * up - 1


@kernel
def box_around(corner: Point, width: Point, height: Point) -> Box:
    """Of the pixel that has this corner and these two sides."""
    low_x = corner[0] + min(width[0], 0.0) + min(height[0], 0.0)
    low_y = corner[1] + min(width[1], 0.0) + min(height[1], 0.0)
    high_x = low_x + abs(width[0]) + abs(height[0])
    return low_x, high_x, low_y, low_y + abs(width[1]) + abs(height[1])


@kernel
def is_flat(source: Source, pixel: Box, cell: Cell) -> bool:
    """Whether the map has one value all over the box of a pixel whose low corner is in `cell`."""
    values, _, x_edges, y_edges, other = source
    row, column = cell
    value = values[row, column]
    while True:
        if values[row, column] != value or x_edges[other[row, column]] < pixel[1]:
            return False
        if y_edges[row + 1] >= pixel[3]:
            return True
        row += 1


@kernel
def in_pixel(source: Source, corner: Point, width: Point, height: Point, low: Cell) -> float:
    """Integral over the pixel that has this corner, these two sides and its low corner in `low`."""
    far = (corner[0] + width[0] + height[0], corner[1] + width[1] + height[1])
    column = low[1]
    cell = (pixel_at(source[3], corner[1], low[0]), pixel_at(source[2], corner[0], column))
    over_width = (1.0 / width[0], 1.0 / width[1])
    over_height = (1.0 / height[0], 1.0 / height[1])
    there, at = along_side(source, corner, width, over_width, cell, column)
    second = (corner[0] + width[0], corner[1] + width[1])
    total = there
    there, at = along_side(source, second, height, over_height, at, column)
    total += there
    back, over_back = (-width[0], -width[1]), (-over_width[0], -over_width[1])
    there, at = along_side(source, far, back, over_back, at, column)
    total += there
    fourth = (corner[0] + height[0], corner[1] + height[1])
    back, over_back = (-height[0], -height[1]), (-over_height[0], -over_height[1])
    there, at = along_side(source, fourth, back, over_back, at, column)
    return total + there


@kernel
def apart(box: Box, pixel: Box) -> bool:
    """Whether a pixel lies beside all that the map holds."""
    beside = pixel[1] <= box[0] or pixel[0] >= box[1]
    return beside or pixel[3] <= box[2] or pixel[2] >= box[3]


@kernel
def add_to_row(
    line: Floats, source: Source, box: Box, turn: Point, to_x: Floats, to_y: Point
) -> None:
    """Add the means over the pixels of one row of the other grid."""
    cosine, sine = turn
    row, column = 0, 0
    y, tall = to_y[0], to_y[1] - to_y[0]
    height = (sine * tall, cosine * tall)
    for j in range(len(line)):
        x, wide = to_x[j], to_x[j + 1] - to_x[j]
        width = (cosine * wide, -sine * wide)
        corner = (cosine * x + sine * y, -sine * x + cosine * y)
        pixel = box_around(corner, width, height)
        if apart(box, pixel):
            continue
        row = pixel_at(source[3], pixel[2], row)
        column = pixel_at(source[2], pixel[0], column)
        if is_flat(source, pixel, (row, column)):
            line[j] += max(source[0][row, column], 0.0)
        else:
            total = in_pixel(source, corner, width, height, (row, column))
            line[j] += max(total / (wide * tall), 0.0)


@kernel
def fill_along(values: Floats, x_edges: Floats, before: Floats, others: Indices) -> None:
    """What a source holds beside its map, (rows, columns) each."""
    rows, columns = values.shape
    for row in range(rows):
        # The frame on the left is too wide, and empty.
        before[row, 0], before[row, 1] = 0.0, 0.0
        for column in range(1, columns - 1):
            part = values[row, column] * (x_edges[column + 1] - x_edges[column])
            before[row, column + 1] = before[row, column] + part
        other = columns
        for column in range(columns - 1, -1, -1):
            others[row, column] = other
            if values[row, column] != values[row, max(column - 1, 0)]:
                other = column


@parallel_kernel
def add_overlap(
    total: Floats,
    sources: tuple[Floats, Floats, Floats],
    boxes: Floats,
    turns: Floats,
    to_x: Floats,
    to_y: Floats,
) -> None:
    """Add the means over the pixels of the other grid, (rows, columns), of all maps.

    `sources` are maps (maps, rows, columns) in a frame of zeros in which all points are, and their
    x and y edges, maps first; `boxes` (maps, 4) hold all of each that is not zero; `turns`
    (maps, 2) are cosine and sine of their angles.
    """
    values, x_edges, y_edges = sources
    before, others = np.empty_like(values), np.empty(values.shape, dtype=np.int32)
    for n in prange(len(values)):
        fill_along(values[n], x_edges[n], before[n], others[n])
    for i in prange(len(total)):
        for n in range(len(values)):
            source = (values[n], before[n], x_edges[n], y_edges[n], others[n])
            box = (boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3])
            turn = (turns[n, 0], turns[n, 1])
            add_to_row(total[i], source, box, turn, to_x, (to_y[i], to_y[i + 1]))
