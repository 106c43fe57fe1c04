"""Vendor-neutral records: what a machine said, in IEC 61217, mm, degrees, MU and seconds.

Conversion from a maker's own scale happens in `formats` and nowhere else.  After that nobody
knows the maker.  An error is always actual minus expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.plan_records import PlanMatch

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]

CREEP_MU_PER_S = 0.05
"""A meterset that rises no faster than this is not beam.

While a beam is held, real logs let the meterset creep by about 1e-5 MU a sample (at most 6e-4 MU);
the slowest sample with beam in 37 of them held 1e-2 MU.  Counting creep as beam would judge a
collimator that turns between two fields.
"""
SLOWEST_BEAM_MU = 0.5


def delivers(meterset_mu: FloatArray, interval_s: float) -> BoolArray:
    """The samples during which a cumulative meterset, MU, rises by more than it creeps.

    Samples are `interval_s` apart.  Shape `(samples,)`.
    """
    increment_mu = np.diff(meterset_mu, prepend=meterset_mu[:1])
    return np.asarray(increment_mu > CREEP_MU_PER_S * interval_s)


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One axis over the samples: what the controller wanted, and where the axis was.

    Both arrays have the shape `(samples,)`, or `(samples, leaves)` for a leaf bank.  Where the log
    has only what was, `has_expected` is False and the expected values are NaN: who compares all the
    same gets no number, and not an axis that agrees with itself.
    """

    expected: FloatArray
    actual: FloatArray
    has_expected: bool = True

    @classmethod
    def actual_only(cls, actual: FloatArray) -> Axis:
        """An axis of which the log says only where it was."""
        return cls(np.full_like(actual, np.nan), actual, has_expected=False)

    @property
    def reference(self) -> FloatArray:
        """What the controller wanted, where the log says it, else what was: for geometry alone."""
        return self.expected if self.has_expected else self.actual


class Meterset(Enum):
    """What a log's meterset is."""

    MU = "MU"
    SHARE = "share of the planned meterset"
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class MlcLayer:
    """One layer of leaves at the isocenter plane, leaf 1 at the most negative boundary.

    `bank_a_mm` holds the X2 side and `bank_b_mm` the X1 side of each pair, shape
    `(samples, pairs)`, as IEC X: a pair is open where A is greater than B.
    """

    name: str
    leaf_edges_mm: FloatArray
    bank_a_mm: Axis
    bank_b_mm: Axis

    @property
    def pairs(self) -> int:
        """Number of leaf pairs."""
        return len(self.leaf_edges_mm) - 1

    def leaf_names(self, bank: str) -> list[str]:
        """`A1` … `A60`; a machine with several layers names its layer first (`28A1`)."""
        return [f"{self.name}{bank}{k + 1}" for k in range(self.pairs)]


