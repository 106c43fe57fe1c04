"""An image that is here already: in other bytes a duplicate, with other pixels a contradiction.

A receiver and an archive write what stands before the pixels each in its own way, so the same image
may come in several files.  It is known by its SOP Instance UID, and by being the same in all that a
verdict may follow from: nothing is passed over because of a UID alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from analyzers.portal_images import ImageKind
from qa_daemon.model import ImageKeys, Report
from qa_daemon.store import audit
from qa_daemon.store.copies import LIVE, contents
from qa_daemon.store.ledger import LedgerFile, stand_aside
from qa_daemon.store.schema import files, image_kinds, images

MOST_OF_AN_INSTANCE = 20
SAID, PINNED = "said", "pinned"
AWAITS_OTHER = "an image of this SOP Instance UID is here already: they are compared"
UID_TAKEN = "UID_TAKEN"
CONTRADICTED = (
    "result {result} is of an image with the same SOP Instance UID and other {what}: one of the "
    "two was damaged, or the program that exports them gives a UID more than once.  Export "
    "this one again with a UID of its own.  If it is the other one that is wrong, say on its "
    "page that it shows something else (other), and release this one"
)


@dataclass(frozen=True, slots=True)
class Instance:
    """The file that stands for a SOP Instance UID, beside one that came with it.

    `is_same`: it holds the same image.  `yields`: the one that came says more of where it is from.
    """

    file: int
    result: int
    is_same: bool
    yields: bool
    has_same_pixels: bool


def instance_of(connection: Connection, file: LedgerFile, report: Report) -> Instance | None:
    """What is here of the SOP Instance UID of an image; None: nothing, or it has no UID."""
    keys = report.keys
    if not isinstance(keys, ImageKeys) or keys.sop_instance_uid is None:
        return None
    query = (
        select(images, files.c.machine.label("of_folder"))
        .join(files, files.c.id == images.c.file)
        .where(
            images.c.sop_instance_uid == keys.sop_instance_uid,
            images.c.file != file.id,
            files.c.state.in_(LIVE),
        )
        .order_by(files.c.id)
        .limit(MOST_OF_AN_INSTANCE)
    )
    rows = connection.execute(query).all()
    same = [row for row in rows if (row.pixels, row.exposure) == (keys.pixels, keys.exposure)]
    if same:
        return _beside(same[0], keys, file, is_same=True)
    for row in rows:
        if not any(_is_put_away(connection, one) for one in (file.id, row.file)):
            return _beside(row, keys, file, is_same=False)
    return None


def last_word(connection: Connection, file: int) -> Row[Any] | None:
    """What a physicist said last of an image, in whatever bytes it came: a row of `image_kinds`."""
    of_it = image_kinds.c.sha256.in_(contents(connection, file))
    query = select(image_kinds).where(of_it).order_by(image_kinds.c.id.desc()).limit(1)
    return connection.execute(query).first()


def settle(connection: Connection, file: LedgerFile, report: Report, now: str) -> Report | None:
    """What is to be stored of an image; None where it became the duplicate of another.

    Of two files of one image one stands, the same whichever came first as far as they differ: the
    one whose kind a physicist said, the one in the folder of a machine, the one that a rule of the
    site tells.
    """
    other = instance_of(connection, file, report)
    if other is None:
        return report
    if not other.is_same:
        what = "angles, distances or names" if other.has_same_pixels else "pixels"
        return Report(
            format=report.format,
            performed_at=report.performed_at,
            energy=report.energy,
            series=report.series,
            identity=report.identity,
            error_code=UID_TAKEN,
            error_message=CONTRADICTED.format(result=other.result, what=what),
        )
    gone, heir = (other.file, file.id) if other.yields else (file.id, other.file)
    stand_aside(connection, gone, heir)
    audit.record(
        connection,
        at=now,
        actor="daemon",
        action="image is here in other bytes",
        subject=f"file {gone}",
        detail={"duplicate of file": heir, "came": file.sha256},
    )
    return report if other.yields else None


def _beside(row: Row[Any], keys: ImageKeys, file: LedgerFile, *, is_same: bool) -> Instance:
    came = _claim(keys.kind, keys.rule, file.machine)
    return Instance(
        file=row.file,
        result=row.result,
        is_same=is_same,
        yields=is_same and came > _claim(row.kind, row.rule, row.of_folder),
        has_same_pixels=row.pixels == keys.pixels,
    )


def _claim(kind: str, rule: str, machine: str | None) -> tuple[bool, ...]:
    is_told = kind != ImageKind.UNCLASSIFIED.value
    return rule == SAID, machine is not None, rule == PINNED, is_told


def _is_put_away(connection: Connection, file: int) -> bool:
    """Whether a physicist said that no test is for it: then it contradicts nothing."""
    word = last_word(connection, file)
    return word is not None and word.kind == ImageKind.OTHER.value
