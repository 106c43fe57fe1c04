"""What has to be true after any campaign: nothing lost, nothing double, nothing left over."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import select

from qa_daemon.store import audit
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import files, outbox, results
from qa_daemon.store.store import Store

FINAL = {"done", "quarantined", "duplicate", "replaced"}


def faults_of(
    state_dir: Path, dropped: dict[str, bytes], store: Store, followers: set[str]
) -> list[str]:
    """Every way in which the store does not hold exactly what was dropped; empty when all is well.

    `followers` still have every result in their outbox: nobody has delivered anything.
    """
    with store.read() as connection:
        rows = [dict(r) for r in connection.execute(select(files)).mappings()]
        made = [dict(r) for r in connection.execute(select(results)).mappings()]
        waiting = Counter((r.sink, r.result) for r in connection.execute(select(outbox)))
        chain = audit.verify(connection)
    found = [] if chain is None else [chain]
    found += _rows(rows, dropped) + _results(rows, made) + _on_disk(state_dir, rows)
    expected = Counter((f, r["id"]) for f in followers for r in made)
    if waiting != expected:
        found.append(f"outbox: {dict(expected - waiting)} missing, {dict(waiting - expected)} more")
    with closing(sqlite3.connect(state_dir / "store.sqlite3")) as connection_:
        answer = connection_.execute("PRAGMA integrity_check").fetchone()[0]
    return found + ([] if answer == "ok" else [f"integrity: {answer}"])


def canonical(stored: Sequence[StoredResult]) -> str:
    """All active results in a form that two runs can be compared by."""
    said = [
        {
            "name": _name(r.path),
            "companions": sorted(_name(p) for p in r.companions),
            "sha256": r.sha256,
            "machine": r.machine,
            "verdict": r.verdict,
            "error": r.error_code,
            "not_judged": r.not_judged,
            "at": r.performed_at,
            "analyses": [_analysis(a) for a in r.analyses],
        }
        for r in stored
    ]
    return json.dumps(sorted(said, key=lambda s: str(s["name"])), indent=1)


def _analysis(analysis: Any) -> list[object]:
    values = [(m.metric, m.value, m.at, m.verdict) for m in analysis.measurements]
    return [analysis.analyzer, analysis.verdict, analysis.failure, values]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _rows(rows: list[dict[str, Any]], dropped: dict[str, bytes]) -> list[str]:
    live = [r for r in rows if r["state"] != "replaced"]
    count = Counter(r["path"] for r in live)
    found = [f"{n} live rows for one path" for n in count.values() if n != 1]
    found += [f"a file is {r['state']}" for r in rows if r["state"] not in FINAL]
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in dropped.items()}
    held = {r["path"]: r["sha256"] for r in live}
    lost = [path for path in expected if path not in held]
    other = [path for path in expected if path in held and held[path] != expected[path]]
    found += [f"{len(lost)} files have no row"] if lost else []
    found += [f"{len(other)} rows hold other content"] if other else []
    return found + (
        [f"{len(held) - len(expected)} rows more than files"]
        if held.keys() - expected.keys()
        else []
    )


def _results(rows: list[dict[str, Any]], made: list[dict[str, Any]]) -> list[str]:
    active = Counter(r["file"] for r in made if r["active"])
    found = [f"{n} active results of one file" for n in active.values() if n != 1]
    for row in rows:
        attached = row["main_file"] is not None and row["main_file"] in active
        count = active[row["id"]] + attached
        if count != (row["state"] in ("done", "quarantined")):
            found.append(f"a file that is {row['state']} stands in {count} active results")
    points = Counter((r["machine"], r["point_ns"]) for r in made if r["active"])
    return found + [f"{n} results at one point" for n in points.values() if n != 1]


def _on_disk(state_dir: Path, rows: list[dict[str, Any]]) -> list[str]:
    found = [
        f"{len(left)} left in {folder}"
        for folder in ("scratch", "inbox")
        if (left := _inside(state_dir / folder))
    ]
    held = {path.name: path for path in _inside(state_dir / "archive") if path.is_file()}
    needed = {r["sha256"] for r in rows}
    found += (
        [f"{len(needed - set(held))} contents are not in the archive"] if needed - set(held) else []
    )
    found += [f"{len(set(held) - needed)} contents of no file"] if set(held) - needed else []
    wrong = [n for n, p in held.items() if hashlib.sha256(p.read_bytes()).hexdigest() != n]
    return found + ([f"{len(wrong)} contents are damaged"] if wrong else [])


def _inside(folder: Path) -> list[Path]:
    return list(folder.rglob("*")) if folder.exists() else []
