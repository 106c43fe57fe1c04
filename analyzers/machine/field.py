"""Open field: size, place, penumbra, flatness and symmetry, by pylinac, and their constancy.

Flatness and symmetry are those of the Varian protocol: difference over sum of the extremes, and
the largest difference of points that mirror each other, over 80 % of the field's width.  An imager
is flattened by its own calibration, so that both are trended, and judged as changes from a
baseline image that somebody signed off.

Limits: TG-142 (Klein 2009): Table II size of a field 2 mm and profile constancy 1 %, Table III
flatness and symmetry 1 % from baseline, Table II output 2 %.  Center: the machine performance
check's 0.5 mm.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

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
    within_by_class,
)
from analyzers.field_profiles import Profile, constancy_percent, cut_off, profiles
from analyzers.image_traces import picture
from analyzers.portal_images import ImageKind, Pixels, Polarity, PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work
from analyzers.stated_opening import stated_edges, states_place

CANNOT = "the field could not be measured"
MOST_APART_MM = 5.0
"""Between pylinac's width (largest gradient) and that at half height, which differ without a
flattening filter."""
ROOM_MM = 10.0
"""Left beside a field that is to end within the image."""
AXES = {"horizontal": "x", "vertical": "y"}


def _change(tolerance: float, action: float, source: str) -> dict[str, Limits]:
    return for_linacs(Limits.within(tolerance=tolerance, action=action, source=source))


SIZES = {
    axis: Metric(f"field_size_{axis}", "mm", f"Width of the field along {AXES[axis]}")
    for axis in AXES
}
EDGES = {
    side: Metric(f"cax_to_{side}", "mm", f"Distance of the {side} edge from the beam's axis")
    for side in ("left", "right", "top", "bottom")
}
PENUMBRAS = {
    side: Metric(f"{side}_penumbra", "mm", f"Width of the {side} penumbra, 20 to 80 %")
    for side in ("left", "right", "top", "bottom")
}
FLATNESS = {axis: Metric(f"flatness_{axis}", "%", f"Flatness along {AXES[axis]}") for axis in AXES}
SYMMETRY = {
    axis: Metric(
        f"symmetry_{axis}",
        "%",
        f"Largest difference of mirrored points along {AXES[axis]}; positive: the lower "
        "pixel number (left, top) is higher",
    )
    for axis in AXES
}
SIZE_ERRORS = {
    axis: Metric(
        f"field_size_error_{axis}",
        "mm",
        f"Width along {AXES[axis]} minus that of the jaws or of the settings",
        _change(1.0, 2.0, "product default; TG-142 Table II (2 mm)"),
    )
    for axis in AXES
}
CENTER_ERRORS = {
    axis: Metric(
        f"field_center_error_{axis}",
        "mm",
        f"Middle of the field along {AXES[axis]} minus that of the stated jaws and leaves",
        within_by_class(
            truebeam=(1.0, 2.0),
            clinac=(1.5, 2.0),
            elekta=(1.5, 2.0),
            source="product default; TG-142 Table VI (imaging and treatment 2 mm)",
        ),
    )
    for axis in AXES
}
CONSTANCY = Metric(
    "profile_constancy",
    "%",
    "Mean magnitude of the change of off-axis ratios from the baseline, the larger of both axes",
    for_linacs(Limits.at_most(tolerance=1.0, action=2.0, source="TG-142 Table II (1 %)")),
)
FLATNESS_CHANGE = Metric(
    "flatness_change",
    "%",
    "Largest change of the flatness from the baseline",
    _change(1.0, 2.0, "TG-142 Table III (1 %)"),
)
SYMMETRY_CHANGE = Metric(
    "symmetry_change",
    "%",
    "Largest change of the symmetry from the baseline",
    _change(1.0, 2.0, "TG-142 Table III (1 %)"),
)
CENTER_SHIFT = Metric(
    "center_shift",
    "mm",
    "Distance of the field's middle from that of the baseline",
    for_linacs(
        Limits.at_most(
            tolerance=0.5, action=1.0, source="machine performance check (0.5 mm); product default"
        ),
    ),
)
OUTPUT_CHANGE = Metric(
    "output_change",
    "%",
    "Change of the signal in the field's middle, by MU where both images tell it",
    _change(2.0, 3.0, "TG-142 Tables II (2 %) and I (3 %)"),
)


class FieldSettings(Settings):
    """Settings of this analyzer."""

    nominal_x_mm: float | None = Field(None, gt=0.0, le=400.0)
    """Width that the field should have; else that of the jaws, where the image tells them."""
    nominal_y_mm: float | None = Field(None, gt=0.0, le=400.0)
    edges: Literal["inflection", "half height"] = "inflection"


def analyze(image: PortalImage, context: Context[FieldSettings]) -> Analysis:
    """Measure the field, and its change where a baseline is beside it."""
    _refuse_cut_off(image, context.settings)
    found = _measure(image, context.settings)
    of_x, of_y = profiles(_upright(image))
    for axis, profile in (("horizontal", of_x), ("vertical", of_y)):
        apart_mm = abs(profile.width_mm - found[f"field_size_{axis}"])
        if not apart_mm <= MOST_APART_MM:
            raise AnalysisError(
                f"the width along {AXES[axis]} is found twice, {apart_mm:.0f} mm apart: "
                "this is not one open field"
            )
    baseline = image.beside.baseline
    changes, notes = [], _unplaced(image)
    if baseline is None:
        notes.append("no change is judged: no baseline image is signed off for this field")
    else:
        changes = _changes(image, baseline, found, context.settings)
        if Pixels.RELATIVE in (image.pixels, baseline.pixels):
            notes.append("output_change is not given: an image is not in calibrated units")
    metrics = (*SIZES.values(), *EDGES.values(), *PENUMBRAS.values())
    metrics = (*metrics, *FLATNESS.values(), *SYMMETRY.values())
    return Analysis(
        measurements=[
            *_size_errors(image, found, context.settings),
            *_center_errors(image, found),
            *changes,
            *(metric.measured(found[metric.name]) for metric in metrics),
        ],
        traces=_traces(image, (of_x, of_y), found, baseline),
        notes=notes,
    )


def _refuse_cut_off(image: PortalImage, settings: FieldSettings) -> None:
    """A field that reaches the border of the image has no width that could be measured.

    That is an answer where nobody says how wide it is to be, or where it is to be that wide; where
    it should end within the image, it is an error.  Raises `NotApplicable`, `AnalysisError`.
    """
    if image.sid_mm is None:
        return  # refused for that
    panel_mm = {"horizontal": np.ptp(image.x_mm), "vertical": np.ptp(image.y_mm)}
    wanted_mm = _wanted_mm(image, settings)
    for axis, is_cut in zip(AXES, cut_off(_upright(image)), strict=True):
        wanted = wanted_mm[axis]
        if is_cut and wanted is not None and wanted < panel_mm[axis] - ROOM_MM:
            raise AnalysisError(
                f"the field reaches the border of the image along {AXES[axis]}, and should be "
                f"{wanted:.0f} mm wide"
            )
        if is_cut:
            raise NotApplicable(
                f"the field reaches the border of the image along {AXES[axis]}: its width cannot "
                "be measured"
            )


def _upright(image: PortalImage) -> PortalImage:
    """Brighter with more radiation also where the polarity is not known: a field lies in a dark."""
    values = image.values
    corners = [values[:9, :9], values[:9, -9:], values[-9:, :9], values[-9:, -9:]]
    if image.polarity is Polarity.UNKNOWN and np.median(corners) > np.median(values):
        return replace(image, values=values.max() - values)
    return image


def _measure(image: PortalImage, settings: FieldSettings) -> dict[str, float]:
    if image.sid_mm is None:
        raise AnalysisError(
            "the image does not state the distance from source to imager: no length is known"
        )
    with pylinac_at_work(CANNOT):
        from pylinac.core.profile import Edge
        from pylinac.field_analysis import FieldAnalysis, Protocol

        field = FieldAnalysis(dicom_stream(image))
        field.analyze(
            protocol=Protocol.VARIAN,
            edge_detection_method=(
                Edge.FWHM if settings.edges == "half height" else Edge.INFLECTION_DERIVATIVE
            ),
        )
        said = field.results_data()
        values = {
            **{f"field_size_{a}": getattr(said, f"field_size_{a}_mm") for a in AXES},
            **{f"cax_to_{s}": getattr(said, f"cax_to_{s}_mm") for s in EDGES},
            **{f"{s}_penumbra": getattr(said, f"{s}_penumbra_mm") for s in PENUMBRAS},
            **said.protocol_results,
        }
    known = {name: float(value) for name, value in values.items()}
    if not np.isfinite(list(known.values())).all():
        raise AnalysisError(f"{CANNOT}: an edge lies outside of the image")
    return known | _from_axis(image, known)


def _from_axis(image: PortalImage, values: dict[str, float]) -> dict[str, float]:
    """Distances of the edges from the beam's axis; pylinac gives them from the image's middle."""
    right_mm = -float(image.x_mm.mean())  # the axis, from the middle, along +x
    up_mm = -float(image.y_mm.mean())
    return {
        "cax_to_left": values["cax_to_left"] + right_mm,
        "cax_to_right": values["cax_to_right"] - right_mm,
        "cax_to_top": values["cax_to_top"] - up_mm,
        "cax_to_bottom": values["cax_to_bottom"] + up_mm,
    }


def _size_errors(
    image: PortalImage, found: dict[str, float], settings: FieldSettings
) -> list[Measurement]:
    said = []
    for axis, wanted_mm in _wanted_mm(image, settings).items():
        if wanted_mm is not None:
            error_mm = found[f"field_size_{axis}"] - wanted_mm
            said.append(SIZE_ERRORS[axis].measured(error_mm, reference=wanted_mm))
    return said


def _center_errors(image: PortalImage, found: dict[str, float]) -> list[Measurement]:
    """How far the field's middle is from where the image itself says that it is."""
    middles_mm = {
        "horizontal": (found["cax_to_right"] - found["cax_to_left"]) / 2.0,
        "vertical": (found["cax_to_top"] - found["cax_to_bottom"]) / 2.0,
    }
    return [
        CENTER_ERRORS[axis].measured(middles_mm[axis] - sum(edges) / 2.0)
        for axis, edges in zip(AXES, stated_edges(image), strict=True)
        if edges is not None and states_place(image)
    ]


