"""Portal dose: the delivered portal image against the one that the plan should give.

Reads a clinical `PortalImage` with, beside it, the predicted image of the same beam; else the
planned beam and the model of the imager, from which it is predicted here (`imager_model`).  Gamma:
reference measured, evaluated predicted, global, normalization the maximum of the prediction; points
count where either is at or above the threshold.  Errors are measured minus predicted, on the
absolute scale of both.  The images are laid over each other by their edges up to a stated shift;
the shift is judged by itself.  Limits: AAPM TG-218 for gamma at 3 %/2 mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
from analyzers.imager_model import predicted_cu
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
from analyzers.transit_causes import stated_differences

CRITERIA = [(3.0, 2.0), (2.0, 2.0), (2.0, 1.0)]
SATURATED_PERCENT = 0.01
"""Dead pixels at the largest value are fewer."""
ALIKE = 0.9
"""Below this correlation the two are hardly images of the same beam."""
SAME_MU = 0.01
LOCAL_MM = 10.0
TG218 = "AAPM TG-218 (universal limits, 3 %/2 mm)"
PRODUCT = "product default"


GAMMA_PASS = Metric(
    "gamma_pass",
    "%",
    "Share of the field's points with gamma at most 1 at 3 %/2 mm",
    for_linacs(Limits.at_least(tolerance=95.0, action=90.0, source=TG218)),
)
GAMMA_PASS_2_2 = Metric(
    "gamma_pass_2_2", "%", "Share of the field's points with gamma at most 1 at 2 %/2 mm"
)
GAMMA_PASS_2_1 = Metric(
    "gamma_pass_2_1",
    "%",
    "Share of points with gamma at most 1 at 2 %/1 mm, for small targets",
    # TG-218 leaves the criterion of radiosurgery to the clinic.
    radiosurgery=Limits.at_least(
        tolerance=95.0, action=90.0, source="product default for radiosurgery"
    ),
)
GAMMA_MEAN = Metric("gamma_mean", "1", "Mean gamma of the field's points at 3 %/2 mm")
MEAN_DOSE_ERROR = Metric(
    "mean_dose_error",
    "%",
    "Measured minus predicted signal over the predicted, all of the field",
    for_linacs(Limits.within(tolerance=2.0, action=3.0, source=PRODUCT)),
)
REGISTRATION_SHIFT = Metric(
    "registration_shift",
    "mm",
    "How far the measured pattern lies from the predicted one, at the isocenter plane",
    for_linacs(Limits.at_most(tolerance=1.0, action=2.0, source=PRODUCT)),
)
SHIFT_X = Metric("shift_x", "mm", "Shift of the measured pattern from the predicted one along x")
SHIFT_Y = Metric("shift_y", "mm", "Shift of the measured pattern from the predicted one along y")
LOCAL_ERROR = Metric(
    "largest_local_error",
    "%",
    "Measured minus predicted over 1 cm x 1 cm where it is largest, of the maximum",
    # A pass rate does not see what is wrong in few points: one leaf, a corner of the field.
    for_linacs(Limits.within(tolerance=5.0, action=10.0, source=PRODUCT)),
)
STATED_DIFFERENCES = Metric(
    "stated_differences",
    "1",
    "Number of angles, and the energy, that the image states and the prediction states otherwise",
    for_linacs(Limits.at_most(tolerance=0.0, action=1.0, source="images of one beam agree")),
)
LARGEST_DIFFERENCE = Metric(
    "difference_p95", "%", "95th percentile of the difference in the field, of the maximum"
)
RELATIVE_GAMMA_PASS = Metric(
    "relative_gamma_pass",
    "%",
    "As gamma_pass, after the scale was taken from the images: the pattern alone, no dose",
    for_linacs(Limits.at_least(tolerance=95.0, action=90.0, source=TG218)),
)


class PortalDoseSettings(Settings):
    """Settings of this analyzer."""

    threshold_percent: float = Field(default=10.0, gt=0.0, lt=50.0)
    """Points below this share of the maximum, in both images, are left out."""
    pixel_mm: PositiveFloat = Field(default=0.5, le=2.0)
    """Pixels are put together up to about this, at the isocenter plane."""
    largest_shift_mm: float = Field(default=2.0, ge=0.0, le=10.0)
    """A shift up to this is taken back before gamma; one beyond stays in."""
    attenuated_percent: float = Field(default=15.0, gt=0.0, le=100.0)
    """Where all MU were delivered and so much signal is missing from our own prediction, something
    is in the beam: the prediction is of an empty one."""


def analyze(image: PortalImage, context: Context[PortalDoseSettings]) -> Analysis:
    """Hold a portal image against its prediction; with neither prediction nor model, not at all."""
    settings = context.settings
    beside = image.beside
    if beside.predicted is None and (beside.planned is None or beside.imager is None):
        raise NotApplicable(_lacking(image))
    refuse_unsure_polarity(image)
    if image.saturated_percent > SATURATED_PERCENT:
        raise AnalysisError(
            f"{image.saturated_percent:.2g} % of the pixels are saturated: their signal is unknown"
        )
    measured = plane_of(image, settings.pixel_mm)
    expected, absolute, notes = _expected(image, settings)
    found = overlay(
        measured,
        expected,
        limit_mm=settings.largest_shift_mm,
        threshold_percent=settings.threshold_percent,
        absolute=absolute,
    )
    if absolute and beside.predicted is None:
        _refuse_transit(image, found, settings)
    gammas = gammas_of(found, CRITERIA)
    notes += [str(gammas[0]), *_remarks(image, found, settings)]
    measurements = _measured(found, gammas, absolute=absolute)
    if beside.predicted is not None:
        different = stated_differences(image, beside.predicted)
        measurements.append(STATED_DIFFERENCES.measured(len(different)))
        notes += [f"not as predicted: {one}" for one in different]
    return Analysis(measurements, traces=drawn(found, gammas[0]), notes=notes)


def _lacking(image: PortalImage) -> str:
    """Why there is nothing to hold the image against."""
    beside = image.beside
    if beside.planned is not None:
        why = beside.lacking.get("imager") or "no imager model of this machine and energy"
    else:
        why = beside.lacking.get("planned") or "no plan of this image to predict it from"
    return f"no predicted image, and {why}"


def _refuse_transit(image: PortalImage, found: Overlay, settings: PortalDoseSettings) -> None:
    """Raise `NotApplicable` for an image through a patient: nothing in a file tells it from others.

    Only where the image's own exposure states the planned meterset: a beam that ended early lacks
    signal too, and is judged.
    """
    planned = image.beside.planned
    planned_mu = None if planned is None else planned.meterset_mu
    if image.meterset_mu is None or not planned_mu:
        return
    whole = abs(image.meterset_mu / planned_mu - 1.0) < SAME_MU
    if whole and found.mean_error_percent < -settings.attenuated_percent:
        raise NotApplicable(
            f"{-found.mean_error_percent:.0f} % of the predicted signal is missing though all MU "
            "were delivered: an image through a patient or a phantom, and the prediction is of an "
            "empty beam"
        )


def _expected(image: PortalImage, settings: PortalDoseSettings) -> tuple[Plane, bool, list[str]]:
    """The predicted image, whether both scales are absolute, and what was taken for it."""
    beside = image.beside
    if beside.predicted is not None:
        predicted = beside.predicted
        refuse_unsure_polarity(predicted)
        plane = plane_of(predicted, settings.pixel_mm)
        nearer = ((predicted.sid_mm or 1.0) / (image.sid_mm or 1.0)) ** 2
        notes = ["predicted by the planning system's exported image"]
        if abs(nearer - 1.0) > 1e-6:
            notes.append(
                f"the prediction is for an imager at {predicted.sid_mm:g} mm, measured at "
                f"{image.sid_mm:g} mm: scaled by the inverse square"
            )
        scaled = Plane(plane.values * nearer, plane.x_mm, plane.y_mm)
        return scaled, is_absolute(image, predicted), notes
    model, beam = beside.imager, beside.planned
    assert model is not None and beam is not None
    plane = plane_of(image, settings.pixel_mm, predicted_cu(beam, image, model))
    return (
        plane,
        is_absolute(image),
        [f"predicted from the plan by the imager model {model.sha256[:12]}"],
    )


def _measured(found: Overlay, gammas: Sequence[FieldGamma], *, absolute: bool) -> list[Measurement]:
    judged, small, smallest = gammas
    shift = [
        REGISTRATION_SHIFT.measured(found.shift_mm),
        SHIFT_X.measured(found.dx_mm),
        SHIFT_Y.measured(found.dy_mm),
    ]
    if np.isnan(found.shift_mm):
        shift = []  # the patterns are not each other's, and gamma says so
    if not absolute:
        return [RELATIVE_GAMMA_PASS.measured(judged.pass_percent), *shift]
    inside = np.abs(found.difference_percent[found.field])
    return [
        GAMMA_PASS.measured(judged.pass_percent),
        GAMMA_PASS_2_2.measured(small.pass_percent),
        GAMMA_PASS_2_1.measured(smallest.pass_percent),
        GAMMA_MEAN.measured(judged.mean),
        MEAN_DOSE_ERROR.measured(found.mean_error_percent),
        _local_error(found),
        LARGEST_DIFFERENCE.measured(float(np.percentile(inside, 95.0))),
        *shift,
    ]


def _local_error(found: Overlay) -> Measurement:
    value, x_mm, y_mm = found.largest_local_percent(LOCAL_MM)
    return LOCAL_ERROR.measured(value, at=f"x {x_mm:.0f} mm, y {y_mm:.0f} mm")


def _remarks(image: PortalImage, found: Overlay, settings: PortalDoseSettings) -> list[str]:
    notes = []
    if found.factor != 1.0:
        notes.append("the image has no unit: the pattern is compared, dose is not")
    if image.axis_px is None:
        notes.append("the image does not tell its axis: its middle stands in")
    if not found.is_corrected and not np.isnan(found.shift_mm):
        notes.append(
            f"the pattern lies {found.shift_mm:.1f} mm off, beyond {settings.largest_shift_mm:g} "
            "mm: not taken back, and in gamma"
        )
    if found.correlation < ALIKE:
        notes.append(
            f"the patterns hardly agree (correlation {found.correlation:.2f}): another beam or "
            "another version of the plan?"
        )
    planned = image.beside.planned
    if image.meterset_mu and planned is not None and planned.meterset_mu:
        notes.append(f"{image.meterset_mu:.5g} MU by the image, {planned.meterset_mu:.5g} planned")
    return notes


ANALYZER = Analyzer(
    name="portal_dose",
    title="Portal dose",
    version="1",
    accepts=PortalImage,
    settings=PortalDoseSettings,
    metrics=(
        GAMMA_PASS,
        GAMMA_PASS_2_2,
        GAMMA_PASS_2_1,
        GAMMA_MEAN,
        MEAN_DOSE_ERROR,
        LOCAL_ERROR,
        LARGEST_DIFFERENCE,
        REGISTRATION_SHIFT,
        SHIFT_X,
        SHIFT_Y,
        STATED_DIFFERENCES,
        RELATIVE_GAMMA_PASS,
    ),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.PORTAL,
)
