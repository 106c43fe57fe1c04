"""What a format, an analyzer and a measurement are.

This is the vocabulary of the whole product and it knows no machine, no clinic and no service:
a format turns bytes into a record, an analyzer turns a record into measurements, and limits say
what a clinic accepts.  Verdicts are given elsewhere, by the service that knows the clinic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

MACHINE_CLASSES = ("truebeam", "halcyon", "clinac", "elekta", "srt")


class ReadError(Exception):
    """A file is not what its format says.

    `code` is a stable short name (`TLOG_SIZE`); the message says what was found, where, and what
    to do, and never holds a value of a patient element or a file name.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TruncatedError(ReadError):
    """A file ends early: it may still be growing."""


class AnalysisError(Exception):
    """The record is sound but the question cannot be answered: the verdict is INVALID."""


class NotApplicable(Exception):  # noqa: N818 - an answer, not an error
    """The record does not carry the quantity: listed, and the verdict is left alone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerance and action levels of one metric, in the metric's unit.

    A value is accepted when it lies between the low and the high bound, bounds included, compared
    unrounded.  The percent fields widen a bound to a share of the measurement's reference value
    ("the greater of 0.1 MU and 0.2 %").  `source` names the document or the site's own entry.
    """

    tolerance_low: float | None = None
    tolerance_high: float | None = None
    action_low: float | None = None
    action_high: float | None = None
    tolerance_percent: float | None = None
    action_percent: float | None = None
    source: str = "product default"

    @classmethod
    def at_most(cls, *, tolerance: float, action: float, source: str = "product default") -> Limits:
        """Upper bounds only: magnitudes."""
        return cls(tolerance_high=tolerance, action_high=action, source=source)

    @classmethod
    def at_least(
        cls, *, tolerance: float, action: float, source: str = "product default"
    ) -> Limits:
        """Lower bounds only: pass rates."""
        return cls(tolerance_low=tolerance, action_low=action, source=source)

    @classmethod
    def within(
        cls,
        *,
        tolerance: float,
        action: float,
        tolerance_percent: float | None = None,
        action_percent: float | None = None,
        source: str = "product default",
    ) -> Limits:
        """Symmetric bounds of a signed error, optionally the greater of an absolute and a share."""
        return cls(
            -tolerance, tolerance, -action, action, tolerance_percent, action_percent, source
        )

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds that there are, in numbers."""
        all_ = (self.tolerance_low, self.tolerance_high, self.action_low, self.action_high)
        return tuple(bound for bound in all_ if bound is not None)

    def tightened(self, other: Limits) -> Limits:
        """Both at once: of each bound the one that accepts less.

        Raises ValueError where a bound depends on the reference value of a measurement.
        """
        if self.tolerance_percent is not None or other.tolerance_percent is not None:
            raise ValueError("bounds that are a share of a reference cannot be put together")

        def both(pick: Callable[[tuple[float, ...]], float], *bounds: float | None) -> float | None:
            given = tuple(bound for bound in bounds if bound is not None)
            return pick(given) if given else None

        return Limits(
            both(max, self.tolerance_low, other.tolerance_low),
            both(min, self.tolerance_high, other.tolerance_high),
            both(max, self.action_low, other.action_low),
            both(min, self.action_high, other.action_high),
            source=f"{other.source}; {self.source}",
        )

    def resolved(self, reference: float | None) -> Limits:
        """The bounds in numbers: percent bounds applied to `reference`, where that is wider."""
        if reference is None:
            return self

        def widen(bound: float | None, percent: float | None) -> float | None:
            if bound is None or percent is None:
                return bound
            return float(np.copysign(max(abs(bound), abs(reference) * percent / 100.0), bound))

        return Limits(
            widen(self.tolerance_low, self.tolerance_percent),
            widen(self.tolerance_high, self.tolerance_percent),
            widen(self.action_low, self.action_percent),
            widen(self.action_high, self.action_percent),
            source=self.source,
        )


def for_linacs(limits: Limits) -> dict[str, Limits]:
    """The same limits for every machine class but the kV units."""
    return {name: limits for name in MACHINE_CLASSES if name != "srt"}


def at_most_by_class(
    truebeam: tuple[float, float],
    clinac: tuple[float, float],
    elekta: tuple[float, float] | None = None,
) -> dict[str, Limits]:
    """Upper limits (tolerance, action) by machine class, from published distributions.

    Halcyon takes the TrueBeam values; Elekta takes Clinac's where it has none of its own.
    """
    source = "product default (from published distributions of the class)"
    by_class = {
        "truebeam": truebeam,
        "halcyon": truebeam,
        "clinac": clinac,
        "elekta": elekta or clinac,
    }
    return {
        name: Limits.at_most(tolerance=tolerance, action=action, source=source)
        for name, (tolerance, action) in by_class.items()
    }


def within_by_class(
    truebeam: tuple[float, float],
    clinac: tuple[float, float],
    elekta: tuple[float, float],
    source: str = "product default",
) -> dict[str, Limits]:
    """Symmetric limits (tolerance, action) of a signed error by machine class.

    Halcyon takes the TrueBeam values.
    """
    by_class = {"truebeam": truebeam, "halcyon": truebeam, "clinac": clinac, "elekta": elekta}
    return {
        name: Limits.within(tolerance=tolerance, action=action, source=source)
        for name, (tolerance, action) in by_class.items()
    }


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that an analyzer measures.

    `limits` holds the default limits by machine class; a class that is missing, and a metric
    without any, is trend-only.  Where a plan is of the site's radiosurgery plans, `radiosurgery`
    judges it too.
    """

    name: str
    unit: str
    meaning: str
    limits: Mapping[str, Limits] = field(default_factory=dict)
    radiosurgery: Limits | None = None

    def measured(
        self, value: float, *, at: str | None = None, reference: float | None = None
    ) -> Measurement:
        """A value of this metric; `at` names the leaf, `reference` scales percent limits."""
        return Measurement(self, float(value), at, reference)

    @property
    def is_judged(self) -> bool:
        """Whether the product has limits for it; else it is for the trend alone."""
        return bool(self.limits)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value, not yet judged.

    `judged_as` is the metric of the same analyzer whose limits apply, where the same quantity has
    others by occasion (a daily and a monthly check); None: its own.  `stated` are limits that the
    record itself names: of them and the clinic's, the tighter apply.
    """

    metric: Metric
    value: float
    at: str | None = None
    reference: float | None = None
    judged_as: Metric | None = None
    stated: Limits | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LeafTable:
    """Numbers of every leaf, to be kept and asked for by leaf.

    `columns` maps a quantity with its unit (`mean_error_mm`) to its values, shape `(leaves,)`, NaN
    where a leaf has none.
    """

    leaves: Sequence[str]
    columns: Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analyzer found: numbers to judge, arrays to draw, remarks to read, leaves to keep.

    `not_judged` says why, where nothing of it could be held against anything.
    """

    measurements: Sequence[Measurement]
    traces: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    leaves: LeafTable | None = None
    not_judged: str | None = None


