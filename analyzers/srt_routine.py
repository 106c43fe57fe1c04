"""Routine quality control of superficial kV units: what is checked, how often, to what limits.

The rows follow the Canadian kV guideline (CPQR; J Appl Clin Med Phys 19(2):18, 2018), its tests
carry that guideline's numbers, and 3.5 years of one SRT-100 Vision (PMC12450352).  Where neither
gives a number, the limit is a product default and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analyzers.core import Limits

DEFAULT = "product default"
ACHIEVED = "product default (3.5 years of an SRT-100 Vision lie inside, PMC12450352)"
CPQR = "CPQR kV guideline (doi 10.1002/acm2.12228)"


class Frequency(StrEnum):
    """How often a test is due: before the first patient of a day, each month, each year."""

    DAILY = "daily"
    MONTHLY = "monthly"
    ANNUAL = "annual"


@dataclass(frozen=True, slots=True)
class RoutineTest:
    """One test of the routine.

    `metric` is the name of its number in the catalogue of metrics.  A test without unit is one of
    function: it works, or it does not, and then the unit is out of its action limit.
    `check_type`: it is done by an output check of that kind, from its readings, and is no item of
    a list.  `also_by`: such a check answers it too, where a list does not.
    """

    id: str
    frequency: Frequency
    title: str
    metric: str
    unit: str | None = None
    limits: Limits | None = None
    check_type: str | None = None
    also_by: str | None = None

    @property
    def is_functional(self) -> bool:
        """Whether it is answered by yes or no."""
        return self.unit is None


def _within(tolerance: float, action: float, source: str = DEFAULT) -> Limits:
    return Limits.within(tolerance=tolerance, action=action, source=source)


_D, _M, _A = Frequency.DAILY, Frequency.MONTHLY, Frequency.ANNUAL

ROUTINE: tuple[RoutineTest, ...] = (
    RoutineTest("SRT.D.WARMUP", _D, "Mandatory warm-up completed", "warm_up"),
    RoutineTest(
        "SRT.D.OUT",
        _D,
        "Output constancy of each kV",
        "output_deviation",
        "%",
        _within(3, 5, ACHIEVED),
        check_type="daily",
    ),
    RoutineTest(
        "SRT.D.TIMER.BACKUP",
        _D,
        "Backup timer shows the set time",
        "backup_timer_error",
        "%",
        _within(1, 2, ACHIEVED),
    ),
    RoutineTest(
        "SRT.D.SAF.DOOR",
        _D,
        "Door interlock, beam-on indicator, view of the patient, emergency off and key",
        "safety_functions",
    ),
    RoutineTest(
        "SRT.D.SAF.KVFILTER",
        _D,
        "Indicators of kV, filter and applicator, and their interlock",
        "kv_filter_applicator_interlock",
    ),
    RoutineTest(
        "SRT.M.OUT",
        _M,
        "Output constancy of each kV, traceable chamber",
        "output_deviation",
        "%",
        _within(2, 3, ACHIEVED),
        check_type="monthly",
    ),
    RoutineTest(
        "SRT.M.TIMER.ACC",
        _M,
        "Timer against a stopwatch",
        "timer_accuracy",
        "s",
        Limits.within(
            tolerance=1,
            action=2,
            tolerance_percent=1,
            action_percent=2,
            source="NZ SR 1982/72 (1 s up to 100 s, 1 % above); action: product default",
        ),
        check_type="timer",
    ),
    RoutineTest(
        "SRT.M.HEAD",
        _M,
        "Output with the head turned",
        "angle_dependence",
        "%",
        Limits.at_most(tolerance=1, action=2, source=ACHIEVED),
        check_type="angle",
    ),
    RoutineTest("SRT.M.MEC.STAB", _M, "Stability, arm locks and anchoring", "mechanical_stability"),
    RoutineTest(
        "SRT.M.MEC.APPL",
        _M,
        "Integrity of applicators and filters",
        "applicator_filter_integrity",
    ),
    RoutineTest(
        "SRT.M.MEC.DIST", _M, "Distance indicator", "distance_error", "mm", _within(1, 2, CPQR)
    ),
    RoutineTest(
        "SRT.M.MEC.FS",
        _M,
        "Light and radiation field congruence",
        "field_congruence_error",
        "mm",
        _within(1, 2, ACHIEVED),
    ),
    RoutineTest(
        "SRT.M.FLATSYM",
        _M,
        "Flatness and symmetry of the largest applicator",
        "flatness_symmetry_change",
        "%",
        _within(5, 8, CPQR),
    ),
    RoutineTest("SRT.M.US.FUNC", _M, "Ultrasound functional check", "ultrasound_functions"),
    RoutineTest(
        "SRT.M.US.SPATIAL",
        _M,
        "Ultrasound calipers, depth and lateral",
        "ultrasound_spatial_error",
        "mm",
        _within(0.2, 0.4),
    ),
    RoutineTest(
        "SRT.M.US.UNIF",
        _M,
        "Ultrasound uniformity: elements that dropped out",
        "ultrasound_lost_elements",
        "element",
        Limits.at_most(tolerance=1, action=2),
    ),
    RoutineTest(
        "SRT.M.US.DEPTH",
        _M,
        "Change of the depth that ultrasound reaches",
        "ultrasound_depth_change",
        "mm",
        _within(0.3, 0.6),
    ),
    RoutineTest(
        "SRT.A.CAL",
        _A,
        "Absolute output, TG-61, against the stored",
        "output_deviation",
        "%",
        _within(1, 2, CPQR),
        check_type="absolute",
    ),
    RoutineTest(
        "SRT.A.HVL",
        _A,
        "Half-value layer of each kV",
        "hvl_deviation",
        "%",
        _within(10, 15, CPQR),
        check_type="hvl",
    ),
    RoutineTest(
        "SRT.A.AF",
        _A,
        "Applicator factors",
        "applicator_factor_deviation",
        "%",
        _within(2, 3, ACHIEVED),
        check_type="applicator_factor",
    ),
    RoutineTest(
        "SRT.A.TIMER.END",
        _A,
        "End effect of the timer",
        "end_effect",
        "s",
        _within(3, 3, f"{CPQR}: 0.05 min"),
        check_type="timer",
    ),
    RoutineTest(
        "SRT.A.LIN",
        _A,
        "Output linearity with time",
        "timer_linearity",
        "%",
        Limits.at_most(tolerance=1, action=1, source=CPQR),
        check_type="linearity",
    ),
    RoutineTest(
        "SRT.A.REPRO",
        _A,
        "Output reproducibility",
        "repeatability",
        "%",
        Limits.at_most(tolerance=2, action=3, source=CPQR),
        check_type="reproducibility",
    ),
    RoutineTest(
        "SRT.A.INTERRUPT",
        _A,
        "Output of an interrupted and resumed exposure",
        "output_interrupted",
        "%",
        _within(2, 4, CPQR),
    ),
    RoutineTest(
        "SRT.A.FOCAL.ALIGN",
        _A,
        "Alignment of focal spots",
        "focal_spot_offset",
        "mm",
        _within(0.5, 1, CPQR),
    ),
    RoutineTest("SRT.A.FOCAL.SIZE", _A, "Focal spot size, as at commissioning", "focal_spot_size"),
    RoutineTest(
        "SRT.A.PDD",
        _A,
        "Percentage depth dose",
        "pdd_change",
        "%",
        _within(3, 5, ACHIEVED),
        also_by="pdd",
    ),
    RoutineTest("SRT.A.PROFILE", _A, "Profiles, as at commissioning", "profiles_agree"),
    RoutineTest("SRT.A.REVIEW", _A, "Independent review of the year's results", "review_complete"),
    RoutineTest(
        "SRT.A.KV",
        _A,
        "Tube voltage by a non-invasive meter",
        "tube_voltage_error",
        "%",
        _within(5, 10, "borrowed from the simulator guideline (PMC5722407)"),
    ),
    RoutineTest("SRT.A.MA", _A, "Output per mA", "output_per_ma_change", "%", _within(5, 10)),
    RoutineTest("SRT.A.LEAK", _A, "Leakage survey of the housing", "leakage_within_rule"),
)
"""In the order of the guideline: daily, monthly, annual."""

BY_ID = {test.id: test for test in ROUTINE}
