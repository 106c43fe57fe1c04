"""What a portal image says of itself by which images that belong together are found."""

from __future__ import annotations

import math

import numpy as np

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
