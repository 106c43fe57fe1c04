"""The code stays readable at a sitting: budgets for files, functions and parameters.

A kernel (`*_kernel.py`) takes as many arrays as its formula has; a migration is one long list of
columns.  Both are exempt where it says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("analyzers", "qa_daemon", "dashboards")
MOST_FILE_LINES = 600
LONG_FUNCTION = 50
MOST_FUNCTION_LINES = 100
MOST_LONG_SHARE = 0.03
MOST_PARAMETERS = 8


@dataclass(frozen=True, slots=True)
class Function:
    """One function and what it costs a reader."""

    file: Path
    name: str
    lines: int
    """Without the docstring."""
    parameters: int
    """Those that a caller must give: the ones without a default."""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}: {self.name}"


def test_no_file_is_longer_than_its_budget() -> None:
    too_long = {
        str(file.relative_to(ROOT)): lines
        for file in _files()
        if (lines := len(file.read_text("utf-8").splitlines())) > MOST_FILE_LINES
    }
    assert not too_long, "split by topic"


def test_no_function_is_longer_than_its_budget() -> None:
    too_long = {
        str(f): f.lines for f in _functions() if f.lines > MOST_FUNCTION_LINES and not _migrates(f)
    }
    assert not too_long


def test_long_functions_are_rare() -> None:
    functions = [f for f in _functions() if not _migrates(f)]
    long = {str(f): f.lines for f in functions if f.lines > LONG_FUNCTION}
    assert len(long) <= MOST_LONG_SHARE * len(functions), long


def test_no_function_asks_for_more_parameters_than_a_reader_remembers() -> None:
    too_many = {
        str(f): f.parameters
        for f in _functions()
        if f.parameters > MOST_PARAMETERS and not f.file.name.endswith("_kernel.py")
    }
    assert not too_many


def test_packages_have_no_code_of_their_own() -> None:
    roots = [*PACKAGES, "tests"]
    filled = [
        str(file.relative_to(ROOT))
        for root in roots
        for file in (ROOT / root).rglob("__init__.py")
        if file.stat().st_size > 0
    ]
    assert not filled


def _files() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@cache
def _functions() -> tuple[Function, ...]:
    return tuple(function for file in _files() for function in _functions_of(file))


def _functions_of(file: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(file, node.name, _lines(node), _parameters(node.args))


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _parameters(arguments: ast.arguments) -> int:
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    keyword = sum(default is None for default in arguments.kw_defaults)
    return len(positional) - len(arguments.defaults) + keyword


def _migrates(function: Function) -> bool:
    return function.file.parent.name == "versions"
