"""An alert engine over a clinic, run by hand or by its own thread."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from qa_daemon.alerts.channels import Channels
from qa_daemon.alerts.delivery import Patience
from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.store.schema import incidents, notifications
from tests.alerts.clinic import TITLES, Clinic

PEOPLE: dict[str, Any] = {
    "person": [
        {"name": "Ada", "channels": ["json://127.0.0.1:1"]},
        {"name": "Ben", "channels": ["json://127.0.0.1:1"]},
        {"name": "Cai", "channels": ["json://127.0.0.1:1"]},
    ],
    # Monday 2 November 2026, 10:00 in Berlin, is Ben's.
    "rota": {
        "weekly": [
            {"from": "Mon 08:00", "person": "Ben"},
            {"from": "Wed 08:00", "person": "Cai"},
        ]
    },
}


def engine_of(clinic: Clinic, channels: Channels, patience: Patience | None = None) -> AlertEngine:
    """An engine that was not started; tests step it by hand."""
    return AlertEngine(
        clinic.store,
        clinic.queries,
        clinic.alerts_box,
        clinic.site,
        channels,
        clinic.clock,
        TITLES,
        patience or Patience(first_s=0.05, longest_s=0.1),
    )


def run(engine: AlertEngine) -> None:
    """Look through all that is new and send until there is nothing to do at once."""
    engine.look_through()
    while engine.deliver() == 0.0:
        pass


def messages(clinic: Clinic) -> list[dict[str, Any]]:
    """All messages, sent or not."""
    with clinic.store.read() as connection:
        rows = connection.execute(select(notifications).order_by(notifications.c.id)).mappings()
        return [dict(row) for row in rows]


def open_tests(clinic: Clinic) -> list[str]:
    """The tests with an open incident."""
    with clinic.store.read() as connection:
        query = select(incidents.c.test).where(incidents.c.open).order_by(incidents.c.test)
        return list(connection.execute(query).scalars())
