"""Picket fence: every leaf at every picket of a portal image, by pylinac.

Judged twice.  Combined: the middle of each gap against the picket's fitted line, which halves the
error of one leaf and cannot see two leaves of a pair that are off against each other.  Separate:
each leaf against the line and half the nominal gap, which the clinic finds out on a good delivery.
The MLC is told by the site, a log or the user; nothing is guessed.

Limits: TG-142 (Klein 2009), Table V, asks for 1 mm of each leaf; a leaf that is 1 mm off is 0.5 mm
in the combined analysis.  Jorgensen 2011 (Med Phys 38:1425): position 0.3 mm and gap 0.5 mm from
the mean are what VMAT machines hold.  A picket's line is drawn towards a leaf that errs, so that a
leaf 1 mm off reads as 0.85 to 0.95 mm: action is at 0.8 mm.

Lines that are drawn through the image itself see nothing of a fence that is shifted or stretched as
a whole.  Where its plan or log is beside it, the pickets are held against where they were wanted:
the pattern by TG-142 Table V (1 mm), its shift, which holds the imager's own place, by Table VI
(imaging and treatment 2 mm).  Six real fences lie within 0.3 mm of the pattern of the plan they
are of, and within 1.3 mm of its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    LeafTable,
    Limits,
    Measurement,
    Metric,
    Settings,
    for_linacs,
    within_by_class,
)
from analyzers.image_traces import picture
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.planned_pickets import wanted_pickets
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.pylinac_picket_faults import faults
from analyzers.pylinac_pickets import Pickets, is_off_middle, measure, travel_of_image
from analyzers.records import FloatArray

PASSING_MM = 0.5
"""What pylinac calls passing, by default: strictly less."""
MARGIN_MM = 15.0
TG142 = "TG-142 Table V (leaf position 1 mm)"
JORGENSEN = "Jorgensen 2011"
SEPARATE = f"product default; {TG142} as it reads beside a line that is drawn towards the leaf"


MAX_ERROR = Metric(
    "max_error",
    "mm",
    "Largest distance of the middle of a gap from its picket; an error of one leaf shows as half",
    for_linacs(
        Limits.at_most(tolerance=0.3, action=0.5, source=f"{JORGENSEN}; {TG142}, halved by pairs")
    ),
)
MEDIAN_ERROR = Metric(
    "median_error", "mm", "Median distance of the middle of a gap from its picket"
)
LEAVES_PASSING = Metric(
    "leaves_passing",
    "%",
    f"Share of gaps whose middle is less than {PASSING_MM} mm from the picket",
    for_linacs(
        Limits.at_least(
            tolerance=100.0, action=95.0, source="pylinac's own tolerance; product default"
        )
    ),
)
MAX_LEAF_ERROR = Metric(
    "max_leaf_error",
    "mm",
    "Largest distance of a leaf from its picket and half the nominal gap",
    for_linacs(Limits.at_most(tolerance=0.4, action=0.8, source=SEPARATE)),
)
MAX_LEAF_DEVIATION = Metric(
    "max_leaf_deviation",
    "mm",
    "Largest distance of a leaf from its picket and half the median gap of this image",
    for_linacs(Limits.at_most(tolerance=0.4, action=0.8, source=SEPARATE)),
)
GAP_DEVIATION = Metric(
    "gap_deviation",
    "mm",
    "Largest difference of a gap from the median gap of its picket",
    for_linacs(Limits.at_most(tolerance=0.5, action=1.0, source=f"{JORGENSEN}; product default")),
)
DOUBTS = Metric(
    "doubts",
    "1",
    "Number of reasons to think that a picket or a leaf was missed or taken for another",
    for_linacs(Limits.at_most(tolerance=0.0, action=0.0, source="nothing may go unmeasured")),
)
MEDIAN_GAP = Metric("median_gap", "mm", "Median width of the gaps at half height")
PICKETS = Metric("number_of_pickets", "1", "Pickets found")
PAIRS = Metric("leaf_pairs", "1", "Leaf pairs measured at every picket")
SPACING = Metric("mean_picket_spacing", "mm", "Mean distance between neighboring pickets")
OFFSET = Metric(
    "largest_offset_from_raster",
    "mm",
    "Largest distance of a picket from an even raster",
    # All leaves of a picket that went to a wrong place: no leaf is off its own picket then.
    for_linacs(
        Limits.at_most(
            tolerance=0.5, action=0.8, source=f"product default; {TG142}, the raster is drawn too"
        )
    ),
)
PATTERN = Metric(
    "picket_pattern_error",
    "mm",
    "Largest distance of a picket from where plan or log want it, the fence's shift taken off",
    for_linacs(Limits.at_most(tolerance=0.5, action=1.0, source=TG142)),
)
PLACE = Metric(
    "fence_shift",
    "mm",
    "Mean distance of the pickets from where plan or log want them, along the collimator's x",
    within_by_class(
        truebeam=(1.0, 2.0),
        clinac=(1.5, 2.0),
        elekta=(1.5, 2.0),
        source="product default; TG-142 Table VI (imaging and treatment 2 mm)",
    ),
)
SKEW = Metric(
    "mlc_skew",
    "deg",
    "Mean turn of the pickets, counterclockwise as seen from the source",
    # Of leaves and imager together: imagers are turned by up to 0.7 deg on real images.
    for_linacs(
        Limits.within(
            tolerance=0.9, action=1.5, source="product default; TG-142 Table II (collimator 1 deg)"
        )
    ),
)


class PicketFenceSettings(Settings):
    """Settings of this analyzer."""

    nominal_gap_mm: float | None = Field(None, gt=0.0, le=50.0)
    """Gap of the pickets as this imager shows it on a delivery that is known to be good."""
    halcyon_layer: Literal["28", "29"] | None = None
    """Layer of a dual-layer head that shapes the pickets, by its number of pairs."""
    pickets: int | None = Field(None, ge=1, le=100)
    """How many the plan has; a fence with another number is doubted."""


def analyze(image: PortalImage, context: Context[PicketFenceSettings]) -> Analysis:
    """Measure every leaf at every picket, and say what speaks against the measurement."""
    if image.sid_mm is None:
        raise AnalysisError(
            "the image does not state the distance from source to imager: no length is known"
        )
    leaf_edges_mm = _leaf_edges_mm(image, context.settings)
    found = measure(image, leaf_edges_mm, context.settings.nominal_gap_mm)
    doubts = faults(image, found, leaf_edges_mm)
    wanted = context.settings.pickets
    if wanted is not None and len(found.place_mm) != wanted:
        doubts.append(f"{len(found.place_mm)} pickets are seen, the plan has {wanted}")
    placed, why = _placed(image, found, len(leaf_edges_mm) - 1)
    doubts += why if placed is None and image.beside.planned is not None else []
    return Analysis(
        measurements=[
            *_together(found),
            *(placed or ()),
            *_each(found, context.settings.nominal_gap_mm is not None),
            DOUBTS.measured(len(doubts)),
            *_further(found),
        ],
        traces=_traces(image, found),
        notes=[
            *dict.fromkeys([*doubts, *why]),
            *_notes(image, found, context.settings, leaf_edges_mm),
        ],
        leaves=_leaves(found),
    )


def _placed(
    image: PortalImage, found: Pickets, pairs: int
) -> tuple[list[Measurement] | None, list[str]]:
    """Pickets against where plan or log want them; None where they want others, and the reason."""
    told = "plan" if image.beside.planned is not None else "log"
    wanted = wanted_pickets(image.beside, pairs)
    if wanted is None:
        return [], [
            "where the pickets lie is not judged, only how they lie to each other: no plan or log "
            "of this fence is beside it"
        ]
    along_mm = image.x_mm if found.moves_along_x else image.y_mm
    # pylinac's pickets lie half a pixel further along the pixel number than what they show.
    middle_mm = float(along_mm.mean() - (along_mm[1] - along_mm[0]) / 2.0)
    seen_mm = (1.0 if found.bank_a_is_positive else -1.0) * (found.place_mm + middle_mm)
    if len(wanted) != len(seen_mm):
        return None, [f"{len(seen_mm)} pickets are seen, the {told} has {len(wanted)}"]
    # Without its angle the collimator may stand turned by half.
    ways = (seen_mm, -seen_mm) if image.collimator_deg is None else (seen_mm,)
    off_mm = min((np.sort(way) - wanted for way in ways), key=lambda off: float(np.std(off)))
    apart_mm = np.abs(off_mm - off_mm.mean())
    worst = int(apart_mm.argmax())
    said = [PATTERN.measured(apart_mm[worst], at=f"picket wanted at {wanted[worst]:.1f} mm")]
    if image.axis_px is None or not image.geometry_is_consistent:
        return said, [
            "the fence's shift is not judged: the image does not tell where the beam's axis is"
        ]
    return [*said, PLACE.measured(float(off_mm.mean()))], []


def _leaf_edges_mm(image: PortalImage, settings: PicketFenceSettings) -> FloatArray:
    model = image.beside.mlc
    if model is None:
        raise AnalysisError(
            "the model of the MLC is not known: set `mlc` of the machine in site.toml, "
            "or give --mlc; leaves are not guessed"
        )
    layers = LEAF_EDGES_MM.get(model)
    if layers is None:
        raise AnalysisError(
            f"no leaf widths are known of this MLC; known: {', '.join(LEAF_EDGES_MM)}"
        )
    if len(layers) == 1:
        return layers[""]
    if settings.halcyon_layer is None:
        raise AnalysisError(
            "the MLC has two layers: say with `halcyon_layer` which one shapes the pickets"
        )
    return layers[settings.halcyon_layer]


def _together(found: Pickets) -> list[Measurement]:
    error_mm = np.abs(found.pair_error_mm)
    pair, picket = np.unravel_index(int(np.nanargmax(error_mm)), error_mm.shape)
    known = error_mm[np.isfinite(error_mm)]
    return [
        MAX_ERROR.measured(
            error_mm[pair, picket], at=f"leaf pair {found.pairs[pair]}, picket {picket + 1}"
        ),
        MEDIAN_ERROR.measured(float(np.median(known))),
        LEAVES_PASSING.measured(100.0 * np.count_nonzero(known < PASSING_MM) / known.size),
    ]


def _each(found: Pickets, is_nominal: bool) -> list[Measurement]:
    """Leaf by leaf: against the image's own gap, and against the nominal one where it is told."""
    # Moving both leaves of a pair by half of what its gap is wider keeps the picket's line.
    own_mm = (found.nominal_gap_mm - float(np.nanmedian(found.gap_mm))) / 2.0
    deviations = [
        (name, error_mm + sign * own_mm)
        for name, sign, error_mm in (("A", 1.0, found.error_a_mm), ("B", -1.0, found.error_b_mm))
    ]
    gap_mm = np.abs(found.gap_mm - np.nanmedian(found.gap_mm, axis=0))
    pair, picket = np.unravel_index(int(np.nanargmax(gap_mm)), gap_mm.shape)
    said = [
        _largest(MAX_LEAF_DEVIATION, found, deviations),
        GAP_DEVIATION.measured(
            gap_mm[pair, picket], at=f"leaf pair {found.pairs[pair]}, picket {picket + 1}"
        ),
    ]
    if is_nominal:
        errors = [("A", found.error_a_mm), ("B", found.error_b_mm)]
        said.insert(0, _largest(MAX_LEAF_ERROR, found, errors))
    return said


