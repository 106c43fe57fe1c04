"""Write years of a superficial unit's checks as files, beside the site file of its clinic."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

from analyzers.output_text import as_csv, as_json
from qa_daemon.simulate import clinic_srt
from qa_daemon.simulate.options import finite, is_on, known
from qa_daemon.simulate.srt_session import APPLICATORS, BEAMS, KPA_PER
from qa_daemon.simulate.srt_years import (
    BEGINS,
    N_K_GY_PER_C,
    Life,
    Noise,
    UnitErrors,
    live,
    working_days,
)
from qa_daemon.simulate.srt_years_rows import UNIT, begun_at, rows

KIND = "srt-years"
MOST_YEARS = 20.0
WRITERS: Mapping[str, Callable[..., bytes]] = {"csv": as_csv, "json": as_json}
SITE = '[site]\nname = "Simulated"\ntime_zone = "Europe/Berlin"\nstate_dir = "state"\n'
FOLDER = Path("incoming") / UNIT


def simulate(
    out: Path,
    *,
    years: float = 1.0,
    form: str = "csv",
    seed: int = 0,
    begins: str = BEGINS.isoformat(),
    altitude: float = 0.0,
    noise: float = 1.0,
    recalibrated: bool | str = True,
    on_day: int = 0,
    kvp: float = 0.0,
    drift: float = 0.0,
    step: float = 0.0,
    signed: bool | str = False,
    pressure_unit: str = "kPa",
    sea_level: bool | str = False,
    applicator: str = "A30",
    filter_steps: int = 0,
    n_k_of: float = 0.0,
    missed_month: bool | str = False,
    chamber_expires: int = 0,
) -> Path:
    """Write a folder: `site.toml`, and a file for each session in `incoming/SRT1`.

    `form` is csv or json, `noise` a factor on all noise but the wander, `altitude` that of the
    clinic in m.  What goes wrong does so on working day `on_day` (the first is 1), at `kvp` (0: at
    each), and is told in `UnitErrors`: `drift` in percent a month, `step` in percent (`signed`:
    after a repair, with a new baseline), one day's `pressure_unit`, `sea_level` pressure,
    `applicator` mounted for A30, `filter_steps` and `n_k_of` another potential, `missed_month`.
    From working day `chamber_expires` on the chamber's certificate has run out; 0: it has not.
    ValueError: an option that is none of these.
    """
    known("form", form, WRITERS)
    known("pressure_unit", pressure_unit, KPA_PER)
    known("applicator", applicator, APPLICATORS)
    for option, value in (("kvp", kvp), ("n_k_of", n_k_of)):
        known(option, f"{finite(option, value):g}", ["0", *(f"{each:g}" for each in BEAMS)])
    first = date.fromisoformat(str(begins))
    if not 0.0 < finite("years", years) <= MOST_YEARS:
        raise ValueError(f"years {years!r}: above 0, at most {MOST_YEARS:g} expected")
    errors = UnitErrors(
        on=_working_day("on_day", first, on_day) if on_day else None,
        kvp=kvp or None,
        drift_percent=finite("drift", drift),
        step_percent=finite("step", step),
        is_signed=is_on("signed", signed),
        pressure_unit=pressure_unit,
        is_sea_level=is_on("sea_level", sea_level),
        applicator=None if applicator == "A30" else applicator,
        filter_steps=int(finite("filter_steps", filter_steps)),
        n_k_of=n_k_of or None,
        is_month_missed=is_on("missed_month", missed_month),
    )
    if errors.on is None and errors != UnitErrors():
        raise ValueError("on_day is not given: on which working day does it begin (the first is 1)")
    life = live(
        years,
        seed,
        errors,
        noise=Noise().times(finite("noise", noise)),
        altitude_m=finite("altitude", altitude),
        recalibrated=is_on("recalibrated", recalibrated),
        begins=first,
    )
    expires = _working_day("chamber_expires", first, chamber_expires) if chamber_expires else None
    _write(out, life, form, expires)
    return out


def _write(out: Path, life: Life, form: str, expires: date | None) -> None:
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for session, (day, kind) in enumerate(zip(life.at, life.kind, strict=True)):
        path = folder / f"{day:%Y-%m-%d}-{kind.value}.{form}"
        path.write_bytes(WRITERS[form](rows(life, session)))
        at = begun_at(life, session).timestamp()
        os.utime(path, (at, at))
    # A certificate holds two years at most: of a longer life it is the last one.
    calibrated = max(life.at[0] - timedelta(days=30), life.at[-1] - timedelta(days=690))
    later = calibrated + timedelta(days=729)
    lines = ", ".join(
        f"{{ hvl_mm_al = {beam.hvl_mm_al}, gy_per_c = {n_k} }}"
        for beam, n_k in zip(BEAMS.values(), N_K_GY_PER_C, strict=True)
    )
    text = clinic_srt.SITE_TOML.format(
        calibrated=calibrated,
        n_k_gy_per_c=f"[{lines}]",
        chamber_until=expires or later,
        electrometer_until=later,
    )
    (out / "site.toml").write_text(SITE + text, "utf-8")


def _working_day(option: str, begins: date, number: int) -> date:
    """The working day of that number, the first being 1."""
    days = working_days(begins, round(MOST_YEARS * 366.0))
    if not 1 <= number <= len(days):
        raise ValueError(f"{option} {number!r}: a working day expected, the first is 1")
    return days[number - 1]
