"""What later images are held against, where a physicist signed it off: audited, never overwritten.

A baseline is one image, or several whose mean is taken.  A new one counts from then on; it is
written beside the old one, and what was judged before keeps its verdict until it is judged again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from analyzers.portal_images import ImageKind
from qa_daemon.image_sets import SeenImage
from qa_daemon.model import ImageKeys, State
from qa_daemon.store import audit
from qa_daemon.store.copies import contents
from qa_daemon.store.ledger import LedgerFile, file_of
from qa_daemon.store.schema import files, image_baselines, images, results
from qa_daemon.store.store import Store

SAME_FIELD_MM = 3.0
MOST_IMAGES = 10
WITH_BASELINE = (ImageKind.OPEN_FIELD.value, ImageKind.PORTAL.value)


class CannotSign(Exception):  # noqa: N818 - an answer for a person
    """The baseline cannot be signed off; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A baseline in force: the SHA-256 of its images, and who signed it off."""

    images: tuple[str, ...]
    actor: str
    reason: str
    at: str


def baseline_of(connection: Connection, keys: ImageKeys, image: SeenImage) -> list[LedgerFile]:
    """The images of the signed-off baseline that an image is held against; none: there is none.

    An image that is part of its baseline is not held against itself.
    """
    signed = _signed(connection, keys, image.machine, image.energy)
    if signed is None or not set(contents(connection, image.file)).isdisjoint(signed.images):
        return []
    query = select(files).where(files.c.sha256.in_(signed.images))
    rows = connection.execute(query.order_by(files.c.id)).mappings().all()
    found = {row["sha256"]: file_of(row) for row in reversed(rows)}
    return [found[sha256] for sha256 in signed.images if sha256 in found]


def signed_for(store: Store, result: int) -> Signed | None:
    """The baseline in force for what the image of a result is of."""
    with store.read() as connection:
        row = _image_of(connection, result)
        return None if row is None else _signed(connection, keys_of(row), row.machine, row.energy)


def sign(store: Store, result: int, actor: str, reason: str, *, add: bool = False) -> None:
    """Sign off the image of a result as baseline, alone or beside those in force (`add`).

    Raises `CannotSign`.
    """
    with store.write() as connection:
        row = _newest(connection, result)
        if row.kind not in WITH_BASELINE:
            raise CannotSign(f"nothing is held against an image of this kind: {row.kind}")
        if not _can_be_found(keys_of(row)):
            raise CannotSign(
                "no later image can be held against it: it names no plan and beam, "
                "or the size of its field is not known"
            )
        before = _signed(connection, keys_of(row), row.machine, row.energy) if add else None
        kept = before.images if before else ()
        is_among = not set(contents(connection, row.file)).isdisjoint(kept)
        chosen = [*kept] if is_among else [*kept, row.sha256]
        if len(chosen) > MOST_IMAGES:
            raise CannotSign(f"a baseline is of {MOST_IMAGES} images at most")
        _write(connection, store, row, chosen, actor, reason)


def withdraw(store: Store, result: int, actor: str, reason: str) -> None:
    """From now on there is no signed-off baseline for what the image of a result is of.

    Raises `CannotSign` where there is none now.
    """
    with store.write() as connection:
        row = _newest(connection, result)
        if _signed(connection, keys_of(row), row.machine, row.energy) is None:
            raise CannotSign("no baseline of what this image is of is signed off")
        _write(connection, store, row, [], actor, reason)


def _write(
    connection: Connection,
    store: Store,
    row: Row[Any],
    chosen: Sequence[str],
    actor: str,
    reason: str,
) -> None:
    connection.execute(
        insert(image_baselines).values(
            machine=row.machine,
            kind=row.kind,
            energy=row.energy,
            plan_uid=row.plan_uid if row.kind == ImageKind.PORTAL.value else None,
            beam_number=row.beam_number if row.kind == ImageKind.PORTAL.value else None,
            field_x_mm=row.field_x_mm,
            field_y_mm=row.field_y_mm,
            images=json.dumps(chosen),
            actor=actor,
            reason=reason,
            at=store.now(),
        )
    )
    audit.record(
        connection,
        at=store.now(),
        actor=actor,
        action="baseline signed off" if chosen else "baseline withdrawn",
        subject=f"result {row.result}",
        detail={"images": list(chosen), "kind": row.kind, "reason": reason},
    )


def _signed(
    connection: Connection, keys: ImageKeys, machine: str | None, energy: str | None
) -> Signed | None:
    """The newest baseline of this beam, or of this machine, energy and size of field."""
    if not _can_be_found(keys):
        return None
    of = image_baselines.c
    if keys.kind == ImageKind.PORTAL.value:
        of_it = [of.plan_uid == keys.plan_uid, of.beam_number == keys.beam_number]
    else:
        of_it = [
            of.machine == machine,
            of.kind == keys.kind,
            of.energy == energy,
            func.abs(of.field_x_mm - keys.field_x_mm) <= SAME_FIELD_MM,
            func.abs(of.field_y_mm - keys.field_y_mm) <= SAME_FIELD_MM,
        ]
    newest = select(image_baselines).where(*of_it).order_by(of.id.desc()).limit(1)
    row = connection.execute(newest).first()
    shas = () if row is None else tuple(json.loads(row.images))
    return Signed(shas, row.actor, row.reason, row.at) if row is not None and shas else None


def _can_be_found(keys: ImageKeys) -> bool:
    """Whether an image tells of what a baseline of it would be."""
    if keys.kind == ImageKind.PORTAL.value:
        return None not in (keys.plan_uid, keys.beam_number)
    return keys.kind in WITH_BASELINE and None not in (keys.field_x_mm, keys.field_y_mm)


def _newest(connection: Connection, result: int) -> Row[Any]:
    row = _image_of(connection, result)
    if row is None:
        raise CannotSign("this result is no longer the newest of its image: look again")
    return row


def _image_of(connection: Connection, result: int) -> Row[Any] | None:
    query = (
        select(images, files.c.sha256)
        .join(files, files.c.id == images.c.file)
        .join(results, results.c.id == images.c.result)
        .where(images.c.result == result, results.c.active, results.c.file == images.c.file)
        .where(files.c.state == State.DONE.value)
    )
    return connection.execute(query).first()


def keys_of(row: Row[Any]) -> ImageKeys:
    """The keys of a row of `images`; whose it is stands there under a pseudonym alone."""
    names = set(ImageKeys.model_fields) - {"patient_id"}
    return ImageKeys(**{name: getattr(row, name) for name in names})
