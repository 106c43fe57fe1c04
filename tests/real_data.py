"""Real machine files: for tests only, never part of the project.

They are looked for in the folder that QA_DAEMON_REAL_DATA names, else in `shared/data` beside the
project; a test that needs them and finds none is skipped.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

BESIDE_THE_PROJECT = Path(__file__).parents[2] / "shared" / "data"


@cache
def folder() -> Path | None:
    """The folder of real files, or None."""
    root = Path(os.environ.get("QA_DAEMON_REAL_DATA") or BESIDE_THE_PROJECT)
    return root if root.is_dir() else None


def files(kind: str, pattern: str) -> list[Path]:
    """Real files of a kind (`tlog`), for `parametrize`; empty where there are none."""
    root = folder()
    return sorted((root / kind).glob(pattern)) if root else []


def skip_without(kind: str) -> pytest.MarkDecorator:
    """Skip with the reason when there is no real file of that kind."""
    root = folder()
    return pytest.mark.skipif(
        root is None or not (root / kind).is_dir(),
        reason=f"no real {kind} files: set QA_DAEMON_REAL_DATA to a folder that holds them",
    )


def peer_reads(kind: str) -> dict[str, dict[str, Any]]:
    """What peer tools read from the real files, by `kind/folder/name`; empty where absent."""
    root = folder()
    path = None if root is None else root / kind / "peer-reads.json"
    if path is None or not path.is_file():
        return {}
    reads: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return reads
