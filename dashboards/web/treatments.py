"""Treatments: what was delivered of each planned beam, fraction by fraction, by pseudonym."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal
from dashboards.web.identity import of_patient
from dashboards.web.kv_course_page import kv_courses_of
from dashboards.web.machine_page import page_of
from dashboards.web.pages import Before
from dashboards.web.people import form_of
from dashboards.web.treatment_page import loose, plans

TREATMENTS = "/treatments"
PAGE = 50
LONGEST_ID = 64
Pseudonym = Annotated[str, Path(max_length=20)]


def router(clinic: Clinic) -> APIRouter:
    """The newest patients, one of them, and the way to one by the id."""

    def show_patients(request: Request, before: Before = None) -> HTMLResponse:
        found, following = page_of(clinic.courses.patients(before, PAGE + 1), PAGE)
        return page(
            clinic,
            request,
            "treatments.html",
            rows=[(row.pseudonym, clinic.when(row.point_ns)) for row in found],
            before=before,
            following=following,
            may_find=clinic.people.is_physicist(request),
            longest_id=LONGEST_ID,
        )

    def show_patient(request: Request, pseudonym: Pseudonym) -> HTMLResponse:
        patient = clinic.courses.patient(pseudonym)
        if patient is None:
            raise HTTPException(404)
        may_see = clinic.people.may_see(request, [f"patient {pseudonym}"])
        return page(
            clinic,
            request,
            "treatment.html",
            pseudonym=pseudonym,
            when=clinic.when(patient.point_ns),
            who=of_patient(clinic, patient.result) if may_see else None,
            plans=plans(clinic, pseudonym, may_see=may_see),
            loose=loose(clinic, pseudonym),
            kv_courses=kv_courses_of(clinic, pseudonym, may_see=may_see),
        )

    def find(request: Request) -> Response:
        clinic.people.physicist(request)
        # Sent as a form, never in an address: addresses are kept by browsers and proxies.
        pseudonym = clinic.pseudonyms.of(form_of(request).get("patient_id", "")[:LONGEST_ID])
        if pseudonym is None or clinic.courses.patient(pseudonym) is None:
            raise Refusal(404, "Not found", "No plan or log of a patient with this ID is here.")
        return RedirectResponse(f"{TREATMENTS}/{pseudonym}", 303)

    routes = APIRouter()
    for path, serve, methods in (
        (TREATMENTS, show_patients, ["GET", "HEAD"]),
        (TREATMENTS, find, ["POST"]),
        (f"{TREATMENTS}/{{pseudonym}}", show_patient, ["GET", "HEAD"]),
    ):
        routes.add_api_route(path, serve, methods=methods, response_model=None)
    return routes
