"""Sessions of a simulated superficial unit's life as a physicist would have written them down."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from functools import cache

from analyzers.output_checks import CheckType, OutputCheck, ReadingGroup
from analyzers.output_registry import (
    Baseline,
    Certificate,
    RegisteredApplicator,
    RegisteredBeam,
    RegisteredUnit,
)
from qa_daemon.simulate.srt_session import (
    APPLICATORS,
    BEAMS,
    BETWEEN_ROWS,
    P_REF_KPA,
    T_REF_C,
    Faults,
    rows_of,
    settings_of,
)
from qa_daemon.simulate.srt_years import Life

UNIT = "SRT1"
ZONE = timezone(timedelta(hours=1))
TIME_OF_DAY = {
    CheckType.DAILY: time(7, 31),
    CheckType.MONTHLY: time(12, 40),
    CheckType.ABSOLUTE: time(17, 50),
}
"""More than four hours apart, so that each is a session of its own."""
SSD_CM = 15.0
DECIMALS = 5


def begun_at(life: Life, session: int) -> datetime:
    """When a session began."""
    return datetime.combine(life.at[session], TIME_OF_DAY[life.kind[session]], ZONE)


def rows(life: Life, session: int, *, unit: str = UNIT) -> list[ReadingGroup]:
    """The rows of a session, one for each tube potential, with the baseline as reference.

    At the first calibration there is none.
    """
    at, kind = begun_at(life, session), life.kind[session]
    references = life.baselines[session]
    return [
        replace(
            row,
            record_id=f"{at:%Y-%m-%d}-{kind.value}-{beam + 1}",
            unit_id=unit,
            performed_at=at + beam * BETWEEN_ROWS,
            n_k_gy_per_c=float(life.n_k[session, beam]),
            readings_nc=tuple(map(float, life.readings_nc[session, beam])),
            temperature_c=float(life.read_c[session]),
            pressure_kpa=float(life.read_kpa[session]),
            reference_output=_rounded(references[beam]),
        )
        for beam, row in enumerate(_written(kind))
    ]


def check(life: Life, session: int, *, unit: str = UNIT) -> OutputCheck:
    """A session as it is read from a file."""
    return OutputCheck(tuple(rows(life, session, unit=unit)))


def registered(
    life: Life, session: int, *, expires: date | None = None, unit: str = UNIT
) -> RegisteredUnit:
    """What the clinic knows of the unit when a session is judged: baselines signed until then.

    `expires`: when the chamber's calibration runs out; None: it does not.
    """
    outputs = life.outputs
    signed = tuple(
        Baseline(row.beam, to_water=False, since=begun_at(life, earlier), gy_per_min=float(output))
        for earlier in life.of(CheckType.ABSOLUTE)
        if earlier < session
        for row, output in zip(_written(CheckType.ABSOLUTE), outputs[earlier], strict=True)
    )
    row = _written(CheckType.ABSOLUTE)[0]
    instruments = (
        ("chamber", row.chamber_sn, expires or date.max),
        ("electrometer", row.electrometer_sn, date.max),
    )
    return RegisteredUnit(
        names=(unit,),
        beams=tuple(RegisteredBeam(kvp, b.filter_id, b.hvl_mm_al) for kvp, b in BEAMS.items()),
        applicators=tuple(
            RegisteredApplicator(name, SSD_CM, diameter_cm=diameter_cm)
            for name, (diameter_cm, _) in APPLICATORS.items()
        ),
        certificates=tuple(
            Certificate(kind, serial, date.min, until, T_REF_C, P_REF_KPA)
            for kind, serial, until in instruments
        ),
        baselines=signed,
        reference_applicator="A30",
    )


@cache
def _written(kind: CheckType) -> tuple[ReadingGroup, ...]:
    """What all rows of a kind have in common, one for each tube potential."""
    at = datetime(2000, 1, 1, tzinfo=ZONE)
    return tuple(rows_of(list(settings_of(kind, list(BEAMS))), Faults(), unit=UNIT, at=at))


def _rounded(reference: float) -> float | None:
    return None if reference != reference else round(float(reference), DECIMALS)
