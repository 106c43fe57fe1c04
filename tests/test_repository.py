"""What the repository never holds: machine data, addresses, large files, dangerous calls."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("analyzers", "qa_daemon", "dashboards")
LARGEST_BYTES = 1_000_000
MACHINE_DATA = {".bin", ".dlg", ".trf", ".dcm", ".xim", ".dicom", ".h5", ".sqlite3", ".pkl"}
PICTURES = {".png", ".ico", ".woff2"}
VAGUE_NAMES = {"utils", "util", "helper", "helpers", "common", "manager", "managers", "misc"}
COMPOSITION_ROOT = {"qa_daemon/app.py", "qa_daemon/__main__.py"}

# Written in two parts, so that this file is not found by its own search.
ADDRESSES = [
    "pypi" + ".org",
    "pypi" + ".python",
    "files." + "pythonhosted",
    "registry." + "npmjs",
    "registry." + "yarnpkg",
    "conda." + "anaconda",
    "proxy." + "golang",
    "static." + "crates",
    "--index" + "-url",
    "--extra-index" + "-url",
]
PATHS_OF_ONE_COMPUTER = ["/" + "work/", "/" + "root/"]


def test_no_file_is_large() -> None:
    large = {str(f): f.stat().st_size for f in _tracked() if f.stat().st_size > LARGEST_BYTES}
    assert not large


def test_no_machine_data_is_kept() -> None:
    # Logs and images are made by the simulator when a test needs them: real ones hold identities.
    kept = [str(f) for f in _tracked() if f.suffix.lower() in MACHINE_DATA]
    assert not kept


def test_every_file_is_text_or_a_picture() -> None:
    binary = [str(f) for f in _tracked() if f.suffix not in PICTURES and b"\0" in f.read_bytes()]
    assert not binary


@pytest.mark.parametrize("needle", [*ADDRESSES, *PATHS_OF_ONE_COMPUTER])
def test_no_text_names_an_index_or_a_path_of_one_computer(needle: str) -> None:
    naming = [str(f) for f in _tracked() if f.suffix not in PICTURES and needle in _text(f)]
    assert not naming


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_version_and_a_hash(lock: str) -> None:
    logical_lines = (ROOT / lock).read_text("utf-8").replace("\\\n", " ").splitlines()
    packages = [line for line in logical_lines if line.strip() and not line.startswith("#")]
    assert packages
    loose = [
        p for p in packages if not re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", p)
    ]
    assert not loose


def test_license_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_modules_are_named_after_what_they_do() -> None:
    vague = [str(f) for f in _tracked() if f.suffix == ".py" and f.stem.lower() in VAGUE_NAMES]
    assert not vague


def test_no_code_runs_or_unpacks_what_it_was_given() -> None:
    assert not _found(_is_dangerous)


def test_no_library_code_prints() -> None:
    assert not _found(lambda node: _called(node) == "print")


def test_only_the_composition_root_reads_the_clock() -> None:
    # Timers may use the monotonic clock everywhere: it measures, it does not date.
    assert not _found(_reads_clock) - COMPOSITION_ROOT


def test_only_the_composition_root_reads_the_environment() -> None:
    found = _found(_reads_environment)
    assert not found - COMPOSITION_ROOT


def test_this_search_finds_what_it_forbids() -> None:
    forbidden = """
pickle.loads(b)
eval(text)
yaml.load(stream)
subprocess.run(command, shell=True)
archive.extractall(folder)
np.load(path)
np.load(path, allow_pickle=True)
import marshal
from pickle import load
os.system(command)
"""
    for line in forbidden.strip().splitlines():
        assert any(map(_is_dangerous, ast.walk(ast.parse(line)))), line
    allowed = """
np.load(path, allow_pickle=False)
yaml.safe_load(stream)
json.loads(text)
subprocess.run(command, check=True)
"""
    for line in allowed.strip().splitlines():
        assert not any(map(_is_dangerous, ast.walk(ast.parse(line)))), line
    for line in ("os.environ['A']", "os.environ.get('A')", "os.getenv('A')"):
        assert any(map(_reads_environment, ast.walk(ast.parse(line)))), line
    assert not any(map(_reads_environment, ast.walk(ast.parse("os.environ['A'] = '1'"))))
    for line in ("datetime.now(UTC)", "dt.datetime.now()", "time.time()", "from time import time"):
        assert any(map(_reads_clock, ast.walk(ast.parse(line)))), line
    assert not any(map(_reads_clock, ast.walk(ast.parse("time.monotonic()"))))


@cache
def _tracked() -> tuple[Path, ...]:
    """Every file that is committed, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return tuple(f for name in sorted(set(listed.split("\0"))) if (f := ROOT / name).is_file())


@cache
def _text(file: Path) -> str:
    return file.read_text("utf-8", errors="replace")


def _found(wanted: Callable[[ast.AST], bool]) -> set[str]:
    """The files of our packages that hold such a node."""
    return {name for name, tree in _trees() if any(map(wanted, ast.walk(tree)))}


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            yield file.relative_to(ROOT).as_posix(), _tree(file)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(_text(file))


def _called(node: ast.AST) -> str:
    """`a.b.c` for a call of it, else an empty text."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _is_dangerous(node: ast.AST) -> bool:
    unsafe_modules = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] in unsafe_modules for name in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in unsafe_modules
    if not isinstance(node, ast.Call):
        return False
    called = _called(node)
    keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
    if called in ("np.load", "numpy.load"):
        return keywords.get("allow_pickle") != "False"
    return (
        called in {"eval", "exec", "yaml.load", "os.system", "os.popen"}
        or called.split(".")[0] in unsafe_modules
        or called.endswith(".extractall")
        or keywords.get("shell") == "True"
    )


def _reads_clock(node: ast.AST) -> bool:
    dates = {"time", "time_ns", "localtime", "gmtime"}
    if isinstance(node, ast.ImportFrom) and node.module == "time":
        return any(name.name in dates for name in node.names)
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    clocks |= {f"time.{name}" for name in dates}
    return ".".join(_called(node).split(".")[-2:]) in clocks


def _reads_environment(node: ast.AST) -> bool:
    """Setting a worker's environment for its libraries (`os.environ[…] = …`) is not reading."""
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) == "os.environ" and isinstance(node.ctx, ast.Load)
    called = _called(node)
    return called == "os.getenv" or called.startswith("os.environ.")
