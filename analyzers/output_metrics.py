"""The metrics of output checks; their limits are those of the routine, where they stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analyzers.core import Limits, Metric
from analyzers.output_checks import CheckType
from analyzers.srt_routine import BY_ID


def _of(test: str) -> dict[str, Limits]:
    """The limits of a test of the routine, by its `id`, which is named beside their source."""
    limits = BY_ID[test].limits
    assert limits is not None, test
    return {"srt": replace(limits, source=f"{limits.source}; {test}")}


OUTPUT = Metric(
    "output",
    "Gy/min",
    "Air-kerma rate at the surface, or dose rate to water where B_w and the mu_en ratio are given",
)
DEVIATION = Metric(
    "output_deviation",
    "%",
    "Output minus its reference, over the reference; limits of a daily check, in any "
    "other one those of the following metrics",
    _of("SRT.D.OUT"),
)
DEVIATION_MONTHLY = Metric(
    "output_deviation_monthly",
    "%",
    "Limits of output_deviation in a monthly check",
    _of("SRT.M.OUT"),
)
DEVIATION_OF_TESTS = Metric(
    "output_deviation_of_tests",
    "%",
    "Limits of output_deviation in tests of applicators, angle, timer, beam quality and "
    "reproducibility, which are no monthly check",
    _of("SRT.M.OUT"),
)
DEVIATION_OF_WARM_UP = Metric(
    "output_deviation_of_warmup",
    "%",
    "Limits of output_deviation in a warm-up exposure, which is no daily check",
    _of("SRT.D.OUT"),
)
DEVIATION_ANNUAL = Metric(
    "output_deviation_annual",
    "%",
    "Limits of output_deviation in an annual check and in an absolute calibration",
    _of("SRT.A.CAL"),
)
JUDGED_AS: Mapping[CheckType, Metric | None] = {
    **dict.fromkeys(CheckType, DEVIATION_OF_TESTS),
    CheckType.WARMUP: DEVIATION_OF_WARM_UP,
    CheckType.DAILY: None,
    CheckType.MONTHLY: DEVIATION_MONTHLY,
    CheckType.ANNUAL: DEVIATION_ANNUAL,
    CheckType.ABSOLUTE: DEVIATION_ANNUAL,
}
"""Whose limits a deviation is held against, by the kind of its row; None: its own.

Kinds that are judged alike make one trend, and count as the same test of the routine."""
WITHOUT_REFERENCE = Metric(
    "rows_without_reference",
    "1",
    "Number of outputs, half-value layers, applicator factors and depth doses beside others that "
    "have no reference and so were not judged",
    {"srt": Limits(tolerance_high=0.0, source="what is not judged is no pass")},
)
UNCERTAINTY_K1 = Metric("uncertainty_k1", "%", "Standard uncertainty of the output (k = 1)")
UNCERTAINTY_K2 = Metric("uncertainty_k2", "%", "Expanded uncertainty of the output (k = 2)")
SPREAD = Metric("reading_spread", "%", "Relative standard deviation of the readings of one row")
REPEATABILITY = Metric(
    "repeatability",
    "%",
    "Relative standard deviation of the readings of a reproducibility test",
    _of("SRT.A.REPRO"),
)
LINEARITY = Metric(
    "timer_linearity",
    "%",
    "Largest distance of a reading from the line through all times, in percent of the line",
    _of("SRT.A.LIN"),
)
END_EFFECT = Metric(
    "end_effect",
    "s",
    "eps, where the reading is proportional to t + eps",
    _of("SRT.A.TIMER.END"),
)
TIMER_ACCURACY = Metric(
    "timer_accuracy",
    "s",
    "Measured minus set time",
    _of("SRT.M.TIMER.ACC"),
)
HVL = Metric("hvl", "mm Al", "First half-value layer")
HVL_DEVIATION = Metric(
    "hvl_deviation",
    "%",
    "Half-value layer minus that of the beam as registered, or else as the rows state, over that",
    _of("SRT.A.HVL"),
)
HOMOGENEITY = Metric("homogeneity", "1", "First over second half-value layer")
APPLICATOR_FACTOR = Metric(
    "applicator_factor",
    "1",
    "Output with an applicator over that with the reference applicator, or else with the first of "
    "the session",
)
APPLICATOR_FACTOR_DEVIATION = Metric(
    "applicator_factor_deviation",
    "%",
    "Applicator factor minus the signed one, over that; without a signed table the ratio of the "
    "two reference outputs takes its place",
    _of("SRT.A.AF"),
)
PDD = Metric("pdd", "%", "Reading at a depth in percent of that at the surface")
PDD_CHANGE = Metric(
    "pdd_change",
    "%",
    "Largest distance of a percent depth dose from the signed one, in percent points",
    _of("SRT.A.PDD"),
)
FIELD_WIDTH = Metric("field_width", "mm", "Distance of the points of half the value on the axis")
FLATNESS = Metric(
    "flatness", "%", "100 (max - min)/(max + min) in the middle 80 % of the field (AAPM TG-45)"
)
SYMMETRY = Metric(
    "symmetry",
    "%",
    "Largest difference of two points as far left and right of the middle, over the value on the "
    "axis, in the middle 80 % of the field (AAPM TG-45)",
)
ANGLE = Metric(
    "angle_dependence",
    "%",
    "Largest change of the output with the angle of the head, from 0 or from the first angle",
    _of("SRT.M.HEAD"),
)
WARM_UP = Metric("warmup_rows", "1", "Number of warm-up exposures recorded")
METRICS = (
    *(OUTPUT, DEVIATION, DEVIATION_MONTHLY, DEVIATION_ANNUAL),
    *(DEVIATION_OF_TESTS, DEVIATION_OF_WARM_UP, WITHOUT_REFERENCE),
    *(UNCERTAINTY_K1, UNCERTAINTY_K2, SPREAD, REPEATABILITY),
    *(LINEARITY, END_EFFECT, TIMER_ACCURACY, HVL, HVL_DEVIATION, HOMOGENEITY),
    *(APPLICATOR_FACTOR, APPLICATOR_FACTOR_DEVIATION, ANGLE, WARM_UP),
    *(PDD, PDD_CHANGE, FIELD_WIDTH, FLATNESS, SYMMETRY),
)
