"""How much more memory a call needs at its peak than was resident before it.

Imported by this project and by the peers' own environments: standard library only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")
RESET_PEAK = "5"


def extra_megabytes(call: Callable[[], object]) -> float:
    """Growth of the resident set at its peak, in MB.  Linux only.

    The kernel's own high-water mark is reset first, so what was used and freed earlier does not
    hide the peak.  Inputs that exist before the call do not count; its result does.
    """
    gc.collect()
    (PROCESS / "clear_refs").write_text(RESET_PEAK, "ascii")
    before_kb = _status_kb("VmRSS")
    result = call()
    peak_kb = _status_kb("VmHWM")
    del result
    return (peak_kb - before_kb) * 1024 / 1e6


def _status_kb(field: str) -> int:
    lines = (PROCESS / "status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
