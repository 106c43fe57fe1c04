"""Which images were held against a file: they are judged again when it is not what it was."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from analyzers.portal_images import ImageKind
from qa_daemon.fractions import NANO
from qa_daemon.image_sets import BALLS, OPEN_FIELDS, STRANGERS, VMAT_TESTS
from qa_daemon.store.schema import deliveries, images

REACH_NS = int(timedelta(days=2).total_seconds()) * NANO
"""Longer than any site lets partners be apart."""
MOST_USERS = 2000
OF_A_BEAM = (ImageKind.PORTAL.value, ImageKind.PREDICTED.value)
WITH_PLAN = (ImageKind.PORTAL.value, ImageKind.PICKET_FENCE.value)
"""Held against the beam of the plan that they name."""
WITH_LOG = (
    ImageKind.PICKET_FENCE.value,
    ImageKind.PORTAL.value,
    ImageKind.VMAT_DRGS.value,
    ImageKind.VMAT_DRMLC.value,
)


def users_of(connection: Connection, file: int) -> list[int]:
    """The files of the images that an image or a log was a partner of, as long as it is stored."""
    image = connection.execute(select(images).where(images.c.file == file)).first()
    log = connection.execute(select(deliveries).where(deliveries.c.file == file)).first()
    near: list[list[ColumnElement[bool]]] = []
    if image is not None and image.kind in OPEN_FIELDS:
        near.append(_around(image, VMAT_TESTS))
    elif image is not None and image.kind in OF_A_BEAM and image.plan_uid is not None:
        near.append(
            [
                images.c.plan_uid == image.plan_uid,
                images.c.beam_number == image.beam_number,
                images.c.kind == ImageKind.PORTAL.value,
            ]
        )
    elif log is not None:
        near.append(_around(log, WITH_LOG))
    if image is not None and image.kind in STRANGERS:
        near.append(_around(image, (BALLS,)))
    found = []
    for where in near:
        query = select(images.c.file, images.c.used).where(*where, images.c.file != file)
        rows = connection.execute(query.order_by(images.c.point_ns.desc()).limit(MOST_USERS))
        found += [row.file for row in rows if file in _numbers(json.loads(row.used or "[]"))]
    return found


def _around(one: Row[Any], kinds: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [
        images.c.machine == one.machine,
        images.c.kind.in_(kinds),
        images.c.point_ns.between(one.point_ns - REACH_NS, one.point_ns + REACH_NS),
    ]


def _numbers(used: Any) -> set[int]:
    if isinstance(used, list):
        return {number for one in used for number in _numbers(one)}
    return {used} if isinstance(used, int) else set()
