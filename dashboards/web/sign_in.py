"""The pages to sign in and out."""

from __future__ import annotations

from math import ceil

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.people import SIGN_IN, SIGN_OUT, TooManyTries, form_of, local
from dashboards.web.wording import plural

WRONG = "Name and password do not belong together."


def router(clinic: Clinic) -> APIRouter:
    """Routes of both."""
    people = clinic.people
    # One password at a time: each takes memory and a processor, and the others wait in no thread.
    one = CapacityLimiter(1)

    def show(request: Request) -> Response:
        back = local(request.query_params.get("next", "/"))
        if people.person(request) is not None:
            return RedirectResponse(back, 303)
        return _form(clinic, request, back)

    async def sign_in(request: Request) -> Response:
        form = form_of(request)
        back, name = local(form.get("next", "/")), form.get("name", "").strip()
        try:
            token = await to_thread.run_sync(
                people.sign_in, request, name, form.get("password", ""), limiter=one
            )
        except TooManyTries as why:
            return _too_many(clinic, request, back, why.wait_s)
        if token is None:
            return _form(clinic, request, back, status=403, sentence=WRONG)
        response = RedirectResponse(back, 303)
        people.give(response, token)
        return response

    def sign_out(request: Request) -> Response:
        people.sign_out(request)
        response = RedirectResponse("/", 303)
        people.take(response)
        return response

    routes = APIRouter()
    for path, serve, methods in (
        (SIGN_IN, show, ["GET", "HEAD"]),
        (SIGN_IN, sign_in, ["POST"]),
        (SIGN_OUT, sign_out, ["POST"]),
    ):
        routes.add_api_route(path, serve, methods=methods, response_model=None)
    return routes


def _form(
    clinic: Clinic, request: Request, back: str, *, status: int = 200, sentence: str = ""
) -> Response:
    return page(
        clinic,
        request,
        "sign_in.html",
        status=status,
        back=back,
        sentence=sentence,
        somebody_can=clinic.people.can_somebody_sign_in(),
    )


def _too_many(clinic: Clinic, request: Request, back: str, wait_s: float) -> Response:
    minutes = plural(ceil(wait_s / 60), "minute")
    sentence = f"Too many failed tries. Try again in {minutes}."
    response = _form(clinic, request, back, status=429, sentence=sentence)
    response.headers["Retry-After"] = str(ceil(wait_s))
    return response
