"""The image of a delivery: what a panel saw of the beam that a log tells of.

The fluence is that of the positions the log calls actual, with errors added that the log does not
know of: a leaf whose sensor turns with the motor is right in the log and wrong in the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from analyzers.field_shape import ACTUAL
from analyzers.open_field import Grid, fluence_mu, opening
from analyzers.portal_images import Aperture, Beside, PortalImage
from analyzers.records import Axis, Delivery
from qa_daemon.simulate.epid_panel import CU_PER_MU, Array, Exposure, Imager, exposed
from qa_daemon.simulate.epid_shapes import LEAF_TRANSMISSION, REACH, Factor, middles, turned

STILL_DEG = 0.5
"""A collimator that moves by more while the beam is on has no image here."""


def image_of(
    delivery: Delivery,
    exposure: Exposure,
    imager: Imager | None = None,
    unlogged_mm: Mapping[str, float] | None = None,
    through: Factor | None = None,
) -> PortalImage:
    """The integrated image of a whole delivery.

    `unlogged_mm` is by how much leaves (`A31`) stand farther to IEC +x than the log says, `through`
    what a patient lets through at each x and y of the isocenter plane, in the gantry's frame.
    Meterset and mean collimator angle are the log's, whatever the exposure says; its gantry angle
    stays.
    Raises ValueError for a leaf that the head does not have, and for a collimator that turns.
    """
    imager = imager or Imager()
    seen = with_unlogged(delivery, unlogged_mm or {})
    used = opening(seen, slice(0, seen.samples), ACTUAL)
    meterset_mu = float(used.meterset_mu[-1] - used.meterset_mu[0])
    collimator_deg = _collimator_deg(seen)
    x_mm, y_mm = imager.x_edges_mm, imager.y_edges_mm
    if collimator_deg == 0.0:
        fine_mm = imager.pixel_mm
        fluence = fluence_mu(used, Grid(x_mm, y_mm))[::-1]
        open_mu = gaussian_filter(fluence, imager.blur_mm / fine_mm, truncate=REACH)
    else:
        reach_mm = float(np.hypot(np.abs(x_mm).max(), np.abs(y_mm).max()))
        half = int(np.ceil(reach_mm / imager.pixel_mm)) + 8
        edges_mm = np.arange(-half, half + 1, dtype=np.float64) * imager.pixel_mm
        fluence = fluence_mu(used, Grid(edges_mm, edges_mm))
        blurred = gaussian_filter(fluence, imager.blur_mm / imager.pixel_mm, truncate=REACH)
        open_mu = turned(blurred, edges_mm, imager, collimator_deg)
    signal_mu = LEAF_TRANSMISSION * meterset_mu + (1.0 - LEAF_TRANSMISSION) * open_mu
    if through is not None:
        signal_mu = signal_mu * through(middles(x_mm), middles(y_mm)[::-1, np.newaxis])
    own = replace(exposure, mu=meterset_mu, collimator_deg=collimator_deg % 360.0)
    image = exposed(signal_mu * CU_PER_MU, own, imager, _aperture(delivery))
    beside = Beside(log=delivery, mlc=delivery.mlc_model)
    return replace(image, identity=delivery.identity, beside=beside)


def with_unlogged(delivery: Delivery, leaf_mm: Mapping[str, float]) -> Delivery:
    """The delivery with leaves where they really were.

    Raises ValueError for a leaf that the head does not have.
    """
    layers, unknown = [], set(leaf_mm)
    for layer in delivery.mlc:
        banks = {}
        for bank, axis in (("A", layer.bank_a_mm), ("B", layer.bank_b_mm)):
            names = layer.leaf_names(bank)
            unknown -= set(names)
            away_mm = np.array([leaf_mm.get(name, 0.0) for name in names])
            banks[bank] = Axis(axis.expected, axis.actual + away_mm)
        layers.append(replace(layer, bank_a_mm=banks["A"], bank_b_mm=banks["B"]))
    if unknown:
        raise ValueError(f"{delivery.mlc_model} has no leaf {', '.join(sorted(unknown))}")
    return replace(delivery, mlc=tuple(layers))


def _collimator_deg(delivery: Delivery) -> float:
    if delivery.collimator_deg is None:
        return 0.0
    angles_deg = np.unwrap(delivery.collimator_deg.actual[delivery.beam_on], period=360.0)
    if len(angles_deg) == 0:
        return 0.0
    if np.ptp(angles_deg) > STILL_DEG:
        raise ValueError("the collimator turns while the beam is on")
    # Hundredths of a degree are the log's noise, and no image states them.
    return float(np.round(angles_deg.mean(), 1)) % 360.0


def _aperture(delivery: Delivery) -> Aperture:
    """The jaws in the middle of the delivery, as a controller puts them into an image."""
    middle = delivery.samples // 2
    found: dict[str, Array | None] = {}
    for name, axes in (
        ("jaw_x_mm", (delivery.jaw_x1_mm, delivery.jaw_x2_mm)),
        ("jaw_y_mm", (delivery.jaw_y1_mm, delivery.jaw_y2_mm)),
    ):
        known = [np.float64(axis.actual[middle]) for axis in axes if axis is not None]
        found[name] = np.array(known) if len(known) == 2 else None
    return Aperture(**found)
