"""What an image shows, where a physicist has said so: audited, and never overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, or_, select, update

from analyzers.portal_images import ImageKind
from qa_daemon.model import State
from qa_daemon.store import audit
from qa_daemon.store.image_instances import last_word
from qa_daemon.store.ledger import queue_all
from qa_daemon.store.schema import files, image_kinds, images, results
from qa_daemon.store.store import Store

MOST_LISTED = 200
ABLE = (State.DONE.value, State.WAITING.value)


class CannotSay(Exception):  # noqa: N818 - an answer for a person
    """What was said cannot be taken; the sentence says why."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image on the list of those that nobody could classify."""

    result: int
    machine: str | None
    point_ns: int
    evidence: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ShownImage:
    """What is known of the image of a result; `said` by whom, when and why, where a person did."""

    kind: str
    rule: str
    evidence: str
    phantom: str | None
    said: tuple[str, str, str] | None


@dataclass(frozen=True, slots=True)
class MemberImage:
    """One image of a set; `name` is its file's, which may identify."""

    file: int
    name: str
    point_ns: int


def unclassified(store: Store) -> list[ListedImage]:
    """The images that a person has to look at, newest first."""
    query = _unclassified(images).order_by(images.c.point_ns.desc()).limit(MOST_LISTED)
    with store.read() as connection:
        return [
            ListedImage(r.result, r.machine, r.point_ns, r.evidence, r.rows, r.columns)
            for r in connection.execute(query)
        ]


def count_unclassified(store: Store) -> int:
    """How many images are on the list; one more than `MOST_LISTED` stands for more."""
    query = _unclassified(images.c.file)
    with store.read() as connection:
        return len(connection.execute(query.limit(MOST_LISTED + 1)).all())


def _unclassified(*what: Any) -> Select[Any]:
    """Without those that are just being judged again."""
    return (
        select(*what)
        .join(files, files.c.id == images.c.file)
        .where(images.c.kind == ImageKind.UNCLASSIFIED.value, files.c.state.in_(ABLE))
    )


def shown(store: Store, result: int) -> ShownImage | None:
    """What the image of a result shows, and why; None where the result is of no image."""
    query = (
        select(images)
        .join(results, results.c.file == images.c.file)
        .join(files, files.c.id == images.c.file)
        .where(results.c.id == result)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
        if row is None:
            return None
        said = last_word(connection, row.file)
    by = (said.actor, said.at, said.reason) if said is not None and said.kind is not None else None
    return ShownImage(row.kind, row.rule, row.evidence, row.phantom, by)


def members(store: Store, result: int) -> list[MemberImage]:
    """The images that a result is of, in the order of their exposure; one where it is of no set."""
    with store.read() as connection:
        row = _judged(connection, result)
        return [] if row is None else _members(connection, row.id)


def say(
    store: Store,
    result: int,
    kind: ImageKind | None,
    phantom: str | None,
    actor: str,
    reason: str,
    *,
    member: int | None = None,
) -> None:
    """Write down what an image shows (None: the rules say it again), and queue it.

    It is the image of a result, or of its set the one whose file is `member`.  It leaves the set
    that it was judged with, which is judged again without it.  Raises
    `CannotSay` where the result is no longer the newest of its image, or the member not of it.
    """
    with store.write() as connection:
        main = _judged(connection, result)
        if main is None or main.state not in ABLE:
            raise CannotSay("this result is no longer the newest of its image: look again")
        together = [one.file for one in _members(connection, main.id)]
        chosen = main.id if member is None else member
        if chosen not in together:
            raise CannotSay("this image is not of the set any more: look again")
        word = {"kind": None if kind is None else kind.value, "reason": reason}
        said = {**word, "phantom": phantom, "actor": actor, "at": store.now()}
        sha256 = connection.execute(select(files.c.sha256).where(files.c.id == chosen)).scalar_one()
        connection.execute(insert(image_kinds).values(sha256=sha256, **said))
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="image classified" if kind else "classification taken back",
            subject=f"result {result}",
            detail={"image": sha256, **word},
        )
        _leave_set(connection, chosen, [file for file in together if file != chosen])


def _leave_set(connection: Connection, chosen: int, rest: Sequence[int]) -> None:
    """Judge an image alone, and the rest of its set, whose first stands for it, without it."""
    main_files = update(files)
    if rest:
        connection.execute(main_files.where(files.c.id.in_(rest[1:])).values(main_file=rest[0]))
    judged = [chosen, *rest[:1]]
    connection.execute(main_files.where(files.c.id.in_(judged)).values(main_file=None))
    # Until it is judged again it gathers nothing: the others are judged at the same time.
    connection.execute(update(images).where(images.c.file == chosen).values(gathers=False))
    queue_all(connection, judged)


def _judged(connection: Connection, result: int) -> Row[Any, Any] | None:
    """The file of an active result of an image."""
    query = (
        select(images.c.file.label("id"), files.c.state)
        .join(results, results.c.file == images.c.file)
        .join(files, files.c.id == images.c.file)
        .where(results.c.id == result, results.c.active)
    )
    return connection.execute(query).first()


def _members(connection: Connection, main: int) -> list[MemberImage]:
    of_set = (files.c.main_file == main) & files.c.is_companion.is_(False)
    query = (
        select(files.c.id, files.c.name, images.c.point_ns)
        .join(images, images.c.file == files.c.id)
        .where(or_(files.c.id == main, of_set), files.c.state.in_(ABLE))
        .order_by(images.c.point_ns, files.c.sha256)
    )
    rows = connection.execute(query).all()
    return [MemberImage(row.id, row.name, row.point_ns) for row in rows]
