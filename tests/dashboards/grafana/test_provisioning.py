"""The files that set Grafana up, read as Grafana reads them; no secret is in any."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.grafana.provisioning import FOLDER, FOLDER_UID, provisioning
from qa_daemon.site.settings import Influx, Web

ROOT = Path(__file__).resolve().parents[3]
V1 = Influx(url="http://127.0.0.1:8086", database='q"a $x', user="reader", password_file=Path("p"))
V2 = Influx(url="https://influx.example.org", api="v2", org="o", bucket="qa", token_file=Path("t"))


def parsed(influx: Influx | None) -> dict[str, Any]:
    return {name: yaml.safe_load(text) for name, text in provisioning(influx).items()}


@pytest.mark.parametrize(("influx", "used"), [(None, "1"), (V1, "1"), (V2, "2")])
def test_one_source_is_in_force_and_the_others_lie_beside_it(
    influx: Influx | None, used: str
) -> None:
    names = [n for n in parsed(influx) if "/datasources/" in n]
    assert len(names) == 3
    assert [n for n in names if n.endswith(".yaml")] == [
        f"provisioning/datasources/qa-influxdb-{used}.yaml"
    ]


def test_every_source_speaks_influxql_to_the_database_of_the_site() -> None:
    for name, file in parsed(V1).items():
        if "/datasources/" not in name:
            continue
        assert file["apiVersion"] == 1
        (source,) = file["datasources"]
        assert (source["uid"], source["type"], source["access"]) == (
            "qa-influx",
            "influxdb",
            "proxy",
        )
        assert source["url"] == V1.url
        assert source["jsonData"]["version"] == "InfluxQL"
        # A dollar that Grafana is not to fill in stands there twice.
        assert source["jsonData"]["dbName"].replace("$$", "$") == V1.database
        assert re.search(
            r"\$__file\{/run/secrets/[\w-]+\}$", str(*source["secureJsonData"].values())
        )


def test_tokens_go_in_the_header_that_2_and_3_ask_for() -> None:
    files = parsed(V2)
    for version in ("2.yaml", "3.yaml.example"):
        (source,) = files[f"provisioning/datasources/qa-influxdb-{version}"]["datasources"]
        assert source["jsonData"]["httpHeaderName1"] == "Authorization"
        assert source["secureJsonData"]["httpHeaderValue1"].startswith("Token $__file{")
        assert "user" not in source
    (source,) = files["provisioning/datasources/qa-influxdb-1.yaml.example"]["datasources"]
    assert source["user"] and set(source["secureJsonData"]) == {"password"}


def test_alert_rules_are_off_and_say_what_they_are_not() -> None:
    (name,) = [n for n in provisioning(None) if "/alerting/" in n]
    assert name.endswith(".example")
    text = provisioning(None)[name]
    assert "never in their place" in text
    rules = yaml.safe_load(text)["groups"][0]["rules"]
    assert len({r["uid"] for r in rules}) == len(rules) == 2
    for rule in rules:
        # Grafana fills in what follows one dollar; a query's own are written twice.
        assert not re.search(r"(?<!\$)\$(?!\$)", yaml.dump(rule).replace("$$", ""))
        assert rule["noDataState"] in ("NoData", "Alerting")
        assert [d["refId"] for d in rule["data"]] == ["A", "W", rule["condition"]]
    assert rules[0]["data"][2]["model"]["expression"] == "$$W >= 2"


def test_the_provider_puts_dashboards_where_a_push_puts_them() -> None:
    (provider,) = parsed(None)["provisioning/dashboards/qa.yaml"]["providers"]
    assert (provider["folder"], provider["folderUid"]) == (FOLDER, FOLDER_UID)
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False


def test_the_compose_file_mounts_what_is_there_and_names_images_by_tag() -> None:
    folder = ROOT / "dashboards/grafana"
    compose = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    assert set(compose["services"]) == {"qa-daemon", "influxdb", "grafana"}
    for service in compose["services"].values():
        if "image" in service:
            assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)?:[\w.-]+", service["image"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./mount"):
                assert (folder / source).exists(), source
        for secret in service.get("secrets", []):
            assert secret in compose["secrets"]
    assert all(set(s) == {"file"} for s in compose["secrets"].values())


def test_containers_are_fixed_versions_on_this_computer_alone_and_tell_how_they_do() -> None:
    compose = yaml.safe_load((ROOT / "dashboards/grafana/compose.yaml").read_text("utf-8"))
    services = compose["services"]
    for service in services.values():
        if "image" in service:
            assert re.fullmatch(r"\d+\.\d+\.\d+", service["image"].split(":")[1])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert all("healthcheck" in services[name] for name in ("qa-daemon", "influxdb"))
    said = next(x for x in services["qa-daemon"]["healthcheck"]["test"] if "healthz" in x)
    compile(said, "healthcheck", "exec")
    assert f":{Web().port}/healthz" in said
