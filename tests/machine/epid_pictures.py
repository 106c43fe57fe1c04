"""Portal images of a delivery, drawn the slow and obvious way, without the product's fluence.

At many instants every row of a fine plane is painted where it is open; the painted plane is blurred
and looked at through a panel that is shifted, turned and magnified.  All lengths at the isocenter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from analyzers.portal_images import Classified, ImageKind, PortalImage
from analyzers.records import Delivery

Array = NDArray[np.float64]
Plane = tuple[Array, Array, Array, Array]
"""x, y, and MU open and MU inside the jaws, `(rows, columns)`."""
FINE_MM = 0.2
ROW_MM = 0.25
COARSE = (4, 5)
"""Rows and columns of the fine plane in 1 mm."""


@dataclass(frozen=True)
class Panel:
    """What the imager is and does; the shift is along the image's own IEC axes."""

    pixel_mm: float = 0.392
    """At the panel."""
    sid_mm: float = 1000.0
    shape: tuple[int, int] = (600, 600)
    shift_mm: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0
    magnification: float = 0.0
    blur_mm: float = 1.1
    glare: tuple[tuple[float, float], ...] = ((3.0, 0.08), (12.0, 0.05))
    """(sigma in mm, weight)."""
    horns: float = 0.04
    """Gain at 150 mm over that on the axis, minus one."""
    transmission: float = 0.012
    groove_mm: float = 0.5
    leaf_ends_mm: float = 0.2
    """Each leaf end lets the field reach so far beyond it."""
    noise: float = 0.004
    """Of one pixel, as a share of the largest signal."""
    seed: int = 1


def picture(
    delivery: Delivery,
    panel: Panel | None = None,
    offsets_mm: Mapping[str, float] | None = None,
    *,
    kind: ImageKind = ImageKind.PICKET_FENCE,
    substeps: int = 3,
) -> PortalImage:
    """The image of a delivery whose leaves stood `offsets_mm` (by name, IEC X) off their log."""
    panel = panel or Panel()
    x_mm, y_mm, painted, behind = painted_plane(delivery, panel, offsets_mm or {}, substeps)
    return looked_at(delivery, panel, (x_mm, y_mm, painted, behind), kind)


def painted_plane(
    delivery: Delivery,
    panel: Panel,
    offsets_mm: Mapping[str, float],
    substeps: int = 3,
    between_mm: tuple[float, float] = (-np.inf, np.inf),
) -> Plane:
    """MU for which each point of a fine plane, collimator's frame, was open; and by the jaws alone.

    Only rows with y `between_mm`.
    """
    unknown = set(offsets_mm) - {
        name for layer in delivery.mlc for bank in "AB" for name in layer.leaf_names(bank)
    }
    assert not unknown, unknown
    x_reach_mm, y_reach_mm = _reach_mm(delivery)
    x_mm = np.arange(-x_reach_mm, x_reach_mm, FINE_MM) + FINE_MM / 2
    y_mm = np.arange(-y_reach_mm, y_reach_mm, ROW_MM) + ROW_MM / 2
    y_mm = y_mm[(y_mm > between_mm[0]) & (y_mm < between_mm[1])]
    weight = delivery.weight
    assert weight is not None
    mu = np.asarray(weight.actual, np.float64)
    # Rows that see the same leaves are painted once.
    looks = [_leaves_above(layer, y_mm, panel.groove_mm) for layer in delivery.mlc]
    keys, where = np.unique(np.concatenate(looks, axis=1), axis=0, return_inverse=True)
    where = where.reshape(-1)
    painted = np.zeros((len(keys), len(x_mm)))
    behind = np.zeros(len(x_mm))
    below_above = np.zeros(len(y_mm))
    for k in range(len(mu) - 1):
        rise = mu[k + 1] - mu[k]
        if rise <= 0.0:
            continue
        for s in range(substeps):
            t = (s + 0.5) / substeps
            low = np.full(len(keys), -1e3)
            high = -low
            if delivery.jaw_x1_mm is not None:
                low[:] = _at(delivery.jaw_x1_mm.actual, k, t)
                high[:] = _at(delivery.jaw_x2_mm.actual, k, t)
            behind += _covered(low[:1], high[:1], x_mm)[0] * rise / substeps
            for n, layer in enumerate(delivery.mlc):
                left, right = (
                    _at(axis.actual, k, t)
                    + np.array([offsets_mm.get(name, 0.0) for name in layer.leaf_names(bank)])
                    + side * panel.leaf_ends_mm
                    for bank, axis, side in (
                        ("B", layer.bank_b_mm, -1.0),
                        ("A", layer.bank_a_mm, 1.0),
                    )
                )
                for leaf in keys[:, 2 * n : 2 * n + 2].T:
                    low, high = np.maximum(low, left[leaf]), np.minimum(high, right[leaf])
            painted += _covered(low, high, x_mm) * rise / substeps
            in_y = np.ones(len(y_mm), bool)
            if delivery.jaw_y1_mm is not None:
                in_y &= y_mm > _at(delivery.jaw_y1_mm.actual, k, t)
                in_y &= y_mm < _at(delivery.jaw_y2_mm.actual, k, t)
            below_above += in_y * rise / substeps
    # Y jaws stand still in these deliveries.
    share = below_above / (mu[-1] - mu[0])
    return x_mm, y_mm, painted[where] * share[:, None], behind * share[:, None]


def _reach_mm(delivery: Delivery) -> tuple[float, float]:
    """Half a width and half a height that hold the field and its penumbra."""
    if delivery.jaw_x1_mm is None:
        return 135.0, 150.0
    jaws = {name: np.abs(axis.actual).max() for name, axis in delivery.jaws_mm.items()}
    whole = [np.ceil(max(jaws[side + "1"], jaws[side + "2"])) + 20.0 for side in "XY"]
    return float(whole[0]), float(whole[1])


