"""Looking through one result: its incidents and the messages they call for, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from qa_daemon.alerts.incidents import Finding, Incident, Reason, decide
from qa_daemon.alerts.messages import UNREADABLE, Text, Wording
from qa_daemon.alerts.sessions import repeated, too_many
from qa_daemon.model import Verdict
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import analyses, incidents, notifications, outbox, results

SINK = "alerts"


def evaluate(connection: Connection, result: StoredResult, wording: Wording, now: str) -> None:
    """Bring the incidents up to date with everything that a new result says."""
    findings = [
        *_findings(connection, result),
        *repeated(connection, result, wording.site),
        *too_many(connection, result, wording.site),
    ]
    take_in(connection, result, findings, wording, now)


def close_unreadable(
    connection: Connection, result: StoredResult, wording: Wording, now: str
) -> None:
    """A result that was looked through before took the place of another: its tests are no news.

    A file that could not be read may have become a copy of the one it is of.
    """
    if result.error_code is None:
        take_in(connection, result, list(_read_now(connection, result)), wording, now)


def notify(connection: Connection, result: int | None, text: Text, now: str) -> None:
    """Put a message among those to be sent; `result` is what it is about, if it is one."""
    connection.execute(
        insert(notifications).values(
            result=result,
            title=text.title,
            body=text.body,
            state="pending",
            attempts=0,
            created_at=now,
        )
    )


def is_waiting(connection: Connection, result: int) -> bool:
    """Whether a result has not been looked through yet."""
    return bool(_waiting(connection, [result]))


def take_off(connection: Connection, looked_through: Sequence[int]) -> None:
    """Results that need no more looking through."""
    connection.execute(
        delete(outbox).where(outbox.c.sink == SINK, outbox.c.result.in_(looked_through))
    )


def take_in(
    connection: Connection,
    result: StoredResult,
    findings: Sequence[Finding],
    wording: Wording,
    now: str,
) -> None:
    """Keep the incidents; one message for what got worse, one for what cleared."""
    worse: list[tuple[str, Reason, Verdict]] = []
    cleared: list[str] = []
    for finding in findings:
        before = _incident(connection, finding.key)
        reason, after = decide(before, finding, now)
        if after is not None and after != before:
            _keep(connection, before, after)
        if reason is Reason.CLEARED:
            cleared.append(finding.test)
        elif reason is not None and finding.verdict is not None:
            worse.append((finding.test, reason, finding.verdict))
    if worse:
        notify(connection, result.id, wording.alarm(result, worse), now)
    if cleared:
        notify(connection, result.id, wording.all_clear(result, list(dict.fromkeys(cleared))), now)


def _findings(connection: Connection, result: StoredResult) -> Iterator[Finding]:
    if result.error_code is not None:
        yield _unreadable(result, result.sha256, Verdict.INVALID, result.point_ns)
        return
    yield from _read_now(connection, result)
    known = _known(connection, result)
    replaces = frozenset(_replaced(connection, result.id))
    # One kind of check in order is no all-clear for another.
    series = f" | {result.series}" if result.series else ""
    for analysis in result.analyses:
        yield Finding(
            key=f"{result.machine or 'unknown'} | {analysis.analyzer}{series}",
            machine=result.machine,
            test=analysis.analyzer,
            verdict=analysis.verdict,
            result=result.id,
            point_ns=result.point_ns,
            known=known.get(analysis.analyzer),
            replaces=replaces,
        )


def _read_now(connection: Connection, result: StoredResult) -> Iterator[Finding]:
    """Files that could not be read before, and are read now: this one, and what it took along."""
    for sha256 in {result.sha256, *_taken_along(connection, result.id)}:
        before = _incident(connection, _unreadable_key(sha256))
        if before is not None and before.open:
            yield _unreadable(result, sha256, Verdict.PASS, before.point_ns)


def _replaced(connection: Connection, result: int) -> list[int]:
    query = select(results.c.id).where(results.c.superseded_by == result)
    return list(connection.execute(query).scalars())


def _taken_along(connection: Connection, result: int) -> Iterator[str]:
    """The contents whose results led to this one: a file may be copied several times in vain."""
    generation = [result]
    while generation:
        query = select(results.c.id, results.c.sha256)
        rows = connection.execute(query.where(results.c.superseded_by.in_(generation))).all()
        generation = [row.id for row in rows]
        yield from (row.sha256 for row in rows)


def _unreadable(result: StoredResult, sha256: str, verdict: Verdict, point_ns: int) -> Finding:
    return Finding(
        key=_unreadable_key(sha256),
        machine=result.machine,
        test=UNREADABLE,
        verdict=verdict,
        result=result.id,
        point_ns=point_ns,
    )


def _unreadable_key(sha256: str) -> str:
    # Without the machine: for some files it is known only once they are read.
    return f"{UNREADABLE} | {sha256[:16]}"


def _known(connection: Connection, result: StoredResult) -> dict[str, Verdict]:
    """What was said when the same bytes were last looked through; other content is always news."""
    of = _looked_through_before(connection, result)
    query = select(analyses.c.analyzer, analyses.c.verdict).where(analyses.c.result.in_(of))
    rows = connection.execute(query.where(analyses.c.verdict.is_not(None)))
    return {row.analyzer: Verdict(row.verdict) for row in rows}


def _looked_through_before(connection: Connection, result: StoredResult) -> list[int]:
    generation = [result.id]
    while generation:
        query = select(results.c.id).where(
            results.c.superseded_by.in_(generation), results.c.sha256 == result.sha256
        )
        generation = list(connection.execute(query).scalars())
        waiting = _waiting(connection, generation)
        if seen := [identity for identity in generation if identity not in waiting]:
            return seen
    return []


def _waiting(connection: Connection, of: Sequence[int]) -> set[int]:
    query = select(outbox.c.result).where(outbox.c.sink == SINK, outbox.c.result.in_(of))
    return set(connection.execute(query).scalars())


def _incident(connection: Connection, key: str) -> Incident | None:
    row = connection.execute(select(incidents).where(incidents.c.key == key)).mappings().first()
    if row is None:
        return None
    values = {str(name): value for name, value in row.items()}
    values |= {"verdict": Verdict(row["verdict"]), "told": Verdict(row["told"])}
    return Incident(**values)


def _keep(connection: Connection, before: Incident | None, after: Incident) -> None:
    values = asdict(after)
    if before is None:
        connection.execute(insert(incidents).values(**values))
    else:
        connection.execute(update(incidents).where(incidents.c.key == after.key).values(**values))
