"""What a worker does with an image before anybody measures it: its kind, its set, its partners.

Nothing is decided here about which files belong together: the job says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.catalogue import Catalogue
from analyzers.core import AnalysisError, ReadError
from analyzers.image_traces import block_mean
from analyzers.imager_records import from_json
from analyzers.mlc_geometry import with_model
from analyzers.plan_records import Beam
from analyzers.portal_images import Beside, Classified, ImageKind, PortalImage
from analyzers.records import Delivery
from qa_daemon.job_plans import as_named_file, read_plan
from qa_daemon.model import Job, NamedPath

PICTURE = "image"
"""What the arrays of an image itself are called, beside those of its analyses."""
PREVIEW_PX = 256
NO_PLAN = "the plan that it is of is not here"
NOT_JUDGED = {
    ImageKind.VMAT_OPEN: "the open field of a VMAT test: judged with the image of its test",
    ImageKind.PREDICTED: "a predicted image: measured ones are held against it",
    ImageKind.OTHER: "an image that no test is for",
    ImageKind.UNCLASSIFIED: "nobody can tell what this image shows: a physicist has to say it",
}


def classified(image: PortalImage, job: Job) -> PortalImage:
    """The image with its kind: what is known already, else what the rules say.

    Those of the clinic go before the product's.
    """
    if job.told_kind is not None:
        told = job.told_kind
        kind = ImageKind(told.kind)
        return _of_kind(image, Classified(kind, told.rule, told.evidence, told.phantom))
    from analyzers.image_class import classify  # loads what workers alone need

    return _of_kind(image, classify(image, job.pins, job.file.folder))


def beside_partners(image: PortalImage, job: Job, catalogue: Catalogue) -> PortalImage:
    """The image with the rest of its set, and with what it is held against.

    Raises `ReadError` where an image of the set cannot be read any more; a partner that cannot be
    read is lacking, and the reason stands there.
    """
    rest = [_image(more.file, catalogue) for more in job.resumed_by]
    first, *others = sorted((image, *rest), key=_made_at)
    said = image.classified
    first, others = first.as_kind(said), [other.as_kind(said) for other in others]
    return replace(first, set_with=tuple(others), beside=_beside(first, job, catalogue))


def preview(image: PortalImage) -> dict[str, NDArray[Any]]:
    """The image for people to look at: at most `PREVIEW_PX` each way, in % of its brightest."""
    step = max(1, -(-max(image.shape) // PREVIEW_PX))
    small = block_mean(image.values, step)
    if not small.size:
        return {}
    rows, columns = small.shape
    low, high = np.percentile(small, (0.5, 99.5))
    if not high > low:
        return {}
    percent = np.clip(100.0 * (small - low) / (high - low), 0.0, 100.0)
    middle = slice(step // 2, None, step)
    return {
        "values": percent.astype(np.float16),
        "x_mm": image.x_mm[middle][:columns].astype(np.float32),
        "y_mm": image.y_mm[middle][:rows].astype(np.float32),
    }


def _of_kind(image: PortalImage, said: Classified) -> PortalImage:
    told = image.not_judged or NOT_JUDGED.get(said.kind)
    return replace(image, classified=said, not_judged=told)


def _beside(image: PortalImage, job: Job, catalogue: Catalogue) -> Beside:
    partners, lacking = job.partners, dict(job.partners.lacking)

    def partner(name: str, files: Sequence[NamedPath]) -> PortalImage | None:
        try:
            return _mean([_image(file, catalogue) for file in files])
        except ReadError as why:
            lacking[name] = f"it cannot be read: {why.code}: {why}"
            return None

    log = _log(image, job, catalogue, lacking)
    imager = None if partners.imager is None else from_json(partners.imager)
    return Beside(
        open_image=partner("open_image", _given(partners.open_image)),
        predicted=partner("predicted", _given(partners.predicted)),
        baseline=partner("baseline", partners.baseline),
        log=log,
        planned=_planned(image, partners.plan, catalogue, lacking),
        imager=imager,
        lacking=lacking,
        mlc=job.mlc or _model_of(log),
    )


def _planned(
    image: PortalImage, plan: NamedPath | None, catalogue: Catalogue, lacking: dict[str, str]
) -> Beam | None:
    """The beam of the plan that the image is of."""
    number = image.identity.beam_number
    if plan is None or number is None:
        lacking.setdefault("planned", NO_PLAN)
        return None
    try:
        beams = read_plan(plan, catalogue).beams
    except ReadError as why:
        lacking["planned"] = f"the plan cannot be read: {why.code}: {why}"
        return None
    found = next((beam for beam in beams if beam.number == number), None)
    if found is None:
        lacking["planned"] = "the plan has no beam of this number"
    return found


def _given(file: NamedPath | None) -> list[NamedPath]:
    return [] if file is None else [file]


def _image(file: NamedPath, catalogue: Catalogue) -> PortalImage:
    record = catalogue.read(as_named_file(file))
    if not isinstance(record, PortalImage):
        raise ReadError("NOT_AN_IMAGE", "what was put together with this image is no image")
    return record


def _mean(images: Sequence[PortalImage]) -> PortalImage | None:
    """The mean of the images that a baseline is of; they have to be alike."""
    if not images:
        return None
    from analyzers.portal_comparison import mean_image  # loads what workers alone need

    try:
        return images[0] if len(images) == 1 else mean_image(images)
    except AnalysisError as why:
        raise ReadError("BASELINE", str(why)) from None


def _log(
    image: PortalImage,
    job: Job,
    catalogue: Catalogue,
    lacking: dict[str, str],
) -> Delivery | None:
    """The nearest log that can be of the image's delivery."""
    from analyzers.image_log_match import is_same_delivery  # loads what workers alone need

    for log in job.partners.logs:
        try:
            record = catalogue.read(
                as_named_file(log.file), [as_named_file(c) for c in log.companions]
            )
        except ReadError as why:
            lacking["log"] = f"it cannot be read: {why.code}: {why}"
            continue
        if isinstance(record, Delivery):
            fits, why_not = is_same_delivery(image, record)
            if fits:
                return with_model(record, job.mlc)
            lacking["log"] = f"no log near in time is of this image: {why_not}"
    return None


def _model_of(log: Delivery | None) -> str | None:
    """The MLC that the log itself tells; one that it assumed is a guess."""
    return None if log is None or log.mlc_is_assumed else log.mlc_model


def _made_at(image: PortalImage) -> tuple[bool, datetime]:
    at = image.performed_at
    return at is None, at or datetime.min  # noqa: DTZ901 - a machine's wall time has no zone