def _largest(
    metric: Metric, found: Pickets, errors: Sequence[tuple[str, FloatArray]]
) -> Measurement:
    bank, error_mm = max(errors, key=lambda e: float(np.nanmax(np.abs(e[1]))))
    magnitude = np.abs(error_mm)
    pair, picket = np.unravel_index(int(np.nanargmax(magnitude)), magnitude.shape)
    return metric.measured(
        magnitude[pair, picket], at=f"leaf {bank}{found.pairs[pair]}, picket {picket + 1}"
    )


def _further(found: Pickets) -> list[Measurement]:
    said = [
        MEDIAN_GAP.measured(float(np.nanmedian(found.gap_mm))),
        PICKETS.measured(len(found.place_mm)),
        PAIRS.measured(len(found.pairs)),
        SKEW.measured(-travel_of_image(found.moves_along_x) * np.degrees(found.slope).mean()),
    ]
    if len(found.place_mm) > 2:
        spacing_mm = float(np.median(np.diff(found.place_mm)))
        steps = np.round((found.place_mm - found.place_mm[0]) / spacing_mm)
        off_mm = found.place_mm - np.polyval(np.polyfit(steps, found.place_mm, 1), steps)
        said += [SPACING.measured(found.spacing_mm), OFFSET.measured(np.abs(off_mm).max())]
    return said


