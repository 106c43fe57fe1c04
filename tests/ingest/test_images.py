"""Images of a set are judged as one, and others with their partners, in every order of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert, select, update

from analyzers.catalogue import Catalogue
from analyzers.core import Analysis, Analyzer, Context, Metric, Settings
from analyzers.formats import dicom_rtimage, varian_trajectory_log
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.records import Identity
from qa_daemon import jobs
from qa_daemon.commands import forms
from qa_daemon.model import Job, NamedPath, Verdict
from qa_daemon.simulate.rtimage import image_of, write_rtimage
from qa_daemon.store import baselines, image_kinds
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import audit, files, image_baselines, images
from tests.ingest.clinic import SITE, Clinic

AT = datetime(2026, 3, 2, 7, 0, 0)  # noqa: DTZ001 - a machine's wall time
RULES = """
[images]
complete_after = "{wait}"
"""
LABELS = {
    "WL": "winston_lutz",
    "DRGS": "vmat_drgs",
    "VOPEN": "vmat_open",
    "CLINIC": "portal",
    "PREDICTION": "predicted",
    "FLAT": "open_field",
    "PICKETS": "picket_fence",
}
RULE = """
[[image_rule]]
kind = "{kind}"
label_contains = ["{label}"]
"""
SEEN = Metric("images", "1", "Number of images that were seen together")


def look(image: PortalImage, _context: Context[Settings]) -> Analysis:
    """What an analyzer is given: how many images of a set, and which partners."""
    beside = image.beside
    partners = {
        "open": beside.open_image,
        "predicted": beside.predicted,
        "baseline": beside.baseline,
    }
    told = [name if other else f"no {name}" for name, other in partners.items()]
    lacking = [
        f"{name}: {why}"
        for name, why in sorted(beside.lacking.items())
        if name in ("baseline", "open_image", "set")
    ]
    first = image.label or ""
    mean = 0.0 if beside.baseline is None else float(beside.baseline.values.mean())
    return Analysis(
        [SEEN.measured(1 + len(image.set_with), at=first)],
        notes=[", ".join(told), *lacking, f"baseline of {mean:.1f}"],
    )


ANALYZER: Analyzer[PortalImage, Settings] = Analyzer(
    "look", "Look", "1", PortalImage, Settings, (SEEN,), look
)
CATALOGUE = Catalogue((dicom_rtimage.FORMAT, varian_trajectory_log.FORMAT), (ANALYZER,))


def site(wait: str = "0 s") -> str:
    rules = "".join(RULE.format(kind=kind, label=label) for label, kind in LABELS.items())
    return SITE + RULES.format(wait=wait) + rules


def image(label: str, minutes: float, level: float = 1000.0, **said: object) -> PortalImage:
    """A small picture: what it shows is said by its label, and a rule of the site."""
    values = np.full((40, 40), 100.0)
    values[10:30, 10:30] = level
    fields: dict[str, object] = {
        "performed_at": AT + timedelta(minutes=minutes),
        "label": label,
        "machine_serial": None,
        "machine_name": None,
        "study_uid": "1.2.3",
        "identity": Identity(patient_id="CANARY_QA"),
    }
    return image_of(values, (1.0, 1.0), **(fields | said))  # type: ignore[arg-type]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, text=site(), catalogue=CATALOGUE, settle_time=0.0)
    yield made
    made.close()


def arrive(clinic: Clinic, name: str, arrived: PortalImage) -> None:
    write_rtimage(clinic.incoming / name, arrived)
    clinic.process()


def found(clinic: Clinic) -> dict[str, StoredResult]:
    """The active results by the name of their file."""
    results = clinic.queries.every_result(0, None)
    return {result.path.rpartition("/")[2]: result for result in results}


def seen(result: StoredResult) -> float | None:
    numbers = [m.value for analysis in result.analyses for m in analysis.measurements]
    return numbers[0] if numbers else None


def notes(result: StoredResult) -> Sequence[str]:
    return result.analyses[0].notes


SET = {f"wl{n}.dcm": image(f"WL {n}", 2.0 * n, gantry_deg=90.0 * n) for n in range(4)}


@pytest.mark.parametrize("order", list(permutations(SET))[::8])
def test_a_set_is_one_result_in_every_order(clinic: Clinic, order: Sequence[str]) -> None:
    for name in order:
        arrive(clinic, name, SET[name])
    results = found(clinic)
    assert list(results) == ["wl0.dcm"]
    (result,) = results.values()
    assert seen(result) == 4
    assert sorted(path.rpartition("/")[2] for path in result.companions) == sorted(SET)[1:]
    assert set(clinic.states().values()) == {"done"}
    clinic.assert_sound_states()


def test_a_set_ends_where_the_pause_is_longer_than_the_site_says(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("WL a", 0.0))
    arrive(clinic, "b.dcm", image("WL b", 3.9))
    arrive(clinic, "c.dcm", image("WL c", 8.0))
    assert {name: seen(r) for name, r in found(clinic).items()} == {"a.dcm": 2, "c.dcm": 1}


def test_a_set_waits_and_is_judged_once_when_nothing_more_comes(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, text=site("30 s"), catalogue=CATALOGUE, settle_time=0.0)
    try:
        for name in ("wl2.dcm", "wl0.dcm", "wl1.dcm"):
            arrive(clinic, name, SET[name])
        assert set(clinic.states().values()) == {"waiting"}
        assert {seen(r) for r in found(clinic).values()} == {None}
        assert {r.verdict for r in found(clinic).values()} == {None}
        assert clinic.pipeline.end_waiting() == 0
        assert clinic.pipeline.end_waiting(at_once=True) == 3
        clinic.judge()
        assert {name: seen(r) for name, r in found(clinic).items()} == {"wl0.dcm": 3}
        # One more comes late: it waits, and the set is judged again with it.
        arrive(clinic, "wl3.dcm", SET["wl3.dcm"])
        assert clinic.states()["wl3.dcm"] == "waiting"
        clinic.pipeline.end_waiting(at_once=True)
        clinic.judge()
        assert {name: seen(r) for name, r in found(clinic).items()} == {"wl0.dcm": 4}
        assert set(clinic.states().values()) == {"done"}
        clinic.assert_sound()
    finally:
        clinic.close()


def test_an_image_that_is_taken_out_of_a_set_leaves_it(clinic: Clinic) -> None:
    for name in ("wl0.dcm", "wl1.dcm", "wl2.dcm"):
        arrive(clinic, name, SET[name])
    (result,) = found(clinic).values()
    image_kinds.say(clinic.store, result.id, ImageKind.OTHER, None, "A", "the ball was not on it")
    clinic.judge()
    results = found(clinic)
    assert {name: seen(r) for name, r in results.items()} == {"wl0.dcm": None, "wl1.dcm": 2}
    shown = image_kinds.shown(clinic.store, results["wl0.dcm"].id)
    assert shown is not None and shown.kind == "other" and shown.said is not None
    with clinic.store.read() as connection:
        actions = list(connection.execute(select(audit.c.action, audit.c.actor)))
    assert ("image classified", "A") in [tuple(row) for row in actions]
    # What was said is taken back: the rules say it again, and the set is whole.
    image_kinds.say(clinic.store, results["wl0.dcm"].id, None, None, "A", "it was")
    clinic.judge()
    assert {name: seen(r) for name, r in found(clinic).items()} == {"wl0.dcm": 3}


@pytest.mark.parametrize("order", list(permutations(SET))[::11])
def test_an_image_without_a_ball_among_those_of_a_set_is_told(
    clinic: Clinic, order: Sequence[str]
) -> None:
    """Else the set would be judged by the images that are good, whichever comes last."""
    odd = replace(SET["wl2.dcm"], label="odd")
    for name in order:
        arrive(clinic, name, odd if name == "wl2.dcm" else SET[name])
    results = found(clinic)
    assert seen(results["wl0.dcm"]) == 3
    assert any(note.startswith("set: no ball is seen in 1") for note in notes(results["wl0.dcm"]))
    # A physicist says that it was none of the set: the set is judged without it.
    image_kinds.say(clinic.store, results["wl2.dcm"].id, ImageKind.OTHER, None, "A", "beam was off")
    clinic.judge()
    assert not any(note.startswith("set:") for note in notes(found(clinic)["wl0.dcm"]))
    clinic.assert_sound()


def test_an_image_in_the_middle_of_a_set_is_taken_out_and_put_back(clinic: Clinic) -> None:
    for name, one in SET.items():
        arrive(clinic, name, one)
    (whole,) = found(clinic).values()
    listed = image_kinds.members(clinic.store, whole.id)
    assert [one.name for one in listed] == list(SET)
    said = (ImageKind.OTHER, None, "A", "the ball moved")
    image_kinds.say(clinic.store, whole.id, *said, member=listed[2].file)
    clinic.judge()
    results = found(clinic)
    assert {name: seen(r) for name, r in results.items()} == {"wl0.dcm": 3, "wl2.dcm": None}
    assert len(image_kinds.members(clinic.store, results["wl0.dcm"].id)) == 3
    with clinic.store.read() as connection:
        (word,) = connection.execute(select(audit).where(audit.c.action == "image classified"))
    assert word.actor == "A" and results["wl2.dcm"].sha256 in word.detail
    clinic.assert_sound()
    # One that is no member any more cannot be taken out of the set.
    with pytest.raises(image_kinds.CannotSay, match="not of the set any more"):
        image_kinds.say(clinic.store, results["wl0.dcm"].id, *said, member=listed[2].file)
    image_kinds.say(clinic.store, results["wl2.dcm"].id, None, None, "A", "it had not")
    clinic.judge()
    assert {name: seen(r) for name, r in found(clinic).items()} == {"wl0.dcm": 4}
    clinic.assert_sound()


def test_a_set_that_an_image_leaves_for_another_is_judged_without_it(clinic: Clinic) -> None:
    for number, minutes in enumerate((0.0, 3.0, 6.0)):
        arrive(clinic, f"{number}.dcm", image(f"WL {number}", minutes))
    (whole,) = found(clinic).values()
    middle = image_kinds.members(clinic.store, whole.id)[1].file
    image_kinds.say(clinic.store, whole.id, ImageKind.OTHER, None, "A", "no ball", member=middle)
    clinic.judge()
    assert seen(found(clinic)["0.dcm"]) == 2
    # The pause that the middle one left is too long when the next one finds its set.
    arrive(clinic, "3.dcm", image("WL 3", 8.0))
    numbers = {name: seen(result) for name, result in found(clinic).items()}
    assert numbers == {"0.dcm": 1, "1.dcm": None, "2.dcm": 2}
    clinic.assert_sound()


@pytest.mark.parametrize("order", list(permutations(["open", "test", "late"]))[::2])
def test_a_vmat_test_takes_its_open_field_whatever_comes_first(
    clinic: Clinic, order: Sequence[str]
) -> None:
    pictures = {
        "open": image("VOPEN", 0.0, study_uid="1.2.4"),
        "test": image("DRGS", 5.0, study_uid="1.2.4"),
        "late": image("VOPEN late", 6.0, study_uid="1.2.5"),
    }
    for name in order:
        arrive(clinic, f"{name}.dcm", pictures[name])
    results = found(clinic)
    assert notes(results["test.dcm"])[0] == "open, no predicted, no baseline"
    assert results["open.dcm"].not_judged and "open field" in results["open.dcm"].not_judged
    with clinic.store.read() as connection:
        used = connection.execute(select(images.c.used).where(images.c.kind.contains("gantry")))
        files = {row.file: row.study_uid for row in connection.execute(select(images))}
        (partner,) = used.scalars()
    assert files[int(partner.split("[[")[1].split(",")[0])] == "1.2.4"


def test_a_vmat_test_without_open_field_says_so(clinic: Clinic) -> None:
    arrive(clinic, "test.dcm", image("DRGS", 5.0))
    said = notes(found(clinic)["test.dcm"])
    assert said[0] == "no open, no predicted, no baseline"
    assert said[1].startswith("open_image: no image of the open field")


def beam(
    label: str, minutes: float, level: float = 1000.0, number: int = 1, **said: object
) -> PortalImage:
    whose = Identity(patient_id="CANARY", plan_uid="1.2.9", beam_number=number)
    return image(label, minutes, level, identity=whose, **said)


@pytest.mark.parametrize("order", list(permutations(["day1", "day2", "predicted"]))[::2])
def test_a_clinical_image_is_held_against_the_first_of_its_beam(
    clinic: Clinic, order: Sequence[str]
) -> None:
    pictures = {
        "day1": beam("CLINIC", 0.0, 1000.0),
        "day2": beam("CLINIC", 1440.0, 2000.0),
        "predicted": beam("PREDICTION", -5000.0, 1500.0),
    }
    for name in order:
        arrive(clinic, f"{name}.dcm", pictures[name])
    results = found(clinic)
    assert notes(results["day1.dcm"])[0] == "no open, predicted, no baseline"
    assert "the first image of this beam" in notes(results["day1.dcm"])[1]
    assert notes(results["day2.dcm"]) == (
        "no open, predicted, baseline",
        f"baseline of {pictures['day1'].values.mean():.1f}",
    )


def test_another_beam_is_no_baseline(clinic: Clinic) -> None:
    arrive(clinic, "one.dcm", beam("CLINIC", 0.0))
    arrive(clinic, "two.dcm", beam("CLINIC", 10.0, number=2))
    arrive(clinic, "none.dcm", image("CLINIC", 20.0))
    results = found(clinic)
    assert "the first image of this beam" in notes(results["two.dcm"])[1]
    assert "names no plan and beam" in notes(results["none.dcm"])[1]


def test_a_signed_off_baseline_counts_from_then_on(clinic: Clinic) -> None:
    pictures = {n: beam("CLINIC", 1440.0 * n, 1000.0 * (n + 1)) for n in range(4)}
    for number in (0, 1, 2):
        arrive(clinic, f"{number}.dcm", pictures[number])
    before = found(clinic)
    baselines.sign(clinic.store, before["1.dcm"].id, "A", "the set-up was corrected")
    baselines.sign(clinic.store, before["2.dcm"].id, "A", "likewise", add=True)
    arrive(clinic, "3.dcm", pictures[3])
    mean = (pictures[1].values.mean() + pictures[2].values.mean()) / 2.0
    after = found(clinic)
    assert notes(after["3.dcm"])[-1] == f"baseline of {mean:.1f}"
    assert after["2.dcm"].id == before["2.dcm"].id  # what was judged keeps its verdict
    signed = baselines.signed_for(clinic.store, after["3.dcm"].id)
    assert signed is not None and len(signed.images) == 2 and signed.actor == "A"
    baselines.withdraw(clinic.store, after["3.dcm"].id, "A", "wrong ones")
    arrive(clinic, "4.dcm", replace(beam("CLINIC", 9000.0, 7000.0)))
    assert notes(found(clinic)["4.dcm"])[-1] == f"baseline of {pictures[0].values.mean():.1f}"


def test_an_open_field_has_the_baseline_of_its_size_and_energy(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0, 1000.0, energy="6x"))
    baselines.sign(clinic.store, found(clinic)["a.dcm"].id, "A", "after calibration")
    arrive(clinic, "b.dcm", image("FLAT", 1440.0, 1100.0, energy="6x"))
    arrive(clinic, "c.dcm", image("FLAT", 1450.0, 1100.0, energy="10x"))
    results = found(clinic)
    assert notes(results["b.dcm"])[0] == "no open, no predicted, baseline"
    assert notes(results["c.dcm"])[0] == "no open, no predicted, no baseline"
    with pytest.raises(baselines.CannotSign):
        arrive(clinic, "d.dcm", image("DRGS", 1460.0))
        baselines.sign(clinic.store, found(clinic)["d.dcm"].id, "A", "no")
    # Neither can a baseline be withdrawn where there is none.
    for name in ("c.dcm", "d.dcm"):
        with pytest.raises(baselines.CannotSign):
            baselines.withdraw(clinic.store, found(clinic)[name].id, "A", "no")
    arrive(clinic, "e.dcm", image("CLINIC", 1470.0))
    with pytest.raises(baselines.CannotSign, match="names no plan and beam"):
        baselines.sign(clinic.store, found(clinic)["e.dcm"].id, "A", "no")


def test_a_baseline_is_found_however_many_others_are_newer(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0, energy="6x"))
    result = found(clinic)["a.dcm"].id
    baselines.sign(clinic.store, result, "A", "after calibration")
    with clinic.store.write() as connection:
        row = dict(connection.execute(select(image_baselines)).mappings().one())
        del row["id"]
        others = [row | {"energy": "10x"}, row | {"field_x_mm": 300.0}]
        connection.execute(insert(image_baselines), others * 200)
    asked: list[tuple[str, Any]] = []
    engine = clinic.store._engine
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    signed = baselines.signed_for(clinic.store, result)
    assert signed is not None and signed.reason == "after calibration"
    ((query, values),) = [q for q in asked if "FROM image_baselines" in q[0]]
    with engine.connect() as connection:
        (plan, *_) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    assert "image_baselines_by_machine (machine=? AND kind=? AND energy=?)" in str(plan)


def test_what_nobody_can_classify_is_listed_until_a_physicist_says_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = np.random.default_rng(5).normal(1000.0, 300.0, (64, 64)).clip(1.0)
    odd[:, 40:] *= 3.0
    odd[:20] *= 0.02
    arrive(clinic, "odd.dcm", replace(image_of(odd, (1.0, 1.0), label="x", performed_at=AT)))
    result = found(clinic)["odd.dcm"]
    assert result.verdict is None and "a physicist has to say" in str(result.not_judged)
    assert [one.result for one in image_kinds.unclassified(clinic.store)] == [result.id]
    assert image_kinds.count_unclassified(clinic.store) == 1
    assert result.arrays is not None  # there is a picture to look at
    for state, listed in (("queued", 0), ("done", 1)):
        monkeypatch.setattr(clinic.dispatcher, "_pick", lambda: None)
        with clinic.store.write() as connection:
            connection.execute(update(files).values(state=state))
        # What is about to be judged again is neither listed nor counted.
        assert len(image_kinds.unclassified(clinic.store)) == listed
        assert image_kinds.count_unclassified(clinic.store) == listed
    monkeypatch.undo()
    image_kinds.say(clinic.store, result.id, ImageKind.OPEN_FIELD, None, "A", "half a field")
    clinic.judge()
    assert seen(found(clinic)["odd.dcm"]) == 1
    assert image_kinds.unclassified(clinic.store) == []
    with pytest.raises(image_kinds.CannotSay):
        image_kinds.say(clinic.store, result.id, ImageKind.OTHER, None, "A", "too late")


def test_an_image_of_another_machine_of_the_site_is_refused(tmp_path: Path) -> None:
    other = '\n[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\nplan_names = ["Linac2"]\n'
    clinic = Clinic(tmp_path, text=site() + other, catalogue=CATALOGUE, settle_time=0.0)
    try:
        arrive(clinic, "own.dcm", image("FLAT", 0.0, machine_serial="of the panel"))
        arrive(clinic, "other.dcm", image("FLAT", 1.0, machine_name="linac2"))
        results = found(clinic)
        assert results["own.dcm"].verdict is Verdict.INVALID or results["own.dcm"].machine == "TB1"
        assert results["own.dcm"].machine == "TB1"
        assert results["other.dcm"].error_code == "OTHER_MACHINE"
    finally:
        clinic.close()


def test_a_stored_result_says_what_its_image_shows_as_a_one_shot_does(clinic: Clinic) -> None:
    arrive(clinic, "a.dcm", image("FLAT", 0.0))
    clinic.drop("b.dcm", b"no image")
    clinic.process()
    results = found(clinic)
    path = clinic.incoming / "a.dcm"
    job = Job(file=NamedPath(path=str(path), name=path.name), pins=clinic.site.image_pins)
    report = jobs.measure(job, CATALOGUE)
    told = forms.one_shot(path.name, [], None, "TB1", None, report, [])
    stored = forms.stored(results["a.dcm"])
    assert set(stored) - set(told) == {"id"} and set(told) <= set(stored)
    assert stored["classification"] == told["classification"]
    assert stored["classification"]["kind"] == "open field"  # type: ignore[index]
    assert forms.stored(results["b.dcm"])["classification"] is None
