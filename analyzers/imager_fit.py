"""Commissioning of an imager: its kernel and absolute scale, from images of open fields.

For given ranges of the exponentials and the glare the weights are linear, and never negative: they
are solved for (NNLS) inside a search over the ranges alone.  Fields are even in x and y, so the
two main profiles of a field are sums of cosines of its spectrum times the kernel's closed-form
transform: no image is convolved.  Edges are where the fit's own profile has them, and the off-axis
response is what the largest field has left; both are found in a few rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.imager_records import FieldResidual, ImagerModel
from analyzers.numerics.imager_kernel import ImagerKernel
from analyzers.open_profiles import OpenProfiles, profiles_of
from analyzers.portal_images import DEFAULT_SAD_MM, PortalImage

Floats = NDArray[np.float64]

FEWEST_FIELDS, SMALL_MM, LARGE_MM = 4, 60.0, 140.0
SAME_SID_MM = 2.0
STEP_MM = 1.0
"""Of the grid, at the imager."""
ROOM_MM = 120.0
RANGES_MM = ((0.2, 2.0), (2.0, 12.0), (10.0, 60.0))
"""From where to where the inverse decay of each exponential is looked for."""
GLARE_MM, BLUR_MM = (3.0, 30.0), (0.2, 3.0)
START = (0.5, 4.0, 22.0, 10.0, 0.9)
ROUNDS, FEW, MANY = 4, 4, 15
RADIAL_STEP_MM = 10.0
EDGE_MM = 5.0
EDGE_WEIGHT, CENTER_WEIGHT = 0.3, 6.0
LARGEST_CENTER_PERCENT = 1.0
LARGEST_PROFILE_PERCENT = 1.0
LARGEST_OUTSIDE_PERCENT = 1.0
"""Beyond these a fit is refused."""


@dataclass(frozen=True, slots=True, eq=False)
class ImagerFit:
    """A fitted model, and what there is to say of it."""

    model: ImagerModel
    notes: tuple[str, ...]


def fit_imager(images: Sequence[PortalImage], energy: str) -> ImagerFit:
    """Fit the imager to open fields of one beam at one distance.

    Raises `AnalysisError` where an image cannot be used (it is told which, counted from 1), where
    the fields do not span enough, and where the fit leaves too much.
    """
    fields = []
    for number, image in enumerate(images, start=1):
        try:
            fields.append(profiles_of(image))
        except AnalysisError as why:
            raise AnalysisError(f"image {number}: {why}") from None
    _refuse_too_few(fields)
    fields.sort(key=lambda field: min(field.half_mm))
    found = _fitted(fields)
    residuals = tuple(_residual(field, found) for field in fields)
    model = replace(found.model(energy, fields[0].sid_mm), residuals=residuals)
    _refuse_poor(residuals)
    return ImagerFit(model, tuple(_notes(fields)))


def _refuse_too_few(fields: Sequence[OpenProfiles]) -> None:
    if len(fields) < FEWEST_FIELDS:
        raise AnalysisError(f"{len(fields)} open fields: at least {FEWEST_FIELDS} are needed")
    sides = [2.0 * min(field.half_mm) for field in fields]
    if min(sides) > SMALL_MM or max(sides) < LARGE_MM:
        raise AnalysisError(
            f"fields from {min(sides) / 10:.1f} to {max(sides) / 10:.1f} cm: at least one of "
            f"{SMALL_MM / 10:g} cm or less and one of {LARGE_MM / 10:g} cm or more are needed"
        )
    distances = [field.sid_mm for field in fields]
    if max(distances) - min(distances) > SAME_SID_MM:
        raise AnalysisError("the imager stood at different distances: give fields of one distance")


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The state of a fit: ranges, weights in CU for each MU, off-axis response, half widths."""

    ranges: Floats
    weights: Floats
    radii_mm: Floats
    response: Floats
    half_mm: Floats
    """(fields, 2)"""

    def kernel(self) -> ImagerKernel:
        share = self.weights / self.weights.sum()
        return ImagerKernel(
            tuple(float(w) for w in share[:-1]),
            tuple(float(1.0 / mm) for mm in self.ranges[:3]),
            float(share[-1]),
            float(self.ranges[3]),
        )

    def model(self, energy: str, sid_mm: float) -> ImagerModel:
        return ImagerModel(
            energy=energy,
            kernel=self.kernel(),
            cu_per_mu=float(self.weights.sum()),
            sid_mm=sid_mm,
            blur_mm=float(self.ranges[4]),
            off_axis_mm=tuple(float(r) for r in self.radii_mm),
            off_axis=tuple(float(v) for v in self.response),
        )


