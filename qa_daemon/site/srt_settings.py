"""Superficial kV units in the site file: what belongs to a unit, and the instruments it is
measured with."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from qa_daemon.site.srt_rules import RULES
from qa_daemon.site.values import ONE_LINE, Model

LONGEST_VALID = timedelta(days=731)
"""A calibration counts for two years at most."""


class Beam(Model):
    """A tube potential and the filter that goes with it."""

    kvp: float = Field(ge=10, le=320)
    filter: str = Field(min_length=1, max_length=64)
    """As the files write it; `none` where there is none."""
    hvl_mm_al: float | None = Field(default=None, gt=0, le=20)
    """As commissioned."""


class Applicator(Model):
    """An applicator (cone), with the distance that it sets."""

    id: str = Field(min_length=1, max_length=64)
    diameter_cm: float | None = Field(default=None, ge=0.3, le=30)
    x_cm: float | None = Field(default=None, ge=0.3, le=30)
    y_cm: float | None = Field(default=None, ge=0.3, le=30)
    ssd_cm: float = Field(ge=2, le=100)

    @model_validator(mode="after")
    def _one_shape(self) -> Applicator:
        sides = (self.x_cm, self.y_cm)
        if (self.diameter_cm is None) == (sides == (None, None)) or (None in sides) != (
            sides == (None, None)
        ):
            raise ValueError("an applicator has a diameter_cm, or x_cm and y_cm")
        return self


class SrtUnit(Model):
    """`[machine.srt]`: what a kV unit has.  What is listed is all there is: the rest is refused."""

    model: str | None = None
    """As its files write it."""
    beams: tuple[Beam, ...] = ()
    applicators: tuple[Applicator, ...] = ()
    reference_applicator: str | None = None
    """The applicator of output checks, to which applicator factors refer."""
    rules: str = "none"
    """The jurisdiction whose rules hold."""

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, name: str) -> str:
        if name not in RULES:
            raise ValueError(f"no rules of {name!r} are known; there are: {', '.join(RULES)}")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> SrtUnit:
        pairs = [(beam.kvp, beam.filter) for beam in self.beams]
        names = [applicator.id for applicator in self.applicators]
        if len(set(pairs)) < len(pairs) or len(set(names)) < len(names):
            raise ValueError("a beam or an applicator is listed twice")
        if self.reference_applicator is not None and self.reference_applicator not in names:
            raise ValueError("the reference_applicator is none of the applicators")
        return self


class Instrument(Model):
    """`[[instrument]]`: a chamber, electrometer, barometer or thermometer with its certificate."""

    kind: Literal["chamber", "electrometer", "barometer", "thermometer"]
    model: str = Field(pattern=ONE_LINE, max_length=64)
    serial: str = Field(pattern=ONE_LINE, max_length=64)
    """As the files write it."""
    calibrated: date
    expires: date
    """From this day on it is out of calibration; at most two years after it was calibrated."""
    t_ref_c: float | None = Field(default=None, ge=15, le=25)
    """Reference temperature of the certificate: 20 or 22; for chambers."""
    p_ref_kpa: float = Field(default=101.325, ge=101.0, le=101.6)

    @model_validator(mode="after")
    def _valid(self) -> Instrument:
        if not self.calibrated < self.expires <= self.calibrated + LONGEST_VALID:
            raise ValueError("a calibration expires after it was made, within two years")
        if self.kind == "chamber" and self.t_ref_c is None:
            raise ValueError("a chamber needs t_ref_c, from its certificate: there is no default")
        return self