def repainted(
    delivery: Delivery,
    panel: Panel,
    plane: Plane,
    offsets_mm: Mapping[str, float],
    substeps: int = 3,
) -> Plane:
    """A plane with some leaves moved: only the rows that they can touch are painted again."""
    x_mm, y_mm, painted, behind = plane
    painted = painted.copy()
    for name in offsets_mm:
        layer, pair = next(
            (layer, layer.leaf_names(bank).index(name))
            for layer in delivery.mlc
            for bank in "AB"
            if name in layer.leaf_names(bank)
        )
        edges = layer.leaf_edges_mm[pair : pair + 2]
        between = float(edges[0]) - panel.groove_mm, float(edges[1]) + panel.groove_mm
        rows = (y_mm > between[0]) & (y_mm < between[1])
        painted[rows] = painted_plane(delivery, panel, offsets_mm, substeps, between)[2]
    return x_mm, y_mm, painted, behind


def _leaves_above(layer, y_mm: Array, groove_mm: float) -> NDArray[np.intp]:
    """For each row the two leaves that must both be open: the same one but beside a border."""
    edges = np.asarray(layer.leaf_edges_mm)
    own = [
        np.clip(np.searchsorted(edges, y_mm + by, side="right") - 1, 0, layer.pairs - 1)
        for by in (-groove_mm / 2, groove_mm / 2)
    ]
    return np.column_stack(own)


def _covered(low: Array, high: Array, x_mm: Array) -> Array:
    """What share of each fine pixel lies between the edges of each row."""
    half = FINE_MM / 2
    inside = np.minimum(high[:, None], x_mm + half) - np.maximum(low[:, None], x_mm - half)
    return np.clip(inside / FINE_MM, 0.0, 1.0)


def _at(values: Array, k: int, t: float) -> Array:
    return (1.0 - t) * np.asarray(values[k], np.float64) + t * np.asarray(values[k + 1], np.float64)


def looked_at(delivery: Delivery, panel: Panel, plane: Plane, kind: ImageKind) -> PortalImage:
    """The plane as the panel shows it."""
    x_mm, y_mm, painted, behind = plane
    signal = (1.0 - panel.transmission) * painted + panel.transmission * behind
    spread = sum(w for _, w in panel.glare)
    horns = 1.0 + panel.horns * (x_mm[None, :] ** 2 + y_mm[:, None] ** 2) / 150.0**2
    sharp = (1.0 - spread) * _blurred(signal, panel.blur_mm, (ROW_MM, FINE_MM)) * horns
    # Glare is wide, and blurred on a plane of 1 mm.
    down, across = (n // size * size for n, size in zip(signal.shape, COARSE, strict=True))
    blocks = (down // COARSE[0], COARSE[0], across // COARSE[1], COARSE[1])
    coarse, slow = (
        (part[:down, :across].reshape(blocks).mean(axis=(1, 3))) for part in (signal, horns)
    )
    glare = np.zeros_like(coarse)
    for sigma_mm, weight in panel.glare:
        glare += weight * _blurred(coarse, sigma_mm, (1.0, 1.0)) * slow
    rows, columns = panel.shape
    step_mm = panel.pixel_mm / (panel.sid_mm / 1000.0)
    u = (np.arange(columns) - (columns - 1) / 2) * step_mm - panel.shift_mm[0]
    v = ((rows - 1) / 2 - np.arange(rows)) * step_mm - panel.shift_mm[1]
    angle = -delivery.collimator_deg.actual[delivery.beam_on].mean() - panel.rotation_deg
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    values = np.zeros(panel.shape)
    quarter = step_mm / 4  # each pixel is looked at in four places
    for du in (-quarter, quarter):
        for dv in (-quarter, quarter):
            uu, vv = np.meshgrid((u + du), (v + dv))
            px = (uu * cosine - vv * sine) / (1.0 + panel.magnification)
            py = (uu * sine + vv * cosine) / (1.0 + panel.magnification)
            at = [(py - y_mm[0]) / ROW_MM, (px - x_mm[0]) / FINE_MM]
            values += map_coordinates(sharp, at, order=1, mode="nearest") / 4.0
            if not panel.glare or du < 0.0 or dv < 0.0:
                continue
            at = [(place - (n - 1) / 2) / n for place, n in zip(at, COARSE, strict=True)]
            values += map_coordinates(glare, at, order=1, mode="nearest")
    rng = np.random.default_rng(panel.seed)
    top = values.max()
    grain = panel.noise * np.sqrt(np.maximum(values, 0.02 * top) * top)
    values = 100.0 + 300.0 * (values + rng.normal(size=values.shape) * grain)
    collimator_deg = float(delivery.collimator_deg.actual[delivery.beam_on].mean() % 360.0)
    return PortalImage(
        stored=values.astype(np.float32),
        values=values,
        spacing_mm=(panel.pixel_mm, panel.pixel_mm),
        sid_mm=panel.sid_mm,
        collimator_deg=collimator_deg,
        gantry_deg=float(delivery.gantry_deg.actual[delivery.beam_on][0]),
        meterset_mu=float(delivery.meterset_mu.actual[-1]),
        classified=Classified(kind, "test", "made by a test"),
    )


def _blurred(signal: Array, sigma_mm: float, step_mm: tuple[float, float]) -> Array:
    return gaussian_filter(signal, [sigma_mm / step for step in step_mm], mode="nearest")
