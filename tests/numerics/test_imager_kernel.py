"""The imager's kernel: closed forms of its integral and transform, and a slow convolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf, j0

from analyzers.numerics.imager_kernel import TAIL, ImagerKernel, spread

KERNEL = ImagerKernel((0.7, 0.15, 0.1), (2.0, 0.3, 0.1), 0.05, 8.0)


def test_the_value_integrates_to_what_lies_within() -> None:
    # The integral over a disc of K is 2 pi times that of r K(r): by quadrature, not by our formula.
    for radius_mm in (0.5, 3.0, 20.0, 200.0):
        whole, _ = quad(lambda r: 2 * np.pi * r * KERNEL.at(r), 0.0, radius_mm, limit=200)
        assert KERNEL.within(radius_mm) == pytest.approx(whole, rel=1e-6)
    assert KERNEL.within(1e4) == pytest.approx(1.0)


@pytest.mark.parametrize("q_per_mm", [0.01, 0.3, 2.0])
def test_the_transform_is_the_hankel_transform_of_the_value(q_per_mm: float) -> None:
    found, _ = quad(
        lambda r: 2 * np.pi * r * KERNEL.at(r) * j0(q_per_mm * r), 1e-9, 150.0, limit=3000
    )
    assert KERNEL.transfer(q_per_mm) == pytest.approx(found, abs=2e-5)


def test_a_point_becomes_the_kernel() -> None:
    values = np.zeros((301, 401))
    values[150, 200] = 1.0
    # Far from the middle a pixel and the blur are small against what changes.
    found = spread(values, (0.5, 0.4), KERNEL, 1.0)
    for row, column in ((150, 260), (190, 200), (120, 170)):
        r_mm = np.hypot((row - 150) * 0.5, (column - 200) * 0.4)
        wanted = float(KERNEL.at(r_mm)) * 0.5 * 0.4
        assert found[row, column] == pytest.approx(wanted, rel=0.02)


def test_a_wide_edge_without_spread_is_an_error_function() -> None:
    # A kernel of 0.001 mm range is none: what is left is the Gaussian of the source.
    sharp = ImagerKernel((1.0,), (1000.0,))
    x_mm = (np.arange(600) - 299.5) * 0.25
    values = np.repeat((x_mm > 0.0)[None, :].astype(float), 40, axis=0)
    found = spread(values, (0.25, 0.25), sharp, 1.5)[20]
    near = np.abs(x_mm) < 8.0
    wanted = 0.5 * (1.0 + erf(x_mm / (1.5 * np.sqrt(2.0))))
    # The image ends 5 mm above and below: there is no more of the edge than that.
    across = erf(5.0 / (1.5 * np.sqrt(2.0)))
    assert np.abs(found[near] - wanted[near] * across).max() < 2e-3


def test_a_circular_field_reads_on_its_axis_what_lies_within() -> None:
    at_mm = (np.arange(501) - 250) * 0.5
    inside = np.hypot(at_mm[:, None], at_mm[None, :]) <= 40.0
    found = spread(inside.astype(float), (0.5, 0.5), KERNEL, 0.0)[250, 250]
    assert found == pytest.approx(float(KERNEL.within(40.0)), abs=3e-4)


def test_signal_comes_around_no_edge() -> None:
    values = np.zeros((128, 128))
    values[:, -20:] = 1.0
    wide = np.zeros((128, 1024))
    wide[:, 108:128] = 1.0
    kernel = ImagerKernel((0.9, 0.1), (2.0, 0.03))
    near = spread(values, (1.0, 1.0), kernel, 0.5)
    far = spread(wide, (1.0, 1.0), kernel, 0.5)[:, :128]
    assert np.abs(near - far).max() < 2 * TAIL


def test_no_signal_is_made_or_lost_and_scale_is_kept() -> None:
    values = np.zeros((400, 400))
    values[180:220, 190:210] = 3.0
    kernel = ImagerKernel((0.8, 0.2), (2.0, 0.4))
    found = spread(values, (0.5, 0.5), kernel, 1.0)
    assert float(found.sum()) == pytest.approx(float(values.sum()), rel=1e-4)
    assert np.allclose(spread(7.0 * values, (0.5, 0.5), kernel, 1.0), 7.0 * found, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "per_mm", "glare", "words"),
    [
        ((), (), 1.0, "one to three"),
        ((0.25,) * 4, (1.0, 2.0, 3.0, 4.0), 0.0, "one to three"),
        ((0.5, 0.4), (1.0, 0.1), 0.0, "add up to 1"),
        ((1.0,), (0.0,), 0.0, "positive"),
        ((float("nan"),), (1.0,), 0.0, "finite"),
        ((1.2,), (1.0,), -0.2, "not negative"),
    ],
)
def test_kernels_that_are_none_are_refused(
    weights: tuple[float, ...], per_mm: tuple[float, ...], glare: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        ImagerKernel(weights, per_mm, glare)


def test_images_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="rows and columns"):
        spread(np.zeros(5), (1.0, 1.0), KERNEL, 0.0)
    with pytest.raises(ValueError, match="NaN"):
        spread(np.full((20, 20), np.nan), (1.0, 1.0), KERNEL, 0.0)
    with pytest.raises(ValueError, match="spacing"):
        spread(np.zeros((20, 20)), (0.0, 1.0), KERNEL, 0.0)
