"""Runs pymedphys' gamma in pymedphys' own environment: `python pymedphys_gamma.py IN.npz OUT.npz`.

IN holds `reference`, `evaluated`, `spacing_mm` and `calls`, a JSON list of keywords for
`pymedphys.gamma`, run in this order.  OUT holds the map of each call (`map_0`, …) and `report`,
JSON: the version, and seconds and extra peak memory of each call.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import pymedphys
from peak_memory import extra_megabytes


def main(source: str, target: str) -> None:
    with np.load(source, allow_pickle=False) as given:
        reference, evaluated = given["reference"], given["evaluated"]
        spacing_mm, calls = given["spacing_mm"], json.loads(str(given["calls"]))
    axes = tuple(np.arange(n) * h for n, h in zip(reference.shape, spacing_mm, strict=True))
    maps, seconds, megabytes = {}, [], []
    for number, keywords in enumerate(calls):

        def call(number=number, keywords=keywords):
            start = time.perf_counter()
            maps[f"map_{number}"] = pymedphys.gamma(axes, reference, axes, evaluated, **keywords)
            seconds.append(time.perf_counter() - start)

        megabytes.append(extra_megabytes(call))
    report = {"version": version("pymedphys"), "seconds": seconds, "extra_mb": megabytes}
    np.savez(target, report=json.dumps(report), **maps)


if __name__ == "__main__":
    main(*sys.argv[1:])
