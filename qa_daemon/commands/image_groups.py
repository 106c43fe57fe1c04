"""One-shot analysis of images: which of the given files are a set, and which are partners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from analyzers.portal_images import ImageKind
from qa_daemon.fractions import NANO
from qa_daemon.image_sets import (
    STRANGER,
    VMAT_TESTS,
    SeenImage,
    open_field_of,
    set_of,
    strangers_in,
)
from qa_daemon.model import ImageKeys, NamedPath, Partners, Report, Resumption
from qa_daemon.site.site import Site
from qa_daemon.store.image_users import WITH_LOG, WITH_PLAN
from qa_daemon.store.images import FIRST_OF_BEAM, MOST_LOGS, NO_BEAM, gaps_of, may_be_of

NOT_GIVEN = "it is not among the files that were given"
PORTAL, PREDICTED = ImageKind.PORTAL.value, ImageKind.PREDICTED.value


@dataclass(frozen=True)
class GivenImage:
    """An image among the files of a command, and what was read of it; `machine` by site or file."""

    path: Path
    named: NamedPath
    sha256: str
    keys: ImageKeys
    report: Report
    machine: str | None
    made_at: float
    """Of the file, seconds: stands in where the image does not say when it was made."""


@dataclass(frozen=True)
class GivenLog:
    """A log among the files of a command."""

    files: Resumption
    machine: str | None
    performed_at: datetime | None
    plan_uid: str | None
    beam_number: int | None


@dataclass(frozen=True)
class ImageGroup:
    """Images that are judged as one, the first of them first, and their partners."""

    images: tuple[GivenImage, ...]
    partners: Partners
    beside: tuple[Path, ...]
    """The files of the partners that are listed with the result."""


def groups_of(
    given: Sequence[GivenImage],
    logs: Sequence[GivenLog],
    plan_of: Callable[[str | None], NamedPath | None],
    site: Site,
) -> list[ImageGroup]:
    """Every image in exactly one group, in the order of the first of each."""
    seen = [_seen(place, image) for place, image in enumerate(given)]
    gaps, taken, found = gaps_of(site.file.images), set[int](), []
    for image in seen:
        if image.file in taken:
            continue
        others = [one for one in seen if one.file not in taken]
        gap_ns = _ns(gaps.within(image.kind).total_seconds())
        members = set_of(image, others, gap_ns)
        taken |= {one.file for one in members}
        first = given[members[0].file]
        partners, beside = _partners(members[0], first, seen, given, site)
        partners = partners.model_copy(
            update={
                "logs": _logs(first, logs, gaps.of_log.total_seconds()),
                "plan": plan_of(first.keys.plan_uid) if first.keys.kind in WITH_PLAN else None,
            }
        )
        strangers = strangers_in(members, seen, gap_ns)
        if strangers:
            partners = _lacking(partners, "set", STRANGER.format(count=len(strangers)))
        if first.keys.kind in WITH_LOG and not partners.logs:
            partners = _lacking(partners, "log", NOT_GIVEN)
        found.append(ImageGroup(tuple(given[one.file] for one in members), partners, beside))
    return found


def _partners(
    image: SeenImage,
    own: GivenImage,
    seen: Sequence[SeenImage],
    given: Sequence[GivenImage],
    site: Site,
) -> tuple[Partners, tuple[Path, ...]]:
    partners = Partners()
    if image.kind in VMAT_TESTS:
        within = site.file.images.open_field_within.total_seconds()
        found = open_field_of(image, seen, _ns(within))
        if found is None:
            return _lacking(partners, "open_image", NOT_GIVEN), ()
        partner = given[found.file]
        return Partners(open_image=partner.named), (partner.path,)
    if image.kind != PORTAL:
        return partners, ()
    keys = own.keys
    if keys.plan_uid is None or keys.beam_number is None:
        return _lacking(partners, "baseline", NO_BEAM), ()
    of_beam = [
        (one, given[one.file])
        for one in seen
        if (one.plan_uid, given[one.file].keys.beam_number) == (keys.plan_uid, keys.beam_number)
    ]
    predicted = next((other for one, other in of_beam if one.kind == PREDICTED), None)
    earlier = [
        (one.order, other)
        for one, other in of_beam
        if one.kind == PORTAL
        and one.at_ns < image.at_ns
        and (one.rows, one.columns) == (image.rows, image.columns)
    ]
    baseline = min(earlier, key=lambda e: e[0])[1] if earlier else None
    partners = Partners(
        predicted=predicted.named if predicted else None,
        baseline=(baseline.named,) if baseline else (),
        lacking={} if baseline else {"baseline": FIRST_OF_BEAM},
    )
    return partners, tuple(other.path for other in (predicted, baseline) if other is not None)


def _logs(image: GivenImage, logs: Sequence[GivenLog], within_s: float) -> tuple[Resumption, ...]:
    """The logs that may be of an image, nearest in time; of its beam where both tell it."""
    at = image.report.performed_at
    found = []
    for log in logs:
        if None not in (log.machine, image.machine) and log.machine != image.machine:
            continue
        if not may_be_of(image.keys, log.plan_uid, log.beam_number):
            continue
        known = at is not None and log.performed_at is not None
        apart_s = abs((at - log.performed_at).total_seconds()) if known else 0.0  # type: ignore[operator]
        if apart_s <= within_s:
            found.append((apart_s, log.files.file.path, log.files))
    found.sort(key=lambda f: f[:2])
    return tuple(log for _, _, log in found[:MOST_LOGS])


def _lacking(partners: Partners, name: str, why: str) -> Partners:
    return partners.model_copy(update={"lacking": {**partners.lacking, name: why}})


def _seen(place: int, image: GivenImage) -> SeenImage:
    keys, at = image.keys, image.report.performed_at
    # Wall times of one clinic: without a zone they are as far apart as with it.
    seconds = image.made_at if at is None else (at - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001
    return SeenImage(
        file=place,
        sha256=image.sha256,
        machine=image.machine,
        kind=keys.kind,
        at_ns=_ns(seconds),
        gathers=keys.gathers,
        place=str(image.path.parent),
        rows=keys.rows,
        columns=keys.columns,
        sid_mm=keys.sid_mm,
        field_x_mm=keys.field_x_mm,
        field_y_mm=keys.field_y_mm,
        energy=image.report.energy,
        study_uid=keys.study_uid,
        plan_uid=keys.plan_uid,
        patient=keys.patient_id,
    )


def _ns(seconds: float) -> int:
    return int(seconds * NANO)
