"""Reading trajectory logs: our reader beside pylinac's, on the same real files, in one run.

pylinac 3.49 reads without any check of size or checksum; ours checks both.  Each file is read by
both in turn, so that a busy machine slows both, and the best of several rounds counts.  The text
file beside a log is read by both where it has the same name.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzers.core import NamedFile
from analyzers.formats.varian_trajectory_log import FORMAT
from tests import real_data

ROUNDS = 3


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Times in seconds per file and in total, and how many times faster ours is.

    Files pylinac cannot read are listed under `skipped` and do not count.  Empty `files` where
    there is no real data.
    """
    from pylinac.log_analyzer import TrajectoryLog

    files: list[dict[str, Any]] = []
    skipped: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in real_data.files("tlog", "*/*.bin"):
            try:
                TrajectoryLog(str(path))
            except Exception as why:  # noqa: BLE001 - whatever the peer raises, it cannot read it
                skipped.append(f"{path.name}: {type(why).__name__}")
                continue
            files.append(_one(path, lambda log: TrajectoryLog(str(log)), rounds))
    ours_s = sum(entry["ours_s"] for entry in files)
    pylinac_s = sum(entry["pylinac_s"] for entry in files)
    return {
        "name": "reading a trajectory log, against pylinac",
        "files": files,
        "skipped": skipped,
        "megabytes": sum(entry["bytes"] for entry in files) / 1e6,
        "ours_s": ours_s,
        "pylinac_s": pylinac_s,
        "ratio": pylinac_s / ours_s if ours_s else None,
        "wanted_ratio": 50.0,
    }


def _read(path: Path) -> object:
    text = path.with_suffix(".txt")
    companions = [NamedFile(text, text.name)] if text.is_file() else []
    return FORMAT.read(NamedFile(path, path.name), companions)


def _one(path: Path, pylinac: Callable[[Path], object], rounds: int) -> dict[str, Any]:
    ours_s, pylinac_s = [], []
    for _ in range(rounds):
        ours_s.append(_seconds(_read, path))
        pylinac_s.append(_seconds(pylinac, path))
    ours, theirs = min(ours_s), min(pylinac_s)
    return {
        "file": f"{path.parent.name}/{path.name}",
        "bytes": path.stat().st_size,
        "ours_s": ours,
        "pylinac_s": theirs,
        "ratio": theirs / ours,
    }


def _seconds(reader: Callable[[Path], object], path: Path) -> float:
    start = time.perf_counter()
    reader(path)
    return time.perf_counter() - start
