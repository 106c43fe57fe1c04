"""A file that says itself that it is of another machine than the one whose folder holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from analyzers.catalogue import load
from qa_daemon.model import Verdict
from qa_daemon.simulate import elekta_trf, rtrecord
from qa_daemon.store.schema import recorded_beams
from tests.ingest.clinic import SITE, Clinic


@pytest.mark.parametrize(
    ("serial", "code"),
    [(None, None), ("another", "OTHER_MACHINE"), ("own", None)],
)
def test_it_is_judged_as_nobodys(tmp_path: Path, serial: str | None, code: str | None) -> None:
    log = elekta_trf.simulate(tmp_path / "x.trf", field="static", mu=60.0)
    from analyzers.formats.elekta_trf import read

    own = read(log).machine_serial
    assert own is not None
    said = {"own": f'serial = " {own.upper()}"', None: ""}.get(serial, f'serial = "{serial}"')
    text = SITE.replace('machine_class = "truebeam"', f'machine_class = "elekta"\n{said}')
    clinic = Clinic(tmp_path, text=text, catalogue=load(), settle_time=0.0)
    try:
        clinic.drop("x.trf", log.read_bytes())
        clinic.process()
        (result,) = clinic.queries.results_since()
        assert result.error_code == code
        assert result.machine == "TB1"
        assert (result.verdict is Verdict.INVALID) == (code is not None)
        assert own not in str(result.error_message)
    finally:
        clinic.close()


@pytest.mark.parametrize(("serial", "machine"), [("1234", "TB1"), ("77", "TB2"), ("55", "55")])
def test_a_treatment_record_is_of_the_machine_that_it_names(
    tmp_path: Path, serial: str, machine: str | None
) -> None:
    others = '[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\nserial = "77"\n[ingest]'
    text = SITE.replace('folders = ["in"]', 'folders = ["in"]\nserial = "1234"')
    clinic = Clinic(
        tmp_path, text=text.replace("[ingest]", others), catalogue=load(), settle_time=0.0
    )
    try:
        record = tmp_path / "r.dcm"
        rtrecord.write_rtrecord(record, [("Arc", 60.0, 60.0)], machine_serial=serial)
        clinic.drop("r.dcm", record.read_bytes())
        clinic.process()
        (result,) = clinic.queries.results_since()
        assert (result.error_code, result.verdict) == (None, None)
        with clinic.store.read() as connection:
            (beam,) = connection.execute(select(recorded_beams)).all()
        assert beam.machine == machine
    finally:
        clinic.close()
