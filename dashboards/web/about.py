"""What QA Daemon is and is not: the statements of the about page, and the formats it reads."""

from __future__ import annotations

from functools import cache

from analyzers import catalogue

ABOUT = (
    "QA Daemon is not cleared by the FDA and bears no CE mark.",
    "It is a QA aid for qualified medical physicists. No treatment decision may rest on it.",
    "It does not control any device and cannot stop a beam.",
    "Results from logs are the controller's own report, not an independent measurement.",
    "Alerts may fail to arrive or arrive late. Keep your primary QA program.",
    "Each clinic must commission and validate it with its own machines and data before use.",
)


@cache
def formats() -> tuple[str, ...]:
    """The names of all formats."""
    return tuple(f.name for f in catalogue.load().formats)
