"""Two files that are a record only together: one result for a pair, and none that waits for ever.

Uses Dynalogs, whose two files look alike inside and are told by their names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzers.catalogue import Catalogue
from analyzers.formats.varian_dynalog import FORMAT
from analyzers.machine import mlc_positions
from tests.formats.small_dynalogs import small_rows, text_of
from tests.ingest.clinic import Clinic

CATALOGUE = Catalogue((FORMAT,), (mlc_positions.ANALYZER,))
A, B = text_of(small_rows("A")), text_of(small_rows("B"))
NAME_A, NAME_B = "A20260105073000_X.dlg", "B20260105073000_X.dlg"


def clinic_in(folder: Path, partner_within: float) -> Clinic:
    return Clinic(folder, settle_time=0.0, catalogue=CATALOGUE, partner_within=partner_within)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Clinic]:
    made = clinic_in(tmp_path, partner_within=60.0)
    yield made
    made.close()


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Clinic]:
    made = clinic_in(tmp_path, partner_within=0.0)
    yield made
    made.close()


def told(clinic: Clinic) -> dict[str, tuple[str | None, list[str]]]:
    """Error code and companions of every active result, by file name."""
    clinic.assert_sound()
    return {
        result.path.rpartition("/")[2]: (
            result.error_code,
            [path.rpartition("/")[2] for path in result.companions],
        )
        for result in clinic.queries.results_since(limit=100)
    }


PAIR = {NAME_A: (None, [NAME_B])}


def test_a_pair_that_comes_together_has_one_result(patient: Clinic) -> None:
    patient.drop(NAME_B, B)
    patient.drop(NAME_A, A)
    patient.process()
    assert told(patient) == PAIR
    assert patient.states() == {NAME_A: "done", NAME_B: "done"}


@pytest.mark.parametrize("order", list(itertools.permutations([NAME_A, NAME_B])), ids="-".join)
def test_half_a_pair_waits_for_the_other(patient: Clinic, order: tuple[str, str]) -> None:
    contents = {NAME_A: A, NAME_B: B}
    patient.drop(order[0], contents[order[0]])
    patient.settle()
    patient.dispatcher.start()
    assert not patient.dispatcher.wait_idle(1.5)
    assert patient.states() == {order[0]: "queued"}
    assert told(patient) == {}
    patient.drop(order[1], contents[order[1]])
    patient.process()
    assert told(patient) == PAIR
    with patient.store.read() as connection:
        made = connection.exec_driver_sql("select count(*) from results").scalar_one()
    assert made == 1


@pytest.mark.parametrize("order", list(itertools.permutations([NAME_A, NAME_B])), ids="-".join)
def test_half_a_pair_is_refused_and_whole_when_the_other_comes(
    hasty: Clinic, order: tuple[str, str]
) -> None:
    contents = {NAME_A: A, NAME_B: B}
    hasty.drop(order[0], contents[order[0]])
    hasty.process()
    assert told(hasty) == {order[0]: ("DLG_PAIR", [])}
    assert hasty.states() == {order[0]: "quarantined"}
    hasty.drop(order[1], contents[order[1]])
    hasty.process()
    assert told(hasty) == PAIR
    assert hasty.states() == {NAME_A: "done", NAME_B: "done"}


def test_banks_that_are_alike_to_the_byte_are_no_copies_and_not_judged(patient: Clinic) -> None:
    same = text_of(small_rows("A"))
    patient.drop(NAME_A, same)
    patient.drop(NAME_B, same)
    patient.process()
    # Neither is taken for a copy of the other, and a bank that was saved twice is no delivery.
    assert told(patient) == {NAME_A: ("DLG_MISMATCH", [NAME_B])}


def test_files_of_two_deliveries_are_no_pair(hasty: Clinic) -> None:
    hasty.drop(NAME_A, A)
    hasty.drop("B20260105073001_X.dlg", B)
    hasty.process()
    assert told(hasty) == {
        NAME_A: ("DLG_PAIR", []),
        "B20260105073001_X.dlg": ("DLG_PAIR", []),
    }


def test_a_name_that_tells_no_bank_is_refused_at_once(patient: Clinic) -> None:
    patient.drop("dynalog.txt", A)
    patient.process()
    assert told(patient) == {"dynalog.txt": ("DLG_PAIR", [])}


OTHER_A, OTHER_B = "A20260105090000_Y.dlg", "B20260105090000_Y.dlg"


@pytest.mark.parametrize("order", list(itertools.permutations([OTHER_A, OTHER_B])), ids="-".join)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_pair_that_is_copied_under_another_name_is_the_same_pair(
    patient: Clinic, order: tuple[str, str], at_once: bool
) -> None:
    patient.drop(NAME_A, A)
    patient.drop(NAME_B, B)
    patient.process()
    for name in order:
        patient.drop(name, {OTHER_A: A, OTHER_B: B}[name])
        if not at_once:
            patient.settle()
    patient.process()
    assert told(patient) == {NAME_A: (None, [NAME_B, OTHER_B])}
    assert patient.states() == {
        NAME_A: "done",
        NAME_B: "done",
        OTHER_A: "duplicate",
        OTHER_B: "done",
    }


def test_an_a_file_that_first_came_under_a_wrong_name_does_not_block_its_pair(
    hasty: Clinic,
) -> None:
    hasty.drop(OTHER_A, A)
    hasty.process()
    assert told(hasty) == {OTHER_A: ("DLG_PAIR", [])}
    hasty.drop(NAME_A, A)
    hasty.drop(NAME_B, B)
    hasty.process()
    # One row stands for the content: the first.
    assert told(hasty) == {OTHER_A: (None, [NAME_B])}
    assert hasty.states() == {OTHER_A: "done", NAME_A: "duplicate", NAME_B: "done"}


def test_a_pair_whose_a_file_waits_under_a_wrong_name_is_judged(patient: Clinic) -> None:
    for name, content in ((OTHER_A, A), (NAME_B, B), (NAME_A, A)):
        patient.drop(name, content)
        patient.settle()
    patient.process()
    assert told(patient) == {OTHER_A: (None, [NAME_B])}


def test_a_copy_beside_another_b_file_is_refused(hasty: Clinic) -> None:
    hasty.drop(NAME_A, A)
    hasty.drop(NAME_B, B)
    hasty.process()
    hasty.drop(OTHER_A, A)
    hasty.drop(OTHER_B, text_of(small_rows("B")[:-1]))
    hasty.process()
    # Which of the two belongs to the A file cannot be told from the files.
    assert told(hasty) == {NAME_A: ("DLG_PAIR", [NAME_B, OTHER_B])}
