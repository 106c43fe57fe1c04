"""RT Beams Treatment Records: what was recorded, and what is refused."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from analyzers.core import ReadError, TruncatedError
from analyzers.formats import dicom_rtplan
from analyzers.formats.dicom_rtrecord import read, recognize
from qa_daemon.simulate.rtrecord import simulate, write_rtrecord
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests.formats.small_plans import refused, small_plan, written

BEAMS = [("Arc", 200.0, 200.04), ("Sweep", 80.0, 33.5)]


def record(folder: Path) -> Dataset:
    """Two beams of fraction 3, as a data set to be changed."""
    path = folder / "record.dcm"
    write_rtrecord(path, BEAMS, fraction=3, termination="OPERATOR", points=3)
    return pydicom.dcmread(path)


def test_what_was_recorded(tmp_path: Path) -> None:
    found = read(written(record(tmp_path), tmp_path))
    assert found.performed_at == datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001
    assert (found.fraction_number, found.fraction_group, found.fractions_planned) == (3, 1, 5)
    assert (found.machine_name, found.machine_serial) == ("SIM", "1234")
    assert found.identity.plan_uid == IDENTITY.plan_uid
    assert found.identity.patient_id == IDENTITY.patient_id
    first, second = found.beams
    assert (first.number, first.specified_mu, first.delivered_mu) == (1, 200.0, 200.04)
    assert (second.number, second.specified_mu, second.delivered_mu) == (2, 80.0, 33.5)
    assert (first.termination, first.verification) == ("OPERATOR", "VERIFIED")
    assert not first.is_complete
    np.testing.assert_allclose(second.control_point_delivered_mu, [0.0, 16.75, 33.5])
    np.testing.assert_allclose(second.control_point_specified_mu, [0.0, 40.0, 80.0])
    assert [at.second for at in first.control_point_times if at] == [0, 1, 2]
    assert found.warnings == ()
    shown = repr([*found.beams, found.identity])
    assert not [word for word in ("QA_SIM_1", "Arc", "1.2.826") if word in shown]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 5000.0), st.floats(0.0, 5000.0)), min_size=1, max_size=4),
    st.integers(1, 60),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
)
def test_what_is_written_is_read(
    metersets: list[tuple[float, float]],
    fraction: int,
    points: int,
    explicit: bool,
    preamble: bool,
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        beams = [("B", specified, delivered) for specified, delivered in metersets]
        write_rtrecord(
            path, beams, fraction=fraction, points=points, explicit=explicit, preamble=preamble
        )
        assert recognize(path.read_bytes()[:4096])
        found = read(path)
    assert found.fraction_number == fraction
    for beam, (specified, delivered) in zip(found.beams, metersets, strict=True):
        # Written to 1e-6 MU.
        assert beam.specified_mu == pytest.approx(specified, abs=6e-7)
        assert beam.delivered_mu == pytest.approx(delivered, abs=6e-7)
        assert len(beam.control_point_delivered_mu) == points


def test_a_beam_without_its_own_meterset_has_its_last_control_points(tmp_path: Path) -> None:
    data = record(tmp_path)
    del data.TreatmentSessionBeamSequence[1].DeliveredPrimaryMeterset
    del data.TreatmentSessionBeamSequence[1].SpecifiedPrimaryMeterset
    second = read(written(data, tmp_path)).beams[1]
    assert (second.specified_mu, second.delivered_mu) == (None, 33.5)


def test_what_the_standard_does_not_have_is_unknown(tmp_path: Path) -> None:
    data = record(tmp_path)
    beam = data.TreatmentSessionBeamSequence[0]
    beam.TreatmentTerminationStatus = "CANARY"
    beam.TreatmentVerificationStatus = "CANARY"
    beam.TreatmentDeliveryType = "CANARY"
    found = read(written(data, tmp_path)).beams[0]
    assert (found.termination, found.verification) == ("UNKNOWN", None)
    assert "CANARY" not in repr(found)
    assert not found.is_complete


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"TreatmentDeliveryType": "SETUP"}, "set-up"),
        ({"PrimaryDosimeterUnit": "MINUTE"}, "not in MU"),
    ],
)
def test_beams_that_are_not_judged(changes: dict[str, str], reason: str, tmp_path: Path) -> None:
    data = record(tmp_path)
    for keyword, value in changes.items():
        setattr(data.TreatmentSessionBeamSequence[0], keyword, value)
    first, second = read(written(data, tmp_path)).beams
    assert reason in str(first.not_judged)
    assert second.not_judged is None


def test_a_record_of_no_named_patient_or_plan_is_read_with_a_warning(tmp_path: Path) -> None:
    for keyword, lacking in (("PatientID", ""), ("ReferencedRTPlanSequence", [])):
        data = record(tmp_path)
        setattr(data, keyword, lacking)
        (warning,) = read(written(data, tmp_path)).warnings
        assert ("of which patient" if keyword == "PatientID" else "of which plan") in warning


def _beam(data: Dataset) -> Dataset:
    found: Dataset = data.TreatmentSessionBeamSequence[0]
    return found


def _point(data: Dataset) -> Dataset:
    found: Dataset = _beam(data).ControlPointDeliverySequence[1]
    return found


def _set(where: Callable[[Dataset], Dataset], **values: Any) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        for keyword, value in values.items():
            setattr(where(data), keyword, value)

    return change


def _nameless(data: Dataset) -> None:
    del data.PatientID
    del data.ReferencedRTPlanSequence


def _two_plans(data: Dataset) -> None:
    data.ReferencedRTPlanSequence.append(deepcopy(data.ReferencedRTPlanSequence[0]))


def _root(data: Dataset) -> Dataset:
    return data


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("RTRECORD_SOP_CLASS", _set(_root, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5")),
        ("RTRECORD_REFERENCE", _nameless),
        ("RTRECORD_REFERENCE", _two_plans),
        ("RTRECORD_BEAMS", _set(_root, TreatmentSessionBeamSequence=[])),
        ("RTRECORD_METERSET", _set(_beam, DeliveredPrimaryMeterset="-0.01")),
        ("RTRECORD_METERSET", _set(_beam, SpecifiedPrimaryMeterset="1000001")),
        ("RTRECORD_METERSET", _set(_point, DeliveredMeterset="-1")),
        ("RTRECORD_NUMBER", _set(_beam, DeliveredPrimaryMeterset="nan")),
        ("RTRECORD_NUMBER", _set(_point, DeliveredMeterset="inf")),
        ("RTRECORD_MISSING", _set(_beam, TreatmentTerminationStatus="")),
        ("RTRECORD_COUNTS", _set(_beam, NumberOfControlPoints=4)),
        ("RTRECORD_RANGE", _set(_beam, CurrentFractionNumber=-1)),
        ("RTRECORD_RANGE", _set(_beam, CurrentFractionNumber=1001)),
        ("RTRECORD_RANGE", _set(_root, NumberOfFractionsPlanned=-1)),
        ("RTRECORD_RANGE", _set(_root, ReferencedFractionGroupNumber=-1)),
    ],
)
def test_every_rule(code: str, change: Callable[[Dataset], None], tmp_path: Path) -> None:
    data = record(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(data)
    error = refused(written(data, tmp_path).read_bytes(), tmp_path, read)
    assert error.code == code, str(error)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set(_beam, DeliveredPrimaryMeterset="104"), "not that of its last control point"),
        (_set(_point, DeliveredMeterset="500"), "falls"),
    ],
)
def test_metersets_that_contradict_each_other_are_not_judged(
    change: Callable[[Dataset], None], reason: str, tmp_path: Path
) -> None:
    data = record(tmp_path)
    change(data)
    first, second = read(written(data, tmp_path)).beams
    assert reason in str(first.not_judged)
    assert second.not_judged is None


def test_a_meterset_rounded_to_whole_mu_is_none(tmp_path: Path) -> None:
    data = record(tmp_path)
    at_points = _beam(data).ControlPointDeliverySequence[-1].DeliveredMeterset
    _beam(data).DeliveredPrimaryMeterset = f"{float(at_points) + 0.9:g}"
    assert read(written(data, tmp_path)).beams[0].not_judged is None


def test_a_beam_that_was_copied_is_no_beam_that_was_resumed(tmp_path: Path) -> None:
    data = record(tmp_path)
    data.TreatmentSessionBeamSequence.append(deepcopy(_beam(data)))
    error = refused(written(data, tmp_path).read_bytes(), tmp_path, read)
    assert error.code == "RTRECORD_DUPLICATE"
    for point in data.TreatmentSessionBeamSequence[-1].ControlPointDeliverySequence:
        point.TreatmentControlPointTime = "235900"
    assert len(read(written(data, tmp_path)).beams) == 3


def test_control_points_of_another_day_are_warned_of(tmp_path: Path) -> None:
    data = record(tmp_path)
    assert read(written(data, tmp_path)).warnings == ()
    data.TreatmentDate = "20200101"
    (warning,) = read(written(data, tmp_path)).warnings
    assert "more than a day off" in warning


@pytest.mark.parametrize(
    ("day", "clock", "at", "warned"),
    [
        ("20260105", "073000", "2026-01-05T07:30:00", False),
        ("20260105", "073000.250", "2026-01-05T07:30:00", False),
        ("20260105", "07", "2026-01-05T07:00:00", False),
        ("20260105", "", None, False),
        ("", "073000", None, False),
        ("20260105", "7:30", None, True),
        ("20260105", "993000", None, True),
        ("20260230", "073000", None, True),
        ("CANARY", "073000", None, True),
    ],
)
def test_a_time_that_is_none_is_not_midnight(
    day: str, clock: str, at: str | None, warned: bool, tmp_path: Path
) -> None:
    data = record(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.TreatmentDate, data.TreatmentTime = day, clock
        found = read(written(data, tmp_path))
    assert (found.performed_at.isoformat() if found.performed_at else None) == at
    assert [("not a date and a time" in w, "CANARY" in w) for w in found.warnings] == [
        (True, False)
    ] * warned


def test_words_that_are_none_are_warned_of(tmp_path: Path) -> None:
    data = record(tmp_path)
    _beam(data).TreatmentTerminationStatus = "CANARY"
    _beam(data).TreatmentVerificationStatus = "CANARY"
    found = read(written(data, tmp_path))
    assert (found.beams[0].termination, found.beams[0].verification) == ("UNKNOWN", None)
    assert [("beam 1" in w, "CANARY" in w) for w in found.warnings] == [(True, False)] * 2


def test_a_plan_is_no_record_and_a_record_no_plan(tmp_path: Path) -> None:
    plan = written(small_plan(), tmp_path).read_bytes()
    assert not recognize(plan[:4096])
    assert refused(plan, tmp_path, read).code == "RTRECORD_SOP_CLASS"
    other = written(record(tmp_path), tmp_path).read_bytes()
    assert not dicom_rtplan.recognize(other[:4096])
    assert refused(other, tmp_path).code == "RTPLAN_SOP_CLASS"


def test_every_cut_is_an_early_end(tmp_path: Path) -> None:
    content = written(record(tmp_path), tmp_path).read_bytes()
    end = content.rindex(b"\x0a\x30\x78\x00")  # NumberOfFractionsPlanned follows the beams
    for cut in range(400, end, 7):
        error = refused(content[:cut], tmp_path, read)
        assert isinstance(error, TruncatedError), cut
        assert error.code == "RTRECORD_SHORT"


@pytest.mark.parametrize("undefined", [False, True])
def test_a_cut_between_two_elements_is_an_early_end(undefined: bool, tmp_path: Path) -> None:
    """At the end of each element of the root: what is read then lacks the fraction group alone."""
    data = record(tmp_path)
    if undefined:
        for element in data:
            element.is_undefined_length = element.VR == "SQ"
    content = written(data, tmp_path, preamble=False).read_bytes()
    whole = read(written(data, tmp_path, preamble=False))
    tail = content[content.rindex(b"\x0c\x30\x22\x00") :]  # ReferencedFractionGroupNumber
    sizes = []
    for element in data:
        single = Dataset()
        single.add(element)
        sizes.append(len(written(single, tmp_path, preamble=False).read_bytes()))
    cuts = len(content) - np.sum(sizes) + np.cumsum(sizes)
    outcomes = []
    for cut in cuts[:-1].tolist():
        (tmp_path / "CANARY.dcm").write_bytes(content[:cut])
        try:
            found = read(tmp_path / "CANARY.dcm")
        except TruncatedError as why:
            assert why.code == "RTRECORD_SHORT"
            outcomes.append("refused")
        except ReadError as why:
            assert (why.code, cut <= cuts[1]) == ("RTRECORD_SOP_CLASS", True)
        else:
            outcomes.append("read")
            assert cut == len(content) - len(tail)
            assert (found.fraction_group, whole.fraction_group) == (None, 1)
            assert [b.delivered_mu for b in found.beams] == [b.delivered_mu for b in whole.beams]
    assert outcomes == ["refused"] * (len(outcomes) - 1) + ["read"]


def test_changed_bytes_give_a_read_error_or_a_record(tmp_path: Path) -> None:
    content = written(record(tmp_path), tmp_path).read_bytes()
    chance = random.Random(3)
    path = tmp_path / "CANARY.dcm"
    outcomes = set()
    for _ in range(500):
        changing = bytearray(content)
        at = chance.randrange(132, len(changing))
        changing[at] = chance.randrange(256)
        if chance.random() < 0.3:
            del changing[at : at + chance.randint(1, 40)]
        path.write_bytes(changing)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                outcomes.add(type(read(path)).__name__)
            except ReadError as why:
                assert why.code.startswith("RTRECORD_")
                assert "CANARY" not in str(why)
                outcomes.add("ReadError")
    assert outcomes == {"ReadError", "TreatmentRecord"}


def test_the_command_writes_one(tmp_path: Path) -> None:
    found = read(simulate(tmp_path, mu=120.0, delivered_mu=60.0, termination="MACHINE"))
    assert [(b.specified_mu, b.delivered_mu, b.termination) for b in found.beams] == [
        (120.0, 60.0, "MACHINE")
    ]
    for options in ({"termination": "LATE"}, {"verification": "NO"}, {"mu": -1.0}):
        with pytest.raises(ValueError, match=r"expected|0 MU or more"):
            simulate(tmp_path / "y.dcm", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "y.dcm").exists()
