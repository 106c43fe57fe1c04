"""Maps of the fluence on a grid, one for each range that sample intervals are sorted into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyzers.numerics.fluence_motion import Floats, Indices
from analyzers.numerics.fluence_transmission import Term

SMALL = 20_000
"""Strips times intervals; on a busy machine more than that is done while threads start."""


def fluence_maps(
    terms: Sequence[Term],
    increments_mu: Floats,
    ranges: tuple[Indices, int],
    x_edges_mm: Floats,
    y_edges_mm: Floats,
) -> Floats:
    """Mean MU over each pixel, (ranges, ny, nx): the weighted sum of the terms.

    `ranges` is the range of each sample interval, -1 for none, and how many there are.  An interval
    counts where its increment is above zero.
    """
    from analyzers.numerics.fluence_kernel import add_fluence

    fluence = np.zeros((ranges[1], len(y_edges_mm) - 1, len(x_edges_mm) - 1))
    strips_mm = _strips(terms, y_edges_mm)
    if len(strips_mm) < 2:
        return fluence
    row = _rows_of(strips_mm, y_edges_mm)
    share = np.diff(strips_mm) / np.diff(y_edges_mm)[row]
    alone = all(_alone(row, _rows_of(strips_mm, term.edges_mm)) for term in terms)
    # Leaves are worked on at the same time: what shares a pixel row is added up afterwards.
    parts = fluence if alone else np.zeros((ranges[1], len(row), len(x_edges_mm) - 1))
    part = row if alone else np.arange(len(row))
    for term in terms:
        row_of = _rows_of(strips_mm, term.edges_mm)
        first_strip = np.searchsorted(row_of, np.arange(len(term.edges_mm)))
        add_fluence(
            (term.left_mm, term.right_mm, term.lower, term.upper),
            (parts, part, strips_mm, share * term.weight, first_strip, x_edges_mm),
            (increments_mu, ranges[0], term.jaw_x_mm, term.jaw_y_mm),
            len(row_of) * len(increments_mu) > SMALL,
        )
    if not alone:
        for strip in range(len(row)):
            fluence[:, row[strip]] += parts[:, strip]
    # Weights may be negative, sums of shares round: nothing is less than closed.
    return fluence if len(terms) == 1 else np.maximum(fluence, 0.0, out=fluence)


def _strips(terms: Sequence[Term], y_edges_mm: Floats) -> Floats:
    """Edges of strips that each lie in one row of each term and in one pixel row.

    Jaws at rest are edges too.
    """
    leaves_mm = terms[0].edges_mm
    low_mm = max(leaves_mm[0], y_edges_mm[0])
    high_mm = min(leaves_mm[-1], y_edges_mm[-1])
    jaws_mm = [term.jaw_y_mm[0][np.ptp(term.jaw_y_mm, axis=0) == 0] for term in terms]
    edges_mm = np.unique(np.concatenate([y_edges_mm, *(t.edges_mm for t in terms), *jaws_mm]))
    inside = (edges_mm >= low_mm) & (edges_mm <= high_mm)
    return np.asarray(edges_mm[inside])


def _rows_of(strips_mm: Floats, edges_mm: Floats) -> Indices:
    """The row of each strip: where it begins, as the middle of a thin one may round out of it."""
    return np.searchsorted(edges_mm, strips_mm[:-1], side="right") - 1


def _alone(row: Indices, leaf: Indices) -> bool:
    """Whether no pixel row holds strips of two leaves."""
    return not ((np.diff(row) == 0) & (np.diff(leaf) != 0)).any()
