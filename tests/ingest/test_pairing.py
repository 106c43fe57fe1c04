"""Files that belong together, in every order of arrival: the end is the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.ingest.clinic import Clinic

# One main file and its side file; a second delivery close by, whose main file is nearer to the
# side file at 11.8 than the first one is; and a side file that nothing belongs to.
FILES = {
    "a_10.bin": b"MAIN 1",
    "a_11.8.txt": b"SIDE near the second",
    "a_12.bin": b"MAIN 2",
    "a_9.txt": b"SIDE near the first",
    "b_10.txt": b"SIDE alone",
}
END = {
    "a_10.bin": (None, 1.0, "SIDE near the first"),
    "a_12.bin": (None, 2.0, "SIDE near the second"),
    "b_10.txt": (None,),
}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, settle_time=0.0)
    yield made
    made.close()


def arrive(clinic: Clinic, groups: Sequence[Sequence[str]]) -> dict[str, tuple[object, ...]]:
    for group in groups:
        for name in group:
            clinic.drop(name, FILES[name])
        clinic.process()
    clinic.assert_sound()
    return clinic.active()


@pytest.mark.parametrize("order", list(itertools.permutations(sorted(FILES)[:4])), ids="-".join)
def test_any_order_of_arrival_ends_the_same(tmp_path: Path, order: tuple[str, ...]) -> None:
    clinic = Clinic(tmp_path, settle_time=0.0)
    try:
        expected = {name: END[name] for name in order if name in END}
        assert arrive(clinic, [[name] for name in order]) == expected
    finally:
        clinic.close()


def test_what_arrives_together_is_read_once(clinic: Clinic) -> None:
    assert arrive(clinic, [list(FILES)]) == END
    with clinic.store.read() as connection:
        made = connection.exec_driver_sql("select count(*) from results").scalar_one()
    assert made == len(END)


def test_a_late_side_file_supersedes_and_is_taken_along(clinic: Clinic) -> None:
    arrive(clinic, [["a_10.bin"], ["a_9.txt"]])
    (result,) = clinic.queries.results_since()
    assert [path.rpartition("/")[2] for path in result.companions] == ["a_9.txt"]
    assert clinic.states() == {"a_10.bin": "done", "a_9.txt": "done"}


def test_a_side_file_alone_is_not_judged_until_its_main_file_comes(clinic: Clinic) -> None:
    arrive(clinic, [["b_10.txt"]])
    (alone,) = clinic.queries.results_since()
    assert alone.verdict is None
    assert alone.not_judged == "a side file whose main file has not arrived"


def test_a_side_file_that_changes_is_read_again_with_its_main_file(clinic: Clinic) -> None:
    arrive(clinic, [["a_10.bin", "a_9.txt"]])
    clinic.drop("a_9.txt", b"SIDE new")
    clinic.process()
    assert clinic.active() == {"a_10.bin": (None, 1.0, "SIDE new")}
    (result,) = clinic.queries.results_since()
    assert len(result.companions) == 1
    clinic.assert_sound()


def test_a_main_file_that_changes_keeps_its_side_file(clinic: Clinic) -> None:
    arrive(clinic, [["a_10.bin", "a_9.txt"]])
    clinic.drop("a_10.bin", b"MAIN 7")
    clinic.process()
    assert clinic.active() == {"a_10.bin": (None, 7.0, "SIDE near the first")}
    clinic.assert_sound()


def test_a_main_file_that_becomes_something_else_leaves_its_side_file_alone(
    clinic: Clinic,
) -> None:
    arrive(clinic, [["a_10.bin", "a_9.txt"]])
    clinic.drop("a_10.bin", b"no log at all")
    clinic.process()
    assert clinic.active() == {"a_10.bin": ("UNKNOWN_FORMAT",), "a_9.txt": (None,)}
    clinic.assert_sound()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_pair_that_was_copied_apart_is_still_a_pair(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    places = ["one/a_10.bin", "two/a_9.txt", "three/a_10.bin", "three/a_9.txt"]
    clinic = Clinic(tmp_path, settle_time=0.0)
    try:
        for k in order:
            clinic.drop(places[k], FILES[places[k].rpartition("/")[2]])
            clinic.process()
        assert clinic.active() == {"a_10.bin": END["a_10.bin"]}
        clinic.assert_sound()
    finally:
        clinic.close()


def test_an_unreadable_main_file_takes_its_side_file_along(clinic: Clinic) -> None:
    clinic.drop("a_10.bin", b"MAIN")
    clinic.drop("a_9.txt", b"SIDE x")
    clinic.process()
    assert clinic.active() == {"a_10.bin": ("SHORT",)}
    assert clinic.states() == {"a_10.bin": "quarantined", "a_9.txt": "done"}
    clinic.assert_sound()


def test_equal_side_files_of_different_deliveries_each_stay_with_their_own(
    clinic: Clinic,
) -> None:
    for at in (10, 50):
        clinic.drop(f"a_{at}.bin", b"MAIN %d" % at)
        clinic.drop(f"a_{at}.txt", b"SIDE the same")
    clinic.process()
    said = {f"a_{at}.bin": (None, float(at), "SIDE the same") for at in (10, 50)}
    assert clinic.active() == said
    assert set(clinic.states().values()) == {"done"}
    clinic.assert_sound()
