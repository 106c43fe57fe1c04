"""In-vivo constancy: the transit image of a fraction against the baseline image of the same beam.

Reads a clinical `PortalImage` with an earlier image of the same beam beside it, or the mean of
several.  Gamma 3 %/3 mm: reference the fraction's image, evaluated the baseline, global,
normalization the maximum of the baseline.  Changes are this fraction minus baseline.  It sees
changes, never an error that the baseline has too.  Beside what is off stand the causes that the
numbers speak for (`transit_causes`); no cause is ever decided upon.

Limits are product defaults, chosen by simulation (docs/reference/portal-dosimetry.md): no limit of
a report fits every site and treated region.  The control chart of the site's own values, drawn
beside them, shows what its limits could be.
"""

from __future__ import annotations

import math

from pydantic import Field, PositiveFloat

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
    for_linacs,
)
from analyzers.portal_comparison import (
    FieldGamma,
    Overlay,
    Plane,
    drawn,
    gammas_of,
    is_absolute,
    overlay,
    plane_of,
    refuse_unsure_polarity,
)
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.transit_causes import Change, causes_of, change_of, stated_differences

FIRST = "first image of this beam: it is the baseline"
SIMULATED = "product default (by simulation, docs/reference/portal-dosimetry.md)"
SAME_SID_MM = 5.0


_GAMMA = for_linacs(Limits.at_least(tolerance=95.0, action=85.0, source=SIMULATED))

GAMMA_PASS = Metric(
    "gamma_pass",
    "%",
    "Share of the field's points with gamma at most 1, 3 %/3 mm",
    _GAMMA,
)
GAMMA_MEAN = Metric("gamma_mean", "1", "Mean gamma of the field's points")
RELATIVE_GAMMA_PASS = Metric(
    "relative_gamma_pass",
    "%",
    "As gamma_pass, after the scale was taken from the images: the pattern alone, no signal",
    _GAMMA,
)
MEAN_SIGNAL_CHANGE = Metric(
    "mean_signal_change",
    "%",
    "Signal of all of the field, change from the baseline",
    for_linacs(Limits.within(tolerance=2.2, action=5.0, source=SIMULATED)),
)
CENTRAL_SIGNAL_CHANGE = Metric(
    "central_signal_change", "%", "Change of the mean signal over 1 cm x 1 cm on the axis"
)
LARGEST_LOCAL_CHANGE = Metric(
    "largest_local_change",
    "%",
    "Largest change over 1 cm x 1 cm inside the field, beyond that of the whole field",
    for_linacs(Limits.within(tolerance=3.0, action=10.0, source=SIMULATED)),
)
REGISTRATION_SHIFT = Metric(
    "registration_shift",
    "mm",
    "How far the field's edges lie from those of the baseline, at the isocenter plane",
    for_linacs(Limits.at_most(tolerance=1.5, action=3.0, source=SIMULATED)),
)
ANATOMY_SHIFT = Metric(
    "anatomy_shift",
    "mm",
    "How far what is seen inside the field moved against its edges",
    for_linacs(Limits.at_most(tolerance=2.7, action=5.0, source=SIMULATED)),
)
PATTERN_CORRELATION = Metric(
    "pattern_correlation",
    "1",
    "Correlation with the baseline where the signal is steep",
    for_linacs(Limits.at_least(tolerance=0.95, action=0.9, source=SIMULATED)),
)
SATURATED = Metric(
    "saturated_pixels",
    "%",
    "Share of pixels at the largest value there is",
    for_linacs(Limits.at_most(tolerance=0.01, action=0.1, source=SIMULATED)),
)
STATED_DIFFERENCES = Metric(
    "stated_differences",
    "1",
    "Number of angles, and the energy, that the image states and the baseline states otherwise",
    # One may be a slip of the system that wrote it; a picture that agrees is no proof of the beam.
    for_linacs(Limits.at_most(tolerance=0.0, action=1.0, source="images of one beam agree")),
)
RATIO_SPREAD = Metric(
    "ratio_spread", "%", "Standard deviation of the ratio to the baseline over squares of 1 cm"
)
SIGNAL_PER_MU_CHANGE = Metric(
    "signal_per_mu_change", "%", "Change of the signal for each MU that the images state"
)
METERSET_CHANGE = Metric("meterset_change", "%", "Change of the meterset that the images state")
FRAMES_CHANGE = Metric("frames_change", "%", "Change of the number of frames in the image")


class InVivoConstancySettings(Settings):
    """Settings of this analyzer."""

    dose_percent: PositiveFloat = Field(default=3.0, le=20.0)
    distance_mm: PositiveFloat = Field(default=3.0, le=20.0)
    threshold_percent: float = Field(default=10.0, gt=0.0, lt=50.0)
    """Points below this share of the maximum, in both images, are left out."""
    pixel_mm: PositiveFloat = Field(default=0.5, le=2.0)
    """Pixels are put together up to about this, at the isocenter plane."""
    largest_shift_mm: float = Field(default=2.0, ge=0.0, le=10.0)
    """A shift of the field's edges up to this is taken back before gamma; one beyond stays in."""


