"""A thousand years of superficial units: what is found the same day, and what is made up.

A unit lives two years, the second of which counts: its daily and monthly checks and a calibration.
Of the first `FILES` units all of them go through the program as files; the others take the
deviations of the model, which are compared with the program's on each of those files.  An alarm is
a verdict that is not PASS (a refusal among them), a step, or a drift that is announced; in a year
without an error it is a false one, counted once a day, a drift where its series was silent for a
week.  For an error of a day, that day is drawn from the year.  Units that drift are not calibrated
again: in twelve months 0.2 % would not reach 3 %.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.output_checks import CheckType
from qa_daemon.due import LastDone, Standing, items
from qa_daemon.model import Verdict
from qa_daemon.simulate.srt_session import BEAMS
from qa_daemon.simulate.srt_years import Life, Noise, UnitErrors, live
from tests.bench.srt_unit_lives import (
    TOLERANCE_PERCENT,
    Judged,
    Values,
    is_beyond,
    is_drift,
    is_step,
    is_told,
    judged,
    values_of,
)

UNITS, FILES, PROCESSES, AT_ONCE = 1000, 200, 2, 10
SIGMAS_PERCENT, USUAL_PERCENT = (0.3, 0.5, 0.85), 0.507
UNITS_OF_SIGMA = 40
"""For the table of noise, of each."""
ASKED_ALWAYS = 10
"""Units in which trends are asked every day, to compare with where they are asked if near."""
FIRST_DAY, LAST_DAY = 365, 728
SILENT_D = 7
DRIFT_PERCENT, DRIFT_YEARS, DRIFT_SEED = 0.2, 4.0, 10**6
BEAM = list(BEAMS).index(70.0)

MOUNTAIN_M, HILL_M = 1600.0, 300.0
STEPS: Mapping[str, UnitErrors] = {
    "step +3 % of every beam": UnitErrors(step_percent=3.0),
    "step -3 % of every beam": UnitErrors(step_percent=-3.0),
    "step +3 % of one beam": UnitErrors(step_percent=3.0, kvp=70.0),
    "step -3 % of one beam": UnitErrors(step_percent=-3.0, kvp=70.0),
}
OTHERS: Mapping[str, UnitErrors] = {
    "after a repair, +3 %, new baseline": UnitErrors(step_percent=3.0, is_signed=True),
    "pressure in mmHg": UnitErrors(pressure_unit="mmHg"),
    "pressure in hPa": UnitErrors(pressure_unit="hPa"),
    "pressure of sea level, clinic at 300 m": UnitErrors(is_sea_level=True),
    "pressure of sea level, clinic at 1600 m": UnitErrors(is_sea_level=True),
    "applicator of 1.5 cm for 3 cm (-4.5 %)": UnitErrors(applicator="A15"),
    "applicator of 2 cm for 3 cm (-2.6 %)": UnitErrors(applicator="A20"),
    "applicator of 5 cm for 3 cm (+3.1 %)": UnitErrors(applicator="A50"),
    "next thicker filter, one beam (-30 %)": UnitErrors(filter_steps=1, kvp=70.0),
    "N_K of 100 kV for 70 kV (-1.7 %)": UnitErrors(n_k_of=100.0, kvp=70.0),
    "N_K of 100 kV for 50 kV (-3.2 %)": UnitErrors(n_k_of=100.0, kvp=50.0),
}
ALTITUDES_M = {
    "pressure of sea level, clinic at 300 m": HILL_M,
    "pressure of sea level, clinic at 1600 m": MOUNTAIN_M,
}


def measure(units: int = UNITS) -> dict[str, Any]:
    """Rates in percent, false alarms per unit-year, lead times in days."""
    few = min(units, UNITS_OF_SIGMA)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        years = Counter(chain.from_iterable(workers.map(a_year, range(units), chunksize=AT_ONCE)))
        leads = list(workers.map(a_drift, range(units), chunksize=AT_ONCE))
        by_sigma = {f"{sigma:g} %": of_sigma(sigma, few, workers) for sigma in SIGMAS_PERCENT}
    return summary(years, leads, units) | {"by_sigma": by_sigma}


def summary(
    years: Mapping[str, int], leads: Sequence[Mapping[str, float | None]], units: int
) -> dict[str, Any]:
    """Rates of what was counted in so many units."""
    files = min(units, FILES)
    steps = {name: _same_day(years, name, units) for name in STEPS}
    others = {name: _same_day(years, name, files) for name in OTHERS}
    seen = Counter(years)
    return {
        "unit_years": units,
        "of_them_as_files": files,
        "files": seen["files"],
        "deviations_differ": seen["deviation differs"],
        "false_alarms_per_unit_year": _false_alarms(seen, units),
        "same_day": steps | others,
        "expired_chamber": {
            f"{kind}_{word}_percent": _percent(seen[f"expired, {kind}: {word}"], files)
            for kind in TOLERANCE_PERCENT
            for word in ("alarm", "refused", "remark")
        },
        "missed_month_overdue_percent": _percent(seen["overdue"], files),
        "drift": _leads(leads),
        "signals_missed_where_not_asked": seen["asked always: differs"],
    }


def a_year(seed: int) -> list[str]:
    """What was seen in one unit-year: words that are counted."""
    life, random = live(2.0, seed), np.random.default_rng([seed, 1])
    if seed >= FILES:
        found = _without_error(life, None)
        for name, errors in STEPS.items():
            found += _with_error(name, errors, seed, random, None)
        return found
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.csv"
        program = partial(judged, path=path)
        found = _without_error(life, program)
        for name, errors in {**STEPS, **OTHERS}.items():
            found += _with_error(name, errors, seed, random, program)
        found += _expired(life, path)
    found += _overdue(seed, random)
    return found + (_asked_always(life) if seed < ASKED_ALWAYS else [])


def _without_error(life: Life, program: Callable[[Life, int], Judged] | None) -> list[str]:
    """The alarms of the second year."""
    found: list[str] = []
    for kind in CheckType.DAILY, CheckType.MONTHLY, CheckType.ABSOLUTE:
        values = values_of(life, kind)
        last_drift = dict.fromkeys(range(len(BEAMS)), -np.inf)
        for number, session in enumerate(values.sessions):
            day = values.days[number]
            if not FIRST_DAY <= day <= LAST_DAY:
                continue
            is_bad = is_beyond(life, session)
            if program is not None:
                said = program(life, session)
                off = np.abs(np.array(said.deviations) - values.deviations[number]).max()
                found += ["files"] + ["deviation differs"] * bool(off > 1e-9)
                is_bad = said.verdict is not Verdict.PASS
            is_stepped = is_step(values, number)
            for beam in range(len(BEAMS)):
                if is_drift(values.series(number, beam)):
                    if day - last_drift[beam] > SILENT_D:
                        found += ["false alarm", f"drift, {kind}"]
                    last_drift[beam] = day
            if is_bad or is_stepped:
                found.append("false alarm")
            found += [f"limits, {kind}"] * is_bad + [f"step, {kind}"] * is_stepped
            if is_bad and kind is CheckType.ABSOLUTE and _has_wandered(life, session):
                found.append("limits, absolute, and the unit has changed by more than 1 %")
    return found


def _has_wandered(life: Life, session: int) -> bool:
    """Whether a beam's level is off what it was at the last calibration by more than 1 %."""
    before = max(n for n in life.of(CheckType.ABSOLUTE) if n < session)
    change = life.level[session] / life.level[before] - 1.0
    return bool((np.abs(change) > 0.01).any())


