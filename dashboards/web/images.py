"""Images: which nobody could classify, what one shows and why, and what a physicist says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from analyzers.machine.planar_image import Phantom
from analyzers.portal_images import ImageKind
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic, When
from dashboards.web.forms import Refusal
from dashboards.web.people import form_of
from dashboards.web.reasons import LONGEST_REASON, reason_of
from qa_daemon.store import baselines, image_kinds
from qa_daemon.store.baselines import WITH_BASELINE, CannotSign
from qa_daemon.store.image_kinds import MOST_LISTED, CannotSay

IMAGES = "/images"
BY_THE_RULES = "by the rules"
KINDS = tuple(kind for kind in ImageKind if kind is not ImageKind.UNCLASSIFIED)
PHANTOMS: tuple[str, ...] = get_args(Phantom)
"""Planar phantoms that can be analyzed, as their analysis calls them."""


@dataclass(frozen=True, slots=True)
class ListedView:
    """An image on the list."""

    result: int
    machine: str
    when: When
    evidence: str
    size: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """One image of a set, by its place in the order of exposure."""

    file: int
    number: int
    at: str
    name: str
    """Of its file: for those who may see whose it is."""


@dataclass(frozen=True, slots=True)
class ImageView:
    """What an image shows, on the page of its result; `baseline` says who signed off which."""

    kind: str
    phantom: str
    rule: str
    evidence: str
    said: str
    has_baseline: bool
    baseline: str
    members: list[MemberView]


def of_result(clinic: Clinic, result: int) -> ImageView | None:
    """What the image of a result shows; None where it is of no image."""
    shown = image_kinds.shown(clinic.store, result)
    if shown is None:
        return None
    said = ""
    if shown.said is not None:
        actor, at, reason = shown.said
        said = f"{actor}, {clinic.local(at)}: {reason}"
    has_baseline = shown.kind in WITH_BASELINE
    signed = baselines.signed_for(clinic.store, result) if has_baseline else None
    baseline = ""
    if signed is not None:
        many = len(signed.images)
        of = "an image" if many == 1 else f"the mean of {many} images"
        baseline = f"{of}, signed off by {signed.actor}, {clinic.local(signed.at)}: {signed.reason}"
    return ImageView(
        shown.kind,
        shown.phantom or "",
        shown.rule,
        shown.evidence,
        said,
        has_baseline,
        baseline,
        [
            MemberView(one.file, number, clinic.when(one.point_ns).exact, one.name)
            for number, one in enumerate(image_kinds.members(clinic.store, result), 1)
        ],
    )


def router(clinic: Clinic) -> APIRouter:
    """The list, and the forms about one image."""

    def show(request: Request) -> HTMLResponse:
        listed = image_kinds.unclassified(clinic.store)
        return page(
            clinic,
            request,
            "images.html",
            charts=bool(listed),
            images=[
                ListedView(
                    one.result,
                    one.machine or "unknown machine",
                    clinic.when(one.point_ns),
                    one.evidence,
                    f"{one.columns} by {one.rows} pixels",
                )
                for one in listed
            ],
            may_say=clinic.people.is_physicist(request),
            is_cut=len(listed) == MOST_LISTED,
            notice=clinic.people.take_notice(request),
            kinds=KINDS,
            phantoms=PHANTOMS,
            longest_reason=LONGEST_REASON,
        )

    def say(request: Request, result: int) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        chosen = form.get("kind", "")
        kind = None if chosen == BY_THE_RULES else _kind(chosen)
        phantom = form.get("phantom", "")
        if kind is ImageKind.PLANAR_PHANTOM and phantom not in PHANTOMS:
            raise Refusal(400, "Not taken", "Nothing was done: say which phantom it is.")
        told = phantom if kind is ImageKind.PLANAR_PHANTOM else None
        reason = _reason(clinic, form, result)
        try:
            member = _member(form.get("member", ""))
            image_kinds.say(
                clinic.store, _known(result), kind, told, person.name, reason, member=member
            )
        except CannotSay as why:
            raise Refusal(409, "Not taken", f"Nothing was done: {why}.") from None
        clinic.people.tell(
            request, f"What result {result} shows is written down; it is judged again."
        )
        return RedirectResponse(IMAGES, 303)

    def sign(request: Request, result: int) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        what, reason = form.get("do", ""), _reason(clinic, form, result)
        try:
            if what == "withdraw":
                baselines.withdraw(clinic.store, _known(result), person.name, reason)
            elif what in ("replace", "add"):
                adds = what == "add"
                baselines.sign(clinic.store, _known(result), person.name, reason, add=adds)
            else:
                raise Refusal(400, "Not taken", "Nothing was done: choose what to do.")
        except CannotSign as why:
            raise Refusal(409, "Not signed off", f"Nothing was done: {why}.") from None
        return RedirectResponse(f"/results/{result}", 303)

    routes = APIRouter()
    routes.add_api_route(IMAGES, show, methods=["GET", "HEAD"], response_model=None)
    routes.add_api_route(
        f"{IMAGES}/{{result:int}}/kind", say, methods=["POST"], response_model=None
    )
    routes.add_api_route(
        f"{IMAGES}/{{result:int}}/baseline", sign, methods=["POST"], response_model=None
    )
    return routes


def _kind(text: str) -> ImageKind:
    for kind in KINDS:
        if kind.value == text:
            return kind
    raise Refusal(400, "Not taken", "Nothing was done: choose what the image shows.")


def _member(text: str) -> int | None:
    """The file of an image of the result's set; None: the result is of one image."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refusal(400, "Not taken", "Nothing was done: choose which image of the set it is.")
    return int(text)


def _reason(clinic: Clinic, form: Mapping[str, str], result: int) -> str:
    return reason_of(form, clinic.queries.identity_of(_known(result)).get("patient_id", ""))


def _known(result: int) -> int:
    if result >= 2**63:
        raise HTTPException(404)
    return result