def _unplaced(image: PortalImage) -> list[str]:
    """Why the place of the field is not judged."""
    lacking = [
        AXES[axis] for axis, edges in zip(AXES, stated_edges(image), strict=True) if edges is None
    ]
    if lacking:
        return [
            f"where the field lies along {' and '.join(lacking)} is not judged: the image states "
            "no jaws or leaves that end it there"
        ]
    if not states_place(image):
        return [
            "where the field lies is not judged: the image does not tell where the beam's axis "
            "meets the imager, or how the collimator of this asymmetric field stood"
        ]
    return []


def _wanted_mm(image: PortalImage, settings: FieldSettings) -> dict[str, float | None]:
    """How wide the field should be, by the settings, else by the image; None: nobody says it."""
    x, y = stated_edges(image)
    told = {"horizontal": (settings.nominal_x_mm, x), "vertical": (settings.nominal_y_mm, y)}
    return {
        axis: nominal_mm if nominal_mm is not None or edges is None else edges[1] - edges[0]
        for axis, (nominal_mm, edges) in told.items()
    }


def _changes(
    image: PortalImage, baseline: PortalImage, found: dict[str, float], settings: FieldSettings
) -> list[Measurement]:
    """What is other than on the baseline image."""
    before = _measure(baseline, settings)
    now_profiles, then_profiles = profiles(_upright(image)), profiles(_upright(baseline))
    pairs = list(zip(now_profiles, then_profiles, strict=True))

    def largest(family: dict[str, Metric]) -> float:
        changes = [found[m.name] - before[m.name] for m in family.values()]
        return max(changes, key=abs)

    said = [
        CONSTANCY.measured(max(constancy_percent(now, then) for now, then in pairs)),
        FLATNESS_CHANGE.measured(largest(FLATNESS)),
        SYMMETRY_CHANGE.measured(largest(SYMMETRY)),
        CENTER_SHIFT.measured(math.hypot(*(n.middle_mm - t.middle_mm for n, t in pairs))),
    ]
    if image.pixels is Pixels.CALIBRATED and baseline.pixels is Pixels.CALIBRATED:
        by_mu = bool(image.meterset_mu and baseline.meterset_mu)
        zero = np.zeros(1)
        now, then = (
            float(profile.at(zero)[0]) / ((of.meterset_mu or 1.0) if by_mu else 1.0)
            for profile, of in ((now_profiles[0], image), (then_profiles[0], baseline))
        )
        said.append(OUTPUT_CHANGE.measured(100.0 * (now / then - 1.0)))
    return said


