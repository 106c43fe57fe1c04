"""Reading Elekta logs: our reader beside pymedphys', on the same real files.

pymedphys runs in its own environment (`.venv-peers`, or the Python that QA_DAEMON_PEER_PYTHON
names), which needs pandas for it; where it cannot run, ours is timed alone and it is said why.  Its
`read_trf` gives a table of raw columns, its `Delivery.from_trf` dose, angles, leaves and jaws, the
closest to our record.  It checks neither dose, time, range nor end of a log; ours does.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from analyzers.formats.elekta_trf import read
from tests import real_data

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "peers" / "pymedphys_trf.py"
ROUNDS = 5


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Best times in seconds per file and in total, and how many times faster ours is.

    Empty `files` where there is no real data.
    """
    paths = real_data.files("trf", "*/*.trf")
    ours_s = [_best_s(path, rounds) for path in paths]
    found: dict[str, Any] = {
        "name": "reading an Elekta log, against pymedphys",
        "files": [
            {"file": path.name, "bytes": path.stat().st_size, "ours_s": seconds}
            for path, seconds in zip(paths, ours_s, strict=True)
        ],
        "ours_s": sum(ours_s),
        "wanted_ratio": 20.0,
    }
    peer = _peer(paths, rounds) if paths else "left out: the real machine files are not here"
    if isinstance(peer, str):
        return {**found, "pymedphys": peer}
    for entry, theirs in zip(found["files"], peer["files"], strict=True):
        entry.update(theirs)
    table_s, delivery_s = (
        sum(theirs[key] for theirs in peer["files"]) for key in ("table_s", "delivery_s")
    )
    return {
        **found,
        "pymedphys": peer["version"],
        "pymedphys_table_s": table_s,
        "pymedphys_delivery_s": delivery_s,
        "ratio_to_table": table_s / found["ours_s"],
        "ratio_to_delivery": delivery_s / found["ours_s"],
    }


def _best_s(path: Path, rounds: int) -> float:
    taken_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        read(path)
        taken_s.append(time.perf_counter() - start)
    return min(taken_s)


def _peer(paths: list[Path], rounds: int) -> dict[str, Any] | str:
    """What the peer's process printed; a text says why there is none."""
    python = os.environ.get("QA_DAEMON_PEER_PYTHON") or ROOT / ".venv-peers" / "bin" / "python"
    if not Path(python).exists():
        return "left out: pymedphys has no environment here"
    ended = subprocess.run(
        [python, SCRIPT, str(rounds), *paths], capture_output=True, text=True, timeout=600
    )
    if ended.returncode != 0:
        return "left out: pymedphys does not run there; its environment needs pandas"
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
