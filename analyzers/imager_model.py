"""The portal image that a planned beam should give: its fluence in air as the imager shows it.

P = scale x K (*) [off-axis response x fluence], in CU on the pixels of a measured image.  The
fluence is the plan's, exact for straight motion between control points (`numerics.fluence`), with
what comes through the leaves; the source is a Gaussian, its image at the imager grows with the
distance; the signal falls with the inverse square of the distance.  Left out: scatter of the head
that depends on the jaws beyond what the kernel takes in, tongue and groove, a patient in the beam.
Nothing is fitted to the image that is to be judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.imager_records import ImagerModel
from analyzers.numerics.imager_kernel import spread
from analyzers.open_field import (
    OUT_OF_THE_WAY_MM,
    Grid,
    Opening,
    fluence_mu,
    opening,
    rotated_fluence_mu,
)
from analyzers.plan_records import Beam, FloatArray, angles_in_turn_deg
from analyzers.portal_images import PortalImage
from analyzers.records import Axis, Delivery, MlcLayer

Floats = NDArray[np.float64]

LEAVES_MM = 509.0
"""From the source to the middle of the leaves: what blurs an edge is the source seen past them."""
TURN_STEP_DEG = 0.5
UPRIGHT_DEG = 0.01


def predicted_cu(beam: Beam, like: PortalImage, model: ImagerModel) -> Floats:
    """The image of a planned beam on the pixels of `like`, shape as its `values`, in CU.

    Raises `AnalysisError` where the plan lacks a position or the meterset, where the image lacks
    the distance of the imager, and where the model is of another energy.
    """
    if not model.fits_energy(beam.energy):
        raise AnalysisError(f"the imager model is of {model.energy}, the planned beam is not")
    return shown(in_air(beam, like, model), like, model)


def in_air(beam: Beam, like: PortalImage, model: ImagerModel) -> Floats:
    """MU through each pixel of `like`, times the off-axis response; shape as its `values`.

    Raises `AnalysisError` where the plan lacks a position or the meterset.
    """
    grid = _pixels(like)
    return (_through(planned_opening(beam), grid, model) * _off_axis(grid, model))[::-1]


def shown(fluence: Floats, like: PortalImage, model: ImagerModel) -> Floats:
    """What the imager makes of a fluence that reaches it, `in_air` or less, in CU; same shape.

    Raises `AnalysisError` where the image lacks the distance of the imager.
    """
    sid_mm = like.sid_mm
    if sid_mm is None:
        raise AnalysisError("the image does not state the distance of the imager")
    blur_mm = model.blur_mm * max(sid_mm - LEAVES_MM, 0.0) / (model.sid_mm - LEAVES_MM)
    image = spread(fluence, like.spacing_mm, model.kernel, blur_mm).astype(np.float64)
    image *= model.cu_per_mu * (model.sid_mm / sid_mm) ** 2
    # Rounding of the transform leaves values of -1e-7 where there is no signal.
    return np.maximum(image, 0.0)


def planned_opening(beam: Beam) -> Opening:
    """What a planned beam opens over its control points, at its own meterset.

    Raises `AnalysisError` where a position or the meterset is not known.
    """
    points = beam.control_points
    if any(layer.along != "X" for layer in points.mlc):
        raise AnalysisError("leaves along Y: no image is predicted for this head")

    def still(values: FloatArray) -> Axis:
        return Axis(np.asarray(values, np.float64), np.asarray(values, np.float64))

    def jaw(pair_mm: FloatArray | None, side: int) -> Axis | None:
        return None if pair_mm is None else still(pair_mm[:, side])

    layers = [
        MlcLayer(p.name, p.leaf_edges_mm, still(p.bank_a_mm), still(p.bank_b_mm))
        for p in points.mlc
    ]
    if not layers:
        if points.jaws_x_mm is None or points.jaws_y_mm is None:
            raise AnalysisError("the plan has neither leaves nor jaws")
        far_mm = np.full((points.count, 1), OUT_OF_THE_WAY_MM)
        edges_mm = np.array([-OUT_OF_THE_WAY_MM, OUT_OF_THE_WAY_MM])
        layers = [MlcLayer("", edges_mm, still(far_mm), still(-far_mm))]
    try:
        turn_deg = angles_in_turn_deg(points.collimator_deg, points.collimator_turn)
    except ValueError as why:
        raise AnalysisError(f"the planned collimator: {why}") from None
    course = Delivery(
        interval_s=0.0,
        meterset_mu=still(beam.cumulative_mu),
        collimator_deg=still(turn_deg),
        jaw_x1_mm=jaw(points.jaws_x_mm, 0),
        jaw_x2_mm=jaw(points.jaws_x_mm, 1),
        jaw_y1_mm=jaw(points.jaws_y_mm, 0),
        jaw_y2_mm=jaw(points.jaws_y_mm, 1),
        mlc=tuple(layers),
    )
    return opening(course, slice(0, points.count), lambda axis: axis.actual)


def _pixels(like: PortalImage) -> Grid:
    """The pixels of an image at the isocenter plane, rows turned so that y rises."""

    def edges(middle_mm: Floats, step_mm: float) -> Floats:
        first = middle_mm[0] - step_mm / 2.0
        return np.asarray(first + np.arange(len(middle_mm) + 1) * step_mm)

    rows_mm, columns_mm = (mm / like.magnification for mm in like.spacing_mm)
    return Grid(edges(like.x_mm, columns_mm), edges(like.y_mm[::-1], rows_mm))


def _through(found: Opening, grid: Grid, model: ImagerModel) -> Floats:
    """The fluence with what comes through the leaves, in the frame of the gantry."""
    half_mm, passes = model.leaf_gap_mm / 2.0, model.leaf_transmission
    wider = replace(found, left_mm=found.left_mm - half_mm, right_mm=found.right_mm + half_mm)
    fluence = (1.0 - passes) * _fluence(wider, grid)
    if passes > 0.0:
        far_mm = np.full_like(found.left_mm, OUT_OF_THE_WAY_MM)
        fluence += passes * _fluence(replace(found, left_mm=-far_mm, right_mm=far_mm), grid)
    return fluence


def _fluence(found: Opening, grid: Grid) -> Floats:
    turn_deg = found.collimator_deg
    if turn_deg is None or np.abs(turn_deg).max() < UPRIGHT_DEG:
        return fluence_mu(found, grid)
    spacing_mm = float(np.diff(grid.y_edges_mm[:2])[0]), float(np.diff(grid.x_edges_mm[:2])[0])
    return rotated_fluence_mu(found, grid, spacing_mm, TURN_STEP_DEG)


def _off_axis(grid: Grid, model: ImagerModel) -> Floats:
    radius_mm = np.hypot(grid.x_mm[np.newaxis, :], grid.y_mm[:, np.newaxis])
    return np.interp(radius_mm, model.off_axis_mm, model.off_axis)
