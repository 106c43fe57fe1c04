"""The reason that a physicist gives for a decision: one line, and it does not name the patient."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.web.forms import Refusal

LONGEST_REASON = 200
SHORTEST_NAME = 4
"""A shorter patient id may stand in any sentence."""


def reason_of(form: Mapping[str, str], patient_id: str) -> str:
    """Why.  Raises `Refusal` where it is missing, too long, or says who the patient is."""
    reason = form.get("reason", "").strip()
    if not 1 <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Refusal(
            400,
            "Not chosen",
            f"Nothing was done: give a reason of one line, at most {LONGEST_REASON} characters.",
        )
    name = _plain(patient_id)
    if len(name) >= SHORTEST_NAME and name in _plain(reason):
        raise Refusal(
            400,
            "Not chosen",
            "Nothing was done: the reason names the patient. The audit trail is kept for good, so "
            "say it without.",
        )
    return reason


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
