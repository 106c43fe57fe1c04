"""Whether pylinac's pickets and leaves are those of the image: looked for again in another way.

pylinac leaves out a leaf that it does not find at every picket, and may take a step of the panel
for a picket.  Either way errors go unseen, so both are counted here on the image itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzers.portal_images import PortalImage
from analyzers.pylinac_pickets import Pickets
from analyzers.records import FloatArray

LEAST_PROMINENCE = 0.15
"""Of a stripe, as a share of the third most prominent one: one artefact sets no scale.  On
real images what is no stripe has at most 0.05, and the faintest stripe 0.25."""
OFF_THE_RASTER = 0.15
"""Of the spacing; the places of real picket fences are within 0.03."""
LIT = 0.5
"""Share of the stripes' usual height above which a row of the image is taken for irradiated."""
EDGE_MM = 1.0
"""A leaf that ends within this of the field's edge lies in the penumbra of a jaw."""
CUT_OFF_MM = 3.0
"""What pylinac cuts off the image on every side."""


def faults(image: PortalImage, found: Pickets, leaf_edges_mm: FloatArray) -> list[str]:
    """What speaks against the measurement, in sentences; empty where nothing does."""
    seen_mm = stripes_mm(image, found)
    return [
        *_of_pickets(found, seen_mm),
        *_of_leaves(image, found, leaf_edges_mm),
    ]


def stripes_mm(image: PortalImage, found: Pickets) -> NDArray[np.float64]:
    """Places of the bright stripes on the axis of travel, in mm from the middle of the image."""
    from scipy import ndimage, signal

    profile, step_mm = _along_travel(image, found)
    smooth = ndimage.gaussian_filter1d(profile, 0.5 / step_mm)
    # What is wider than the pickets are apart is no picket: horns of the beam, parts of the panel.
    stands_out = ndimage.white_tophat(smooth, max(3, round(0.85 * _raster_mm(found) / step_mm)))
    peaks, about = signal.find_peaks(
        stands_out, prominence=0.0, distance=max(1, round(4.0 / step_mm))
    )
    prominence = about["prominences"]
    if not peaks.size:
        return np.zeros(0)
    scale = np.sort(prominence)[-min(3, len(prominence))]
    peaks = peaks[prominence >= LEAST_PROMINENCE * scale]
    return np.asarray((peaks - (len(profile) - 1) / 2.0) * step_mm, np.float64)


def _raster_mm(found: Pickets) -> float:
    return float(np.median(np.diff(found.place_mm))) if len(found.place_mm) > 1 else 20.0


def _along_travel(image: PortalImage, found: Pickets) -> tuple[NDArray[np.float64], float]:
    """Mean over the leaves that were found, along +x or +y, brighter with more radiation."""
    values = image.values if found.moves_along_x else image.values.T
    step_mm = image.spacing_mm[1 if found.moves_along_x else 0] / image.magnification
    across_mm = _across_mm(image, found)
    inside = (across_mm >= found.across_mm.min()) & (across_mm <= found.across_mm.max())
    profile = values[inside].mean(axis=0)
    if not found.moves_along_x:
        profile = profile[::-1]  # rows run against y
    return np.asarray(profile, np.float64), step_mm


def _across_mm(image: PortalImage, found: Pickets) -> FloatArray:
    """Of each row (column where leaves move along y), from the middle, along +y or +x."""
    axis = 0 if found.moves_along_x else 1
    step_mm = image.spacing_mm[axis] / image.magnification
    count = image.shape[axis]
    off_mm = (np.arange(count) - (count - 1) / 2.0) * step_mm
    return -off_mm if found.moves_along_x else off_mm


def _of_pickets(found: Pickets, seen_mm: NDArray[np.float64]) -> list[str]:
    said = []
    if len(seen_mm) != len(found.place_mm):
        said.append(f"{len(seen_mm)} stripes are seen, {len(found.place_mm)} pickets were measured")
    if len(found.place_mm) > 2:
        raster = (found.place_mm - found.place_mm[0]) / _raster_mm(found)
        whole = np.round(raster)
        if np.abs(raster - whole).max() > OFF_THE_RASTER or len(set(whole)) < len(whole):
            said.append("the pickets are not at even distances: one was found twice or missed")
    return said


def _of_leaves(image: PortalImage, found: Pickets, leaf_edges_mm: FloatArray) -> list[str]:
    """Pairs that shape the stripes and were not measured."""
    lit = _lit_mm(image, found)
    if lit is None:
        return ["no stripe stands out from what is beside it"]
    middles_mm = (leaf_edges_mm[1:] + leaf_edges_mm[:-1]) / 2.0
    halves_mm = np.diff(leaf_edges_mm) / 2.0
    reach_mm = float(np.abs(_across_mm(image, found)).max()) - CUT_OFF_MM
    low_mm = max(lit[0], -reach_mm) + EDGE_MM
    high_mm = min(lit[1], reach_mm) - EDGE_MM
    # Along the image's axis, which the pairs may be numbered against.
    sign = 1.0 if len(found.pairs) < 2 or found.across_mm[-1] > found.across_mm[0] else -1.0
    shaped = (sign * middles_mm - halves_mm >= low_mm) & (sign * middles_mm + halves_mm <= high_mm)
    missing = sorted(set((np.flatnonzero(shaped) + 1).tolist()) - set(found.pairs.tolist()))
    if not missing:
        return []
    named = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
    return [f"leaf pair {named} lies in the field and was not measured at every picket"]


def _lit_mm(image: PortalImage, found: Pickets) -> tuple[float, float] | None:
    """From where to where the stripes reach on the axis across the travel."""
    values = image.values if found.moves_along_x else image.values.T[:, ::-1]
    profile, step_mm = _along_travel(image, found)
    at_px = np.round(found.place_mm / step_mm + (len(profile) - 1) / 2.0).astype(int)
    half_px = max(1, round(0.25 * _raster_mm(found) / step_mm))
    on = values[:, at_px.clip(0, len(profile) - 1)].mean(axis=1)
    beside = values[:, (at_px + half_px).clip(0, len(profile) - 1)].mean(axis=1)
    across_mm = _across_mm(image, found)
    inside = (across_mm >= found.across_mm.min()) & (across_mm <= found.across_mm.max())
    height = on - beside
    usual = float(np.median(height[inside]))
    bright = across_mm[np.asarray(height > LIT * usual) & (usual > 0.0)]
    return (float(bright.min()), float(bright.max())) if bright.size else None
