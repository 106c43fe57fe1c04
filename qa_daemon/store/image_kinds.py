"""What an image shows, where a physicist has said so: audited, and never overwritten."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from analyzers.portal_images import ImageKind
from qa_daemon.model import Event, State
from qa_daemon.store import audit
from qa_daemon.store.image_instances import last_word
from qa_daemon.store.ledger import move
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


def unclassified(store: Store) -> list[ListedImage]:
    """The images that a person has to look at, newest first."""
    query = (
        select(images)
        .join(files, files.c.id == images.c.file)
        .where(images.c.kind == ImageKind.UNCLASSIFIED.value, files.c.state.in_(ABLE))
        .order_by(images.c.point_ns.desc())
        .limit(MOST_LISTED)
    )
    with store.read() as connection:
        return [
            ListedImage(r.result, r.machine, r.point_ns, r.evidence, r.rows, r.columns)
            for r in connection.execute(query)
        ]


def count_unclassified(store: Store) -> int:
    """How many images are on the list; one more than `MOST_LISTED` stands for more."""
    query = select(images.c.file).where(images.c.kind == ImageKind.UNCLASSIFIED.value)
    with store.read() as connection:
        return len(connection.execute(query.limit(MOST_LISTED + 1)).all())


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


def say(
    store: Store, result: int, kind: ImageKind | None, phantom: str | None, actor: str, reason: str
) -> None:
    """Write down what an image shows (None: the rules say it again), and queue it.

    It leaves the set that it was judged with, which is judged again without it.  Raises
    `CannotSay` where the result is no longer the newest of its image.
    """
    with store.write() as connection:
        row = connection.execute(
            select(files.c.id, files.c.sha256, files.c.state, files.c.main_file)
            .join(results, results.c.file == files.c.id)
            .join(images, images.c.file == files.c.id)
            .where(results.c.id == result, results.c.active)
        ).first()
        if row is None or row.state not in ABLE:
            raise CannotSay("this result is no longer the newest of its image: look again")
        connection.execute(
            insert(image_kinds).values(
                sha256=row.sha256,
                kind=None if kind is None else kind.value,
                phantom=phantom,
                actor=actor,
                reason=reason,
                at=store.now(),
            )
        )
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="image classified" if kind else "classification taken back",
            subject=f"result {result}",
            detail={
                "image": row.sha256,
                "kind": None if kind is None else kind.value,
                "reason": reason,
            },
        )
        set_of_it = select(files.c.id).where(
            files.c.main_file == row.id, files.c.is_companion.is_(False), files.c.state.in_(ABLE)
        )
        rest = list(connection.execute(set_of_it).scalars())
        connection.execute(update(files).where(files.c.id.in_(rest)).values(main_file=None))
        # Until it is judged again it gathers nothing: the others are judged at the same time.
        connection.execute(update(images).where(images.c.file == row.id).values(gathers=False))
        for identity in (row.id, *rest):
            move(connection, identity, Event.INPUT_CAME)
