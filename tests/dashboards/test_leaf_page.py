"""Leaves over days: the heat map, and which leaf is likely to fail next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from qa_daemon.model import AnalysisReport, LeafNumbers, Report, Value
from qa_daemon.trends.follower import TrendFollower
from tests.dashboards.clinic import NOW, Clinic
from tests.dashboards.serving import Served, serving
from tests.dashboards.visiting import Visitor

NAMES = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 11))
DAYS = 60
WEARING, BROKEN, PARKED = "B4", "A7", "A1"


def _rms(day: int) -> list[float | None]:
    """0.03 mm of every leaf but of one that wears, one beyond tolerance and one that is parked."""
    random = np.random.default_rng(day)
    rms: list[float | None] = [round(float(0.03 + random.normal(0, 0.002)), 5) for _ in NAMES]
    rms[NAMES.index(WEARING)] = round(0.02 + 0.0012 * day, 5)
    rms[NAMES.index(BROKEN)] = 0.2
    rms[NAMES.index(PARKED)] = None
    return rms


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, Served]]:
    clinic = Clinic(tmp_path_factory.mktemp("clinic"))
    ids = []
    for day in range(DAYS):
        at = NOW - timedelta(days=DAYS - 1 - day, hours=1)
        rms = _rms(day)
        leaves = LeafNumbers(leaves=NAMES, columns={"rms_error_mm": tuple(rms)})
        worst = Value(metric="worst_leaf_rms", value=0.2, unit="mm", at=BROKEN)
        said = (
            AnalysisReport(analyzer="leaf_trust", version="1", values=(worst,), leaves=leaves),
            AnalysisReport(analyzer="mlc_positions", version="1", values=(worst,)),
        )
        ids.append(
            clinic.save(
                "TB1",
                at,
                Report(
                    format="varian-trajectory-log",
                    machine_class="truebeam",
                    performed_at=at.replace(tzinfo=None),
                    analyses=said,
                ),
            )
        )
    TrendFollower(clinic.store, [], clinic.site.zone).write(clinic.queries.results_of(ids))
    with serving(clinic) as served:
        yield clinic, served


def test_leaves_are_ranked_by_when_they_reach_tolerance(worn: tuple[Clinic, Served]) -> None:
    clinic, served = worn
    page = Visitor(served).get("/leaves?machine=TB1").text
    rows = re.findall(r'<th scope="row">(\w+)</th>(.*?)</tr>', page, re.S)
    assert [name for name, _ in rows][:2] == [BROKEN, WEARING]
    assert "beyond tolerance now" in rows[0][1]
    found = re.search(r"in (\d+) to (\d+) days", rows[1][1])
    assert found is not None
    tolerance = clinic.site.metrics["mlc_positions.worst_leaf_rms"].limits["truebeam"]
    assert tolerance.tolerance_high is not None
    due = (tolerance.tolerance_high - 0.02) / 0.0012 - (DAYS - 1)
    assert int(found[1]) - 1 <= due <= int(found[2]) + 1
    assert PARKED not in [name for name, _ in rows]
    assert "as the others" in rows[2][1]


def test_the_map_has_a_row_for_each_leaf_and_a_column_for_each_day(
    worn: tuple[Clinic, Served],
) -> None:
    _, served = worn
    visitor = Visitor(served)
    (trace,) = json.loads(visitor.get("/leaves.json?machine=TB1").text)["data"]
    assert trace["y"] == list(NAMES)
    assert trace["z"]["shape"] == f"{len(NAMES)}, {DAYS}"
    assert visitor.get("/leaves.svg?machine=TB1&days=30").text.startswith("<svg")


@pytest.mark.parametrize("query", ["machine=none", "machine=TB1&days=0", "machine=TB1&days=4000"])
def test_what_there_is_not(worn: tuple[Clinic, Served], query: str) -> None:
    _, served = worn
    assert Visitor(served).get(f"/leaves?{query}").status in (404, 422)


def test_a_machine_without_leaves_says_so(worn: tuple[Clinic, Served]) -> None:
    _, served = worn
    visitor = Visitor(served)
    assert "No leaf has a number" in visitor.get("/leaves?machine=TB2").text
    assert visitor.get("/leaves.json?machine=TB2").status == 404
    assert "/leaves?machine=TB1" in visitor.get("/machines/TB1").text
    assert "/leaves?" not in visitor.get("/machines/TB2").text
