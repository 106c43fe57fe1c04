"""Compile every kernel once, so that the first file of the day does not wait for it."""

from __future__ import annotations

import numpy as np

from analyzers.numerics.fluence import delivered_fluence
from analyzers.numerics.fluence_rotation import Turned, turned_fluence
from analyzers.numerics.gamma import gamma_index


def compile_kernels() -> None:
    """Run fluence and gamma on a small field: the kernels are then in the compiler's cache."""
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
