"""What a superseded result left in the database must not stay: above all no old PASS."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from qa_daemon.model import Verdict
from qa_daemon.sinks.superseded import Place
from tests.alerts.clinic import Clinic, analysis
from tests.servers import InfluxServer, Stub, VictoriaServer, influx_server
from tests.sinks.sending import drain_that_takes_off, empty_folder, v1, v2, waiting
from tests.sinks.test_day_points import leaves, noon_ns
from tests.sinks.test_influx_servers import expected_points, read_points, replay, stored

ODD = "T,B='1' \"x\" \\ é😀"


@pytest.mark.parametrize("machine", ["TB1", ODD, "TB\\", "T\tB\\\\"])
def test_numbers_of_an_analysis_that_fails_now_are_gone(
    influx: InfluxServer, tmp_path: Path, machine: str
) -> None:
    database = f"gone_{machine.encode().hex()}"
    influx.query(f"CREATE DATABASE {database}")
    clinic = Clinic(tmp_path, v1(influx.url, database))
    clinic.put(analysis(Verdict.PASS), minutes=5, machine=machine)
    file = clinic.file(machine)
    clinic.put(analysis(Verdict.PASS), file=file, machine=machine)
    drain_that_takes_off(clinic).drain()
    clinic.put(analysis(Verdict.INVALID), file=clinic.judge_again(file), machine=machine)
    drain_that_takes_off(clinic).drain()
    found, wanted = read_points(influx, database), expected_points(stored(clinic))
    if machine == ODD or machine == "TB1":
        assert found == wanted
    # How the server writes other names is its own; what is gone, is gone.
    assert {m: len(points) for m, points in found.items()} == {
        m: len(points) for m, points in wanted.items()
    }


def test_a_verdict_that_is_withdrawn_is_gone(influx: InfluxServer, tmp_path: Path) -> None:
    influx.query("CREATE DATABASE withdrawn")
    clinic = Clinic(tmp_path, v1(influx.url, "withdrawn"))
    file = clinic.file()
    for verdict in (Verdict.PASS, None):
        clinic.put(analysis(verdict), file=clinic.judge_again(file))
        drain_that_takes_off(clinic).drain()
    assert read_points(influx, "withdrawn") == expected_points(stored(clinic))


def test_what_another_machine_or_instant_had_is_gone_and_its_heir_stays(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.query("CREATE DATABASE moved")
    clinic = Clinic(tmp_path, v1(influx.url, "moved"))
    files = [clinic.file(), clinic.file()]
    for number, file in enumerate(files):
        clinic.put(analysis(Verdict.PASS), file=file, minutes=number)
    drain_that_takes_off(clinic).drain()
    # The first moves twice, the first time unseen; the second takes its place before it is seen.
    clinic.put(analysis(Verdict.PASS), file=clinic.judge_again(files[0]), minutes=70)
    clinic.put(analysis(None), file=clinic.judge_again(files[1]), minutes=0)
    drain_that_takes_off(clinic).drain()
    clinic.put(analysis(Verdict.PASS), file=clinic.judge_again(files[0]), machine="TB2")
    drain_that_takes_off(clinic).drain()
    assert read_points(influx, "moved") == expected_points(stored(clinic))
    replay(clinic)
    drain_that_takes_off(clinic).drain()
    assert read_points(influx, "moved") == expected_points(stored(clinic))


def test_leaves_of_a_day_without_its_only_delivery_are_gone(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.query("CREATE DATABASE leaf_days")
    clinic = Clinic(tmp_path, v1(influx.url, "leaf_days"))
    files = [clinic.file(), clinic.file()]
    clinic.put(leaves((0.5, 0.25)), file=files[0])
    clinic.put(leaves((9.0, 9.0)), file=files[1], minutes=24 * 60)
    drain_that_takes_off(clinic).drain()
    clinic.put(leaves((0.1, 0.1)), file=clinic.judge_again(files[1]), minutes=5)
    drain_that_takes_off(clinic).drain()
    rows = influx.rows("qa_leaf", "leaf_days")
    found = {(row["leaf"], row["time"]): row["mean_error_mm"] for row in rows}
    assert found == {("A01", noon_ns()): 0.5, ("28B09", noon_ns()): 0.25}


def test_nothing_is_taken_off_where_the_successor_gives_as_much(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v1(stub.url))
    file = clinic.file()
    for verdict in (Verdict.ACTION, Verdict.PASS):
        clinic.put(analysis(verdict), file=clinic.judge_again(file))
        drain_that_takes_off(clinic).drain()
    assert [path.split("?")[0] for path, _, _ in stub.requests] == ["/write", "/write"]


def test_2_x_is_asked_for_the_instant_and_the_machine(stub: Stub, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, v2(stub.url, org="clinic"))
    _judge_twice(clinic)
    asked = [(path, json.loads(body)) for path, _, body in stub.requests if "delete" in path][:3]
    assert [path for path, _ in asked] == ["/api/v2/delete?org=clinic&bucket=qa"] * 3
    assert {body["start"] for _, body in asked} == {"2026-11-02T08:14:00.000000000Z"}
    assert {body["stop"] for _, body in asked} == {"2026-11-02T08:14:00.000000001Z"}
    assert (
        asked[0][1]["predicate"] == '_measurement="qa" AND machine="TB1" AND site="Sample Clinic"'
    )


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_server_that_cannot_take_off_still_gets_what_is_new(
    stub: Stub, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = Clinic(tmp_path, v2(stub.url, org="clinic"))
    stub.script += [(204, {}, b""), (status, {}, b"{}")]
    _judge_twice(clinic)
    assert waiting(clinic) == 0
    assert "superseded results stay" in caplog.text
    assert b"verdict=3i" in stub.requests[-1][2]


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_victoriametrics_gets_what_is_new(
    victoria: VictoriaServer, tmp_path: Path, api: str
) -> None:
    clinic = Clinic(tmp_path, v1(victoria.url) if api == "v1" else v2(victoria.url, org="clinic"))
    _judge_twice(clinic)
    assert waiting(clinic) == 0


def test_a_name_cannot_break_out_of_a_statement() -> None:
    place = Place("S", 'x\' OR "machine" =~ /.*/ --\\', 1)
    select, deletes = place.influxql()
    for statement in (select, *deletes):
        _, where = statement.split(" WHERE ")
        assert where.startswith('"machine" = \'x\\\' OR "machine" =~ /.*/ -- \' AND "site" = \'S\'')
    assert 'machine="x\' OR \\"machine\\" =~ /.*/ -- " AND' in place.predicates()[0]


def test_a_place_where_nothing_is_costs_one_question(stub: Stub, tmp_path: Path) -> None:
    """A DELETE of 1.x goes through every shard: years of them would hold up a replay for days."""
    clinic = Clinic(tmp_path, v1(stub.url))
    nothing = b'{"results":[{"statement_id":0},{"statement_id":1}]}'
    stub.script += [(204, {}, b""), (200, {}, nothing)]
    _judge_twice(clinic)
    asked = [parse_qs(body.decode())["q"] for path, _, body in stub.requests if "/query" in path]
    assert len(asked) == 1 and asked[0][0].startswith("SELECT")


def test_a_user_who_may_only_write_takes_off_unseen(tmp_path: Path) -> None:
    with influx_server(empty_folder(tmp_path, "server"), auth=True) as influx:
        influx.query("CREATE USER root WITH PASSWORD 'r' WITH ALL PRIVILEGES")
        influx.login = {"u": "root", "p": "r"}
        for statement in (
            "CREATE DATABASE qa",
            "CREATE USER w WITH PASSWORD 'w'",
            "GRANT WRITE ON qa TO w",
        ):
            influx.query(statement)
        (tmp_path / "password").write_text("w")
        clinic = Clinic(tmp_path, v1(influx.url, user="w", password_file="password"))
        _judge_twice(clinic)
        assert read_points(influx, "qa") == expected_points(stored(clinic))


def _judge_twice(clinic: Clinic) -> None:
    file = clinic.file()
    for verdict in (Verdict.PASS, Verdict.INVALID):
        clinic.put(analysis(verdict), file=clinic.judge_again(file))
        drain_that_takes_off(clinic).drain()
