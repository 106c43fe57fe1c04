from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import AnalysisError
from analyzers.portal_images import PortalImage
from analyzers.pylinac_adapter import dicom_stream, pylinac_at_work
from analyzers.records import Identity
from tests import epid

SECRET = "Mustermann"


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<u2", ">u2", "<i4", "<u4", "<i8", "<f4", "<f8"])
@pytest.mark.parametrize("scale", [(1.0, 0.0), (3.348064819e-05, -0.25)])
def test_pylinac_reads_what_the_file_stored_with_its_scale(
    dtype: str, scale: tuple[float, float]
) -> None:
    slope, intercept = scale
    stored = (np.arange(35 * 21).reshape(35, 21) % 251).astype(dtype)
    record = replace(
        epid.image(np.zeros((35, 21)), 0.5),
        stored=stored,
        values=stored * slope + intercept,
        slope=slope,
        intercept=intercept,
    )
    with pylinac_at_work("it cannot be read"):
        from pylinac.core.image import LinacDicomImage

        read = LinacDicomImage(dicom_stream(record))
        assert read.dpmm == pytest.approx(2.0, rel=1e-9)
        assert (read.sid, read.sad, read.gantry_angle) == (1500.0, 1000.0, 0.0)
        np.testing.assert_allclose(read.array, record.values, rtol=1e-6, atol=1e-9)


def test_a_stated_sign_turns_the_values_over() -> None:
    record = replace(epid.image(np.eye(8), 1.0), sign=-1)
    with pylinac_at_work("it cannot be read"):
        from pylinac.core.image import DicomImage

        turned = DicomImage(dicom_stream(record)).array
    np.testing.assert_array_equal(turned, 60000 - record.stored.astype(int))


def test_nothing_that_names_anybody_reaches_pylinac() -> None:
    record = replace(
        epid.image(np.eye(16), 1.0),
        identity=Identity(patient_id=SECRET, plan_label=SECRET, beam_name=SECRET),
        label=SECRET,
        texts={"RTImageDescription": SECRET},
        machine_name=SECRET,
        machine_serial=SECRET,
        study_uid=f"1.2.{SECRET}",
        sop_instance_uid=f"1.2.{SECRET}",
        warnings=(SECRET,),
    )
    assert SECRET.encode() not in dicom_stream(record).getvalue()


def test_pylinac_is_silent_and_its_words_stay_inside(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def talk() -> None:
        print(SECRET)
        print(SECRET, file=sys.stderr)
        warnings.warn(SECRET, stacklevel=1)
        for name in ("pylinac.image", "matplotlib.font_manager", "pydicom"):
            logging.getLogger(name).error(SECRET)
        raise ValueError(f"/home/{SECRET}/RI.dcm could not be read")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(AnalysisError) as raised, pylinac_at_work("no star is found"):
            talk()
    out, err = capfd.readouterr()
    assert (out, err, caplog.text, told) == ("", "", "", [])
    assert str(raised.value) == "no star is found (ValueError)"
    assert raised.value.__suppress_context__
    logging.getLogger("pylinac").error("afterwards")
    assert "afterwards" in caplog.text


def test_what_is_not_the_images_fault_goes_through() -> None:
    with pytest.raises(MemoryError), pylinac_at_work("no star is found"):
        raise MemoryError
    with pytest.raises(AnalysisError, match="our own words"), pylinac_at_work("no star is found"):
        raise AnalysisError("our own words")


def test_it_runs_where_no_home_can_be_written_and_says_nothing(tmp_path: Path) -> None:
    """As under systemd: the home folder is not there, and no screen."""
    code = (
        "import numpy as np, sys\n"
        "from analyzers.machine import field\n"
        "from analyzers.core import Context, AnalysisError\n"
        "from analyzers.portal_images import PortalImage\n"
        "dark = np.zeros((64, 64), np.uint16)\n"
        "image = PortalImage(dark, dark * 1.0, (1.0, 1.0), sid_mm=1000.0)\n"
        "assert 'matplotlib' not in sys.modules and 'pylinac' not in sys.modules\n"
        "try:\n"
        "    field.analyze(image, Context('truebeam', field.FieldSettings()))\n"
        "except AnalysisError as why:\n"
        "    print(why)\n"
        "import matplotlib\n"
        "print(matplotlib.get_backend())\n"
    )
    bare = {"PATH": "/usr/bin:/bin", "HOME": "/proc/nowhere", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=bare)
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first.startswith("the field could not be measured (")
    assert second.lower() == "agg"
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_no_analyzer_loads_pylinac_by_being_listed() -> None:
    code = (
        "import sys; from analyzers.catalogue import load; load()\n"
        "print([m for m in ('pylinac', 'matplotlib', 'skimage', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_the_record_does_not_know_is_left_out() -> None:
    bare = PortalImage(np.zeros((4, 4), np.uint8), np.zeros((4, 4)), (1.0, 1.0))
    with pylinac_at_work("it cannot be read"):
        from pylinac.core.image import LinacDicomImage

        read = LinacDicomImage(dicom_stream(bare), missing_axis_value="raise")
        assert read.sid is None
        with pytest.raises(ValueError, match="Gantry"):
            _ = read.gantry_angle