def _traces(
    image: PortalImage,
    found: tuple[Profile, Profile],
    field: dict[str, float],
    baseline: PortalImage | None,
) -> dict[str, NDArray[Any]]:
    """The image, both profiles in percent of the middle, and the edges, from the beam's axis."""
    value = field
    reach_mm = 1.3 * max(abs(value[f"cax_to_{side}"]) for side in EDGES)
    edges_mm = [-value["cax_to_left"], value["cax_to_right"]]
    edges_mm += [-value["cax_to_bottom"], value["cax_to_top"]]
    traces = picture(_upright(image), reach_mm) | {"edges_mm": np.array(edges_mm)}
    shown = [("", found)]
    if baseline is not None:
        shown.append(("baseline_", profiles(_upright(baseline))))
    for prefix, both in shown:
        for axis, profile in zip("xy", both, strict=True):
            near = np.abs(profile.places_mm) <= reach_mm
            middle = profile.at(np.zeros(1))
            traces[f"{prefix}profile_{axis}_mm"] = profile.places_mm[near]
            traces[f"{prefix}profile_{axis}"] = 100.0 * profile.signal[near] / middle
    return traces


ANALYZER = Analyzer(
    name="field",
    title="Open field",
    version="1",
    accepts=PortalImage,
    settings=FieldSettings,
    metrics=(
        *SIZE_ERRORS.values(),
        *CENTER_ERRORS.values(),
        CONSTANCY,
        FLATNESS_CHANGE,
        SYMMETRY_CHANGE,
        CENTER_SHIFT,
        OUTPUT_CHANGE,
        *SIZES.values(),
        *EDGES.values(),
        *PENUMBRAS.values(),
        *FLATNESS.values(),
        *SYMMETRY.values(),
    ),
    analyze=analyze,
    applies=lambda image: image.kind is ImageKind.OPEN_FIELD,
)
