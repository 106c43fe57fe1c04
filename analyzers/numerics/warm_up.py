"""Compile every kernel once, so that the first file of the day does not wait for it."""

from __future__ import annotations

import numpy as np

from analyzers.numerics.fluence import delivered_fluence
from analyzers.numerics.fluence_rotation import Turned, turned_fluence
from analyzers.numerics.gamma import gamma_index


def compile_kernels() -> None:
    """Run each on a small field, a small text: the kernels are then in the compiler's cache."""
    meterset_mu = np.array([0.0, 1.0, 2.0])
    left_mm = np.array([[-5.0, -5.0], [-4.0, -4.0], [-3.0, -3.0]])
    edges_mm = np.arange(-10.0, 11.0)
    fluence = delivered_fluence(
        meterset_mu,
        left_mm,
        -left_mm,
        np.array([-5.0, 0.0, 5.0]),
        x_edges_mm=edges_mm,
        y_edges_mm=edges_mm,
        jaw_x_mm=np.array([[-4.0, 4.0], [-3.0, 3.0], [-2.0, 2.0]]),
        jaw_y_mm=np.array([[-4.0, 4.0], [-3.0, 3.0], [-2.0, 2.0]]),
    )
    whole = Turned(fluence, edges_mm, edges_mm, 30.0)
    turned_fluence([whole], to_x_edges_mm=edges_mm, to_y_edges_mm=edges_mm)
    gamma_index(fluence, fluence, (1.0, 1.0))
    _read_text()


def _read_text() -> None:
    """Of the types that a reader of text has: bytes that cannot be written to, strided columns."""
    from analyzers.numerics import integer_table_kernel as kernel

    text = np.frombuffer(b"1,2,3\n4,5,6\n", dtype=np.uint8)
    bounds = np.array([[0, 0, 0], [9, 9, 9]], dtype=np.int16)
    table = np.empty((2, 3), dtype=np.int16)
    kernel.read_table(text, bounds[0], bounds[1], 100, table)
    kernel.lagged_square_sums(table[:, ::2], table[:, ::2], np.array([1]), np.array([0, 1]))
    leaves = np.zeros((3, 4), dtype=np.int16)
    kernel.leaf_extremes(leaves, 0, np.zeros(3))
    kernel.leaf_following(leaves, 0)
