"""An output check that is here already in another form: as a table of its own, as a part of one.

The first morning of a table is a file of one session; with the second it is a file of several, of
which that session is a part, in the schema's JSON.  Both are one record where they are the same to
the byte when they are written in that JSON.  One of them stands for it, the other is a duplicate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from analyzers.core import ReadError
from analyzers.formats import srt_output_csv, srt_output_json
from analyzers.output_text import as_json
from qa_daemon.model import Report, State
from qa_daemon.store.archive import Archive
from qa_daemon.store.ledger import LedgerFile, stand_aside
from qa_daemon.store.schema import check_signatures, files, results

READERS = {"srt-output-csv": srt_output_csv, "srt-output-json": srt_output_json}
MOST = 20
NS_PER_S = 1_000_000_000


class Made(Protocol):
    """Of which machine a record is, and when it was made."""

    @property
    def machine(self) -> str | None: ...  # noqa: D102
    @property
    def performed_at(self) -> datetime | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class SameRecords:
    """Finds the same check in other bytes; within the transaction that stores a result."""

    archive: Archive

    def stands_aside(
        self, connection: Connection, file: LedgerFile, report: Report, made: Made
    ) -> bool:
        """Whether a judged file became the duplicate of another that has a result already."""
        here = and_(
            results.c.active,
            results.c.file != file.id,
            results.c.error_code.is_(None),
            files.c.id == results.c.file,
            files.c.state == State.DONE.value,
        )
        other = next(self._same(connection, file, report, here, made), None)
        if other is not None:
            stand_aside(connection, file.id, other.file)
        return other is not None

    def take_over(
        self, connection: Connection, file: LedgerFile, report: Report, made: Made
    ) -> None:
        """What a physicist signed of the record in a file that is no more holds for this one."""
        gone = and_(
            check_signatures.c.result == results.c.id,
            files.c.id == check_signatures.c.file,
            files.c.state == State.REPLACED.value,
        )
        for row in list(self._same(connection, file, report, gone, made)):
            connection.execute(
                update(check_signatures)
                .where(check_signatures.c.result == row.id)
                .values(file=file.id)
            )

    def _same(
        self,
        connection: Connection,
        file: LedgerFile,
        report: Report,
        where: ColumnElement[bool],
        made: Made,
    ) -> Iterator[Row[int, int, str, str | None]]:
        """The results of the same record in other bytes; none of what is no output check."""
        if report.format not in READERS or report.error_code is not None or report.parts:
            return
        if made.machine is None or made.performed_at is None:
            return
        second_ns = int(made.performed_at.timestamp()) * NS_PER_S
        query = (
            select(results.c.id, results.c.file, results.c.sha256, results.c.format)
            .distinct()
            .where(
                results.c.machine == made.machine,
                results.c.point_ns.between(second_ns, second_ns + NS_PER_S - 1),
                results.c.format.in_(READERS),
                results.c.sha256 != file.sha256,
                where,
            )
            .order_by(results.c.id)
            .limit(MOST)
        )
        rows = connection.execute(query).all()
        own = self._written(file.sha256, report.format) if rows else None
        for row in rows:
            if own is not None and self._written(row.sha256, row.format) == own:
                yield row

    def _written(self, sha256: str, form: str) -> bytes | None:
        """The record of a file in the schema's JSON; None where it has not just one."""
        with contextlib.suppress(ReadError, OSError):
            sessions = READERS[form].read_sessions(self.archive.path_of(sha256))
            return as_json(sessions[0].rows) if len(sessions) == 1 else None
        return None
