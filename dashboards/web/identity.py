"""Who a patient is: shown to a physicist who is signed in, and nowhere else.

A page first asks `People.may_see`, which writes the viewing into the audit trail.
"""

from __future__ import annotations

from dashboards.web.clinic import Clinic

LABELS = {
    "patient_id": "Patient ID",
    "course_id": "Course",
    "lesion": "Lesion",
    "plan_label": "Plan",
    "plan_name": "Name of the plan",
    "plan_uid": "UID of the plan",
    "plan_date": "Date of the plan",
    "beam_number": "Beam number",
    "beam_label": "Field",
    "beam_name": "Beam",
    "beam_names": "Beams",
    "earlier_plan_uids": "UIDs of earlier plans",
}
PATIENT = ("patient_id",)


def identity(clinic: Clinic, result: int) -> list[tuple[str, str]]:
    """What the file of a result says of whose it is: names for people, and values."""
    told = clinic.queries.identity_of(result)
    if told.get("beam_names") == told.get("beam_name"):
        told.pop("beam_names", None)
    order = {name: place for place, name in enumerate(LABELS)}
    return [
        (LABELS.get(name, name.replace("_", " ")), told[name])
        for name in sorted(told, key=lambda name: (order.get(name, len(order)), name))
    ]


def of_patient(clinic: Clinic, result: int) -> list[tuple[str, str]]:
    """The same without what belongs to one plan or beam."""
    told = clinic.queries.identity_of(result)
    return [(LABELS[name], told[name]) for name in PATIENT if name in told]


def plan_label(clinic: Clinic, result: int) -> str:
    """What a plan is called, and its date."""
    told = clinic.queries.identity_of(result)
    names = ("plan_label", "plan_name", "plan_date")
    return ", ".join(dict.fromkeys(_date(told[name]) for name in names if name in told))


def _date(text: str) -> str:
    """A date of DICOM as people write it; anything else as it is."""
    is_date = len(text) == 8 and text.isascii() and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if is_date else text
