"""docs/reference/gamma-agnew-mcgarry.md holds what is computed now, and pymedphys is never below.

pymedphys is not needed: its numbers are read from the page, and compared with those that came with
the images.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests import real_data
from tests.bench import gamma_agnew_mcgarry as images
from tests.bench import gamma_inputs, gamma_peer
from tests.bench.gamma_agnew_mcgarry import CRITERIA, IMAGES, Criterion
from tests.bench.gamma_oracle import BruteForce

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "gamma-agnew-mcgarry.md"
LOCK = ROOT / "tests" / "bench" / "peers" / "pymedphys.lock"
LAST_DIGIT = 1.5e-5
CASES = [(name, criterion) for name in IMAGES for criterion in CRITERIA]
BRUTE_FORCE_POINTS = 25

needs_images = real_data.skip_without("gamma")


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], list[str]]:
    """The cells of the table of all criteria, by images and criterion."""
    lines = PAGE.read_text("utf-8").split("## All criteria")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {(name, criterion): rest for name, criterion, *rest in cells[2:]}


def test_every_case_is_in_the_table(rows: dict[tuple[str, str], list[str]]) -> None:
    assert list(rows) == [(name, str(criterion)) for name, criterion in CASES]


def test_pymedphys_is_never_better(rows: dict[tuple[str, str], list[str]]) -> None:
    for _, ours, theirs, our_mean, their_mean, only_we, only_they in rows.values():
        assert float(theirs) <= float(ours)
        assert float(our_mean) <= float(their_mean) + LAST_DIGIT
        assert int(only_they) == 0 <= int(only_we)


def test_rates_differ_by_the_points_that_only_we_pass(
    rows: dict[tuple[str, str], list[str]],
) -> None:
    for points, ours, theirs, _, _, only_we, _ in rows.values():
        difference = (float(ours) - float(theirs)) / 100 * int(points)
        assert difference == pytest.approx(int(only_we), abs=0.1)


@needs_images
@pytest.mark.parametrize(("name", "criterion"), CASES, ids=str)
def test_our_columns_are_what_is_computed(
    name: str, criterion: Criterion, rows: dict[tuple[str, str], list[str]]
) -> None:
    points, pass_percent, _, mean, *_ = rows[name, str(criterion)]
    gamma = images.our_gamma(images.load(name), criterion)
    assert int(points) == gamma.points
    assert pass_percent == f"{gamma.pass_percent:.4f}"
    assert float(mean) == pytest.approx(gamma.mean, abs=LAST_DIGIT)


@needs_images
@pytest.mark.parametrize("number", range(len(images.STATED)))
def test_our_columns_beside_what_others_state(number: int) -> None:
    (name, criterion), stated = list(images.STATED.items())[number]
    named, swapped = (
        images.our_gamma(images.load(name, swap), criterion).pass_percent for swap in (False, True)
    )
    row = rf"\| {name} \| {re.escape(str(criterion))} \| {re.escape(stated)} "
    found = re.search(row + r"\| (\S+) \| \S+ \| (\S+) \| \S+ \|", PAGE.read_text("utf-8"))
    assert found is not None
    assert found.groups() == (f"{named:.4f}", f"{swapped:.4f}")


@needs_images
def test_pymedphys_columns_are_those_that_came_with_the_images(
    rows: dict[tuple[str, str], list[str]],
) -> None:
    reads = real_data.peer_reads("gamma")
    for name, criterion in CASES:
        reference, evaluated = IMAGES[name]
        if criterion.local:
            continue  # not among them
        key = f"{criterion.dose_percent}%/{criterion.distance_mm}mm global 20% cutoff"
        read = reads[f"{reference}.dcm vs {evaluated}.dcm"][key]
        _, _, pass_percent, _, mean, *_ = rows[name, str(criterion)]
        assert float(pass_percent) == pytest.approx(read["pass_pct"], abs=1e-4)
        assert float(mean) == pytest.approx(read["mean"], abs=LAST_DIGIT)


@needs_images
@pytest.mark.parametrize("name", images.CLINICAL)
@pytest.mark.parametrize("criterion", [images.TIGHT, images.TIGHT_LOCAL], ids=str)
def test_brute_force_agrees_where_a_point_just_passes(name: str, criterion: Criterion) -> None:
    pair = images.load(name)
    gamma = images.our_gamma(pair, criterion).map
    oracle = BruteForce(
        pair,
        criterion.dose_percent,
        criterion.distance_mm,
        step_mm=images.ORACLE_STEP_MM,
        local=criterion.local,
    )
    nearest = np.argsort(np.where(np.isfinite(gamma), np.abs(gamma - 1), np.inf), axis=None)
    for point in nearest[:BRUTE_FORCE_POINTS]:
        index = tuple(int(i) for i in np.unravel_index(point, gamma.shape))
        assert gamma[index] == pytest.approx(oracle.gamma(index), abs=1e-5)


def test_the_lock_of_the_peer_holds_the_version_that_is_compared() -> None:
    packages = LOCK.read_text("utf-8").replace("\\\n", " ").splitlines()
    assert any(line.startswith(f"pymedphys=={gamma_peer.VERSION} ") for line in packages)
    assert all(re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line) for line in packages)


def test_without_its_environment_the_peer_fails_and_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gamma_peer, "PYTHON", tmp_path / "python")
    with pytest.raises(RuntimeError, match="make bench"):
        gamma_peer.pymedphys_gamma(gamma_inputs.white_noise(2.0), [gamma_peer.BENCHMARK])


def test_the_inputs_are_those_of_the_recipe() -> None:
    assert gamma_inputs.volume().points == gamma_inputs.VOLUME_POINTS
    assert gamma_inputs.plane().points == gamma_inputs.PLANE_POINTS
    portal = gamma_inputs.portal_image()
    assert portal.points == portal.reference.size == 1280 * 1280


def test_the_page_is_in_the_list_of_references() -> None:
    assert f"({PAGE.name})" in (PAGE.parent / "README.md").read_text("utf-8")
