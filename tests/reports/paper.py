"""PDFs read back with Poppler, which is no part of what made them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.servers import installed


def pages_of(content: bytes, folder: Path) -> list[str]:
    """The text of each page as it is laid out, runs of blanks made one."""
    found = (page.replace("\u200b", "") for page in laid_out(content, folder))
    return [re.sub(" +", " ", page) for page in found]


def laid_out(content: bytes, folder: Path) -> list[str]:
    """The text of each page with its columns."""
    program = installed("pdftotext")
    path = folder / "read.pdf"
    path.write_bytes(content)
    found = subprocess.run(
        [program, "-layout", "-enc", "UTF-8", str(path), "-"], capture_output=True, check=True
    )
    assert not found.stderr, found.stderr
    return found.stdout.decode().split("\f")[:-1]


def facts_of(content: bytes, folder: Path) -> dict[str, str]:
    """What the file says of itself: title, pages, size of the first page, dates."""
    program = installed("pdfinfo")
    path = folder / "read.pdf"
    path.write_bytes(content)
    found = subprocess.run([program, str(path)], capture_output=True, check=True, text=True)
    lines = (line.partition(":") for line in found.stdout.splitlines())
    return {name: value.strip() for name, _, value in lines}


def widest_line_pt(content: bytes, folder: Path) -> float:
    """How far to the right any word reaches, in points."""
    program = installed("pdftotext")
    path = folder / "read.pdf"
    path.write_bytes(content)
    found = subprocess.run(
        [program, "-bbox", str(path), "-"], capture_output=True, check=True, text=True
    )
    return max(float(x) for x in re.findall(r'<word [^>]*xMax="([\d.]+)"', found.stdout))


def fonts_of(content: bytes, folder: Path) -> list[str]:
    """For each font whether it is embedded: `yes` or `no`."""
    program = installed("pdffonts")
    path = folder / "read.pdf"
    path.write_bytes(content)
    found = subprocess.run([program, str(path)], capture_output=True, check=True, text=True)
    return [line.split()[-5] for line in found.stdout.splitlines()[2:]]
