"""Superficial kV units in the site file: what belongs to a unit, and the instruments it is
measured with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal

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
        # Files are read with no regard to case: `f2` and `F2` would be the first of them.
        pairs = [(beam.kvp, beam.filter.strip().casefold()) for beam in self.beams]
        names = [applicator.id for applicator in self.applicators]
        alike = {name.strip().casefold() for name in names}
        if len(set(pairs)) < len(pairs) or len(alike) < len(names):
            raise ValueError(
                "a beam or an applicator is listed twice; names that differ in case alone are one"
            )
        if self.reference_applicator is not None and self.reference_applicator not in names:
            raise ValueError("the reference_applicator is none of the applicators")
        return self


class CalibrationFactor(Model):
    """One line of a chamber's certificate: N_K at the beam quality that it belongs to."""

    hvl_mm_al: float = Field(ge=0.01, le=20)
    gy_per_c: float = Field(ge=1e5, le=1e10)


class NoFactor(ValueError):  # noqa: N818 - an answer for a person
    """The certificate says no N_K for a beam; the sentence says why, and what to do."""


class Courses(Model):
    """`[courses]`: how courses on kV units are summed up."""

    alpha_beta_gy: tuple[float, ...] = Field(default=(10.0, 3.0), min_length=1, max_length=5)
    """BED and EQD2 are shown for each of these, in Gy."""

    @field_validator("alpha_beta_gy")
    @classmethod
    def _plausible(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0.5 <= value <= 30.0 for value in values) or len(set(values)) < len(values):
            raise ValueError("an alpha/beta lies from 0.5 to 30 Gy, each is there once")
        return values


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
    n_k_gy_per_c: Annotated[float, Field(ge=1e5, le=1e10)] | tuple[CalibrationFactor, ...] = ()
    """Air-kerma calibration factor of a chamber: one number, or one for each half-value layer of
    the certificate.  Checks that are typed into the form take it from here."""

    @model_validator(mode="after")
    def _valid(self) -> Instrument:
        if not self.calibrated < self.expires <= self.calibrated + LONGEST_VALID:
            raise ValueError("a calibration expires after it was made, within two years")
        if self.kind == "chamber" and self.t_ref_c is None:
            raise ValueError("a chamber needs t_ref_c, from its certificate: there is no default")
        if self.kind != "chamber" and self.n_k_gy_per_c != ():
            raise ValueError("n_k_gy_per_c belongs to a chamber")
        if isinstance(self.n_k_gy_per_c, tuple):
            layers = [line.hvl_mm_al for line in self.n_k_gy_per_c]
            if layers != sorted(set(layers)):
                raise ValueError("n_k_gy_per_c: the half-value layers have to rise, each once")
        return self

    @property
    def n_k_range(self) -> tuple[float, float] | None:
        """The smallest and the largest N_K of the certificate, in Gy/C; None without any."""
        told = self.n_k_gy_per_c
        if isinstance(told, float):
            return told, told
        factors = [line.gy_per_c for line in told]
        return (min(factors), max(factors)) if factors else None

    def n_k_at(self, hvl_mm_al: float | None) -> float:
        """N_K in Gy/C for a beam of that half-value layer.

        Between two lines of the certificate it is linear in the logarithm of the half-value layer,
        which is how such tables are nearly straight; beyond them there is none.  Raises `NoFactor`.
        """
        told = self.n_k_gy_per_c
        if isinstance(told, float):
            return told
        if not told:
            raise NoFactor(
                "the site file has no n_k_gy_per_c for this chamber: a physicist enters it from "
                "the certificate"
            )
        if hvl_mm_al is None:
            raise NoFactor(
                "the certificate gives N_K by half-value layer, and this beam has no hvl_mm_al in "
                "the site file: a physicist enters it"
            )
        return _between(told, hvl_mm_al)


def _between(lines: Sequence[CalibrationFactor], hvl_mm_al: float) -> float:
    first, last = lines[0].hvl_mm_al, lines[-1].hvl_mm_al
    if not first <= hvl_mm_al <= last:
        raise NoFactor(
            f"the certificate has N_K from {first:g} to {last:g} mm Al, and this beam has "
            f"{hvl_mm_al:g} mm Al: a physicist decides on another chamber or calibration"
        )
    upper = next(k for k, line in enumerate(lines) if hvl_mm_al <= line.hvl_mm_al)
    high = lines[upper]
    if high.hvl_mm_al == hvl_mm_al:
        return high.gy_per_c
    low = lines[upper - 1]
    share = math.log(hvl_mm_al / low.hvl_mm_al) / math.log(high.hvl_mm_al / low.hvl_mm_al)
    return low.gy_per_c + share * (high.gy_per_c - low.gy_per_c)
