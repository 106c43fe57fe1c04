"""`qa-daemon simulate`: one valid file of a format with stated errors."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from qa_daemon import simulate as package


def simulate(kind: str, out: Path, options: Sequence[str]) -> None:
    """Write a file of that kind; options are the writer's own, as `--name value`."""
    writers = _writers()
    if kind not in writers:
        raise typer.BadParameter(f"there is no kind {kind!r}; there are: {', '.join(writers)}")
    writer = writers[kind]
    known = list(inspect.signature(writer).parameters)[1:]
    given = _pairs(options)
    for name in given:
        if name not in known:
            raise typer.BadParameter(f"no option --{name}; there are: {', '.join(known)}")
    try:
        writer(out, **given)
    except ValueError as why:
        raise typer.BadParameter(str(why)) from None


def _pairs(options: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    words = list(options)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise typer.BadParameter(f"{word!r} is not of the form --name value")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not words:
                raise typer.BadParameter(f"--{name} needs a value")
            value = words.pop(0)
        found[name.replace("-", "_")] = _number(value)
    return found


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _writers() -> dict[str, Callable[..., object]]:
    modules = [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
    ]
    return {m.KIND: m.simulate for m in modules if hasattr(m, "KIND")}