def analyze(image: PortalImage, context: Context[InVivoConstancySettings]) -> Analysis:
    """Hold a transit image against its baseline; a first image is the baseline, and not judged."""
    settings, baseline = context.settings, image.beside.baseline
    if baseline is None:
        raise NotApplicable(image.beside.lacking.get("baseline") or FIRST)
    for one in (image, baseline):
        refuse_unsure_polarity(one)
    measured, expected = (plane_of(one, settings.pixel_mm) for one in (image, baseline))
    _refuse_other_distance(image, baseline)
    nearer = ((baseline.sid_mm or 1.0) / (image.sid_mm or 1.0)) ** 2
    absolute = is_absolute(image, baseline)
    found = overlay(
        measured,
        Plane(expected.values * nearer, expected.x_mm, expected.y_mm),
        limit_mm=settings.largest_shift_mm,
        threshold_percent=settings.threshold_percent,
        absolute=absolute,
    )
    (gamma,) = gammas_of(found, [(settings.dose_percent, settings.distance_mm)])
    change = change_of(image, baseline, found)
    notes = [str(gamma)]
    if not absolute:
        notes.append("the images have no common unit: patterns are compared, signals are not")
    if change.inside is None:
        notes.append("the field is too small to look inside: no local change, no shift of anatomy")
    notes += [str(cause) for cause in causes_of(change)]
    traces = drawn(found, gamma)
    different = len(stated_differences(image, baseline))
    measurements = _measured(image, found, gamma, change, absolute, different)
    return Analysis(measurements, traces=traces, notes=notes)


def _refuse_other_distance(image: PortalImage, baseline: PortalImage) -> None:
    """Scatter of a patient does not fall with the inverse square of the imager's distance."""
    away_mm = abs((image.sid_mm or 0.0) - (baseline.sid_mm or 0.0))
    if away_mm > SAME_SID_MM:
        raise AnalysisError(
            f"the imager stood {away_mm:.0f} mm nearer or further than for the baseline: take a "
            "baseline at the same distance"
        )


def _measured(
    image: PortalImage,
    found: Overlay,
    gamma: FieldGamma,
    change: Change,
    absolute: bool,
    different: int,
) -> list[Measurement]:
    measured = [PATTERN_CORRELATION.measured(found.correlation)]
    measured.append(SATURATED.measured(image.saturated_percent))
    measured.append(STATED_DIFFERENCES.measured(different))
    if not math.isnan(found.shift_mm):
        measured.append(REGISTRATION_SHIFT.measured(found.shift_mm))
    if absolute:
        measured.append(GAMMA_PASS.measured(gamma.pass_percent))
        measured.append(GAMMA_MEAN.measured(gamma.mean))
        measured.append(MEAN_SIGNAL_CHANGE.measured(found.mean_error_percent))
    else:
        measured.append(RELATIVE_GAMMA_PASS.measured(gamma.pass_percent))
    optional = [(FRAMES_CHANGE, change.frames_percent), (METERSET_CHANGE, change.meterset_percent)]
    if absolute:
        optional.append((SIGNAL_PER_MU_CHANGE, change.per_mu_percent))
    inside = change.inside
    if inside is not None:
        x_mm, y_mm = inside.local_at_mm
        at = f"x {x_mm:.0f} mm, y {y_mm:.0f} mm"
        measured.append(LARGEST_LOCAL_CHANGE.measured(inside.local_percent, at=at))
        measured.append(RATIO_SPREAD.measured(inside.spread_percent))
        optional.append((ANATOMY_SHIFT, inside.shift_mm))
        if absolute:
            optional.append((CENTRAL_SIGNAL_CHANGE, inside.center_percent))
    return measured + [m.measured(value) for m, value in optional if value is not None]


ANALYZER = Analyzer(
    name="in_vivo_constancy",
    title="In-vivo constancy",
    version="1",
    accepts=PortalImage,
    settings=InVivoConstancySettings,
    metrics=(
        GAMMA_PASS,
        GAMMA_MEAN,
        RELATIVE_GAMMA_PASS,
        MEAN_SIGNAL_CHANGE,
        CENTRAL_SIGNAL_CHANGE,
        LARGEST_LOCAL_CHANGE,
        REGISTRATION_SHIFT,
        ANATOMY_SHIFT,
        PATTERN_CORRELATION,
        SATURATED,
        STATED_DIFFERENCES,
        RATIO_SPREAD,
        SIGNAL_PER_MU_CHANGE,
        METERSET_CHANGE,
        FRAMES_CHANGE,
    ),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.PORTAL,
)
