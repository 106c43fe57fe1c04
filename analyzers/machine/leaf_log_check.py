"""The check on the logs: where an image saw each leaf, against where the log says it was.

A log is the controller's own word: a worn drive leaves its numbers as they are while the leaf is
elsewhere (T-nut wear of 0.5 to 1.2 mm, PMC12626751).  An image of the same beam is fitted by the
log's picture (`image_leaf_fit`, which states what is fitted out and what thereby cannot be seen),
and each leaf's offset from the log, image minus log along IEC X at the isocenter plane, is judged:
its mean over the beam and, where edges stand, at each place.

A leaf disagrees where the image cannot rule out 0.5 mm: the limit is narrowed by two standard
errors (guard band, JCGM 106:2012).  These hold how much an offset may be over- or understated where
the strip that tongue and groove shade is half as wide or half as wide again as it is taken to be:
5 % of it for a leaf of 5 mm.  A leaf whose error is too large for the picture's noise is not seen;
what is not seen is counted, and where too few are the check has failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    LeafTable,
    Limits,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
    for_linacs,
)
from analyzers.field_shape import beam_on_samples, no_leaves, shaping_leaves
from analyzers.image_leaf_fit import LeafFit, fit
from analyzers.image_leaves import GROOVE_MM, LogPicture, leaf_errors_mm, log_picture, seen
from analyzers.image_log_match import beams_shown, is_same_delivery
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.records import BoolArray, Delivery

Array = NDArray[np.float64]
KINDS = (ImageKind.PICKET_FENCE, ImageKind.PORTAL, ImageKind.VMAT_DRGS, ImageKind.VMAT_DRMLC)
DISAGREES_MM = 0.5
GUARD, SURE = 2.0, 3.0
"""Standard errors by which the limit is narrowed, and widened where an offset has to be sure."""
THROUGH = "the beam came through something: the log alone does not explain the image"
LEAST_EXPOSED = 0.02
"""A leaf whose edge bounds the field for less of the meterset than this is not asked for."""
LEAST_EXPLAINED = 0.9
MOST_MISFIT, MOST_MISFITS = 0.04, 4.0
"""Share of the signal's range left over in a leaf's rows, and how many times that of most rows."""
NEXT_TO = 1.6
"""Leaves whose middles are fewer widths apart are neighbors."""
MOST_NAMED = 8
MOST_GAP_ERROR_MM = 0.1
LARGEST_DISAGREEMENT = Metric(
    "largest_disagreement",
    "mm",
    "Largest offset of a leaf in the image from where its log says it was",
    for_linacs(Limits.at_most(tolerance=0.3, action=0.5)),
)
LEAVES_DISAGREEING = Metric(
    "leaves_disagreeing",
    "1",
    "Leaves for which the image cannot rule out that they were 0.5 mm or more off their log",
    for_linacs(Limits.at_most(tolerance=0.0, action=0.0)),
)
LEAVES_SEEN = Metric(
    "leaves_seen",
    "%",
    "Share of the leaves that shape the field whose offset the image tells well enough",
    for_linacs(Limits.at_least(tolerance=90.0, action=70.0)),
)
LOG_ALSO_SEES = Metric(
    "log_also_sees",
    "1",
    "Leaves that image and log both say were 0.5 mm or more from where they were wanted",
)
OFFSET_RMS = Metric("offset_rms", "mm", "RMS offset of the leaves that are seen")
BANK_A_OFFSET = Metric(
    "bank_a_offset", "mm", "What is common to bank A: of the imager, the leaf ends or the bank"
)
BANK_B_OFFSET = Metric(
    "bank_b_offset", "mm", "What is common to bank B: of the imager, the leaf ends or the bank"
)
ROTATION = Metric("rotation", "deg", "Image turned against the log, counterclockwise")
SHIFT_X = Metric("shift_x", "mm", "Image shifted against the log along IEC x")
SHIFT_Y = Metric("shift_y", "mm", "Image shifted against the log along IEC y")
MAGNIFICATION = Metric("magnification_error", "%", "Image larger than its distance says")


class LeafLogCheckSettings(Settings):
    """Settings of this analyzer."""

    most_shift_mm: PositiveFloat = 5.0
    """An image that lies further off its log's field is not fitted."""
    most_standard_error_mm: PositiveFloat = 0.07
    """A leaf with a larger standard error is not seen: 0.5 mm is to be seven of them."""
    fewest_seen_percent: float = Field(default=70.0, gt=0.0, le=100.0)
    """Of the leaves that shape the field; where fewer are seen, the check has failed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """All leaves of all layers; arrays are `(leaves,)`."""

    names: NDArray[np.str_]
    asked: BoolArray
    seen: BoolArray
    offset_mm: Array
    error_mm: Array
    worst_mm: Array
    """The offset of largest magnitude: the mean one, or one at a place."""
    worst_error_mm: Array
    log_error_mm: Array
    y_mm: Array
    width_mm: Array

    @property
    def disagree(self) -> BoolArray:
        """Of a leaf that is not seen well, or by its log is not in the field, only what is sure."""
        may_mm = _reach_mm(self.worst_mm, self.worst_error_mm)
        sure_mm = np.abs(self.worst_mm) - SURE * self.worst_error_mm
        return np.where(self.seen, may_mm, sure_mm) >= DISAGREES_MM

    @property
    def told(self) -> BoolArray:
        """Those of which the image says something that holds."""
        return self.seen | self.disagree

    @property
    def log_sees(self) -> BoolArray:
        """The image finds the leaf where the log has it, and that is not where it was wanted."""
        wrong = np.abs(self.offset_mm + self.log_error_mm) >= DISAGREES_MM
        return self.seen & ~self.disagree & wrong


def analyze(image: PortalImage, context: Context[LeafLogCheckSettings]) -> Analysis:
    """Hold one image against the log of the same beam."""
    settings = context.settings
    log = image.beside.log
    if log is None:
        raise NotApplicable(image.beside.lacking.get("log", "no log of the same beam is here"))
    if not log.mlc:
        raise no_leaves(log, context.machine_class)
    beam_on_samples(log, 1)
    name, picture, found, said = _best(image, log, settings)
    _reject_unlike(image, found)
    leaves = _leaves(log, picture, found, settings)
    _reject_unseen(image, leaves, found, settings)
    return Analysis(
        measurements=[*_judged(leaves), *_common(picture, found)],
        traces=_traces(picture, found, leaves),
        notes=[*([f"shows {name}"] if name else []), said, *_notes(leaves)],
        leaves=LeafTable(
            leaves.names.tolist(),
            {
                "offset_mm": np.where(leaves.told, leaves.offset_mm, np.nan),
                "standard_error_mm": np.where(leaves.told, leaves.error_mm, np.nan),
                "worst_offset_mm": np.where(leaves.told, leaves.worst_mm, np.nan),
                "log_error_mm": leaves.log_error_mm,
            },
        ),
    )


def _best(
    image: PortalImage, log: Delivery, settings: LeafLogCheckSettings
) -> tuple[str | None, LogPicture, LeafFit, str]:
    """The beam of the log that the image shows: of several, the one that explains most of it."""
    same, said = is_same_delivery(image, log)
    if not same:
        raise AnalysisError(f"this image is not of this log: {said}")
    fits: list[tuple[str | None, LogPicture, LeafFit]] = []
    failed: list[AnalysisError] = []
    for name, part in beams_shown(image, log):
        try:
            picture = log_picture(log, part)
            found = fit(
                picture,
                seen(image, float(np.diff(picture.grid.x_edges_mm)[0])),
                most_shift_mm=settings.most_shift_mm,
                place_error_mm=settings.most_standard_error_mm,
            )
        except AnalysisError as why:
            failed.append(why)
        else:
            fits.append((name, picture, found))
    if not fits:
        if _may_be_through(image):
            raise NotApplicable(THROUGH)
        raise failed[0]
    name, picture, found = max(fits, key=lambda beam: beam[2].explained)
    return name, picture, found, f"image and log: {said}"


def _may_be_through(image: PortalImage) -> bool:
    """Whether a patient may be in the way, whose edges look like those of leaves.

    One is in the image of a fraction; the first of a beam, for which a baseline was looked for in
    vain, may be of one without saying so.
    """
    beside = image.beside
    is_first = image.kind is ImageKind.PORTAL and "baseline" in beside.lacking
    return image.fraction is not None or beside.baseline is not None or is_first


def _reject_unlike(image: PortalImage, found: LeafFit) -> None:
    if not found.explained >= LEAST_EXPLAINED:
        if _may_be_through(image):
            raise NotApplicable(THROUGH)
        raise AnalysisError(
            f"this image is not of this log, or shows more than the beam: the log explains "
            f"{100.0 * max(found.explained, 0.0):.0f} % of it"
        )


def _leaves(
    log: Delivery, picture: LogPicture, found: LeafFit, settings: LeafLogCheckSettings
) -> _Leaves:
    beam_on = np.zeros_like(log.beam_on)
    beam_on[picture.samples] = log.beam_on[picture.samples]
    shaping = np.concatenate([shaping_leaves(log, layer, beam_on).ravel() for layer in log.mlc])
    asked = shaping & (found.exposed >= LEAST_EXPOSED)
    is_place = _reach_mm(found.place_mm, found.place_error_mm) > _reach_mm(
        found.offset_mm, found.error_mm
    )  # NaN is not greater
    worst_mm = np.where(is_place, found.place_mm, found.offset_mm)
    scale = GROOVE_MM / 2.0 / picture.leaf_width_mm
    return _Leaves(
        names=np.array(picture.names),
        asked=asked,
        seen=asked & (found.error_mm <= settings.most_standard_error_mm),
        offset_mm=found.offset_mm,
        error_mm=np.hypot(found.error_mm, scale * found.offset_mm),
        worst_mm=worst_mm,
        worst_error_mm=np.hypot(
            np.where(is_place, found.place_error_mm, found.error_mm), scale * worst_mm
        ),
        log_error_mm=leaf_errors_mm(log, picture.samples),
        y_mm=picture.leaf_y_mm,
        width_mm=picture.leaf_width_mm,
    )


def _reach_mm(offset_mm: Array, error_mm: Array) -> Array:
    """What an offset may be in magnitude, for all that the image says."""
    return np.abs(offset_mm) + GUARD * error_mm


def _reject_unseen(
    image: PortalImage, leaves: _Leaves, found: LeafFit, settings: LeafLogCheckSettings
) -> None:
    few = _seen_percent(leaves) < settings.fewest_seen_percent
    most = max(MOST_MISFIT, MOST_MISFITS * float(np.median(found.misfit[found.misfit > 0.0])))
    odd = (found.misfit > most) & ~_beside_disagreeing(leaves)
    if _may_be_through(image) and (few or odd.any()):
        raise NotApplicable(THROUGH)
    if odd.any():
        raise AnalysisError(
            f"the image shows more in the rows of leaf {leaves.names[odd][0]} than offsets explain"
        )
    if leaves.disagree.any():
        return  # whatever is not seen, this leaf has to be named
    if not leaves.asked.any():
        raise NotApplicable("no leaf shapes the field: the jaws alone do")
    if few:
        raise AnalysisError(
            f"the image tells the offset of {leaves.seen.sum()} of {leaves.asked.sum()} leaves "
            f"that shape the field, fewer than {settings.fewest_seen_percent:g} %"
        )


def _beside_disagreeing(leaves: _Leaves) -> BoolArray:
    """Leaves in the rows of one that disagrees, or in those that the blur takes from it."""
    apart_mm = np.abs(leaves.y_mm[:, np.newaxis] - leaves.y_mm[leaves.disagree])
    return np.asarray((apart_mm < NEXT_TO * leaves.width_mm[:, np.newaxis]).any(axis=1))


def _seen_percent(leaves: _Leaves) -> float:
    asked = float(leaves.asked.sum())
    return 100.0 * float(leaves.seen.sum()) / asked if asked else 100.0


def _judged(leaves: _Leaves) -> Iterator[Measurement]:
    size = np.where(leaves.told, np.abs(leaves.worst_mm), -1.0)
    worst = int(size.argmax())
    yield LARGEST_DISAGREEMENT.measured(size[worst], at=str(leaves.names[worst]))
    disagreeing = np.flatnonzero(leaves.disagree)
    first = int(disagreeing[size[disagreeing].argmax()]) if disagreeing.size else None
    yield LEAVES_DISAGREEING.measured(
        disagreeing.size, at=None if first is None else str(leaves.names[first])
    )
    yield LEAVES_SEEN.measured(_seen_percent(leaves))
    yield LOG_ALSO_SEES.measured(leaves.log_sees.sum())
    yield OFFSET_RMS.measured(np.sqrt((leaves.offset_mm[leaves.told] ** 2).mean()))


def _common(picture: LogPicture, found: LeafFit) -> Iterator[Measurement]:
    """What was fitted out; the shift in the image's frame, that of banks in the collimator's."""
    placement, gap_mm = found.state.placement, found.state.stand.gap_mm
    # A narrow picket tells a wider gap from a wider blur badly.
    if found.gap_error_mm <= MOST_GAP_ERROR_MM:
        yield BANK_A_OFFSET.measured(placement.shift_x_mm + gap_mm / 2.0)
        yield BANK_B_OFFSET.measured(placement.shift_x_mm - gap_mm / 2.0)
    angle = np.deg2rad(picture.collimator_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    yield ROTATION.measured(np.rad2deg(placement.rotation_rad))
    yield SHIFT_X.measured(placement.shift_x_mm * cosine - placement.shift_y_mm * sine)
    yield SHIFT_Y.measured(placement.shift_x_mm * sine + placement.shift_y_mm * cosine)
    yield MAGNIFICATION.measured(100.0 * placement.magnification)


def _notes(leaves: _Leaves) -> Iterator[str]:
    for what, which in (
        ("log and image disagree", leaves.disagree),
        ("not seen well enough", leaves.asked & ~leaves.seen),
        ("image and log agree that it was not where it was wanted", leaves.log_sees),
    ):
        if which.any():
            names = leaves.names[which]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            yield f"{what}: leaf {', '.join(names[:MOST_NAMED])}{more}"
    if np.isnan(leaves.log_error_mm).all():
        yield "the log does not say where the leaves were wanted"


def _traces(picture: LogPicture, found: LeafFit, leaves: _Leaves) -> dict[str, NDArray[np.generic]]:
    layers = picture.delivery.mlc
    edges_mm = [np.asarray(layer.leaf_edges_mm, np.float64) for layer in layers]
    return {
        "image": np.where(found.known, found.values, np.nan).astype(np.float32),
        "log_picture": found.model.astype(np.float32),
        "x_mm": picture.grid.x_mm,
        "y_mm": picture.grid.y_mm,
        "pairs_of_layers": np.array([layer.pairs for layer in layers]),
        "leaf_low_mm": np.concatenate([np.tile(edge[:-1], 2) for edge in edges_mm]),
        "leaf_high_mm": np.concatenate([np.tile(edge[1:], 2) for edge in edges_mm]),
        "worst_offset_mm": leaves.worst_mm,
        "standard_error_mm": leaves.worst_error_mm,
        "leaf_asked": leaves.asked,
        "leaf_seen": leaves.told,
        "leaf_disagrees": leaves.disagree,
    }


ANALYZER = Analyzer(
    name="leaf_log_check",
    title="Leaves in the image against their log",
    version="1",
    accepts=PortalImage,
    settings=LeafLogCheckSettings,
    metrics=(
        LARGEST_DISAGREEMENT,
        LEAVES_DISAGREEING,
        LEAVES_SEEN,
        LOG_ALSO_SEES,
        OFFSET_RMS,
        BANK_A_OFFSET,
        BANK_B_OFFSET,
        ROTATION,
        SHIFT_X,
        SHIFT_Y,
        MAGNIFICATION,
    ),
    analyze=analyze,
    applies=lambda image: image.kind in KINDS,
)