@dataclass(frozen=True, slots=True)
class SubBeam:
    """One beam of a log that holds several: samples `start` up to, not including, `stop`."""

    sequence: int
    control_point: int
    planned_mu: float
    start: int
    stop: int
    delivered: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose delivery this is.  Stays inside the store: never in a log line, alert or metric."""

    patient_id: str | None = field(default=None, repr=False)
    plan_label: str | None = field(default=None, repr=False)
    plan_uid: str | None = field(default=None, repr=False)
    beam_name: str | None = field(default=None, repr=False)
    beam_number: int | None = field(default=None, repr=False)
    beam_names: tuple[str, ...] = field(default=(), repr=False)
    beam_label: str | None = field(default=None, repr=False)
    """What stands before the name where a machine logs both (`1-2` of `1-2/3 FIELD IMRT`)."""


@dataclass(frozen=True, eq=False)
class Delivery:
    """One delivery as the controller logged it.

    Arrays run over the samples, `interval_s` apart; the clock of a log stops while the beam is
    interrupted by the user, so a gap is invisible.  An axis the machine does not have, or does not
    log, is None.  `performed_at` is the machine's local wall time without a zone.
    `not_judged` says why nothing in this record is to be judged (an imaging log).

    `meterset_mu` is NaN throughout, and `meterset` says so, where the log has no MU; a share of the
    planned meterset is in `meterset_percent` then.
    """

    interval_s: float
    meterset_mu: Axis
    meterset: Meterset = Meterset.MU
    meterset_percent: Axis | None = None
    performed_at: datetime | None = None
    control_point: Axis | None = None
    beam_hold: NDArray[np.int64] | None = None
    """Actual state: 0 normal, 1 freeze, 2 hold, 3 disabled."""
    beam_flag: BoolArray | None = None
    """Where a log says itself when the beam is on, and has no MU to tell it."""
    gantry_deg: Axis | None = None
    collimator_deg: Axis | None = None
    couch_rotation_deg: Axis | None = None
    couch_pitch_deg: Axis | None = None
    couch_roll_deg: Axis | None = None
    couch_vertical_mm: Axis | None = None
    couch_longitudinal_mm: Axis | None = None
    couch_lateral_mm: Axis | None = None
    jaw_x1_mm: Axis | None = None
    jaw_x2_mm: Axis | None = None
    jaw_y1_mm: Axis | None = None
    jaw_y2_mm: Axis | None = None
    mlc: tuple[MlcLayer, ...] = ()
    mlc_model: str | None = None
    mlc_is_assumed: bool = False
    """The log tells only the number of leaf pairs, which several models have."""
    sub_beams: tuple[SubBeam, ...] = ()
    fields: tuple[SubBeam, ...] = ()
    """Fields of a log that states no sub-beams, found by its reader; none where there is but one.

    The log does not state their metersets: `planned_mu` is what was delivered in each.
    """
    planned_mu: float | None = None
    planned_mu_source: str | None = None
    truncated: bool = False
    machine_serial: str | None = None
    energy: str | None = None
    identity: Identity = field(default_factory=Identity)
    machine_parameters: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the companion text file by its own key, unit in the key."""
    machine_states: Mapping[str, str] = field(default_factory=dict)
    """What the companion text file says in words (`Water Level`), by its own key."""
    other_axes: Mapping[int, Axis] = field(default_factory=dict)
    """Axes nobody here interprets (tracking), by the maker's code, in the maker's unit."""
    meterset_expected: bool = True
    """False where the log holds no expected meterset: `meterset_mu.expected` is the actual one."""
    warnings: tuple[str, ...] = ()
    not_judged: str | None = None
    planned: PlanMatch | None = None
    """Which planned beams this is the delivery of; None: no plan was given.  No reader sets it."""

    @property
    def machine_class(self) -> str | None:
        """The class of the machine where its leaves tell it; None where they do not."""
        return "halcyon" if self.mlc_model == "halcyon" else None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.meterset_mu.actual)

    @cached_property
    def time_s(self) -> NDArray[np.float64]:
        """Time of each sample since the first."""
        return np.arange(self.samples, dtype=np.float64) * self.interval_s

    @cached_property
    def increment_mu(self) -> NDArray[np.float64]:
        """Meterset delivered since the sample before, never negative; shape `(samples,)`."""
        meterset_mu = np.asarray(self.meterset_mu.actual, dtype=np.float64)
        return np.maximum(np.diff(meterset_mu, prepend=meterset_mu[:1]), 0.0)

    @cached_property
    def beam_on(self) -> BoolArray:
        """Samples during which meterset was delivered.

        The increment decides, not the beam-hold flag: real logs show "normal" on rows without beam.
        A log without MU has a flag of its own for it.
        A beam that is slow throughout counts by any increment at all.
        """
        if self.beam_flag is not None:
            return self.beam_flag
        on = delivers(self.meterset_mu.actual, self.interval_s)
        if not on.any() and self.increment_mu.sum() > SLOWEST_BEAM_MU:
            return np.asarray(self.increment_mu > 0.0)
        return on

    @property
    def weight(self) -> Axis | None:
        """The meterset in whatever unit the log has, cumulative; None where it has no dose at all.

        MU, or percent of the planned meterset: for what is relative to the whole.
        """
        return self.meterset_mu if self.meterset is Meterset.MU else self.meterset_percent

    @property
    def jaws_mm(self) -> dict[str, Axis]:
        """The jaws this machine has, by name."""
        jaws = {
            "X1": self.jaw_x1_mm,
            "X2": self.jaw_x2_mm,
            "Y1": self.jaw_y1_mm,
            "Y2": self.jaw_y2_mm,
        }
        return {name: axis for name, axis in jaws.items() if axis is not None}
