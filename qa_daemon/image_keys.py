"""What a portal image says of itself by which images that belong together are found."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.model import ImageKeys, ToldKind

MIDDLE_SHARE = 0.02
"""Of the rows and columns, so many around the axis make the profile that a field is told by."""
ONE_OF_A_SET = {
    (ImageKind.WINSTON_LUTZ, None),
    (ImageKind.STARSHOT, "slit"),
}
"""Kinds, and the rules that told them where only those count, of which several are judged as one.

A starshot of all its spokes is judged alone.
"""
UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""PS3.5 9.1.  What is written otherwise is the name that a program gave all its images."""


def image_keys(image: PortalImage) -> ImageKeys:
    """The keys of an image that is classified."""
    said = image.classified
    x_mm, y_mm = _field_mm(image)
    return ImageKeys(
        kind=said.kind.value,
        rule=said.rule,
        evidence=said.evidence,
        phantom=said.phantom,
        gathers=bool({(said.kind, None), (said.kind, said.rule)} & ONE_OF_A_SET),
        plan_uid=image.identity.plan_uid,
        patient_id=image.identity.patient_id,
        beam_number=image.identity.beam_number,
        fraction=image.fraction,
        study_uid=image.study_uid,
        sop_instance_uid=_uid(image.sop_instance_uid),
        pixels=_pixels(image.stored),
        exposure=_exposure(image),
        meterset_mu=_finite(image.meterset_mu),
        rows=image.shape[0],
        columns=image.shape[1],
        sid_mm=_finite(image.sid_mm),
        field_x_mm=x_mm,
        field_y_mm=y_mm,
    )


def told(keys: ImageKeys) -> ToldKind:
    """What an image shows, so that a further reading need not find it out again."""
    return ToldKind(kind=keys.kind, rule=keys.rule, evidence=keys.evidence, phantom=keys.phantom)


def _uid(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 64 and UID.fullmatch(text) else None


def _pixels(stored: NDArray[Any]) -> str:
    """Of the decoded pixels: how they were compressed says nothing."""
    plain = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{plain.dtype.str}{plain.shape}".encode() + plain.tobytes()).hexdigest()


def _exposure(image: PortalImage) -> str:
    """Of everything beside the pixels that a verdict may follow from.

    Texts are left out: archives word them anew, and what they tell is the kind.
    """
    identity, made, shaped = image.identity, image.performed_at, image.aperture
    said = (
        (image.pixels.value, image.slope, image.intercept, image.sign),
        (image.spacing_mm, image.sid_mm, image.sad_mm, image.axis_px, image.panel_shift_mm),
        (image.gantry_deg, image.collimator_deg, image.couch_rotation_deg),
        (image.meterset_mu, image.frames, image.energy, made and made.isoformat()),
        (image.machine_name, image.machine_serial),
        (identity.plan_uid, identity.beam_number, image.fraction),
        "".join((identity.patient_id or "").casefold().split()),
        None if shaped is None else [_listed(getattr(shaped, one.name)) for one in fields(shaped)],
    )
    return hashlib.sha256(json.dumps(said, default=float).encode()).hexdigest()


def _listed(lengths_mm: NDArray[np.float64] | None) -> list[float] | None:
    return None if lengths_mm is None else [float(length) for length in lengths_mm]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _field_mm(image: PortalImage) -> tuple[float | None, float | None]:
    """Width and length of what lies above half the signal through the axis; None: not known."""
    if image.sid_mm is None or not image.values.size:
        return None, None
    found: list[float | None] = []
    for along, steps in ((0, image.spacing_mm[1]), (1, image.spacing_mm[0])):
        count, center = image.shape[along], image.center_px[along]
        reach = max(1, round(MIDDLE_SHARE * count))
        first = min(max(round(center) - reach, 0), count - 1)
        profile = np.median(
            np.take(image.values, range(first, min(first + 2 * reach, count)), along), along
        )
        low, high = float(profile.min()), float(profile.max())
        inside = int(np.count_nonzero(profile > 0.5 * (low + high)))
        width_mm = inside * steps / image.magnification
        found.append(width_mm if high > low and math.isfinite(width_mm) else None)
    return found[0], found[1]
