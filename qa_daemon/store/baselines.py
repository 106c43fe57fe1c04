"""What later images are held against, where a physicist signed it off: audited, never overwritten.

A baseline is one image, or several whose mean is taken.  A new one counts from then on; it is
written beside the old one, and what was judged before keeps its verdict until it is judged again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from analyzers.portal_images import ImageKind
from qa_daemon.image_sets import SeenImage
from qa_daemon.model import ImageKeys, State
from qa_daemon.store import audit
from qa_daemon.store.copies import contents
from qa_daemon.store.ledger import LedgerFile, file_of
from qa_daemon.store.schema import files, image_baselines, images, results
from qa_daemon.store.store import Store

SAME_FIELD_MM = 3.0
MOST_BASELINES = 300
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
        before = _signed(connection, keys_of(row), row.machine, row.energy) if add else None
        kept = before.images if before else ()
        is_among = not set(contents(connection, row.file)).isdisjoint(kept)
        chosen = [*kept] if is_among else [*kept, row.sha256]
        if len(chosen) > MOST_IMAGES:
            raise CannotSign(f"a baseline is of {MOST_IMAGES} images at most")
        _write(connection, store, row, chosen, actor, reason)


def withdraw(store: Store, result: int, actor: str, reason: str) -> None:
    """From now on there is no signed-off baseline for what the image of a result is of."""
    with store.write() as connection:
        row = _newest(connection, result)
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
    if keys.kind not in WITH_BASELINE:
        return None
    query = select(image_baselines).order_by(image_baselines.c.id.desc()).limit(MOST_BASELINES)
    if keys.kind == ImageKind.PORTAL.value:
        if keys.plan_uid is None or keys.beam_number is None:
            return None
        query = query.where(
            image_baselines.c.plan_uid == keys.plan_uid,
            image_baselines.c.beam_number == keys.beam_number,
        )
    else:
        query = query.where(
            image_baselines.c.machine == machine, image_baselines.c.kind == keys.kind
        )
    for row in connection.execute(query):
        if keys.kind == ImageKind.PORTAL.value or _same_field(row, keys, energy):
            shas = tuple(json.loads(row.images))
            return Signed(shas, row.actor, row.reason, row.at) if shas else None
    return None


def _same_field(row: Row[Any], keys: ImageKeys, energy: str | None) -> bool:
    if row.energy != energy:
        return False
    sizes = ((row.field_x_mm, keys.field_x_mm), (row.field_y_mm, keys.field_y_mm))
    return all(a is not None and b is not None and abs(a - b) <= SAME_FIELD_MM for a, b in sizes)


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
