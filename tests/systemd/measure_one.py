"""What the service does with a file, for a test of the system-call filter.

`python measure_one.py FILE [MLC]` reads and measures the file in a worker and prints, as JSON, the
report and the memory limit that the kernel holds the worker to.
"""

from __future__ import annotations

import json
import sys
from multiprocessing import active_children
from pathlib import Path

from qa_daemon.jobs import WorkerLimits, Workers
from qa_daemon.model import Job, NamedPath

MEMORY_BYTES = 3 << 30


def main(file: Path, mlc: str | None = None) -> None:
    """Measure one file in one worker."""
    workers = Workers(1, WorkerLimits(memory_bytes=MEMORY_BYTES))
    try:
        report = workers.measure(Job(file=NamedPath(path=str(file), name=file.name), mlc=mlc))
        limits = [_address_space(child.pid) for child in active_children()]
    finally:
        workers.close()
    sys.stdout.write(json.dumps({"report": report.model_dump(mode="json"), "limits": limits}))


def _address_space(process: int | None) -> int:
    for line in Path(f"/proc/{process}/limits").read_text("ascii").splitlines():
        if line.startswith("Max address space"):
            return int(line.split()[3])
    raise ValueError("the kernel does not say")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
