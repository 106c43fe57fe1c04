"""Picket fence images, with leaves off by what is stated.

A leaf that is off by +0.5 mm stands 0.5 mm farther towards IEC +x in every picket, so the picket's
middle is off by half of it there, and its gap by the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.portal_images import Beside, ImageKind, PortalImage
from qa_daemon.simulate.epid_leaves import LeafErrors, Rows
from qa_daemon.simulate.epid_options import exposure_of, panel_of, write_one
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import Openings, on_panel
from qa_daemon.simulate.options import known, offsets

KIND = "epid-picket-fence"


@dataclass(frozen=True, slots=True)
class Pickets:
    """The pattern: gaps of the same width at the same spacing, symmetric about the axis."""

    mlc: str = "millennium120"
    number: int = 10
    spacing_mm: float = 15.0
    width_mm: float = 5.0
    half_length_mm: float = 100.0
    """Where the y jaws stand."""

    @property
    def centers_mm(self) -> Array:
        """Where the pickets are wanted, from IEC -x to +x."""
        return np.asarray((np.arange(self.number) - (self.number - 1) / 2.0) * self.spacing_mm)

    def openings(self, errors: LeafErrors) -> Openings:
        """The openings, one for each picket, with the jaws at their outer sides."""
        rows = Rows.of(self.mlc)
        left_mm = np.full(rows.edges_mm.size - 1, -np.inf)
        right_mm = -left_mm
        for layer, leaf in rows.leaf.items():
            left_mm = np.maximum(left_mm, errors.of(self.mlc, layer, "B")[leaf])
            right_mm = np.minimum(right_mm, errors.of(self.mlc, layer, "A")[leaf])
        middle_mm, half_mm = self.centers_mm[:, np.newaxis], self.width_mm / 2.0
        side_mm = float(self.centers_mm[-1]) + self.spacing_mm
        return Openings(
            share=np.full(self.number, 1.0 / self.number),
            left_mm=middle_mm - half_mm + left_mm,
            right_mm=middle_mm + half_mm + right_mm,
            leaf_edges_mm=rows.edges_mm,
            jaw_x_mm=(-side_mm, side_mm),
            jaw_y_mm=(-self.half_length_mm, self.half_length_mm),
        )


def picket_fence(
    pickets: Pickets | None = None,
    errors: LeafErrors | None = None,
    imager: Imager | None = None,
    exposure: Exposure | None = None,
) -> PortalImage:
    """One picket fence image; each picket takes an equal share of the meterset.

    The record names the MLC, as a site's own would.  Raises ValueError for a leaf that the head
    does not have.
    """
    pickets, errors = pickets or Pickets(), errors or LeafErrors()
    imager = imager or Imager()
    exposure = exposure or Exposure(ImageKind.PICKET_FENCE, "PF")
    share = on_panel(pickets.openings(errors), imager, exposure.collimator_deg)
    image = exposed(share * exposure.open_cu, exposure, imager)
    return replace(image, beside=Beside(mlc=pickets.mlc))


def simulate(
    out: Path,
    *,
    mlc: str = "millennium120",
    leaf: str = "",
    bank_a_mm: float = 0.0,
    bank_b_mm: float = 0.0,
    gap_mm: float = 0.0,
    pickets: int = 10,
    spacing_mm: float = 15.0,
    width_mm: float = 5.0,
    gantry: float = 0.0,
    collimator: float = 0.0,
    mu: float = 100.0,
    panel: str = "as1000",
    noise: float = 1.0,
    blur_mm: float | None = None,
    dead_pixels: int = 0,
    sag_x_mm: float = 0.0,
    sag_y_mm: float = 0.0,
    label: str = "PF",
    machine: str = "TB1",
    seed: int = 0,
) -> Path:
    """Write one picket fence image with stated errors and return its path.

    Errors of leaves (`A31=0.5,B12=-1`) and banks are actual minus wanted, along IEC x of the
    collimator; `gap_mm` is by how much every gap is wider.  `noise` 1 is as usual; the sag is at
    the panel.
    Raises ValueError for an unknown MLC, leaf or panel.
    """
    known("mlc", mlc, LEAF_EDGES_MM)
    pattern = Pickets(str(mlc), int(pickets), float(spacing_mm), float(width_mm))
    if pattern.number < 1 or not 0.0 < pattern.width_mm < pattern.spacing_mm:
        raise ValueError("pickets: one or more, narrower than their spacing, expected")
    errors = LeafErrors(float(bank_a_mm), float(bank_b_mm), float(gap_mm), offsets(leaf))
    exposure = replace(
        exposure_of(ImageKind.PICKET_FENCE, label, mu, seed, machine),
        gantry_deg=float(gantry),
        collimator_deg=float(collimator),
    )
    imager = panel_of(panel, noise, sag_x_mm, sag_y_mm, blur_mm, dead_pixels)
    return write_one(out, picket_fence(pattern, errors, imager, exposure))
