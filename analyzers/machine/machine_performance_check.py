"""Machine performance check: what the machine's own self-test found, held against our limits.

Reads any `MachineCheck`.  Values are the machine's, against its own baseline: a daily constancy
check in the sense of TG-142, not an independent measurement.  Known items become metrics of their
own; all items are held against the machine's own thresholds.  An item passes only where its value
is a number within its threshold and the machine says Pass.  Limits: the published thresholds of the
check (PMC4464869, Table 1) and the vendor's defaults; size of Halcyon's isocenter 0.9 mm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
    Settings,
)
from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck

SOURCE = "product default (the check's published thresholds)"
CLASSES = ("truebeam", "halcyon")
LONGEST_AT = 80
MOST_NAMED = 5


def _at_most(limit: float, halcyon: float | None = None) -> dict[str, Limits]:
    by_class = zip(CLASSES, (limit, limit if halcyon is None else halcyon), strict=True)
    return {c: Limits.at_most(tolerance=x, action=x, source=SOURCE) for c, x in by_class}


_PERCENT = {c: Limits.within(tolerance=2.0, action=2.0, source=SOURCE) for c in CLASSES}
_NONE_MAY = {
    c: Limits.at_most(tolerance=0.0, action=0.0, source="an item passes, or the check does not")
    for c in CLASSES
}
_WHOLE = {
    c: Limits.at_least(tolerance=1.0, action=1.0, source="a check is whole or it is not")
    for c in CLASSES
}

FAILED = Metric("failed_items", "1", "Number of items that the machine says Fail of", _NONE_MAY)
UNKNOWN = Metric(
    "unknown_items",
    "1",
    "Number of items without a value, or of which the machine says neither Pass nor Fail",
    _NONE_MAY,
)
CONTRADICTIONS = Metric(
    "contradictions", "1", "Number of items beyond their own threshold with Pass beside", _NONE_MAY
)
COMPLETE = Metric(
    "complete", "1", "1 where the check holds all that its kind always holds, else 0", _WHOLE
)
WORST_SHARE = Metric(
    "worst_share_of_threshold",
    "%",
    "Largest magnitude of any item, in percent of the machine's own threshold",
    _at_most(100.0),
)
ITEMS = Metric("items", "1", "Number of items in the check")


@dataclass(frozen=True, slots=True)
class Known:
    """Items that a metric is the largest of, by a pattern for their whole name.

    `is_signed` keeps the sign, else the magnitude counts.
    """

    metric: Metric
    pattern: re.Pattern[str]
    is_signed: bool = False


def _item(name: str) -> re.Pattern[str]:
    """An item of that own name in whatever group."""
    return re.compile(rf"(?:.*/)?{name}", re.IGNORECASE)


KNOWN = (
    Known(
        Metric("output_change", "%", "Change of the output from the machine's baseline", _PERCENT),
        _item("BeamOutputChange"),
        is_signed=True,
    ),
    Known(
        Metric("uniformity_change", "%", "Change of the beam's uniformity", _PERCENT),
        _item("BeamUniformityChange"),
        is_signed=True,
    ),
    Known(
        Metric("center_shift", "mm", "Shift of the beam's center from baseline", _at_most(0.5)),
        _item("BeamCenterShift"),
    ),
    Known(
        Metric("isocenter_size", "mm", "Size of the treatment isocenter", _at_most(0.5, 0.9)),
        _item("IsoCenterSize"),
    ),
    Known(
        Metric("mv_offset", "mm", "Offset of the MV imager from the isocenter", _at_most(0.5)),
        _item("IsoCenterMVOffset"),
    ),
    Known(
        Metric("kv_offset", "mm", "Offset of the kV imager from the isocenter", _at_most(0.5)),
        _item("IsoCenterKVOffset"),
    ),
    *(
        Known(
            Metric(
                f"mlc_largest_offset_{bank}",
                "mm",
                f"Largest offset of any leaf of bank {bank.upper()}",
                _at_most(1.0),
            ),
            re.compile(
                rf"(?:.*/)?(?:MLCMaxOffset{bank}|MLCLeaves{bank}/MLCLeaf\d+)", re.IGNORECASE
            ),
        )
        for bank in "ab"
    ),
    *(
        Known(
            Metric(
                f"mlc_mean_offset_{bank}",
                "mm",
                f"Mean offset of the leaves of bank {bank.upper()}",
                _at_most(1.0),
            ),
            _item(f"MLCMeanOffset{bank}"),
        )
        for bank in "ab"
    ),
    Known(
        Metric("mlc_largest_backlash", "mm", "Largest backlash of any leaf", _at_most(1.0)),
        re.compile(r"(?:.*/)?MLCBacklash(?:Max\w*|Leaves\w*/\w+)", re.IGNORECASE),
    ),
    Known(
        Metric("jaw_x_largest_offset", "mm", "Largest offset of an X jaw", _at_most(1.0)),
        _item("JawX[12]"),
    ),
    Known(
        Metric("jaw_y_largest_offset", "mm", "Largest offset of a Y jaw", _at_most(2.0)),
        _item("JawY[12]"),
    ),
    Known(
        Metric("jaw_parallelism", "deg", "Largest angle of a jaw to its axis"),
        _item(r"JawParallelism\w*"),
    ),
    Known(
        Metric("collimator_rotation", "deg", "Offset of the collimator's rotation", _at_most(0.5)),
        _item(r"\w*RotationOffset"),
    ),
    Known(
        Metric("gantry_absolute", "deg", "Offset of the gantry angle", _at_most(0.3)),
        _item("GantryAbsolute"),
    ),
    Known(
        Metric("gantry_relative", "deg", "Spread of the gantry angle's offsets", _at_most(0.3)),
        _item("GantryRelative"),
    ),
    Known(
        Metric("couch_largest_error", "mm", "Largest position error of the couch"),
        re.compile(r"(?:.*/)?\w*CouchGroup/(?:.*/)?\w*PositionError\w*", re.IGNORECASE),
    ),
)
BEAM = ("BeamOutputChange", "BeamUniformityChange")
GEOMETRY = (
    *("IsoCenterSize", "IsoCenterMVOffset", "IsoCenterKVOffset"),
    *("MLCMaxOffsetA", "MLCMaxOffsetB", "GantryAbsolute", "GantryRelative"),
)
BY_TEMPLATE = (
    (re.compile(r"BeamCheckTemplate\d+x\w*", re.IGNORECASE), (*BEAM, "BeamCenterShift")),
    (re.compile(r"BeamCheckTemplate\w*", re.IGNORECASE), BEAM),
    (re.compile(r"GeometryCheckTemplate\w*", re.IGNORECASE), GEOMETRY),
)
"""What a check of each kind always holds."""
TOGETHER = (
    BEAM,
    ("IsoCenterSize", "IsoCenterMVOffset"),
    ("MLCMaxOffsetA", "MLCMaxOffsetB"),
    ("MLCMeanOffsetA", "MLCMeanOffsetB"),
)
"""What never comes alone, whatever the kind."""


class MachinePerformanceCheckSettings(Settings):
    """Settings of this analyzer: it has none."""


def analyze(check: MachineCheck, context: Context[MachinePerformanceCheckSettings]) -> Analysis:
    """Say what the check found; a check that was aborted is refused, never passed."""
    if not check.items:
        raise AnalysisError("the check holds no result: it was aborted; run it again")
    missing = _missing(check, context.machine_class)
    failed = [i for i in check.items if i.evaluation is Evaluation.FAILED]
    unknown = [i for i in check.items if _is_unknown(i)]
    beyond = [i for i in check.items if i.evaluation is Evaluation.PASSED and i.is_beyond]
    return Analysis(
        measurements=[
            _count(FAILED, failed),
            _count(UNKNOWN, unknown),
            _count(CONTRADICTIONS, beyond),
            COMPLETE.measured(0.0 if missing else 1.0, at=_short(", ".join(missing)) or None),
            *_worst_share(check.items),
            *(m for known in KNOWN for m in _largest(known, check.items)),
            ITEMS.measured(len(check.items)),
        ],
        notes=[
            *_named("failed", [i.name for i in failed]),
            *_named(
                "neither Pass nor Fail, or no value",
                [f"{i.name} ({i.said or 'no word'})" for i in unknown],
            ),
            *_named("Pass beside a value beyond its threshold", [i.name for i in beyond]),
            *([f"missing: {', '.join(missing)}"] if missing else []),
        ],
    )


def _is_unknown(item: CheckItem) -> bool:
    """Whether nobody can say how the item came out.  A Fail is a Fail, with a value or without."""
    if item.evaluation is Evaluation.FAILED:
        return False
    return item.evaluation is Evaluation.UNKNOWN or item.value is None


def _missing(check: MachineCheck, machine_class: str) -> list[str]:
    """The items that a check of this kind lacks; a kind nobody knows is missing as a whole."""
    names = {item.own_name.casefold() for item in check.items}
    # Halcyon's checks are put together another way: there only what belongs together is asked for.
    wanted = None if machine_class == "halcyon" else _by_template(check.template)
    if wanted is None:
        wanted = tuple(
            name
            for group in TOGETHER
            if any(n.casefold() in names for n in group)
            for name in group
        )
        if not wanted and not any("mlc" in i.name.casefold() for i in check.items):
            return ["every item that tells the kind of check"]
    absent = [name for name in wanted if name.casefold() not in names]
    is_couch = "enhancedcouch" in (check.template or "").casefold()
    if is_couch and not any("couchgroup" in i.group.casefold() for i in check.items):
        absent.append("every item of the couch")
    return absent


def _by_template(template: str | None) -> Sequence[str] | None:
    for pattern, wanted in BY_TEMPLATE:
        if pattern.fullmatch(template or ""):
            return wanted
    return None


def _largest(known: Known, items: Sequence[CheckItem]) -> list[Measurement]:
    """The largest of the items that a metric is made of; they have to be in the metric's unit."""
    found = [(i, i.value) for i in items if known.pattern.fullmatch(i.name) and i.value is not None]
    for item, _ in found:
        if item.unit != known.metric.unit:
            raise AnalysisError(
                f"{item.own_name} is in {item.unit or 'no unit'}, {known.metric.unit} expected"
            )
    if not found:
        return []
    # The last of equals: a bank's own item stands before its leaves, whose number is asked for.
    item, value = max(reversed(found), key=lambda f: abs(f[1]))
    return [
        known.metric.measured(
            value if known.is_signed else abs(value),
            at=_short(item.name) if len(found) > 1 else None,
            reference=item.threshold,
        )
    ]


def _worst_share(items: Sequence[CheckItem]) -> list[Measurement]:
    shares = [(share, item) for item in items if (share := item.share) is not None]
    if not shares:
        return []
    share, item = max(shares, key=lambda s: s[0])
    return [WORST_SHARE.measured(100.0 * share, at=_short(item.name))]


def _count(metric: Metric, items: Sequence[CheckItem]) -> Measurement:
    return metric.measured(len(items), at=_short(items[0].name) if items else None)


def _named(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return [f"{what}: {', '.join(names[:MOST_NAMED])}{more}"]


def _short(name: str) -> str:
    return name[-LONGEST_AT:]


ANALYZER = Analyzer(
    name="machine_performance_check",
    title="Machine performance check",
    version="1",
    accepts=MachineCheck,
    settings=MachinePerformanceCheckSettings,
    metrics=(
        FAILED,
        UNKNOWN,
        CONTRADICTIONS,
        COMPLETE,
        WORST_SHARE,
        *(known.metric for known in KNOWN),
        ITEMS,
    ),
    analyze=analyze,
)
