"""Whether a portal image and a log are of one delivery, and which beam of the log it shows.

A wrong partner must be told from a machine that is wrong, so what contradicts is looked at before
any leaf: serial number, plan and beam, time, meterset, gantry and collimator.  What one of the two
does not state contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analyzers.field_shape import sub_beam_samples
from analyzers.numerics.statistics import angle_difference_deg
from analyzers.portal_images import PortalImage
from analyzers.records import Axis, Delivery, Meterset

MOST_MINUTES = 20.0
"""Clocks of imager and controller, and the time to write a file; beside the delivery's own."""
MOST_MU, MOST_MU_SHARE = 0.5, 0.02
MOST_GANTRY_DEG, MOST_COLLIMATOR_DEG = 2.0, 1.0


def is_same_delivery(image: PortalImage, delivery: Delivery) -> tuple[bool, str]:
    """Whether nothing speaks against it, and what does, or what speaks for it.

    The sentence holds no value of any patient element.
    """
    against = [*_other_machine_or_plan(image, delivery), *_other_time(image, delivery)]
    if not against and not beams_shown(image, delivery):
        against = ["no beam of the log has the image's meterset and angles"]
    if against:
        return False, "; ".join(against)
    agreeing = [
        what
        for what, known in (
            ("machine", image.machine_serial and delivery.machine_serial),
            ("plan", image.identity.plan_uid and delivery.identity.plan_uid),
            ("time", image.performed_at and delivery.performed_at),
            ("meterset", image.meterset_mu is not None and delivery.meterset is Meterset.MU),
            ("gantry", image.gantry_deg is not None and delivery.gantry_deg),
            ("collimator", image.collimator_deg is not None and delivery.collimator_deg),
        )
        if known
    ]
    if not agreeing:
        return True, "nothing that both state: only the picture itself can tell"
    return True, f"{', '.join(agreeing)} agree"


def _other_machine_or_plan(image: PortalImage, delivery: Delivery) -> Iterator[str]:
    pairs = (
        ("another machine", image.machine_serial, delivery.machine_serial),
        ("another patient", image.identity.patient_id, delivery.identity.patient_id),
        ("another plan", image.identity.plan_uid, delivery.identity.plan_uid),
        ("another beam", image.identity.beam_number, delivery.identity.beam_number),
        ("another energy", image.energy, delivery.energy),
    )
    for what, of_image, of_log in pairs:
        one, other = (str(text or "").strip().lower() for text in (of_image, of_log))
        if one and other and one != other:
            yield what


def _other_time(image: PortalImage, delivery: Delivery) -> Iterator[str]:
    if image.performed_at is None or delivery.performed_at is None:
        return
    apart_s = abs((image.performed_at - delivery.performed_at).total_seconds())
    most_s = 60.0 * MOST_MINUTES + delivery.samples * delivery.interval_s
    if apart_s > most_s:
        yield f"{apart_s / 60.0:.0f} minutes apart"


def beams_shown(image: PortalImage, delivery: Delivery) -> list[tuple[str | None, slice]]:
    """The beams of a log that the image may show, by meterset and angles, names as to be shown.

    A log of several may be shown as a whole too.
    """
    beams = sub_beam_samples(delivery)
    if len(beams) > 1:
        beams = [*beams, ("all beams", slice(0, delivery.samples))]
    return [(name, part) for name, part in beams if _may_show(image, delivery, part)]


def _may_show(image: PortalImage, delivery: Delivery, part: slice) -> bool:
    beam_on = delivery.beam_on[part]
    if not beam_on.any():
        return False
    if image.meterset_mu is not None and delivery.meterset is Meterset.MU:
        given_mu = np.asarray(delivery.meterset_mu.actual[part], np.float64)
        before_mu = float(delivery.meterset_mu.actual[part.start - 1]) if part.start else 0.0
        error_mu = abs(float(given_mu[-1]) - before_mu - image.meterset_mu)
        if error_mu > max(MOST_MU, MOST_MU_SHARE * image.meterset_mu):
            return False
    angles = (
        (image.gantry_deg, delivery.gantry_deg, MOST_GANTRY_DEG),
        (image.collimator_deg, delivery.collimator_deg, MOST_COLLIMATOR_DEG),
    )
    return all(
        stated is None or axis is None or _passes(stated, axis, part, beam_on, most)
        for stated, axis, most in angles
    )


def _passes(
    stated_deg: float,
    axis: Axis,
    part: slice,
    beam_on: np.ndarray[tuple[int], np.dtype[np.bool_]],
    most_deg: float,
) -> bool:
    """Whether the axis was at the angle with the beam on; an image of an arc states one of it."""
    seen_deg = np.unwrap(np.asarray(axis.actual[part], np.float64)[beam_on], period=360.0)
    away_deg = angle_difference_deg(seen_deg, np.full(seen_deg.shape, stated_deg))
    # An arc passes between two samples, or stands past its end when the image is written.
    return bool(np.abs(away_deg).min() <= most_deg + np.abs(np.diff(seen_deg)).max(initial=0.0))
