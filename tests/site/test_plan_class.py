"""Radiosurgery plans as the site defines them, and the tighter limits that judge them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from analyzers.catalogue import load
from analyzers.core import Limits
from qa_daemon.model import (
    AnalysisReport,
    ImageKeys,
    MatchReport,
    MatchState,
    PlanKeys,
    Report,
    Value,
    Verdict,
)
from qa_daemon.pipeline import judge
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site, SiteError

TEXT = """
[site]
name = "Test"
time_zone = "UTC"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
[[plan_class]]
name = "spine"
label_contains = ["SBRT", "spine"]
dose_per_fraction_gy = 6.0
techniques = ["STEREOTACTIC"]
"""
OWN = """
[[limits]]
metric = "axes.couch_largest_error"
tolerance = 0.2
action = 0.4
effective_from = 2026-01-01
author = "A"
reason = "commissioning"
"""
COUCH = "axes.couch_largest_error"
DAY = date(2026, 3, 1)


def site(tmp_path: Path, more: str = "") -> Site:
    path = tmp_path / "site.toml"
    path.write_text(TEXT + more)
    return sites.load(path, load().analyzers, lambda: datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("labels", "dose_gy", "techniques", "expected"),
    [
        (["T8 Spine"], None, [], "spine"),
        (["Lung sbrt"], None, [], "spine"),
        (["Prostate"], None, [], None),
        (["Prostate"], 5.99, [], None),
        ([], 6.0, [], "spine"),
        ([], None, ["stereotactic"], "spine"),
        ([], None, ["NORMAL"], None),
    ],
)
def test_any_rule_makes_a_plan_one_of_the_class(
    tmp_path: Path,
    labels: list[str],
    dose_gy: float | None,
    techniques: list[str],
    expected: str | None,
) -> None:
    assert site(tmp_path).plan_class_of(labels, dose_gy, techniques) == expected


def bounds(limits: Limits | None) -> tuple[float | None, float | None]:
    assert limits is not None
    return limits.tolerance_high, limits.action_high


def test_couch_and_small_gamma_are_judged_more_closely(tmp_path: Path) -> None:
    plain = site(tmp_path)
    assert bounds(plain.limits_for(COUCH, "truebeam", None, DAY)) == (0.5, 1.0)
    assert bounds(plain.limits_for(COUCH, "truebeam", None, DAY, "spine")) == (0.3, 0.7)
    assert bounds(plain.limits_for(COUCH, "clinac", None, DAY, "spine")) == (0.3, 0.7)
    small = "plan_agreement.gamma_pass_2_1"
    assert plain.limits_for(small, "truebeam", None, DAY) is None
    judged = plain.limits_for(small, "truebeam", None, DAY, "spine")
    assert judged is not None
    assert (judged.tolerance_low, judged.action_low) == (95.0, 90.0)


def test_a_limit_of_the_site_stays_where_it_is_the_tighter_one(tmp_path: Path) -> None:
    own = site(tmp_path, OWN)
    assert bounds(own.limits_for(COUCH, "truebeam", None, DAY, "spine")) == (0.2, 0.4)
    wide = site(tmp_path, OWN.replace("0.2", "0.9").replace("0.4", "2.0"))
    assert bounds(wide.limits_for(COUCH, "truebeam", None, DAY)) == (0.9, 2.0)
    assert bounds(wide.limits_for(COUCH, "truebeam", None, DAY, "spine")) == (0.3, 0.7)
    for_them = (
        OWN.replace("0.2", "0.9")
        .replace("0.4", "2.0")
        .replace("author", 'plan_class = "spine"\nauthor')
    )
    said = site(tmp_path, for_them)
    assert bounds(said.limits_for(COUCH, "truebeam", None, DAY, "spine")) == (0.9, 2.0)
    assert bounds(said.limits_for(COUCH, "truebeam", None, DAY)) == (0.5, 1.0)


@pytest.mark.parametrize("only_for", ['machine = "TB1"', 'machine_class = "clinac"'])
def test_own_limits_for_one_machine_leave_the_tighter_ones_of_the_others(
    tmp_path: Path, only_for: str
) -> None:
    own = OWN.replace("0.2", "0.9").replace("0.4", "2.0")
    said = site(
        tmp_path,
        '[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\n'
        + own.replace("author", f'plan_class = "spine"\n{only_for}\nauthor'),
    )
    other = said.machine_named("TB2")
    assert bounds(said.limits_for(COUCH, "truebeam", other, DAY, "spine")) == (0.3, 0.7)
    its_own = said.machine_named("TB1") if "TB1" in only_for else None
    machine_class = "truebeam" if its_own else "clinac"
    assert bounds(said.limits_for(COUCH, machine_class, its_own, DAY, "spine")) == (0.9, 2.0)


@pytest.mark.parametrize("share", ["tolerance_percent = 1.0", "action_percent = 2.0"])
def test_a_share_of_a_reference_is_refused_where_radiosurgery_is_judged_more_closely(
    tmp_path: Path, share: str
) -> None:
    entry = OWN.replace("author", f'direction = "within"\n{share}\nauthor')
    with pytest.raises(SiteError, match=r"limits\.0: axes\.couch_largest_error has tighter"):
        site(tmp_path, entry)
    for_them = site(tmp_path, entry.replace("author", 'plan_class = "spine"\nauthor'))
    assert bounds(for_them.limits_for(COUCH, "truebeam", None, DAY, "spine")) == (0.2, 0.4)


def test_the_plan_that_was_found_decides_and_the_logs_own_label(tmp_path: Path) -> None:
    value = Value(metric="couch_largest_error", value=0.8, unit="mm")
    said = AnalysisReport(analyzer="axes", version="1", values=(value,))
    plain = Report(format="x", machine_class="truebeam", analyses=(said,))
    matched = MatchReport(state=MatchState.MATCHED, plan=PlanKeys(label="T8 SPINE"))
    for report, expected in (
        (plain, Verdict.TOLERANCE),
        (plain.model_copy(update={"match": matched}), Verdict.ACTION),
        (plain.model_copy(update={"identity": {"plan_label": "SBRT 1"}}), Verdict.ACTION),
    ):
        assert judge(report, site(tmp_path), None)[0].verdict is expected


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[plan_class]]\nname = "empty"\n', "give label_contains"),
        ('[[plan_class]]\nname = "spine"\ntechniques = ["x"]\n', "two"),
        (OWN.replace("author", 'plan_class = "brain"\nauthor'), "no [[plan_class]] named"),
    ],
)
def test_a_class_that_says_nothing_or_is_not_there_refuses_to_start(
    tmp_path: Path, more: str, said: str
) -> None:
    with pytest.raises(SiteError) as raised:
        site(tmp_path, more)
    assert said in str(raised.value)


def test_bounds_that_depend_on_a_reference_are_not_put_together() -> None:
    share = Limits.within(tolerance=0.1, action=0.5, tolerance_percent=0.2, action_percent=1.0)
    with pytest.raises(ValueError, match="share"):
        Limits.at_most(tolerance=1.0, action=2.0).tightened(share)


@pytest.mark.parametrize(("value_mm", "usual"), [(0.6, "PASS"), (0.9, "PASS"), (1.2, "TOLERANCE")])
@pytest.mark.parametrize("radiosurgery", [False, True])
def test_a_radiosurgery_machine_is_tested_by_the_limits_for_it(
    tmp_path: Path, value_mm: float, usual: str, radiosurgery: bool
) -> None:
    """MPPG 9.a, Table 1: 1.0 mm from the field's middle to the target for radiosurgery."""
    keys = ImageKeys(kind="Winston-Lutz", rule="ball", evidence="", rows=1, columns=1)
    said = AnalysisReport(
        analyzer="winston_lutz",
        version="1",
        values=(Value(metric="max_2d_cax_to_bb", value=value_mm, unit="mm"),),
    )
    clinic = site(tmp_path)
    machine = clinic.machines[0].model_copy(update={"radiosurgery": radiosurgery})
    (outcome,) = judge(Report(keys=keys, analyses=(said,)), clinic, machine)
    closer = {0.6: "PASS", 0.9: "TOLERANCE", 1.2: "ACTION"}[value_mm]
    assert outcome.verdict is not None
    assert outcome.verdict.name == (closer if radiosurgery else usual)