def _fitted(fields: Sequence[OpenProfiles]) -> _Found:
    radii_mm = np.arange(0.0, max(max(f.half_mm) for f in fields), RADIAL_STEP_MM)
    found = _Found(
        np.array(START),
        np.ones(4),
        radii_mm,
        np.ones_like(radii_mm),
        np.array([field.half_mm for field in fields]),
    )
    for _ in range(ROUNDS):
        spectra = [_Spectrum.of(f, h, found) for f, h in zip(fields, found.half_mm, strict=True)]
        found = _searched(fields, spectra, found, FEW)
        profiles = [spectrum.profiles(found) for spectrum in spectra]
        found = _with_edges(fields, profiles, found)
        found = _with_response(fields[-1], profiles[-1], found)
    spectra = [_Spectrum.of(f, h, found) for f, h in zip(fields, found.half_mm, strict=True)]
    return _searched(fields, spectra, found, MANY)


@dataclass(frozen=True, slots=True, eq=False)
class _Spectrum:
    """The spectrum of one field's fluence at the imager, and cosines at the profiles' points."""

    values: Floats
    q: Floats
    """Angular frequencies along either axis, per mm."""
    cosines: tuple[Floats, Floats]

    @classmethod
    def of(cls, field: OpenProfiles, half_mm: Floats, found: _Found) -> _Spectrum:
        from scipy import fft

        larger = field.sid_mm / DEFAULT_SAD_MM
        reach_mm = max(float(half_mm.max()), float(field.at_mm.max()) - 40.0) * larger + ROOM_MM
        last = fft.next_fast_len(int(reach_mm / STEP_MM), real=True)
        at = np.arange(last + 1) * STEP_MM
        open_x, open_y = (
            np.clip((half * larger - at) / STEP_MM + 0.5, 0.0, 1.0) for half in half_mm
        )
        radius_mm = np.hypot(at[:, None], at[None, :]) / larger
        fluence = open_y[:, None] * open_x[None, :]
        fluence *= np.interp(radius_mm, found.radii_mm, found.response)
        q = np.pi * np.arange(last + 1) / (last * STEP_MM)
        # A mean over a pixel is less than its middle by this: the fit is of the middle.
        box = np.sinc(q * STEP_MM / (2.0 * np.pi))
        values = fft.dctn(fluence, type=1) / (box[:, None] * box[None, :])
        twice = np.full(last + 1, 2.0)
        twice[[0, -1]] = 1.0
        values *= twice[:, None] * twice[None, :] / (2.0 * last) ** 2
        x, y = (np.cos(np.outer(points * larger, q)) for points in field.at_mm)
        return cls(values, q, (x, y))

    def table(self, ranges: Floats) -> Floats:
        """What each term of the kernel would give on both profiles, `(points, terms)`."""
        blur = np.exp(-0.5 * ranges[4] ** 2 * self.q**2)
        values = self.values * blur[:, None] * blur[None, :]
        q2 = self.q[:, None] ** 2 + self.q[None, :] ** 2
        spread = [values / np.sqrt(1.0 + mm**2 * q2) for mm in ranges[:3]]
        glare = np.exp(-0.5 * ranges[3] ** 2 * self.q**2)
        sums = [(one.sum(0), one.sum(1)) for one in spread]
        sums.append((glare * (glare @ values), glare * (values @ glare)))
        along_x, along_y = self.cosines
        return np.stack([np.concatenate([along_x @ x, along_y @ y]) for x, y in sums], axis=1)

    def profiles(self, found: _Found) -> Floats:
        """The fitted profiles, `(2, points)`."""
        return np.asarray(self.table(found.ranges) @ found.weights).reshape(2, -1)


def _searched(
    fields: Sequence[OpenProfiles], spectra: Sequence[_Spectrum], found: _Found, steps: int
) -> _Found:
    """Ranges and weights that leave least, for given edges and off-axis response."""
    from scipy.optimize import least_squares, nnls

    weights = [_weights(field) for field in fields]
    wanted = np.concatenate(
        [field.signal.ravel() * w for field, w in zip(fields, weights, strict=True)]
    )

    def solved(logarithms: Floats) -> tuple[Floats, Floats]:
        ranges = np.exp(logarithms)
        table = np.concatenate(
            [s.table(ranges) * w[:, None] for s, w in zip(spectra, weights, strict=True)]
        )
        solution, _ = nnls(table, wanted)
        return solution, table @ solution - wanted

    bounds = np.log(np.array([*RANGES_MM, GLARE_MM, BLUR_MM]))
    answer = least_squares(
        lambda logarithms: solved(logarithms)[1],
        np.clip(np.log(found.ranges), bounds[:, 0] + 1e-6, bounds[:, 1] - 1e-6),
        bounds=(bounds[:, 0], bounds[:, 1]),
        diff_step=1e-3,
        xtol=1e-5,
        ftol=1e-6,
        max_nfev=steps,
    )
    return replace(found, ranges=np.exp(answer.x), weights=solved(answer.x)[0])


