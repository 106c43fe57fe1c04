"""Where every leaf is in an image, against where its log says it was: a fit of the log's picture.

The image is fitted by the log's picture, blurred, by Gauss-Newton steps.  What an imager does to
all leaves alike is fitted by stated degrees of freedom: shift along x and y, rotation,
magnification, one gap for all pairs (rounded leaf ends), the blur along and across the leaves, one
offset per jaw, seven slow gains over the plane, two wide blurs (glare), background, and what
comes through the leaves.  These are fitted to the leaves that agree with each other
(`numerics.leaf_consensus`); the others are left free, so that they pull on nothing.

What this cannot see: a shift of both banks together, or of all leaves in proportion to their y, is
the imager's or the collimator's; a gap that is the same for all pairs is that of the leaf ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.image_leaf_step import State, Step, in_px, step_at, steps_mm
from analyzers.image_leaves import Array, LogPicture, Maps, Placement, Seen, Stand, exposure
from analyzers.numerics.leaf_consensus import agreeing
from analyzers.numerics.picture_columns import bands, blurred
from analyzers.records import BoolArray

ROUNDS = 8
ROUNDS_TOGETHER = 2
"""So many steps are made before any leaf is let loose."""
WORSE, MOST_HALVED = 1.02, 6
"""A step after which this much more is unexplained went too far; so often one may be halved."""
SETTLED_MM = 0.004
FIRST_BLUR_MM = 1.2
LEAST_BLUR_MM, MOST_BLUR_MM = 0.3, 4.0
MOST_TURN_DEG, MOST_SIZE = 3.0, 0.03
AGREE_MM = 0.12
"""Leaves this close to what most of them agree on are always taken as agreeing."""
FARTHEST_LEAF_MM = 6.0
"""A fit of edges says little of a leaf further off than this, but that it is off."""
WELL_SEEN_MM = 0.3
"""Leaves with a larger standard error have no say in what leaves agree on."""
# How far each may stand off, one standard deviation, before the image is asked.
SHIFT_SD_MM, TURN_SD, SIZE_SD, GAP_SD_MM, BLUR_SD_MM, JAW_SD_MM, LEAF_SD_MM = (
    3.0, 0.02, 0.01, 1.5, 1.0, 1.0, 5.0,
)  # fmt: skip
TOGETHER = 30.0
"""What the picture does not explain runs over so many pixels: each says less than by its noise."""
LEAST_LIKENESS = 0.5
"""Correlation of image and log below which they have nothing to do with each other."""


@dataclass(frozen=True, slots=True, eq=False)
class LeafFit:
    """What the image says of each leaf; arrays are `(leaves,)` in the order of the picture's names.

    Offsets are image minus log along IEC X, mm; `place_mm` is the offset of largest magnitude at
    any one place of the leaf's way, `place_error_mm` its standard error, NaN where no place is
    seen.  `misfit` is the share of the signal's range, root mean square, that stays unexplained in
    each leaf's rows, `explained` the share of its variance that is explained.
    """

    state: State
    offset_mm: Array
    error_mm: Array
    place_mm: Array
    place_error_mm: Array
    exposed: Array
    agrees: BoolArray
    misfit: Array
    explained: float
    likeness: float
    gap_error_mm: float
    values: Array
    model: Array
    known: BoolArray


def fit(
    picture: LogPicture,
    image: Seen,
    *,
    most_shift_mm: float,
    place_error_mm: float,
    place_mm: float = 10.0,
) -> LeafFit:
    """Fit one image by one beam of a log.

    Places are `place_mm` or more apart; those with a standard error above `place_error_mm` are not
    looked at.  Raises `AnalysisError` where image and log have nothing to do with each other, or
    the imager would have to be further off than `most_shift_mm`.
    """
    state, likeness = _first(picture, image, most_shift_mm)
    agrees = np.ones(len(picture.names), dtype=np.bool_)
    step, halved = step_at(picture, image, state, None), 0
    for number in range(ROUNDS):
        loose = number >= ROUNDS_TOGETHER
        if loose:
            agrees = _agreeing(picture, step, state)
        after = _moved(picture, step, state, agrees, loose=loose)
        _check(after, most_shift_mm)
        then = step_at(picture, image, after, step.maps)
        while then.variance > WORSE * step.variance and halved < MOST_HALVED:
            halved += 1
            after = _halfway(state, after)
            then = step_at(picture, image, after, step.maps)
        moved_mm = _distance_mm(state, after)
        state, step = after, then
        if number > ROUNDS_TOGETHER and moved_mm < SETTLED_MM:
            break
    return _read_off(picture, step, state, agrees, likeness, (place_mm, place_error_mm))


def _check(state: State, most_shift_mm: float) -> None:
    placement = state.placement
    shift_mm = float(np.hypot(placement.shift_x_mm, placement.shift_y_mm))
    if not shift_mm <= most_shift_mm:
        raise AnalysisError(
            f"the image lies {shift_mm:.1f} mm off the log's field, more than {most_shift_mm:g} mm"
        )
    turn_deg = float(np.rad2deg(placement.rotation_rad))
    if not (abs(turn_deg) <= MOST_TURN_DEG and abs(placement.magnification) <= MOST_SIZE):
        raise AnalysisError(
            f"the image would have to be turned by {turn_deg:.1f} degrees and "
            f"{100.0 * placement.magnification:.1f} % larger than its log's field"
        )


def _first(picture: LogPicture, image: Seen, most_shift_mm: float) -> tuple[State, float]:
    """Placed by correlation alone."""
    plain = picture.opening(picture.still())
    row_mm, column_mm = steps_mm(picture)
    blur_px = in_px((FIRST_BLUR_MM, FIRST_BLUR_MM), (row_mm, column_mm))
    drawn = blurred(picture.fluence(plain), blur_px)
    values, known = image.on(picture, Placement())
    if known.mean() < 0.5:
        raise AnalysisError("most of the field of the log lies beyond the image")
    one = np.where(known, values - values[known].mean(), 0.0)
    other = drawn - drawn.mean()
    reach = [int(most_shift_mm / mm) for mm in (row_mm, column_mm)]
    shape = [n + 2 * far + 2 for n, far in zip(one.shape, reach, strict=True)]
    spectrum = np.fft.rfft2(one, shape) * np.conj(np.fft.rfft2(other, shape))
    match = np.fft.irfft2(spectrum, shape)
    near = [np.arange(-far, far + 1) for far in reach]
    window = match[np.ix_(*near)]
    row, column = np.unravel_index(int(window.argmax()), window.shape)
    placement = Placement(float(near[1][column]) * column_mm, float(near[0][row]) * row_mm)
    values, known = image.on(picture, placement)
    seen_values, seen_drawn = values[known], drawn[known]
    if np.ptp(seen_values) == 0.0 or np.ptp(seen_drawn) == 0.0:
        raise AnalysisError("the image shows nothing where the log has its field")
    likeness = float(np.corrcoef(seen_values, seen_drawn)[0, 1])
    if not likeness >= LEAST_LIKENESS:
        raise AnalysisError(f"this image is not of this log: they correlate by {likeness:.2f} only")
    return State(placement, picture.still(), (FIRST_BLUR_MM, FIRST_BLUR_MM)), likeness


def _priors(picture: LogPicture, step: Step, state: State) -> tuple[Array, Array]:
    """Standard deviations of all unknowns about zero, and where they stand now; NaN: no prior."""
    linear, jaws = len(step.gains), len(step.maps.jaws)
    placement = state.placement
    spread = np.concatenate(
        [
            np.full(linear, np.nan),
            [SHIFT_SD_MM, SHIFT_SD_MM, TURN_SD, SIZE_SD, GAP_SD_MM, BLUR_SD_MM, BLUR_SD_MM],
            np.full(jaws, JAW_SD_MM),
            np.full(len(picture.names), LEAF_SD_MM),
        ]
    )
    now = np.concatenate(
        [
            np.zeros(linear),
            [placement.shift_x_mm, placement.shift_y_mm, placement.rotation_rad],
            [placement.magnification, state.stand.gap_mm],
            [mm - FIRST_BLUR_MM for mm in state.blur_mm],
            picture.jaw_ways @ state.stand.jaw_mm / (picture.jaw_ways**2).sum(axis=1),
            state.stand.leaf_mm,
        ]
    )
    return spread, now


def _with_priors(
    picture: LogPicture, step: Step, state: State
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread, now = _priors(picture, step, state)
    has = np.isfinite(spread)
    weight = np.where(has, TOGETHER * step.variance / np.where(has, spread, 1.0) ** 2, 0.0)
    # Linear columns may be alike (a background and what comes through leaves without jaws).
    weight += 1e-9 * np.diag(step.normal)
    normal = step.normal + np.diag(weight + 1e-30)
    return normal, np.asarray(step.right - np.where(has, weight, 0.0) * now)


def _agreeing(picture: LogPicture, step: Step, state: State) -> BoolArray:
    """Which leaves agree, all of them let loose."""
    normal, right = _with_priors(picture, step, state)
    own = slice(step.wholes, None)
    inverse = np.linalg.inv(normal[own, own])
    total_mm = state.stand.leaf_mm + inverse @ right[own]
    error_mm = np.sqrt(step.variance * np.diag(inverse))
    seen = error_mm < WELL_SEEN_MM
    side = np.where(picture.in_bank_a, 0.5, -0.5)
    shapes = np.column_stack([np.ones(len(side)), picture.leaf_y_mm / 100.0, side])
    agrees = np.ones(len(side), dtype=np.bool_)
    agrees[seen] = agreeing(total_mm[seen], shapes[seen], least=AGREE_MM)
    return agrees


def _moved(
    picture: LogPicture, step: Step, state: State, agrees: BoolArray, *, loose: bool
) -> State:
    """The state after a step: what is common by the agreeing leaves, then every leaf by itself."""
    normal, right = _with_priors(picture, step, state)
    wholes = step.wholes
    change = np.zeros(len(right))
    change[wholes:] = np.where(agrees, -state.stand.leaf_mm, 0.0)
    free = np.concatenate([np.ones(wholes, dtype=np.bool_), ~agrees])
    fixed = ~free
    change[free] = np.linalg.solve(
        normal[np.ix_(free, free)],
        right[free] - normal[np.ix_(free, fixed)] @ change[fixed],
    )
    if loose:
        own = slice(wholes, None)
        change[own] = np.linalg.solve(
            normal[own, own], right[own] - normal[own, :wholes] @ change[:wholes]
        )
    return _changed(picture, step, state, change)


def _changed(picture: LogPicture, step: Step, state: State, change: Array) -> State:
    linear = len(step.gains)
    shift_x, shift_y, turn, size, gap, blur_x, blur_y = change[linear : linear + 7]
    placement, stand = state.placement, state.stand
    ways = change[linear + 7 : linear + 7 + len(picture.jaw_ways)]
    jaw_mm = stand.jaw_mm + ways @ picture.jaw_ways
    leaf_mm = stand.leaf_mm + change[step.wholes :]
    return State(
        Placement(
            placement.shift_x_mm + _bounded(shift_x, 1.5),
            placement.shift_y_mm + _bounded(shift_y, 1.5),
            placement.rotation_rad + turn,
            placement.magnification + size,
        ),
        Stand(
            stand.gap_mm + _bounded(gap, 0.5),
            np.clip(leaf_mm, -FARTHEST_LEAF_MM, FARTHEST_LEAF_MM),
            np.clip(jaw_mm, -5.0, 5.0),
        ),
        (_new_blur(state.blur_mm[0], blur_x), _new_blur(state.blur_mm[1], blur_y)),
    )


def _halfway(one: State, other: State) -> State:
    """Half of a step that went too far."""
    a, b = one.placement, other.placement
    return State(
        Placement(
            (a.shift_x_mm + b.shift_x_mm) / 2.0,
            (a.shift_y_mm + b.shift_y_mm) / 2.0,
            (a.rotation_rad + b.rotation_rad) / 2.0,
            (a.magnification + b.magnification) / 2.0,
        ),
        Stand(
            (one.stand.gap_mm + other.stand.gap_mm) / 2.0,
            (one.stand.leaf_mm + other.stand.leaf_mm) / 2.0,
            (one.stand.jaw_mm + other.stand.jaw_mm) / 2.0,
        ),
        (
            (one.blur_mm[0] + other.blur_mm[0]) / 2.0,
            (one.blur_mm[1] + other.blur_mm[1]) / 2.0,
        ),
    )


def _new_blur(blur_mm: float, change_mm: float) -> float:
    new_mm = blur_mm + _bounded(change_mm, 0.4)
    return float(np.clip(new_mm, LEAST_BLUR_MM, MOST_BLUR_MM))


def _bounded(change: float, most: float) -> float:
    """A step that is not so large that the slopes mean nothing there."""
    return float(np.clip(change, -most, most))


def _distance_mm(before: State, after: State) -> float:
    """How far a step went, in mm at the edge of a field of 20 cm."""
    a, b = before.placement, after.placement
    return float(
        max(
            abs(b.shift_x_mm - a.shift_x_mm),
            abs(b.shift_y_mm - a.shift_y_mm),
            100.0 * abs(b.rotation_rad - a.rotation_rad),
            100.0 * abs(b.magnification - a.magnification),
            abs(after.stand.gap_mm - before.stand.gap_mm),
            np.abs(np.subtract(after.blur_mm, before.blur_mm)).max(),
            np.abs(after.stand.leaf_mm - before.stand.leaf_mm).max() / 4.0,
        )
    )


def _read_off(
    picture: LogPicture,
    step: Step,
    state: State,
    agrees: BoolArray,
    likeness: float,
    places: tuple[float, float],
) -> LeafFit:
    normal, right = _with_priors(picture, step, state)
    own, common = slice(step.wholes, None), slice(0, step.wholes)
    inverse = np.linalg.inv(normal[own, own])
    offset_mm = state.stand.leaf_mm + inverse @ right[own]
    variance = step.variance * _correlated(step)
    free = np.concatenate([np.ones(step.wholes, dtype=np.bool_), ~agrees])
    of_common = np.linalg.inv(normal[np.ix_(free, free)])[common, common]
    pull = inverse @ normal[own, common]
    error_mm = np.sqrt(
        variance * (np.diag(inverse) + np.einsum("ij,jk,ik->i", pull, of_common, pull))
    )
    place_mm, place_error_mm = _places(picture, step, state, variance, offset_mm, places)
    seen = step.known
    return LeafFit(
        state=state,
        offset_mm=offset_mm,
        error_mm=error_mm,
        place_mm=place_mm,
        place_error_mm=place_error_mm,
        exposed=exposure(step.maps, picture),
        agrees=agrees,
        misfit=_misfit(picture, step),
        explained=float(
            1.0
            - (step.rest[seen] ** 2).sum()
            / ((step.values[seen] - step.values[seen].mean()) ** 2).sum()
        ),
        likeness=likeness,
        gap_error_mm=float(np.sqrt(variance * of_common[len(step.gains) + 4, len(step.gains) + 4])),
        values=step.values,
        model=step.model,
        known=step.known,
    )


def _correlated(step: Step) -> float:
    """By how much the variance of a leaf's offset is larger than that of white noise gives.

    What is left of the image is tried with each leaf's own column at all other places along the
    leaf: what it finds there is nothing of the leaf's.
    """
    ratios = []
    rest = step.rest
    for patch in step.patches:
        energy = float((patch.values**2).sum())
        if energy <= 0.0:
            continue
        tried = np.fft.irfft(
            (
                np.fft.rfft(rest[patch.rows], axis=1) * np.conj(np.fft.rfft(patch.values, axis=1))
            ).sum(axis=0),
            n=rest.shape[1],
        )
        ratios.append(float((tried**2).mean()) / energy)
    if not ratios or step.variance <= 0.0:
        return 1.0
    return max(1.0, float(np.median(ratios)) / step.variance)


def _misfit(picture: LogPicture, step: Step) -> Array:
    low, high = np.percentile(step.values[step.known], [1.0, 99.0])
    square = (step.rest**2).sum(axis=1)
    count = step.known.sum(axis=1)
    found = []
    for shares in picture.shares:
        mean = (shares @ square) / np.maximum(shares @ count, 1.0)
        found.append(np.tile(np.sqrt(mean) / max(high - low, 1e-30), 2))
    return np.concatenate(found)


def _places(
    picture: LogPicture,
    step: Step,
    state: State,
    variance: float,
    offset_mm: Array,
    places: tuple[float, float],
) -> tuple[Array, Array]:
    """Of each leaf the largest offset at any one place, and its standard error.

    Both leaves of a pair are fitted at all places at once, the other pairs as they were found.
    """
    apart_mm, most_error_mm = places
    step_mm = steps_mm(picture)
    blur_px = in_px(state.blur_mm[::-1], step_mm)
    borders = _borders(step.maps, apart_mm / step_mm[1])
    found_mm = np.full(len(offset_mm), np.nan)
    found_error_mm = np.full(len(offset_mm), np.nan)
    after = _rest_after(step, offset_mm - state.stand.leaf_mm)
    first = 0
    for layer, shares in enumerate(picture.shares):
        pairs = len(shares)
        along = [
            _part(step.maps.banks[2 * layer + bank], start, stop, blur_px[1])
            for bank in (0, 1)
            for start, stop in pairwise(borders)
        ]
        for pair, (rows, own, across) in enumerate(bands(shares, blur_px[0])):
            more, error = np.zeros(len(along)), np.full(len(along), LEAF_SD_MM)
            # Where a leaf shapes no field its column is nothing, and it stays as it was assumed.
            shown = [n for n, part in enumerate(along) if part[own].any()]
            if shown:
                weight = step.own[rows]
                stack = np.stack([((across @ along[n][own]) * weight).ravel() for n in shown])
                normal = stack @ stack.T + np.eye(len(stack)) * variance / LEAF_SD_MM**2
                inverse = np.linalg.inv(normal)
                more[shown] = inverse @ (stack @ after[rows].ravel())
                error[shown] = np.sqrt(variance * np.diag(inverse))
            more_mm, error_mm = more.reshape(2, -1), error.reshape(2, -1)
            for bank, leaf in ((0, first + pair), (1, first + pairs + pair)):
                total_mm = offset_mm[leaf] + more_mm[bank]
                ok = error_mm[bank] <= most_error_mm
                if ok.any():
                    at = int(np.where(ok, np.abs(total_mm), -1.0).argmax())
                    found_mm[leaf], found_error_mm[leaf] = total_mm[at], error_mm[bank][at]
        first += 2 * pairs
    return found_mm, found_error_mm


def _part(slopes: Array, start: int, stop: int, sigma_px: float) -> Array:
    """The slopes in some columns alone, blurred along the leaves."""
    part = np.zeros_like(slopes)
    part[:, start:stop] = slopes[:, start:stop]
    return blurred(part, (0.0, sigma_px))


def _rest_after(step: Step, more_mm: Array) -> Array:
    """What is left of the image once the last, small offsets are taken in."""
    rest = step.rest.copy()
    for patch, by_mm in zip(step.patches, more_mm, strict=True):
        rest[patch.rows] -= by_mm * patch.values
    return rest


def _borders(maps: Maps, apart_px: float) -> Sequence[int]:
    """Columns at which to part the leaves' way: between pickets, where few edges are."""
    total = np.sum([np.abs(slopes).sum(axis=0) for slopes in maps.banks], axis=0)
    density = blurred(total[np.newaxis], (0.0, apart_px / 6.0))[0]
    half, borders = max(int(apart_px / 2.0), 1), [0]
    for at in range(half, len(density) - half):
        near = density[at - half : at + half + 1]
        valley = density[at] <= 0.8 * min(near[:half].max(), near[half + 1 :].max())
        if valley and density[at] == near.min() and at - borders[-1] >= 2 * half:
            borders.append(at)
    return [*borders, len(density)]