def _notes(
    image: PortalImage,
    found: Pickets,
    settings: PicketFenceSettings,
    leaf_edges_mm: FloatArray,
) -> list[str]:
    notes = []
    if settings.nominal_gap_mm is None:
        notes.append(
            "max_leaf_error is not given: no nominal gap is told (nominal_gap_mm). Leaves are held "
            "against the median gap of this image, so that an error which all gaps share is not "
            "seen"
        )
    if image.collimator_deg is None:
        turn = 0 if found.moves_along_x else 90
        notes.append(f"the collimator angle is not told: leaves are named as at {turn} deg")
    if is_off_middle(image, leaf_edges_mm):
        notes.append("the image was cut so that the beam's axis is in its middle")
    return notes


def _leaves(found: Pickets) -> LeafTable:
    names = [f"{bank}{pair}" for bank in "AB" for pair in found.pairs]
    errors_mm = np.concatenate([found.error_a_mm, found.error_b_mm])
    furthest = np.nanargmax(np.abs(errors_mm), axis=1)
    return LeafTable(
        names,
        {
            "mean_error_mm": np.nanmean(errors_mm, axis=1),
            "largest_error_mm": np.take_along_axis(errors_mm, furthest[:, None], axis=1)[:, 0],
        },
    )


def _traces(image: PortalImage, found: Pickets) -> dict[str, NDArray[Any]]:
    """The image, and on it each picket's line and each gap, in mm from the beam's axis."""
    middle_mm = float(image.x_mm.mean()), float(image.y_mm.mean())
    shape = found.pair_error_mm.shape
    across_mm = np.broadcast_to(found.across_mm[:, None], shape)
    line_mm = found.place_mm + found.slope * across_mm
    travel, across = (0, 1) if found.moves_along_x else (1, 0)
    places = {
        travel: line_mm + found.pair_error_mm + middle_mm[travel],
        across: across_mm + middle_mm[across],
    }
    reach_mm = max(float(np.abs(p - m).max()) for p, m in zip(places.values(), (0, 0), strict=True))
    return picture(image, reach_mm + MARGIN_MM) | {
        "pairs": found.pairs,
        "moves_along_x": np.array(found.moves_along_x),
        "line_mm": (line_mm + middle_mm[travel]).astype(np.float32),
        "gap_x_mm": places[0].astype(np.float32),
        "gap_y_mm": places[1].astype(np.float32),
        "gap_mm": found.gap_mm.astype(np.float32),
        "pair_error_mm": found.pair_error_mm.astype(np.float32),
        "error_a_mm": found.error_a_mm.astype(np.float32),
        "error_b_mm": found.error_b_mm.astype(np.float32),
    }


ANALYZER = Analyzer(
    name="picket_fence",
    title="Picket fence",
    version="1",
    accepts=PortalImage,
    settings=PicketFenceSettings,
    metrics=(
        MAX_ERROR,
        MEDIAN_ERROR,
        LEAVES_PASSING,
        MAX_LEAF_ERROR,
        MAX_LEAF_DEVIATION,
        GAP_DEVIATION,
        DOUBTS,
        MEDIAN_GAP,
        PICKETS,
        PAIRS,
        SPACING,
        OFFSET,
        PATTERN,
        PLACE,
        SKEW,
    ),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.PICKET_FENCE,
)