def _weights(field: OpenProfiles) -> Floats:
    """By the central signal; edges count less, the middle more."""
    weight = np.ones_like(field.at_mm)
    for line, half in zip((0, 1), field.half_mm, strict=True):
        weight[line][np.abs(field.at_mm[line] - half) < EDGE_MM] = EDGE_WEIGHT
        weight[line][field.at_mm[line] < 3.0] = CENTER_WEIGHT
    return np.asarray(weight.ravel() / field.center)


def _with_edges(
    fields: Sequence[OpenProfiles], profiles: Sequence[Floats], found: _Found
) -> _Found:
    """Half widths such that the fitted profile falls to half where the measured one does."""
    half_mm = found.half_mm.copy()
    for k, (field, fitted) in enumerate(zip(fields, profiles, strict=True)):
        for line in (0, 1):
            below = np.flatnonzero(fitted[line] < field.center / 2.0)
            if not below.size or below[0] == 0:
                continue
            at, n = field.at_mm[line], int(below[0])
            share = (fitted[line][n - 1] - field.center / 2) / (
                fitted[line][n - 1] - fitted[line][n]
            )
            half_mm[k, line] += field.half_mm[line] - (at[n - 1] + share * (at[n] - at[n - 1]))
    return replace(found, half_mm=half_mm)


def _with_response(largest: OpenProfiles, fitted: Floats, found: _Found) -> _Found:
    """The off-axis response times what the largest field has left of it, 1 on the axis."""
    inner = largest.at_mm < np.array(largest.half_mm)[:, None] - 2.0 * EDGE_MM
    left = np.divide(largest.signal, fitted, out=np.ones_like(fitted), where=inner)
    place = np.abs(largest.at_mm[None] - found.radii_mm[:, None, None]) < RADIAL_STEP_MM / 2
    response = found.response.copy()
    known = -1
    for k, near in enumerate(place & inner[None]):
        if near.any():
            response[k] *= float(left[near].mean())
            known = k
    response[known + 1 :] = response[known]
    return replace(found, response=response / response[0])


def _residual(field: OpenProfiles, found: _Found) -> FieldResidual:
    half_mm = _half_of(field, found)
    fitted = _Spectrum.of(field, half_mm, found).profiles(found)
    percent = 100.0 * (field.signal - fitted) / field.center
    size = np.array(field.half_mm)[:, None]
    inner, outer = field.at_mm <= 0.8 * size, field.at_mm >= size + 10.0
    middle = fitted[:, 0].mean()

    def rms(where: NDArray[np.bool_]) -> float:
        return float(np.sqrt(np.mean(percent[where] ** 2))) if where.any() else 0.0

    return FieldResidual(
        width_mm=2.0 * field.half_mm[0],
        height_mm=2.0 * field.half_mm[1],
        center_percent=float(100.0 * (field.center / middle - 1.0)),
        profile_rms_percent=rms(inner),
        outside_rms_percent=rms(outer),
    )


def _half_of(field: OpenProfiles, found: _Found) -> Floats:
    """The fitted half widths nearest to the field's own."""
    away = np.abs(found.half_mm - np.array(field.half_mm)).sum(axis=1)
    return np.asarray(found.half_mm[int(away.argmin())])


def _refuse_poor(residuals: Sequence[FieldResidual]) -> None:
    for name, most in (
        ("center_percent", LARGEST_CENTER_PERCENT),
        ("profile_rms_percent", LARGEST_PROFILE_PERCENT),
        ("outside_rms_percent", LARGEST_OUTSIDE_PERCENT),
    ):
        worst = max(residuals, key=lambda residual: abs(float(getattr(residual, name))))
        value = float(getattr(worst, name))
        if not abs(value) <= most:
            what = {
                "center_percent": "in the middle",
                "profile_rms_percent": "RMS inside the field",
                "outside_rms_percent": "RMS outside the field",
            }[name]
            raise AnalysisError(
                f"a poor fit: {value:+.2f} % is left {what} of {worst.width_mm / 10:.1f} x "
                f"{worst.height_mm / 10:.1f} cm, at most {most:g} % is accepted; check that all "
                "images are of one energy, open, calibrated, and state their MU"
            )


def _notes(fields: Sequence[OpenProfiles]) -> list[str]:
    notes = []
    uneven = max(fields, key=lambda field: field.asymmetry_percent)
    if uneven.asymmetry_percent > 1.0:
        notes.append(
            f"the two sides of {uneven.name} differ by up to {uneven.asymmetry_percent:.1f} %: "
            "backscatter of the imager's arm, or a tilted beam, is not in the model"
        )
    return notes
