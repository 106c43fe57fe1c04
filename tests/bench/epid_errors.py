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
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import monotonic
from typing import Any

import numpy as np

from analyzers.core import AnalysisError, Context
from tests.bench.epid_trials import TRIALS, Trial
from tests.machine.judging import verdict

IMAGES, AT_ONCE, PROCESSES = 200, 20, 2
BUDGET_S = 1500.0
MACHINE_CLASS = "truebeam"
PASS, UNMEASURED = "PASS", "INVALID"

Judged = dict[str, tuple[float, str | None]]
"""Value and verdict by metric; empty where nothing could be measured."""


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
        answers.append({m.metric.name: (m.value, verdict(m, MACHINE_CLASS)) for m in measurements})
    return answers


def summary(judged: Sequence[Judged], trial: Trial) -> dict[str, Any]:
    """Rates of one case in percent, and of each metric shown its mean and its own rate."""
    verdicts = [{said for _, said in answer.values()} - {None} or {UNMEASURED} for answer in judged]
    unmeasured = [UNMEASURED in said for said in verdicts]
    worse = [said != {PASS} and not bad for said, bad in zip(verdicts, unmeasured, strict=True)]
    action = ["ACTION" in said and not bad for said, bad in zip(verdicts, unmeasured, strict=True)]
    result: dict[str, Any] = {
        "images": len(judged),
        "worse_than_pass_percent": 100.0 * float(np.mean(worse)),
        "action_percent": 100.0 * float(np.mean(action)),
        "unmeasured_percent": 100.0 * float(np.mean(unmeasured)),
    }
    for metric in trial.shown:
        seen = [answer[metric] for answer in judged if metric in answer]
        if seen:
            values = [value for value, _ in seen]
            result[metric] = {
                "mean": float(np.mean(values)),
                "worse_percent": 100.0
                * float(np.mean([said not in (None, PASS) for _, said in seen])),
            }
    return result


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