class Settings(BaseModel):
    """Base of an analyzer's own settings; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsT = TypeVar("SettingsT", bound=Settings)
RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True)
class Context(Generic[SettingsT]):
    """What an analyzer may know about where the record comes from."""

    machine_class: str
    settings: SettingsT


@dataclass(frozen=True, slots=True)
class Analyzer(Generic[RecordT, SettingsT]):
    """One question put to one kind of record.

    `applies` says whether the question makes sense of a record at all: where it does not, the
    result does not mention it.  `analyze` raises `AnalysisError` when it cannot answer and
    `NotApplicable` when the record does not carry the quantity.  `version` changes whenever a
    number may change.
    """

    name: str
    title: str
    version: str
    accepts: type[RecordT]
    settings: type[SettingsT]
    metrics: tuple[Metric, ...]
    analyze: Callable[[RecordT, Context[SettingsT]], Analysis]
    applies: Callable[[RecordT], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file and the name it arrived under: the archive stores files by their content.

    `folder` is the name of the folder it lay in, without what is above it; None where nobody knows.
    """

    path: Path
    name: str
    folder: str | None = None

    @classmethod
    def at(cls, path: Path) -> NamedFile:
        """A file that lies where it arrived."""
        return cls(path, path.name, path.absolute().parent.name or None)


@dataclass(frozen=True, slots=True)
class Part:
    """One record of a file that holds several, as a file of its own.

    `name` tells it from the others and stays the same when the file is written anew.
    """

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is read from a file that holds several records: each is read and judged by itself.

    `last_at` is when the last of them was made, where the records say it with an offset;
    `warnings` are about the file as a whole.
    """

    parts: Sequence[Part]
    last_at: datetime | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Companions:
    """How a format's side files are told and paired.

    `recognize` tells a side file from its bytes, `is_side_by_name` one that looks like the main
    file inside.  `is_required` says that neither file is a record without the other: then `read`
    is given what there is and says what is missing.

    `key` maps a file name to a text that must be equal and a position (seconds) that may differ by
    `reach`; None when the name is not of the format's pattern.  The nearest one is taken.
    `performed_at` says what a name tells of the machine's local time.
    """

    recognize: Callable[[bytes], bool]
    key: Callable[[str], tuple[str, float] | None]
    reach: float
    performed_at: Callable[[str], datetime | None] = lambda _: None
    is_side_by_name: Callable[[str], bool] = lambda _: False
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Format(Generic[RecordT]):
    """One file format.

    `recognize` looks at the first `HEAD_BYTES` bytes, never at the name.  `read` takes the file and
    the side files paired with it and raises only `ReadError`.  `machine_class` is the class assumed
    when no site configuration names the machine; empty for what no machine writes (a plan).

    Where a file may hold several records (`may_bundle`), it is then read as a `Bundle`; each part
    is a file of one record.

    `occasion` maps the name of a folder to what it tells of the record, None where it tells
    nothing: files of equal bytes are copies of one record only where that is equal too.
    """

    name: str
    yields: type[RecordT]
    recognize: Callable[[bytes], bool]
    read: Callable[[NamedFile, Sequence[NamedFile]], RecordT | Bundle]
    machine_class: str
    companions: Companions | None = None
    occasion: Callable[[str], str | None] = lambda _: None
    may_bundle: bool = False


HEAD_BYTES = 4096
