"""Errors put into simulated images: how many each analyzer finds, and how many it makes up.

A hit is an image with an error that is judged worse than PASS by the default limits of a TrueBeam,
a false alarm one of a machine in order that is; what could not be measured is counted apart, and is
no hit.  `IMAGES` of each size of error (of Winston-Lutz, sets), fewer where `BUDGET_S` is over;
two processes.
"""

from __future__ import annotations

import importlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import monotonic
from typing import Any

import numpy as np

from analyzers.core import AnalysisError, Context, Measurement
from qa_daemon.model import Verdict
from qa_daemon.verdict import judge as judge_number
from tests.bench.epid_trials import TRIALS, Trial

IMAGES, AT_ONCE, PROCESSES = 200, 20, 2
BUDGET_S = 7200.0
MACHINE_CLASS = "truebeam"
ORDER = (Verdict.PASS, Verdict.TOLERANCE, Verdict.ACTION, Verdict.INVALID)
WORSE = (Verdict.TOLERANCE, Verdict.ACTION)


Judged = dict[str, tuple[float, Verdict | None, Verdict | None]]
"""By metric: value, verdict, and verdict for radiosurgery; empty: nothing could be measured."""


def measure() -> dict[str, Any]:
    """By trial and size of error: numbers of images, rates in percent, means by metric."""
    began = monotonic()
    cases = [(name, size) for name, trial in TRIALS.items() for size in trial.sizes]
    found: dict[tuple[str, float], list[Judged]] = defaultdict(list)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        for first in range(0, IMAGES, AT_ONCE):
            if monotonic() - began > BUDGET_S:
                break
            answers = workers.map(partial(judge, first=first), *zip(*cases, strict=True))
            for case, answer in zip(cases, answers, strict=True):
                found[case] += answer
    rates: dict[str, Any] = {}
    for (name, size), judged in found.items():
        label = f"{size:g} {TRIALS[name].unit}" if size else "in order"
        rates.setdefault(name, {})[label] = summary(judged, TRIALS[name])
    return rates


def judge(name: str, size: float, *, first: int) -> list[Judged]:
    """Judge some images of one case, by seeds that no other case has."""
    trial = TRIALS[name]
    analyzer = importlib.import_module(f"analyzers.machine.{trial.analyzer}").ANALYZER
    context = Context(MACHINE_CLASS, analyzer.settings(**trial.settings))
    answers = []
    for seed in range(first, first + AT_ONCE):
        random = np.random.default_rng([list(TRIALS).index(name), round(1000 * size), seed])
        image = trial.make(random, size)
        try:
            measurements = analyzer.analyze(image, context).measurements
        except AnalysisError:
            answers.append({})
            continue
        answers.append({m.metric.name: _judged(m) for m in measurements})
    return answers


def _judged(measured: Measurement) -> tuple[float, Verdict | None, Verdict | None]:
    usual = measured.metric.limits.get(MACHINE_CLASS)
    tight = measured.metric.radiosurgery
    if usual is not None and tight is not None:
        tight = usual.tightened(tight)
    verdicts = [
        None
        if limits is None
        else judge_number(measured.value, limits.resolved(measured.reference))
        for limits in (usual, tight)
    ]
    return measured.value, verdicts[0], verdicts[1]


def summary(judged: Sequence[Judged], trial: Trial) -> dict[str, Any]:
    """Rates of one case in percent, and of each metric shown its mean and its own rate."""
    worst = [_worst([usual for _, usual, _ in answer.values()]) for answer in judged]
    result: dict[str, Any] = {
        "images": len(judged),
        "worse_than_pass_percent": _percent(v in WORSE for v in worst),
        "action_percent": _percent(v is Verdict.ACTION for v in worst),
        "unmeasured_percent": _percent(v is Verdict.INVALID for v in worst),
    }
    if any(tight is not None for answer in judged for _, _, tight in answer.values()):
        tightest = [_worst([v for _, *both in a.values() for v in both]) for a in judged]
        result["worse_for_radiosurgery_percent"] = _percent(v in WORSE for v in tightest)
    for metric in trial.shown:
        seen = [answer[metric] for answer in judged if metric in answer]
        if seen:
            result[metric] = {
                "mean_magnitude": float(np.mean([abs(value) for value, _, _ in seen])),
                "worse_percent": _percent(usual in WORSE for _, usual, _ in seen),
            }
    return result


def _worst(verdicts: Iterable[Verdict | None]) -> Verdict:
    """The worst of what was judged; nothing at all is no PASS."""
    return max((v for v in verdicts if v is not None), default=Verdict.INVALID, key=ORDER.index)


def _percent(hits: Iterable[bool]) -> float:
    return 100.0 * float(np.mean(list(hits)))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
