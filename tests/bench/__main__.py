"""`make bench`: run every measurement in this folder, print one table, write one file.

A measurement is a module with `measure()`, which returns numbers and texts by name, nested at will.
Each runs in a process of its own, so that none inherits what another imported or warmed up.
`python -m tests.bench NAME…` runs only those.  Exit 1: a measurement failed.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Column, Table

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "bench-results.json"
ALONE = "--alone"
FEW = 4


def main(wanted: list[str]) -> int:
    """Run the measurements and return the exit code."""
    console = Console(highlight=False)
    names = [m.name for m in pkgutil.iter_modules([str(HERE)]) if _measures(m.name)]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        console.print(f"no measurement {', '.join(unknown)}; there are: {', '.join(names)}")
        return 2

    results: dict[str, dict[str, Any]] = {}
    for name in wanted or names:
        console.print(f"measuring {name} …")
        results[name] = _run(name)

    console.print(_table(results))
    document = {"made": _circumstances(), "results": results}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    console.print(f"written to {RESULTS.name}")
    return int(any("failed" in found for found in results.values()))


def measure_alone(name: str, to: Path) -> None:
    """What the process of one measurement does."""
    module = importlib.import_module(f"tests.bench.{name}")
    to.write_text(json.dumps(module.measure(), default=float), "utf-8")


def _measures(name: str) -> bool:
    source = (HERE / f"{name}.py").read_text("utf-8")
    functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    return "measure" in functions


def _run(name: str) -> dict[str, Any]:
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "tests.bench", ALONE, name, str(answer)]
        ended = subprocess.run(command, cwd=ROOT)
        if ended.returncode != 0 or not answer.exists():
            # The traceback stands above, on standard error.
            return {"failed": f"exit code {ended.returncode}"}
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return {**found, "measuring_took_s": round(monotonic() - began, 1)}


def _circumstances() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)),
    }


def _table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("measurement", Column("quantity", overflow="fold"), "value")
    for name, found in results.items():
        for number, (quantity, value) in enumerate(_flat(found)):
            table.add_row("" if number else name, quantity, value)
        table.add_section()
    return table


def _flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and len(value) <= FEW:
            yield from _flat({str(n): item for n, item in enumerate(value)}, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", f"{len(value)} values, in the file"
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield f"{prefix}{name}", shown.replace("[", r"\[")


if __name__ == "__main__":
    if sys.argv[1:2] == [ALONE]:
        measure_alone(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