def _with_error(
    name: str,
    errors: UnitErrors,
    seed: int,
    random: np.random.Generator,
    program: Callable[[Life, int], Judged] | None,
    noise: Noise | None = None,
) -> list[str]:
    """Which of limits and trends tell an error in the daily check of its day."""
    altitude_m = ALTITUDES_M.get(name, 0.0)
    days = [d for d in _days(live(2.0, seed)) if FIRST_DAY <= d[1] < LAST_DAY]
    on, _ = days[int(random.integers(1, len(days)))]
    life = live(2.0, seed, replace(errors, on=on), altitude_m=altitude_m, noise=noise)
    values = values_of(life, CheckType.DAILY)
    number = next(k for k, n in enumerate(values.sessions) if life.at[n] == on)
    session = int(values.sessions[number])
    if program is None:
        is_bad, is_refused = is_beyond(life, session), False
    else:
        said = program(life, session)
        is_bad, is_refused = said.verdict is not Verdict.PASS, said.refused is not None
    # What is refused has no value to lay beside the others.
    told = not is_refused and is_told(values, number)
    return (
        [f"{name}: limits"] * is_bad
        + [f"{name}: refused"] * is_refused
        + [f"{name}: trends"] * told
        + [f"{name}: alarm"] * (is_bad or told)
    )


def _days(life: Life) -> list[tuple[date, int]]:
    return [(life.at[n], (life.at[n] - life.at[0]).days) for n in life.of(CheckType.DAILY)]


def _expired(life: Life, path: Path) -> list[str]:
    """The last check of each kind, with a chamber whose certificate ran out the day before."""
    found = []
    for kind in TOLERANCE_PERCENT:
        session = int(life.of(kind)[-1])
        said = judged(life, session, path, expires=life.at[session])
        found += [f"expired, {kind}: alarm"] * (said.verdict is not Verdict.PASS)
        found += [f"expired, {kind}: refused"] * (said.refused == "SRT_CAL")
        found += [f"expired, {kind}: remark"] * said.has_remark
    return found


def _overdue(seed: int, random: np.random.Generator) -> list[str]:
    """A month without its check, which is overdue before the next one."""
    days = [d for d, since in _days(live(2.0, seed)) if FIRST_DAY <= since < LAST_DAY - 62]
    on = days[int(random.integers(len(days)))]
    life = live(2.0, seed, UnitErrors(on=on, is_month_missed=True))
    checks = [life.at[n] for n in life.of(CheckType.MONTHLY)]
    before = max(d for d in checks if (d.year, d.month) < (on.year, on.month))
    after = min(d for d in checks if (d.year, d.month) > (on.year, on.month))
    done = LastDone(before, 1, Verdict.PASS)
    standing = {
        item.standing
        for item in items(
            {("SRT.M.OUT", "70 kV F2 A30"): done}, ["70 kV F2 A30"], after - timedelta(days=1)
        )
        if item.test.id == "SRT.M.OUT"
    }
    return ["overdue"] * (standing == {Standing.OVERDUE})


