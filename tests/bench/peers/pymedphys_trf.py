"""Time pymedphys reading TRFs; runs in the environment of the peers, not in ours.

Arguments: how many rounds, then the files.  Prints JSON: its version, and for every file the best
time of `read_trf` (header and table) and of `Delivery.from_trf`, in seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pymedphys
from pymedphys._trf.decode.delivery import DeliveryLogfile
from pymedphys._trf.decode.trf2pandas import read_trf


def best_s(read: Callable[[str], object], path: str, rounds: int) -> float:
    """The shortest of several times."""
    taken_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        read(path)
        taken_s.append(time.perf_counter() - start)
    return min(taken_s)


rounds, paths = int(sys.argv[1]), sys.argv[2:]
read_trf(paths[0])  # imports what it needs on first use
found = [
    {
        "table_s": best_s(read_trf, path, rounds),
        "delivery_s": best_s(DeliveryLogfile.from_trf, path, rounds),
    }
    for path in paths
]
print(json.dumps({"version": pymedphys.__version__, "files": found}))
