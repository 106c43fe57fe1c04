"""What a physicist says of one image of a set, on the page of its result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon.model import ImageKeys, Report
from qa_daemon.store.images import Images, gaps_of
from qa_daemon.store.ledger import Arrival, Fingerprint, LedgerFile
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.schema import files, image_kinds
from tests.dashboards.serving import Served, serving
from tests.dashboards.treating import TreatingClinic
from tests.dashboards.visiting import Visitor

KEYS = ImageKeys(
    kind="Winston-Lutz", rule="label", evidence="its label", gathers=True, rows=40, columns=40
)


def save_set(clinic: TreatingClinic, images: int) -> int:
    """A set that was judged as one: its result."""
    pseudonyms = Pseudonyms(clinic.site.state_dir, clinic.store)
    kept = Images(clinic.store, pseudonyms, gaps_of(clinic.site.file.images))
    results = Results(clinic.store, ["alerts"], None, kept)
    report = Report(format="dicom-rtimage", keys=KEYS, identity={"patient_id": "CANARY-PATIENT"})
    entered: list[LedgerFile] = []
    for number in [*range(images), 0]:
        at = clinic.now - timedelta(minutes=60 - number)
        name = f"CANARY_{number}.dcm"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        seen = Fingerprint(f"/in/TB1/{name}", 10, 1_000_000_000, name)
        file = clinic.ledger.add(Arrival(seen, "/in/TB1", name, "TB1", sha256, report.format))
        made = Provenance("0.1.0", clinic.site.fingerprint, "TB1", "truebeam", at)
        others = entered[1:] if len(entered) == images else []
        entered.append(file)
        saved = results.save(file, others, report, [], made)
    assert saved is not None
    return saved


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    clinic = TreatingClinic(tmp_path)
    result = save_set(clinic, 3)
    with serving(clinic, {"set": result}) as pages:
        yield pages


def test_any_image_of_a_set_can_be_taken_out(served: Served) -> None:
    visitor, page = Visitor(served), f"/results/{served.ids['set']}"
    assert "CANARY" not in visitor.get(page).text
    assert "Take an image out" not in visitor.get(page).text
    visitor.sign_in()
    shown = visitor.get(page).text
    assert "Take an image out of the set of 3" in shown
    with served.clinic.store.read() as connection:
        middle = connection.execute(select(files).where(files.c.name == "CANARY_1.dcm")).one()
    assert f'<option value="{middle.id}">2: ' in shown
    form = {"token": visitor.token(), "reason": "the ball moved", "kind": "other"}
    wrong = visitor.post(f"/images/{served.ids['set']}/kind", form | {"member": "1 or 2"})
    assert wrong.status == 400
    other = visitor.post(f"/images/{served.ids['set']}/kind", form | {"member": "99"})
    assert other.status == 409
    done = visitor.post(f"/images/{served.ids['set']}/kind", form | {"member": str(middle.id)})
    assert done.status == 303
    with served.clinic.store.read() as connection:
        (word,) = connection.execute(select(image_kinds))
        rows = {r.name: (r.state, r.main_file) for r in connection.execute(select(files))}
    assert (word.sha256, word.kind, word.actor) == (middle.sha256, "other", "Physicist A")
    # Both what was taken out and the rest are judged again.
    assert rows["CANARY_1.dcm"] == ("queued", None)
    assert rows["CANARY_0.dcm"][0] == "queued"
    assert rows["CANARY_2.dcm"] == ("done", middle.main_file)
