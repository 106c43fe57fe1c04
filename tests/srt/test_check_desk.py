"""A typed check on its way into the inbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_daemon.check_desk import CheckDesk, Typed
from qa_daemon.ingest import inbox
from tests.ingest.clinic import Clinic
from tests.srt.checked import WITH_FACTOR
from tests.srt.units import clinic_of

CHECKS = Typed(
    "checks",
    b"""{"schema": "qa_srt_checks", "version": "1.0", "unit_id": "SRT1", "operator": "TT",
 "datetime": "2026-03-02T07:31:00+01:00", "items": [{"id": "SRT.D.WARMUP", "passed": true}]}""",
)


def desk_of(clinic: Clinic, hints: list[str]) -> CheckDesk:
    return CheckDesk(clinic.site, clinic.store, clinic.queries, clinic.archive, hints.append)


def test_the_scan_is_told_of_an_entry_that_is_whole(tmp_path: Path) -> None:
    clinic, hints = clinic_of(tmp_path, WITH_FACTOR), list[str]()
    try:
        desk = desk_of(clinic, hints)
        desk.keep(clinic.site.machines[0], [CHECKS], "Therapist T")
        (hint,) = hints
        entry = inbox.entry(hint)
        assert entry is not None
        (file,) = entry.files
        assert Path(file.source).read_bytes() == CHECKS.content
        assert (file.machine, file.path) == ("SRT1", f"form/SRT1/{CHECKS.name}")
        clinic.process()
        assert len(desk.stored([CHECKS.sha256])) == 1
        desk.keep(clinic.site.machines[0], [CHECKS], "Therapist T")  # it is there already
        assert hints == [hint]
    finally:
        clinic.close()


def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, hints = clinic_of(tmp_path, WITH_FACTOR), list[str]()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inbox, "put", full)
    try:
        with pytest.raises(OSError, match="No space"):
            desk_of(clinic, hints).keep(clinic.site.machines[0], [CHECKS], "Therapist T")
        assert hints == [] and list((clinic.site.state_dir / inbox.PARTS).iterdir()) == []
    finally:
        clinic.close()
