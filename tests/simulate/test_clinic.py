"""The demo clinic shows every kind of fault, whatever the day it is built on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analyzers.core import TruncatedError
from analyzers.formats.dicom_rtplan import read as read_plan
from analyzers.formats.varian_trajectory_log import read
from qa_daemon.simulate import clinic


@pytest.mark.parametrize("weekday", range(7))
@pytest.mark.parametrize("days", [1, 5, 12, 20])
def test_every_fault_is_there_and_nothing_lies_ahead(weekday: int, days: int) -> None:
    today = datetime(2026, 11, 2, 6, 0, tzinfo=UTC) + timedelta(days=weekday)
    found = list(clinic.treatments(days, today))
    assert all(t.at <= today for t in found)
    assert {t.machine for t in found if t.at.date() == today.date()} == set(clinic.MLC)
    assert sum(t.cut_off for t in found) == 1
    assert sum(t.errors.interrupted_at_mu is not None for t in found) == 1
    assert sum(bool(t.errors.jaw_mm) for t in found) == 1
    assert any(t.errors.leaf_mm for t in found)
    assert len({(t.machine, t.at) for t in found}) == len(found)
    if len(found) > 6:  # more than one day
        assert [t.fraction is not None for t in found if not t.has_log] == [True]
        assert sum(not t.names_plan for t in found) == 1


def test_every_log_has_its_plan_and_one_has_two(tmp_path: Path) -> None:
    clinic.write_site(tmp_path, 8765, datetime(2026, 11, 6, tzinfo=UTC))
    today = datetime(2026, 11, 6, 20, 0, tzinfo=UTC)
    clinic.write_plans(tmp_path, 3, today)
    found = [read_plan(path) for path in sorted(tmp_path.rglob("RP.*.dcm"))]
    assert len(found) == 7 and {plan.fraction_groups[0].fractions for plan in found} == {3}
    named = {plan.sop_instance_uid: plan.identity.patient_id for plan in found}
    treated = list(clinic.treatments(3, today))
    for treatment in treated:
        uid = treatment.identity.plan_uid
        assert uid is None or named[uid] == treatment.identity.patient_id
    (unsure,) = [t.identity.patient_id for t in treated if not t.names_plan]
    assert list(named.values()).count(unsure) == 2


def test_what_is_written_is_what_a_machine_would_leave(tmp_path: Path) -> None:
    clinic.write_site(tmp_path, 8765, datetime(2026, 11, 6, tzinfo=UTC))
    found = list(clinic.treatments(1, datetime(2026, 11, 2, 20, 0, tzinfo=UTC)))
    for treatment in found:
        clinic.write(tmp_path, treatment)
    logs = sorted((tmp_path / "incoming").rglob("*.bin"))
    assert len(logs) == len(found) == 6
    assert len(list((tmp_path / "incoming").rglob("*.txt"))) == 6
    unreadable = 0
    for log in logs:
        try:
            assert read(log).mlc_model in clinic.MLC.values()
        except TruncatedError:
            unreadable += 1
    assert unreadable == 1
