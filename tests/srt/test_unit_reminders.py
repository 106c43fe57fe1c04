"""What people are told of kV units without a check that is out of its limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon.alerts.unit_reminders import LOOK_EVERY_S, UnitReminders
from qa_daemon.store import check_signatures
from qa_daemon.store.schema import notifications
from tests.ingest.clinic import Clinic
from tests.srt.units import SITE, clinic_of, days_ago, row, table


class Told:
    """Reminders stepped by hand."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic, self.now_s = clinic, 0.0
        self.reminders = UnitReminders(clinic.store, clinic.site, lambda: self.now_s)

    def look(self) -> list[tuple[str, str]]:
        """Title and body of what was told by this look."""
        before = len(self._all())
        self.now_s += LOOK_EVERY_S
        self.reminders.look()
        return self._all()[before:]

    def _all(self) -> list[tuple[str, str]]:
        with self.clinic.store.read() as connection:
            rows = connection.execute(select(notifications).order_by(notifications.c.id))
            return [(row.title, row.body) for row in rows]


def with_expiry(tmp_path: Path, expires: str, *rows: str) -> Clinic:
    """Both instruments are calibrated until a day."""
    text = SITE.replace("calibrated = 2024-01-01", "calibrated = 2025-06-01")
    for day in ("2027-06-01", "2025-12-31"):
        text = text.replace(f"expires = {day}", f"expires = {expires}")
    clinic = clinic_of(tmp_path, text)
    if rows:
        clinic.drop("t.csv", table(*rows))
        clinic.process()
    return clinic


@pytest.mark.parametrize(
    ("expires", "says"),
    [
        ("2026-05-02", None),  # 61 days after 2026-03-02
        ("2026-05-01", "expires on 2026-05-01"),
        ("2026-04-02", "expires on 2026-04-02"),
        ("2026-03-02", "expired on 2026-03-02"),
        ("2026-02-01", "expired on 2026-02-01"),
    ],
)
def test_calibrations_are_told_ahead_and_once(
    tmp_path: Path, expires: str, says: str | None
) -> None:
    clinic = with_expiry(tmp_path, expires)
    try:
        told = Told(clinic)
        found = told.look()
        assert len(found) == (says is not None)
        if says is not None:
            ((title, body),) = found
            assert title == "Instruments of kV units: calibrations run out"
            assert f"The calibration of chamber PTW 23342 {says}." in body
            assert f"The calibration of electrometer any {says}." in body
            assert "0123" not in body and "4567" not in body
        assert told.look() == []
        assert Told(clinic).look() == []  # a restart repeats nothing
    finally:
        clinic.close()


def test_an_overdue_test_and_missing_signatures_are_told_until_they_are_done(
    tmp_path: Path,
) -> None:
    old = row(days_ago(45), check_type="monthly")
    clinic = with_expiry(tmp_path, "2027-05-01", old)
    try:
        told = Told(clinic)
        ((title, body),) = told.look()
        assert title == "SRT1: checks are overdue"
        assert (
            "Output constancy of each kV, traceable chamber of 70 kV F2 A30: due on 2026-02-16, "
            "done last 2026-01-16." in body
        )
        assert "Checks that wait for a physicist's signature for more than 30 days: 1." in body
        assert "/units/SRT1" in body and "CANARY" not in body
        assert told.look() == []
        waiting = [one.result for one in check_signatures.unsigned(clinic.store, "SRT1")]
        check_signatures.sign(clinic.store, waiting, "P", "seen")
        clinic.drop("u.csv", table(row(days_ago(1), check_type="monthly")))
        clinic.process()
        assert told.look() == []
    finally:
        clinic.close()


def test_a_clinic_without_units_is_left_alone(tmp_path: Path) -> None:
    text = SITE[: SITE.index("[machine.srt]")].replace('"srt"', '"truebeam"')
    text += SITE[SITE.index("[[instrument]]") :]
    clinic = clinic_of(tmp_path, text)
    try:
        assert Told(clinic).look() == []
    finally:
        clinic.close()
