"""Dynalogs: our reader beside pylinac's on the same real pairs, and what the row of shift is worth.

pylinac 3.49 reads without checks; ours compares the two files and bounds every value.  Each pair is
read by both in turn, so that a busy machine slows both, and the best of several rounds counts.  The
compiled reader is warm, as it is in a worker.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.core import NamedFile
from analyzers.formats import varian_dynalog_rows as rows
from analyzers.formats import varian_dynalog_table as table
from analyzers.formats.varian_dynalog import FORMAT
from tests import real_data

ROUNDS = 7


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Times in seconds and leaf RMS in mm by pair; how many times faster ours is, over all pairs.

    Empty `files` where there is no real data.
    """
    from pylinac.log_analyzer import Dynalog

    files = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in real_data.files("dynalog", "*/A*.dlg"):
            times = _one(path, lambda log: Dynalog(str(log)), rounds)
            files.append({"file": f"{path.parent.name}/{path.name}", **times, **_rms_mm(path)})
    ours_s, pylinac_s = (sum(f[name] for f in files) for name in ("ours_s", "pylinac_s"))
    return {
        "name": "reading a Dynalog, against pylinac",
        "files": {entry.pop("file"): entry for entry in files},
        "ours_s": ours_s,
        "pylinac_s": pylinac_s,
        "ratio": pylinac_s / ours_s if ours_s else None,
        "wanted_ratio": 20.0,
    }


def _beside(path: Path) -> Path:
    return path.with_name("B" + path.name[1:])


def _read(path: Path) -> object:
    beside = _beside(path)
    return FORMAT.read(NamedFile(path, path.name), [NamedFile(beside, beside.name)])


def _one(path: Path, pylinac: Callable[[Path], object], rounds: int) -> dict[str, float]:
    _read(path)
    ours_s, pylinac_s = [], []
    for _ in range(rounds):
        ours_s.append(_seconds(_read, path))
        pylinac_s.append(_seconds(pylinac, path))
    ours, theirs = min(ours_s), min(pylinac_s)
    return {"ours_s": ours, "pylinac_s": theirs, "ratio": theirs / ours}


def _seconds(reader: Callable[[Path], object], path: Path) -> float:
    start = time.perf_counter()
    reader(path)
    return time.perf_counter() - start


def _rms_mm(path: Path) -> dict[str, float]:
    """RMS of the worst leaf with the beam on, against the same row and against the row before."""
    both = [table.read_table(file).rows for file in (path, _beside(path))]
    on = np.flatnonzero(rows.beam_on(both[0]))
    on = on[on >= rows.LEAD_ROWS]
    found = {}
    for name, lag in (("same_row", 0), ("row_before", rows.LEAD_ROWS)):
        errors = [
            bank[on, table.LEAVES + 1 :: 4] - bank[on - lag, table.LEAVES :: 4].astype(np.float64)
            for bank in both
        ]
        mm = np.hstack(errors) * rows.MM_PER_COUNT
        found[f"worst_leaf_rms_{name}_mm"] = float(np.sqrt((mm**2).mean(axis=0)).max())
    return found
