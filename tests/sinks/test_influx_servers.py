"""Against a real InfluxDB 1.x and a real VictoriaMetrics: what is read back equals the store."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from qa_daemon.model import Verdict
from qa_daemon.requests import Request, carry_out
from qa_daemon.sinks.drain import Misconfigured
from qa_daemon.store.queries import StoredResult
from tests.alerts.clinic import Clinic, analysis
from tests.servers import InfluxServer, VictoriaServer, influx_server
from tests.sinks.sending import drain_of, empty_folder, fill, v1, v2, wait_until, waiting

LIMITS = ("tolerance_low", "tolerance_high", "action_low", "action_high")
Point = tuple[tuple[str, str | float | int | None], ...]


def replay(clinic: Clinic) -> int | None:
    return carry_out(clinic.store, Request(action="replay", actor="test", sink="influx"))


def stored(clinic: Clinic) -> list[StoredResult]:
    return clinic.queries.results_since(limit=100_000)


def expected_points(results: Iterable[StoredResult]) -> dict[str, set[Point]]:
    """By measurement, from the store; a field that is absent is None."""
    points: dict[str, set[Point]] = {"qa": set(), "qa_analysis": set(), "qa_result": set()}
    for result in results:
        base: dict[str, str | float | int | None] = {
            "time": result.point_ns,
            "site": "Sample Clinic",
            "machine": result.machine,
        }
        if result.verdict is not None:
            points["qa_result"].add(_point({**base, "verdict": int(result.verdict)}))
        for said in result.analyses:
            of = {**base, "analyzer": said.analyzer}
            if said.verdict is not None:
                points["qa_analysis"].add(_point({**of, "verdict": int(said.verdict)}))
            for m in said.measurements:
                judged = None if m.verdict is None else int(m.verdict)
                numbers = {"value": m.value, "verdict": judged}
                limits = {name: getattr(m.limits, name) for name in LIMITS}
                tags = {"metric": m.metric, "unit": m.unit, "energy": result.energy or "none"}
                points["qa"].add(_point({**of, **tags, **numbers, **limits}))
    return points


def read_points(influx: InfluxServer, database: str) -> dict[str, set[Point]]:
    found = {}
    for measurement in ("qa", "qa_analysis", "qa_result"):
        rows = influx.rows(measurement, database)
        found[measurement] = {_point(row) for row in rows}
        assert len(rows) == len(found[measurement])
    return found


def _point(values: dict[str, str | float | int | None]) -> Point:
    return tuple(sorted((name, value) for name, value in values.items() if value is not None))


def test_influxdb_holds_what_the_store_holds_however_often_it_is_written(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.query("CREATE DATABASE whole")
    clinic = Clinic(tmp_path, v1(influx.url, "whole"))
    fill(clinic, 150)
    drain = drain_of(clinic)
    for _ in range(3):
        drain.drain()
        assert waiting(clinic) == 0
        found = read_points(influx, "whole")
        assert found == expected_points(stored(clinic))
        assert len(found["qa"]) > 150
        assert replay(clinic) == 150


def test_a_rebuilt_database_is_the_same_again(influx: InfluxServer, tmp_path: Path) -> None:
    influx.query("CREATE DATABASE again")
    clinic = Clinic(tmp_path, v1(influx.url, "again"))
    fill(clinic, 40)
    drain_of(clinic).drain()
    before = read_points(influx, "again")
    influx.query("DROP DATABASE again")
    replay(clinic)
    with pytest.raises(Misconfigured, match="404: database not found"):
        drain_of(clinic).drain()
    assert waiting(clinic) == 40
    influx.query("CREATE DATABASE again")
    drain_of(clinic).drain()
    assert read_points(influx, "again") == before


def test_a_file_judged_again_writes_over_its_own_point(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.query("CREATE DATABASE revised")
    clinic = Clinic(tmp_path, v1(influx.url, "revised"))
    drain = drain_of(clinic)
    file = clinic.file()
    clinic.put(analysis(Verdict.ACTION), file=file)
    drain.drain()
    clinic.put(analysis(Verdict.PASS), file=clinic.judge_again(file))
    drain.drain()
    assert read_points(influx, "revised") == expected_points(stored(clinic))
    assert [row["verdict"] for row in influx.rows("qa_result", "revised")] == [0]


def test_a_point_influxdb_refuses_is_set_aside_and_all_others_arrive(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.query("CREATE DATABASE poison")
    clinic = Clinic(tmp_path, v1(influx.url, "poison"))
    fill(clinic, 40)
    another_week = 60 * 24 * 30
    bad = clinic.put(analysis(Verdict.PASS), minutes=another_week)
    fill(clinic, 20)
    # A field has one type a shard, and a shard is a week: this text makes that week's number wrong.
    result = clinic.queries.result(bad)
    assert result is not None
    _write(influx, "poison", f'qa_result,machine=X verdict="text" {result.point_ns}')

    drain_of(clinic).drain()
    assert waiting(clinic) == 0
    assert clinic.influx_box.status()["behind"] == 1
    influx.query("DELETE FROM qa_result WHERE machine = 'X'", "poison")
    found = read_points(influx, "poison")
    everything = expected_points(stored(clinic))
    refused = expected_points([result])["qa_result"]
    # InfluxDB refuses the one point and keeps the others of the same result.
    assert found == {**everything, "qa_result": everything["qa_result"] - refused}


def _write(influx: InfluxServer, database: str, line: str) -> None:
    import urllib.request

    request = urllib.request.Request(
        f"{influx.url}/write?db={database}&precision=ns", line.encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 204


def test_a_server_that_was_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with influx_server(empty_folder(tmp_path, "server")) as influx:
        influx.query("CREATE DATABASE qa")
        clinic = Clinic(tmp_path, v1(influx.url))
        drain = drain_of(clinic)
        drain.start()
        fill(clinic, 10)
        wait_until(lambda: waiting(clinic) == 0)
        influx.program.stop()
        fill(clinic, 30)
        wait_until(lambda: clinic.influx_box.status()["last_error"] is not None)
        assert clinic.influx_box.status()["behind"] == 30
        influx.program.start()
        wait_until(lambda: waiting(clinic) == 0)
        drain.stop()
        assert read_points(influx, "qa") == expected_points(stored(clinic))
        assert clinic.influx_box.status()["last_error"] is None


def test_a_password_that_is_changed_is_read_again(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path, "server")
    with influx_server(folder, auth=True) as influx:
        influx.query("CREATE USER root WITH PASSWORD 'first secret' WITH ALL PRIVILEGES")
        influx.login = {"u": "root", "p": "first secret"}
        influx.query("CREATE DATABASE qa")
        secret = tmp_path / "password"
        secret.write_text("first secret\n")
        clinic = Clinic(tmp_path, v1(influx.url, user="root", password_file="password"))
        drain = drain_of(clinic)
        fill(clinic, 4)
        drain.drain()
        influx.query("SET PASSWORD FOR root = 'second secret'")
        influx.login["p"] = "second secret"
        fill(clinic, 4)
        with pytest.raises(Misconfigured, match="401") as why:
            drain.drain()
        assert "secret" not in str(why.value)
        secret.write_text("second secret")
        drain.drain()
        assert waiting(clinic) == 0
        assert read_points(influx, "qa") == expected_points(stored(clinic))


def test_a_new_result_is_in_influxdb_at_once(influx: InfluxServer, tmp_path: Path) -> None:
    influx.query("CREATE DATABASE quick")
    clinic = Clinic(tmp_path, v1(influx.url, "quick"))
    drain = drain_of(clinic)
    drain.start()
    clinic.put(analysis(Verdict.PASS))
    wait_until(lambda: waiting(clinic) == 0)
    took = []
    for number in range(1, 21):
        clinic.put(analysis(Verdict.PASS), minutes=number)
        begin = time.monotonic()
        wait_until(lambda: waiting(clinic) == 0)
        took.append(time.monotonic() - begin)
    drain.stop()
    print(f"commit to InfluxDB: median {statistics.median(took):.3f} s, worst {max(took):.3f} s")
    assert statistics.median(took) < 0.5


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_victoriametrics_holds_what_the_store_holds_however_often_it_is_written(
    victoria: VictoriaServer, tmp_path: Path, api: str
) -> None:
    clinic = Clinic(tmp_path, v1(victoria.url) if api == "v1" else v2(victoria.url, org="clinic"))
    fill(clinic, 60)
    drain = drain_of(clinic)
    expected = _expected_samples(expected_points(stored(clinic)))
    for _ in range(3):
        drain.drain()
        assert waiting(clinic) == 0
        assert _samples(victoria) == expected
        replay(clinic)


def _expected_samples(points: dict[str, set[Point]]) -> dict[tuple[object, ...], float]:
    """VictoriaMetrics: one series a field, named `measurement_field`; time in milliseconds."""
    fields = ("value", "verdict", *LIMITS)
    samples: dict[tuple[object, ...], float] = {}
    for measurement, found in points.items():
        for point in found:
            values = dict(point)
            tags = {k: v for k, v in values.items() if k not in (*fields, "time")}
            for name in fields:
                if name in values:
                    series = (f"{measurement}_{name}", tuple(sorted(tags.items())))
                    samples[*series, int(values["time"] or 0) // 1_000_000] = float(
                        values[name] or 0.0
                    )
    return samples


def _samples(victoria: VictoriaServer) -> dict[tuple[object, ...], float]:
    samples: dict[tuple[object, ...], float] = {}
    for series in victoria.series():
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        labels.pop("db", None)
        for at_ms, value in zip(series["timestamps"], series["values"], strict=True):
            key = (name, tuple(sorted(labels.items())), at_ms)
            assert key not in samples
            samples[key] = value
    return samples
