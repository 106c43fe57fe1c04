"""The same image in two files is one image, and one UID with two images is no duplicate."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.ingest.dicom_object import Header
from qa_daemon.model import Verdict
from qa_daemon.simulate.rtimage import SOP_CLASS, FileOptions, write_rtimage
from qa_daemon.store import baselines, image_kinds
from qa_daemon.store.schema import audit, files, images
from tests.ingest.clinic import Clinic
from tests.ingest.test_images import (
    CATALOGUE,
    SET,
    arrive,
    beam,
    found,
    image,
    notes,
    seen,
    site,
)

UID = "1.2.826.0.1.3680043.9.1"
IMPLICIT = "1.2.840.10008.1.2"
OTHER_WORDS = FileOptions(explicit=True)
"""Another transfer syntax: other bytes throughout, the same image."""


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, text=site(), catalogue=CATALOGUE, settle_time=0.0)
    yield made
    made.close()


def receive(clinic: Clinic, sent: PortalImage) -> None:
    """An image as the receiver leaves it, from a sender that is no machine of the site."""
    written = clinic.top / "sent.dcm"
    write_rtimage(written, sent)
    content = written.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    header = Header(SOP_CLASS, str(sent.sop_instance_uid), IMPLICIT).encoded()
    received = header + content[144 + length :]
    assert received != content
    part = clinic.top / "part"
    part.mkdir()
    (part / ".origin.json").write_text(json.dumps({"folder": "network", "machine": None}))
    (part / f"{hashlib.sha256(received).hexdigest()}.dcm").write_bytes(received)
    entry = clinic.site.state_dir / "inbox" / "1"
    entry.parent.mkdir(exist_ok=True)
    part.rename(entry)
    clinic.process()


def whole(clinic: Clinic) -> dict[str, float | None]:
    clinic.assert_sound()
    return {name: seen(result) for name, result in found(clinic).items()}


@pytest.mark.parametrize("order", list(permutations(["wl0.dcm", "wl1.dcm", "network"])))
def test_an_image_by_network_and_by_folder_is_one_member_of_its_set(
    clinic: Clinic, order: Sequence[str]
) -> None:
    pictures = {name: replace(SET[name], machine_name="Linac2") for name in ("wl0.dcm", "wl1.dcm")}
    again = pictures["wl1.dcm"] = replace(pictures["wl1.dcm"], sop_instance_uid=UID)
    for name in order:
        if name == "network":
            receive(clinic, again)
        else:
            arrive(clinic, name, pictures[name])
    # The one in the machine's folder says more of where it is from.
    assert whole(clinic) == {"wl0.dcm": 2}
    (result,) = found(clinic).values()
    assert result.machine == "TB1"
    assert [path.rpartition("/")[2] for path in result.companions] == ["wl1.dcm"]
    assert sorted(clinic.states().values()) == ["done", "done", "duplicate"]
    assert clinic.queries.counts()["files.duplicate"] == 1
    with clinic.store.read() as connection:
        (copy,) = connection.execute(select(files).where(files.c.state == "duplicate"))
        (stands,) = connection.execute(select(files).where(files.c.name == "wl1.dcm"))
        said = connection.execute(select(audit).where(audit.c.action.contains("other bytes"))).one()
    assert copy.folder == "network" and copy.same_as == stands.id
    assert said.object == f"file {copy.id}"
    assert json.loads(said.detail)["duplicate of file"] == stands.id
    assert clinic.archive.holds(copy.sha256)


def test_the_same_image_in_two_files_of_a_folder_is_judged_once(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0))
    write_rtimage(clinic.incoming / "b.dcm", image("FLAT", 0.0), OTHER_WORDS)
    clinic.process()
    assert clinic.states() == {"a.dcm": "done", "b.dcm": "duplicate"}
    assert whole(clinic) == {"a.dcm": 1}


def test_a_duplicate_takes_the_place_of_a_file_that_is_written_over(clinic: Clinic) -> None:
    for name, words in (("a.dcm", FileOptions()), ("b.dcm", OTHER_WORDS)):
        write_rtimage(clinic.incoming / name, image("WL", 0.0), words)
        clinic.process()
    (before,) = found(clinic).values()
    image_kinds.say(clinic.store, before.id, ImageKind.OTHER, None, "A", "no ball on it")
    clinic.judge()
    arrive(clinic, "a.dcm", image("WL next", 1.0))
    assert clinic.states() == {"a.dcm": "done", "b.dcm": "done"}
    after = found(clinic)
    assert {name: seen(result) for name, result in after.items()} == {"a.dcm": 1, "b.dcm": None}
    # What a physicist said of the image counts in whatever file it lies.
    shown = image_kinds.shown(clinic.store, after["b.dcm"].id)
    assert shown is not None and shown.kind == "other" and shown.said is not None
    clinic.assert_sound()


def test_a_baseline_is_not_held_against_itself_in_other_bytes(clinic: Clinic) -> None:
    receive(clinic, replace(beam("CLINIC", 0.0, machine_name="Linac2"), sop_instance_uid=UID))
    (first,) = found(clinic).values()
    baselines.sign(clinic.store, first.id, "A", "first fraction")
    arrive(clinic, "a.dcm", beam("CLINIC", 0.0, machine_name="Linac2", sop_instance_uid=UID))
    (result,) = found(clinic).values()
    assert result.path.endswith("a.dcm")
    assert notes(result)[0] == "no open, no predicted, no baseline"


@pytest.mark.parametrize("wrong_first", [True, False])
def test_other_pixels_under_the_same_uid_are_refused_aloud(
    clinic: Clinic, *, wrong_first: bool
) -> None:
    right = replace(SET["wl1.dcm"], sop_instance_uid=UID)
    wrong = replace(image("WL 1", 2.0, 900.0), sop_instance_uid=UID)
    first, second = (wrong, right) if wrong_first else (right, wrong)
    arrive(clinic, "wl0.dcm", SET["wl0.dcm"])
    arrive(clinic, "first.dcm", first)
    arrive(clinic, "second.dcm", second)
    results = found(clinic)
    assert clinic.states()["second.dcm"] == "quarantined"
    refused = results["second.dcm"]
    assert (refused.verdict, refused.error_code) == (Verdict.INVALID, "UID_TAKEN")
    assert f"result {results['wl0.dcm'].id} " in str(refused.error_message)
    assert "other pixels" in str(refused.error_message)
    assert refused.machine == "TB1" and refused.performed_at is not None
    assert seen(results["wl0.dcm"]) == 2
    clinic.assert_sound()


def test_a_physicist_decides_which_of_two_is_right(clinic: Clinic) -> None:
    arrive(clinic, "wrong.dcm", image("FLAT", 0.0, 900.0, sop_instance_uid=UID))
    arrive(clinic, "right.dcm", image("FLAT", 0.0, sop_instance_uid=UID))
    results = found(clinic)
    assert results["right.dcm"].error_code == "UID_TAKEN"
    image_kinds.say(clinic.store, results["wrong.dcm"].id, ImageKind.OTHER, None, "A", "damaged")
    clinic.ledger.release([results["right.dcm"].file], "A")
    clinic.judge()
    assert clinic.states() == {"wrong.dcm": "done", "right.dcm": "done"}
    clinic.ledger.release([results["wrong.dcm"].file], "A")
    clinic.judge()
    assert whole(clinic) == {"wrong.dcm": None, "right.dcm": 1}


def test_the_same_pixels_with_another_distance_are_no_duplicate(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0, sop_instance_uid=UID))
    arrive(clinic, "b.dcm", image("FLAT", 0.0, sop_instance_uid=UID, sid_mm=1000.0))
    refused = found(clinic)["b.dcm"]
    assert refused.error_code == "UID_TAKEN"
    assert "other angles, distances or names" in str(refused.error_message)


def test_a_name_that_is_no_uid_identifies_nothing(clinic: Clinic) -> None:
    # A real starshot of 26 images has one such name in all of them.
    name = "259cc3de5564af72eaa11ed4c2be64aa"
    for number, one in enumerate(SET.values()):
        arrive(clinic, f"wl{number}.dcm", replace(one, sop_instance_uid=name))
    assert whole(clinic) == {"wl0.dcm": 4}


def test_two_files_of_an_older_store_become_one_when_read_again(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0, sop_instance_uid=UID))
    with clinic.store.write() as connection:
        connection.execute(update(images).values(sop_instance_uid=None))
    write_rtimage(clinic.incoming / "b.dcm", image("FLAT", 0.0, sop_instance_uid=UID), OTHER_WORDS)
    clinic.process()
    before = found(clinic)
    assert len(before) == 2
    clinic.ledger.release([before["a.dcm"].file], "A")
    clinic.judge()
    assert clinic.states() == {"a.dcm": "duplicate", "b.dcm": "done"}
    assert whole(clinic) == {"b.dcm": 1}
    old = clinic.queries.result(before["a.dcm"].id)
    assert old is not None and old.superseded_by == before["b.dcm"].id


def test_an_instance_is_looked_up_by_its_index(clinic: Clinic) -> None:
    asked: list[tuple[str, Any]] = []
    engine = clinic.store._engine

    def listen(*said: Any) -> None:
        asked.append((said[2], said[3]))

    event.listen(engine, "before_cursor_execute", listen)
    arrive(clinic, "a.dcm", image("FLAT", 0.0))
    event.remove(engine, "before_cursor_execute", listen)
    wanted = {
        "images.sop_instance_uid =": "images_by_instance",
        "files.same_as =": "files_by_image",
    }
    for text, index in wanted.items():
        queries = [q for q in asked if f"{text} ?" in q[0].partition("WHERE")[2]]
        assert queries
        with engine.connect() as connection:
            for query, values in queries:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
                assert index in " ".join(str(row) for row in rows)
