"""What a site says its images are: which rules load, and which image meets which."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from analyzers.image_class import classify
from analyzers.image_pins import Pin
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.records import Identity
from qa_daemon.site import site as sites
from qa_daemon.site.image_rules import KINDS
from qa_daemon.site.site import Site, SiteError

TEXT = """
[site]
name = "Test"
time_zone = "UTC"
state_dir = "state"
"""
BLANK = np.zeros((64, 64))
IMAGE = PortalImage(
    stored=BLANK,
    values=BLANK,
    spacing_mm=(1.0, 1.0),
    label="Morning_PF 270",
    texts={"StationName": "IVIEW2", "SeriesDescription": "weekly leaves"},
    machine_name="TB1",
    identity=Identity(plan_label="QA MLC 2"),
)


def site(tmp_path: Path, rules: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(TEXT + rules)
    return sites.load(path, [], lambda: datetime(2026, 3, 2, tzinfo=UTC))


def test_rules_are_tried_in_the_order_of_the_file_before_the_picture(tmp_path: Path) -> None:
    rules = """
[[image_rule]]
kind = "planar_phantom"
phantom = "LasVegas"
label_contains = ["vegas"]
[[image_rule]]
kind = "picket_fence"
label_contains = ["nothing", "pf"]
station = "tb1"
[[image_rule]]
kind = "other"
station = "TB1"
"""
    pins = site(tmp_path, rules).image_pins
    assert [pin.kind for pin in pins] == [
        ImageKind.PLANAR_PHANTOM,
        ImageKind.PICKET_FENCE,
        ImageKind.OTHER,
    ]
    found = classify(IMAGE, pins)
    assert (found.kind, found.rule) == (ImageKind.PICKET_FENCE, "pinned")
    assert found.evidence == "image rule 2 of the site, by label and station"
    assert classify(replace(IMAGE, label="vegas"), pins).phantom == "LasVegas"
    assert classify(replace(IMAGE, label="x"), pins).kind is ImageKind.OTHER


@pytest.mark.parametrize(
    ("pin", "meets"),
    [
        (Pin(ImageKind.OTHER, label_contains=("PF",)), True),
        (Pin(ImageKind.OTHER, label_contains=("pf 270",)), True),
        (Pin(ImageKind.OTHER, label_contains=("P",)), False),
        (Pin(ImageKind.OTHER, label_contains=("27",)), False),
        (Pin(ImageKind.OTHER, label_contains=("LEAVES",)), True),
        (Pin(ImageKind.OTHER, station="iview2"), True),
        (Pin(ImageKind.OTHER, station="iview"), False),
        (Pin(ImageKind.OTHER, plan_label_contains=("mlc",)), True),
        (Pin(ImageKind.OTHER, plan_label_contains=("mlc",), station="TB2"), False),
        (Pin(ImageKind.OTHER, folder="qa/weekly"), True),
        (Pin(ImageKind.OTHER, folder="/srv/QA"), True),
        (Pin(ImageKind.OTHER, folder="/qa"), False),
        (Pin(ImageKind.OTHER, folder="week"), False),
    ],
)
def test_an_image_meets_a_rule_when_it_meets_all_of_it(pin: Pin, meets: bool) -> None:
    found = classify(IMAGE, [pin], folder="/srv/qa/weekly/2026")
    assert (found.rule == "pinned") is meets
    if pin.folder:
        assert classify(IMAGE, [pin]).rule != "pinned"


def test_every_kind_but_unclassified_has_a_name() -> None:
    assert set(KINDS.values()) == set(ImageKind) - {ImageKind.UNCLASSIFIED}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('kind = "picket_fence"', "give label_contains, station, folder"),
        ('kind = "fence"\nstation = "TB1"', "one of picket_fence, winston_lutz"),
        ('kind = "unclassified"\nstation = "TB1"', "one of picket_fence"),
        ('kind = "open_field"\nlabel_contains = [""]', "a letter or a digit"),
        ('kind = "open_field"\nfolder = "/"', "a letter or a digit"),
        ('kind = "open_field"\nstation = "A"\nphantom = "Leeds"', "only planar_phantom"),
        ('kind = "open_field"\nlabels = ["A"]', "image_rule.0.labels"),
    ],
)
def test_a_rule_that_would_be_for_all_or_for_none_refuses_to_load(
    tmp_path: Path, rule: str, said: str
) -> None:
    with pytest.raises(SiteError) as why:
        site(tmp_path, f"[[image_rule]]\n{rule}\n")
    assert said in str(why.value)


def test_a_pin_without_a_condition_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a condition"):
        Pin(ImageKind.OTHER)


def test_other_rules_are_other_results(tmp_path: Path) -> None:
    rule = '[[image_rule]]\nkind = "other"\nstation = "A"\n'
    assert site(tmp_path, rule).fingerprint != site(tmp_path, "").fingerprint
