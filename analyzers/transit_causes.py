"""Why a transit image differs from its baseline: what speaks for each cause, strongest first.

Nothing here decides: numbers are set beside the value each of them has to reach to count, and
causes are ordered by how far they exceed it.  Several may hold at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.image_registration import shift_between
from analyzers.plan_records import angles_in_turn_deg
from analyzers.portal_comparison import Overlay, Plane, edges_of
from analyzers.portal_images import PortalImage

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

INNER_PERCENT = 20.0
INNER_MM = 5.0
"""The ratio means something this far inside the field, where the signal is not small."""
LOCAL_MM = 10.0
"""A local change is a mean over a square of this."""
CENTER_MM = 10.0
DETAIL_MM = 8.0
MOVING_MM = 10.0
"""Nearer to the field's edges its own fall of signal, which stays, holds the shift back."""
INNER_LOOKED_FOR_MM = 20.0
RECOGNIZED = 0.5
"""Below this correlation what is inside is not the same, and no shift is told."""
SURE_MM = 0.3
"""Standard error up to which the shift of what is inside the field is told."""

FEWEST = 100
"""Pixels inside the field."""
SURE = 100.0
"""Weight of what needs no other evidence."""

ALIKE = 0.95
MOVED_MM = 1.5
"""More than a panel's and a patient's daily scatter."""
SATURATED_PERCENT = 0.01
UNIFORM_PERCENT = 1.5
LOCAL_PERCENT = 2.0
FLAT_PERCENT = 1.0
FRAMES_PERCENT = 1.0
METERSET_PERCENT = 1.0
TURNED_DEG = 1.0
PAST_ARC_DEG = 2.0
"""Beyond the ends of an arc a gantry may stand when its image is written."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What changed inside the field."""

    uniform_percent: float
    """Median of the ratio, minus 1."""
    center_percent: float | None
    """On the axis; None where that is not inside."""
    local_percent: float
    """Largest mean over a square of 1 cm, after the uniform change was divided out; signed."""
    local_at_mm: tuple[float, float]
    spread_percent: float
    """Standard deviation of those means: 0 where the ratio is flat."""
    shift_mm: float | None
    """Of what is seen inside, against the edges; None where nothing tells it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between an image and its baseline, in percent and mm; None: cannot be told."""

    inside: Inside | None
    """None where the field is too small to look inside."""
    edge_shift_mm: float
    """NaN where the patterns are not each other's."""
    correlation: float
    frames_percent: float | None
    meterset_percent: float | None
    saturated_percent: float
    turned: str | None
    """What of the machine's angles or energy is not the baseline's."""

    @property
    def per_mu_percent(self) -> float | None:
        """Change of the signal for each MU that the images state; None where they state none."""
        if self.meterset_percent is None or self.inside is None:
            return None
        signal = 1.0 + self.inside.uniform_percent / 100.0
        return 100.0 * (signal / (1.0 + self.meterset_percent / 100.0) - 1.0)


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation, its weight, and the numbers for it."""

    name: str
    weight: float
    evidence: str

    def __str__(self) -> str:
        """The remark beside a result."""
        return f"speaks for {self.name}: {self.evidence}"


def change_of(image: PortalImage, baseline: PortalImage, found: Overlay) -> Change:
    """What differs between the two that were laid over each other."""
    return Change(
        inside=_inside(found),
        edge_shift_mm=found.shift_mm,
        correlation=found.correlation,
        frames_percent=_percent(image.frames, baseline.frames, least=2),
        meterset_percent=_percent(image.meterset_mu, baseline.meterset_mu),
        saturated_percent=image.saturated_percent,
        turned=_turned(image, baseline),
    )


def _inside(found: Overlay) -> Inside | None:
    ratio, inner = _ratio(found)
    if np.count_nonzero(inner) < FEWEST:
        return None
    uniform = float(np.median(ratio[inner]))
    local = _local(np.where(inner, ratio / uniform - 1.0, np.nan), found.measured)
    known = np.nan_to_num(local)
    row, column = np.unravel_index(int(np.abs(known).argmax()), local.shape)
    return Inside(
        uniform_percent=100.0 * (uniform - 1.0),
        center_percent=_center(ratio, found.measured),
        local_percent=100.0 * float(known[row, column]),
        local_at_mm=(float(found.measured.x_mm[column]), float(found.measured.y_mm[row])),
        spread_percent=100.0 * float(np.std(local[np.isfinite(local)])),
        shift_mm=_inner_shift(found, inner),
    )


def _ratio(found: Overlay) -> tuple[Floats, Flags]:
    least = INNER_PERCENT / 100.0 * found.normalization
    bright = (found.measured.values >= least) & (found.expected.values >= least)
    inner = _eroded(bright, found.measured, INNER_MM)
    ratio = np.full(inner.shape, np.nan)
    ratio[inner] = found.measured.values[inner] / found.expected.values[inner]
    return ratio, inner


def _eroded(flags: Flags, plane: Plane, by_mm: float) -> Flags:
    from scipy import ndimage

    size = tuple(2 * round(by_mm / step) + 1 for step in plane.step_mm)
    return np.asarray(ndimage.minimum_filter(flags, size, mode="constant", cval=False))


def _local(deviation: Floats, plane: Plane) -> Floats:
    """Means over squares; NaN where less than half of the square is known."""
    from scipy import ndimage

    size = tuple(max(1, round(LOCAL_MM / step)) for step in plane.step_mm)
    known = np.isfinite(deviation)
    share = ndimage.uniform_filter(known.astype(np.float64), size, mode="constant")
    total = ndimage.uniform_filter(np.where(known, deviation, 0.0), size, mode="constant")
    good = known & (share >= 0.5)
    mean = np.full(deviation.shape, np.nan)
    mean[good] = total[good] / share[good]
    return mean


def _center(ratio: Floats, plane: Plane) -> float | None:
    """The mean ratio on the axis; None where the axis is not inside the field."""
    rows, columns = np.abs(plane.y_mm) <= CENTER_MM / 2, np.abs(plane.x_mm) <= CENTER_MM / 2
    region = ratio[np.ix_(rows, columns)]
    if not region.size or not np.isfinite(region).all():
        return None
    return 100.0 * (float(region.mean()) - 1.0)


def _inner_shift(found: Overlay, inner: Flags) -> float | None:
    """How far what is inside lies from where it lay, the edges laid over each other.

    What varies slowly is taken out first: the beam's own profile and its scatter do not move with
    a patient, and would hold the shift back.
    """
    mask = _eroded(inner, found.measured, MOVING_MM - INNER_MM)
    mask &= ~edges_of(found.expected.values)
    step_mm = found.measured.step_mm
    sigma = tuple(DETAIL_MM / step for step in step_mm)
    measured, expected = (
        _detail(plane.values, inner, sigma) for plane in (found.measured, found.expected)
    )
    moved = shift_between(expected, measured, mask, reach=INNER_LOOKED_FOR_MM / min(step_mm))
    if moved is None or not moved.correlation >= RECOGNIZED:
        return None
    if moved.error * max(step_mm) > SURE_MM:
        return None
    # Where the edges were not laid over each other, what is inside moved with them.
    dx_mm, dy_mm = moved.columns * step_mm[1], moved.rows * step_mm[0]
    if not found.is_corrected:
        dx_mm, dy_mm = dx_mm - found.dx_mm, dy_mm - found.dy_mm
    length_mm = float(np.hypot(dx_mm, dy_mm))
    return length_mm if np.isfinite(length_mm) else None


def _detail(values: Floats, inner: Flags, sigma: tuple[float, ...]) -> Floats:
    """Relative to its own surroundings inside the field; 0 elsewhere."""
    from scipy import ndimage

    share = ndimage.gaussian_filter(inner.astype(np.float64), sigma)
    around = ndimage.gaussian_filter(np.where(inner, values, 0.0), sigma)
    detail = np.zeros_like(values)
    detail[inner] = values[inner] * share[inner] / around[inner] - 1.0
    return detail


def _percent(now: float | None, before: float | None, least: float = 0.0) -> float | None:
    if not now or not before or min(now, before) < least:
        return None
    return 100.0 * (now / before - 1.0)


def stated_differences(image: PortalImage, other: PortalImage) -> list[str]:
    """Angles and energy that two images of one beam state, and not alike, in words.

    An image that was summed over an arc states one of its angles: the first, the last or any
    between.  Where the plan or the log beside the image tells the arc, two angles on it agree.
    """
    said = []
    for name, now, before in (
        ("gantry", image.gantry_deg, other.gantry_deg),
        ("collimator", image.collimator_deg, other.collimator_deg),
        ("couch", image.couch_rotation_deg, other.couch_rotation_deg),
    ):
        if now is None or before is None:
            continue
        if name == "gantry" and _on_one_arc(image, (now, before)):
            continue
        away = abs((now - before + 180.0) % 360.0 - 180.0)
        if away > TURNED_DEG:
            said.append(f"{name} {away:.1f} deg off")
    if image.energy and other.energy and image.energy.casefold() != other.energy.casefold():
        said.append(f"{image.energy} instead of {other.energy}")
    return said


def _on_one_arc(image: PortalImage, angles_deg: tuple[float, float]) -> bool:
    """Whether the gantry turns in the beam, by plan or log, and passes all these angles."""
    planned, log = image.beside.planned, image.beside.log
    slack_deg = PAST_ARC_DEG
    if planned is not None:
        points = planned.control_points
        path_deg = angles_in_turn_deg(points.gantry_deg, points.gantry_turn)
    elif log is not None and log.gantry_deg is not None:
        actual_deg = np.asarray(log.gantry_deg.actual, np.float64)[log.beam_on]
        path_deg = np.unwrap(actual_deg, period=360.0)
        # The beam began between two samples.
        slack_deg += float(np.abs(np.diff(path_deg)).max(initial=0.0))
    else:
        return False
    path_deg = path_deg[np.isfinite(path_deg)]
    if not path_deg.size or not np.ptp(path_deg) > TURNED_DEG:
        return False
    first_deg = float(path_deg.min()) - slack_deg
    return all((a - first_deg) % 360.0 <= np.ptp(path_deg) + 2.0 * slack_deg for a in angles_deg)


def _turned(image: PortalImage, baseline: PortalImage) -> str | None:
    said = stated_differences(image, baseline)
    return ", ".join(said) or None


def causes_of(change: Change) -> list[Cause]:
    """The causes that some evidence speaks for, strongest first; empty where none does."""
    found = [*_another_beam(change), *_panel(change), *_counted(change)]
    if change.inside is not None:
        found += [*_uniform(change, change.inside), *_local_cause(change, change.inside)]
    return sorted((c for c in found if c.weight >= 1.0), key=lambda c: -c.weight)


def _another_beam(change: Change) -> Iterator[Cause]:
    if change.turned is not None:
        yield Cause("a wrong beam or plan", SURE, change.turned)
    lacks = (1.0 - change.correlation) / (1.0 - ALIKE)
    if lacks >= 1.0:
        yield Cause(
            "a wrong beam or plan",
            SURE * lacks,
            f"the patterns correlate by {change.correlation:.2f}, images of one beam by more than "
            f"{ALIKE:g}",
        )


def _panel(change: Change) -> Iterator[Cause]:
    if change.saturated_percent > SATURATED_PERCENT:
        yield Cause(
            "saturation",
            SURE + change.saturated_percent / SATURATED_PERCENT,
            f"{change.saturated_percent:.2g} % of the pixels are at the largest value there is",
        )
    inner = None if change.inside is None else change.inside.shift_mm
    inside = "" if inner is None else f", what is inside moved by {inner:.1f} mm against them"
    yield Cause(
        "a moved panel",
        change.edge_shift_mm / MOVED_MM,
        f"the field's own edges lie {change.edge_shift_mm:.1f} mm off{inside}",
    )


def _counted(change: Change) -> Iterator[Cause]:
    """What the image itself counts: monitor units and frames."""
    meterset, frames = change.meterset_percent, change.frames_percent
    signal = "" if change.inside is None else f", signal {change.inside.uniform_percent:+.1f} %"
    if meterset is not None and abs(meterset) > METERSET_PERCENT:
        each = change.per_mu_percent
        for_each = "" if each is None else f", for each MU {each:+.1f} %"
        yield Cause(
            "another meterset",
            10.0 * abs(meterset) / METERSET_PERCENT,
            f"the image states {meterset:+.1f} % MU{signal}{for_each}",
        )
    if frames is not None and frames < -FRAMES_PERCENT:
        stated = "" if meterset is None else f" at {meterset:+.1f} % MU"
        yield Cause(
            "missing frames",
            10.0 * -frames / FRAMES_PERCENT,
            f"{frames:+.1f} % frames{signal}{stated}",
        )


def _uniform(change: Change, inside: Inside) -> Iterator[Cause]:
    uniform, frames, meterset = (
        inside.uniform_percent,
        change.frames_percent or 0.0,
        change.meterset_percent or 0.0,
    )
    if min(frames, meterset) < -min(FRAMES_PERCENT, METERSET_PERCENT):
        return  # what is counted explains it
    said = (
        f"the signal changed by {uniform:+.1f} % everywhere, the rest varies by "
        f"{inside.spread_percent:.1f} %"
    )
    if uniform < 0.0 and change.frames_percent is None:
        said += "; the image does not count its frames, and missing ones would look the same"
    flat = max(inside.spread_percent, FLAT_PERCENT)
    weight = abs(uniform) / UNIFORM_PERCENT * FLAT_PERCENT / flat
    yield Cause("a uniform change of output", weight, said)


def _local_cause(change: Change, inside: Inside) -> Iterator[Cause]:
    x_mm, y_mm = inside.local_at_mm
    weight = abs(inside.local_percent) / LOCAL_PERCENT
    moved = ""
    if inside.shift_mm is not None:
        weight = max(weight, inside.shift_mm / MOVED_MM)
        moved = f", what is inside moved by {inside.shift_mm:.1f} mm"
    # A panel that moved carries the anatomy with it.
    stays = min(1.0, MOVED_MM / max(change.edge_shift_mm, 1e-9))
    yield Cause(
        "a local change, of anatomy or set-up",
        weight * stays,
        f"{inside.local_percent:+.1f} % over 1 cm at x {x_mm:.0f} mm, y {y_mm:.0f} mm{moved}, "
        f"while the field's edges stay within {change.edge_shift_mm:.1f} mm",
    )
