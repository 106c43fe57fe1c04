"""Small simulated plans, and ways to spoil them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from analyzers.core import ReadError
from analyzers.formats.dicom_rtplan import read
from analyzers.plan_records import Plan
from qa_daemon.simulate.dicom_file import write_object
from qa_daemon.simulate.plan_shapes import Plan as Shapes
from qa_daemon.simulate.plan_shapes import sequence, sliding_window, static
from qa_daemon.simulate.rtplan import PlanOptions, dataset
from qa_daemon.simulate.trajectory_log import IDENTITY

# None of these may ever be in a message: they stand for a patient's own.
CANARIES = ("CANARY", IDENTITY.patient_id or "", IDENTITY.plan_uid or "", "Simulated", "Sweep")


def shapes() -> Shapes:
    """A sweep of 25 control points and 80 MU, and a static field of 40 MU."""
    return sequence(sliding_window("millennium120", 80.0), static("millennium120", 40.0))


def small_plan(options: PlanOptions | None = None) -> Dataset:
    """The data set of both fields; `ASYMX`, `ASYMY`, `MLCX`."""
    return dataset(shapes(), IDENTITY, options or PlanOptions())


def written(data: Dataset, folder: Path, *, preamble: bool = True, explicit: bool = False) -> Path:
    """The data set as a file; what pydicom thinks of bad values is not asked."""
    path = folder / "CANARY.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_object(path, data, preamble=preamble, explicit=explicit)
    return path


def plan_of(data: Dataset, folder: Path, **how: bool) -> Plan:
    """The plan that is read from this data set."""
    return read(written(data, folder, **how))


def refused(content: bytes, folder: Path, reader: Callable[[Path], object] = read) -> ReadError:
    """The error that reading these bytes gives; the sentence names no file and no patient."""
    path = folder / "CANARY.dcm"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what pydicom says may not get out either
        with pytest.raises(ReadError) as raised:
            reader(path)
    said = str(raised.value)
    assert not [canary for canary in CANARIES if canary in said], said
    assert len(said) > 20
    return raised.value
