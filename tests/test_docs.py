"""What the documents say is so: links, site files, commands, limits and examples."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from analyzers import catalogue
from analyzers.core import Context, Limits, NamedFile, ReadError
from qa_daemon.site.site import load
from tests.deliveries import sweeping_field

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# The program, not the folder or the user of that name.
COMMAND = re.compile(r"(?:(?<=bin/)|(?<![/\w-]))qa-daemon((?: [a-z][a-z-]*)+)([^\n]*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    document: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)} block {self.number}"


def _blocks(language: str) -> list[Block]:
    return [b for document in DOCUMENTS for b in _blocks_of(document) if b.language == language]


def _blocks_of(document: Path) -> Iterator[Block]:
    found = FENCE.finditer(document.read_text("utf-8"))
    for number, match in enumerate(found, start=1):
        yield Block(document, number, match[1], match[2])


SITE_FILES = [b for b in _blocks("toml") if "[site]" in b.text]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (heading and heading not in _headings(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("block", SITE_FILES, ids=str)
def test_every_site_file_is_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(block.text, "utf-8")
    load(file, catalogue.load().analyzers, lambda: datetime.now(UTC))


def test_there_are_site_files_to_check() -> None:
    assert len(SITE_FILES) >= 5
    for block in _blocks("toml"):
        tomllib.loads(block.text)


def test_the_documented_defaults_are_the_defaults(tmp_path: Path) -> None:
    full = next(b for b in SITE_FILES if "job_memory_gb" in b.text)
    bare = '[site]\nname = "A"\ntime_zone = "UTC"\nstate_dir = "state"\n'
    loaded = []
    for name, text in (("full.toml", full.text), ("bare.toml", bare)):
        (tmp_path / name).write_text(text, "utf-8")
        loaded.append(load(tmp_path / name, (), lambda: datetime.now(UTC)).file)
    assert loaded[0].ingest == loaded[1].ingest
    assert (loaded[0].web.host, loaded[0].web.port) == (loaded[1].web.host, loaded[1].web.port)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_every_command_exists(document: Path) -> None:
    wrong = [said for said in _commands(document.read_text("utf-8")) if not _exists(*said)]
    assert not wrong


def test_the_search_for_commands_finds_wrong_ones() -> None:
    assert list(_commands("`qa-daemon status --config F`")) == [(["status"], ["--config"])]
    assert list(_commands("say qa-daemon frobnicate")) == []
    assert _exists(["quarantine", "list"], ["--config", "--json"])
    assert not _exists(["frobnicate"], [])
    assert not _exists(["quarantine", "frobnicate"], [])
    assert not _exists(["status"], ["--frobnicate"])


def test_readme_shows_the_two_commands() -> None:
    shell = "".join(b.text for b in _blocks_of(ROOT / "README.md") if b.language == "sh")
    assert "make run" in shell
    assert "make test" in shell


def test_readme_lists_every_judged_metric_with_its_limits() -> None:
    """Those for the trend alone are in the reference, which is as long as it has to be."""
    expected = {
        f"| `{a.name}.{m.name}` | {m.unit} | {_limits(m.limits.get('truebeam'))} |"
        for a in catalogue.load().analyzers
        for m in a.metrics
        if "truebeam" in m.limits
    }
    table = {
        line
        for line in (ROOT / "README.md").read_text("utf-8").splitlines()
        if re.match(r"\| `[a-z_]+\.[a-z0-9_]+` \|", line)
    }
    assert table == expected


def test_reference_page_is_what_the_code_declares() -> None:
    from qa_daemon.commands.catalogue import markdown

    page = (ROOT / "docs/reference/catalogue.md").read_text("utf-8")
    assert page == "\n".join(markdown(catalogue.load())) + "\n", (
        "write it anew: .venv/bin/qa-daemon catalogue --markdown > docs/reference/catalogue.md"
    )


def test_the_example_analyzer_measures_what_its_example_test_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer = _module("add-an-analyzer.md", "ANALYZER", tmp_path, monkeypatch).ANALYZER
    delivery = sweeping_field(samples=201, mu=100.0)
    analysis = analyzer.analyze(delivery, Context("truebeam", analyzer.settings()))
    assert [m.value for m in analysis.measurements] == [pytest.approx(1500.0)]


def test_the_example_format_reads_and_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = _module("add-a-format.md", "FORMAT", tmp_path, monkeypatch).FORMAT
    good = b"EXAMPLE-LOG 1\n0,0\n1.0,0.9\n"
    log = NamedFile(tmp_path / "log", "log")
    log.path.write_bytes(good)
    assert form.recognize(good)
    np.testing.assert_array_equal(form.read(log, ()).meterset_mu.actual, [0.0, 0.9])
    for bad in (good[:-1], good + b"x,1\n", good + b"1\n", good + b"nan,1\n", good[:14]):
        log.path.write_bytes(bad)
        with pytest.raises(ReadError):
            form.read(log, ())


@cache
def _headings(document: Path) -> set[str]:
    """The names under which a document's headings can be linked."""
    text = FENCE.sub("", document.read_text("utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words and options of each `qa-daemon …` that is set as code."""
    fenced = [match[2] for match in FENCE.finditer(text) if match[1] in ("sh", "")]
    for code in [*fenced, *INLINE.findall(FENCE.sub("", text))]:
        for words, rest in COMMAND.findall(code):
            yield words.split(), re.findall(r"(?<=\s)--[a-z][a-z-]*", rest)


def _exists(words: list[str], options: list[str]) -> bool:
    """Whether the program has the command with these options."""
    command = _program()
    for word in words:
        inside = getattr(command, "commands", None)
        if inside is None:
            break  # an argument
        if word not in inside:
            return False
        command = inside[word]
    known = {name for parameter in command.params for name in parameter.opts}
    known |= {name for parameter in command.params for name in parameter.secondary_opts}
    takes_any = command.context_settings.get("ignore_unknown_options", False)
    return takes_any or {*options} <= known | {"--help"}


@cache
def _program() -> Any:
    from typer.main import get_command

    from qa_daemon import __main__ as program

    return get_command(program.app)


def _limits(limits: Limits | None) -> str:
    if limits is None:
        return "trend only"
    tolerance = _bound(limits.tolerance_low, limits.tolerance_high, limits.tolerance_percent)
    action = _bound(limits.action_low, limits.action_high, limits.action_percent)
    return f"{tolerance} / {action}"


def _bound(low: float | None, high: float | None, percent: float | None) -> str:
    if low is not None and high is not None:
        return f"±{high:g}" + (f" or {percent:g} %" if percent is not None else "")
    return f"≥ {low:g}" if low is not None else f"≤ {high:g}"


def _module(
    document: str, exporting: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """The block of a how-to that is a whole module, imported."""
    blocks = _blocks_of(ROOT / "docs/how-to" / document)
    source = next(b.text for b in blocks if f"\n{exporting} = " in b.text)
    file = folder / f"{exporting.lower()}_of_the_document.py"
    file.write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)  # settings look up their types there
    spec.loader.exec_module(module)
    return module