def _asked_always(life: Life) -> list[str]:
    """Days on which asking only where a signal is near leaves one out."""
    values = values_of(life, CheckType.DAILY)
    pairs = (
        (is_drift(series), is_drift(series, always=True))
        for number in range(len(values.sessions))
        for beam in range(len(BEAMS))
        for series in [values.series(number, beam)]
    )
    return ["asked always: differs" for quick, slow in pairs if quick != slow]


def a_drift(seed: int, noise: Noise | None = None) -> dict[str, float | None]:
    """Days from the first announcement to the true crossing of a limit; None: not before it.

    A limit that is not crossed in the unit's life is left out.
    """
    random = np.random.default_rng([seed, 2])
    days = _days(live(1.0, seed))
    on, since = days[int(random.integers(20, len(days)))]
    sign = float(random.choice([-1.0, 1.0]))
    errors = UnitErrors(on=on, drift_percent=sign * DRIFT_PERCENT, kvp=70.0)
    life = live(DRIFT_YEARS, DRIFT_SEED + seed, errors, noise=noise, recalibrated=False)
    daily = values_of(life, CheckType.DAILY)
    # The level against the baseline, without what varies from day to day.
    nominal = list(BEAMS.values())[BEAM].output_gy_per_min
    level = life.level[daily.sessions, BEAM] * nominal
    true = sign * 100.0 * (level / life.baselines[daily.sessions, BEAM] - 1.0)
    asked_for_2 = values_of(life, CheckType.DAILY, TOLERANCE_PERCENT[CheckType.MONTHLY])
    monthly = values_of(life, CheckType.MONTHLY)
    first = {
        name: _first_told(values, since)
        for name, values in (
            ("daily checks", daily),
            ("daily checks, were they asked for 2 %", asked_for_2),
            ("monthly checks", monthly),
        )
    }
    found: dict[str, float | None] = {}
    for limit in 3.0, 2.0:
        beyond = daily.days[(true > limit) & (daily.days >= since)]
        for name, day in first.items():
            if beyond.size and (limit == 2.0 or name == "daily checks"):
                lead = float(beyond[0]) - day
                found[f"{limit:g} %, by {name}"] = lead if lead > 0.0 else None
    return found


def _first_told(values: Values, since: int) -> float:
    """The day of the first announcement from a day on; infinite where there is none."""
    days = (
        float(day)
        for number, day in enumerate(values.days)
        if day >= since and is_drift(values.series(number, BEAM))
    )
    return next(days, math.inf)


def of_sigma(sigma: float, units: int, workers: ProcessPoolExecutor) -> dict[str, Any]:
    work = partial(_year_of_sigma, sigma=sigma)
    found = Counter(chain.from_iterable(workers.map(work, range(units), chunksize=AT_ONCE)))
    noise = Noise().times(sigma / USUAL_PERCENT)
    drift = partial(a_drift, noise=noise)
    leads = list(workers.map(drift, range(units), chunksize=AT_ONCE))
    return {
        "unit_years": units,
        "false_alarms": _false_alarms(found, units),
        **{name: _same_day(found, name, units) for name in STEPS},
        "drift": _leads(leads),
    }


def _year_of_sigma(seed: int, *, sigma: float) -> list[str]:
    noise = Noise().times(sigma / USUAL_PERCENT)
    found = _without_error(live(2.0, seed, noise=noise), None)
    random = np.random.default_rng([seed, 1])
    for name, errors in STEPS.items():
        found += _with_error(name, errors, seed, random, None, noise)
    return found


def _false_alarms(found: Mapping[str, int], units: int) -> dict[str, float]:
    kinds = ("limits", "step", "drift")
    parts = {word: n / units for word, n in found.items() if word.split(",")[0] in kinds}
    return {"all": found["false alarm"] / units, **dict(sorted(parts.items()))}


def _same_day(found: Mapping[str, int], name: str, units: int) -> dict[str, float]:
    words = ("alarm", "limits", "refused", "trends")
    return {f"{word}_percent": _percent(found.get(f"{name}: {word}", 0), units) for word in words}


def _leads(leads: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys(chain.from_iterable(leads)):
        of_units = [lead[name] for lead in leads if name in lead]
        days = [days for days in of_units if days is not None]
        shares = np.percentile(days, [5, 50, 95]) if days else [float("nan")] * 3
        found[name] = {
            "units_that_cross": len(of_units),
            "announced_percent": _percent(len(days), len(of_units)),
            "lead_days_5_50_95": [float(share) for share in shares],
        }
    return found


def _percent(hits: int, of: int) -> float:
    return 100.0 * hits / of


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=UNITS)
    print(json.dumps(measure(parser.parse_args().units), indent=1))
