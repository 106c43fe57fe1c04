"""What comes through leaves and jaws, as a sum of openings that are each integrated exactly.

A point gets dMU x J x L.  J is 1 inside all jaws, else the jaws' transmission c.  L is 1 in the
opening of a pair, else the leaves' transmission t; in the strip between two pairs it is 1 where
both are open, s where one is, t where none is.

L is linear in openings.  Let the borders between pairs be shifted up by half a strip (U), then down
(D), and let B be open in a strip where both neighbors are.  Outside the strips all three are the
plain opening, and everywhere L = t + (s - t) (U + D) + (1 - 2 s + t) B.  With J = c + (1 - c) K for
the opening K of the jaws, each product is an opening too: of leaves, of jaws or of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analyzers.numerics.fluence_motion import BEYOND_MM, Floats, Indices, Motion, number


@dataclass(frozen=True, slots=True)
class Shielding:
    """What gets through leaves and jaws; `delivered_fluence` explains it and checks it."""

    leaf_transmission: float = 0.0
    jaw_transmission: float = 0.0
    tongue_and_groove_mm: float = 0.0
    tongue_and_groove_transmission: float | None = None


OPAQUE = Shielding()


@dataclass(frozen=True, slots=True)
class Transmission:
    """Shares of the fluence that get through; the strip is centered on each border of two pairs."""

    leaf: float
    jaw: float
    strip_mm: float
    strip: float


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One opening and its weight in the sum.

    Each row across the leaves is open where the pairs `lower` and `upper` both are; they are the
    same pair except in a strip.  Leaves (pairs, samples), jaws (samples, 2), edges (rows + 1,).
    """

    weight: float
    edges_mm: Floats
    lower: Indices
    upper: Indices
    left_mm: Floats
    right_mm: Floats
    jaw_x_mm: Floats
    jaw_y_mm: Floats


def transmission_of(shielding: Shielding, leaf_edges_mm: Floats) -> Transmission:
    """The same, checked; errors as `delivered_fluence`."""
    leaf = _share(shielding.leaf_transmission, "leaf_transmission")
    jaw = _share(shielding.jaw_transmission, "jaw_transmission")
    strip_mm = number(shielding.tongue_and_groove_mm, "tongue_and_groove_mm")
    if not 0.0 <= strip_mm < np.diff(leaf_edges_mm).min():
        raise ValueError("tongue_and_groove_mm must be from 0 to less than the narrowest leaf")
    given = shielding.tongue_and_groove_transmission
    # Half the thickness of a leaf lets the root of its transmission through.
    strip = math.sqrt(leaf) if given is None else _share(given, "tongue_and_groove_transmission")
    if strip < leaf:
        raise ValueError("tongue_and_groove_transmission must not be below leaf_transmission")
    return Transmission(leaf, jaw, strip_mm, strip)


def terms_of(motion: Motion, transmission: Transmission) -> list[Term]:
    """The openings whose weighted sum is what comes through."""
    nowhere = np.tile([-BEYOND_MM, BEYOND_MM], (len(motion.meterset_mu), 1))
    jaw_x_mm = nowhere if motion.jaw_x_mm is None else motion.jaw_x_mm
    jaw_y_mm = nowhere if motion.jaw_y_mm is None else motion.jaw_y_mm
    # Without jaws every point is inside of them.
    no_jaws = motion.jaw_x_mm is None and motion.jaw_y_mm is None
    through_jaws = 0.0 if no_jaws else transmission.jaw
    jaws = ((1.0 - through_jaws, jaw_x_mm, jaw_y_mm), (through_jaws, nowhere, nowhere))
    terms = [
        Term(weight * share, edges_mm, lower, upper, left_mm, right_mm, x_mm, y_mm)
        for weight, edges_mm, lower, upper, left_mm, right_mm in _leaves(motion, transmission)
        for share, x_mm, y_mm in jaws
    ]
    return [term for term in terms if term.weight != 0.0]


_Leaves = tuple[float, Floats, Indices, Indices, Floats, Floats]
"""The part of a term that the leaves make."""


def _leaves(motion: Motion, transmission: Transmission) -> Iterator[_Leaves]:
    t, s = transmission.leaf, transmission.strip
    edges_mm, leaves = motion.leaf_edges_mm, (motion.left_mm, motion.right_mm)
    pairs = len(edges_mm) - 1
    half_mm = transmission.strip_mm / 2
    own = np.arange(pairs)
    if half_mm == 0.0 or pairs == 1:
        yield 1.0 - t, edges_mm, own, own, *leaves
    else:
        for shift_mm in (half_mm, -half_mm):
            shifted_mm = edges_mm.copy()
            shifted_mm[1:-1] += shift_mm
            yield s - t, shifted_mm, own, own, *leaves
        strips_mm = edges_mm[1:-1, np.newaxis] + [-half_mm, half_mm]
        both_mm = np.concatenate([edges_mm[:1], strips_mm.ravel(), edges_mm[-1:]])
        # Body of pair 0, strip of 0 and 1, body of pair 1, strip of 1 and 2, …
        row = np.arange(2 * pairs - 1)
        yield 1.0 - 2.0 * s + t, both_mm, row // 2, (row + 1) // 2, *leaves
    # The leaves as a plate without any opening; in as many rows, so that jaws cut few of them.
    beyond_mm = np.full((1, len(motion.meterset_mu)), BEYOND_MM)
    only = np.zeros(pairs, dtype=np.int64)
    yield t, edges_mm, only, only, -beyond_mm, beyond_mm


def _share(value: float, name: str) -> float:
    share = number(value, name)
    if not 0.0 <= share < 1.0:
        raise ValueError(f"{name} must be from 0 to less than 1, not {value}")
    return share
