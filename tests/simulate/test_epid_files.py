"""The commands that write portal images: what the reader finds is what was stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers.formats.dicom_rtimage import read
from analyzers.portal_images import Pixels, PortalImage
from qa_daemon.__main__ import app
from qa_daemon.simulate import (
    epid_open_field,
    epid_picket_fence,
    epid_planar_phantom,
    epid_starshot,
    epid_vmat,
    epid_winston_lutz,
)
from qa_daemon.simulate.epid_open_field import open_field
from qa_daemon.simulate.epid_panel import imager_of

SAME = [
    *("pixels", "unit", "sign", "spacing_mm", "sid_mm", "gantry_deg", "collimator_deg"),
    *("meterset_mu", "energy", "label", "maker", "model", "machine_name", "machine_serial"),
    *("performed_at", "study_uid", "sop_instance_uid"),
]


def written(tmp_path: Path, *words: str) -> list[PortalImage]:
    answer = CliRunner().invoke(app, ["simulate", words[0], "--out", str(tmp_path), *words[1:]])
    assert answer.exit_code == 0, answer.output
    return [read(path) for path in sorted(tmp_path.glob("*.dcm"))]


@pytest.mark.parametrize("panel", ["as500", "iview"])
def test_what_is_read_is_what_was_simulated(tmp_path: Path, panel: str) -> None:
    (found,) = written(tmp_path, "epid-open-field", "--panel", panel)
    wanted = open_field(imager=imager_of(panel))
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-9)
    assert np.array_equal(found.stored, wanted.stored)
    assert found.axis_px == pytest.approx(wanted.axis_px)
    for name in SAME:
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.aperture is not None and found.aperture.jaw_x_mm is not None
    assert list(found.aperture.jaw_x_mm) == [-50.0, 50.0]
    assert (found.pixels is Pixels.RELATIVE) == (panel == "iview")


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("epid-picket-fence", "--leaf", "A31=0.5,B12=-1"), ["PF"]),
        (("epid-starshot", "--wobble-mm", "0.5"), ["Starshot"]),
        (("epid-starshot", "--apart", "yes", "--spokes", "3"), ["Starshot"] * 3),
        (("epid-vmat", "--test", "drmlc", "--segment", "2=3"), ["DRMLC", "OpenBeam"]),
        (("epid-planar-phantom", "--phantom", "qc-3"), ["QC-3"]),
        (
            ("epid-winston-lutz", "--up-mm", "1.2", "--targets", "-30/20/0"),
            [f"WL G{gantry} C0 T0" for gantry in (0, 180, 270, 90)],
        ),
    ],
)
def test_every_kind_is_written(tmp_path: Path, words: tuple[str, ...], labels: list[str]) -> None:
    found = written(tmp_path, *words, "--panel", "as500")
    assert [image.label for image in found] == labels
    assert len({image.sop_instance_uid for image in found}) == len(labels)
    assert {image.shape for image in found} == {(384, 512)}


def test_options_without_sense_are_refused(tmp_path: Path) -> None:
    for writer, option in (
        (epid_picket_fence, {"mlc": "x"}),
        (epid_picket_fence, {"width_mm": 20.0}),
        (epid_picket_fence, {"mu": 0.0}),
        (epid_picket_fence, {"seed": -1}),
        (epid_picket_fence, {"blur_mm": 0.0}),
        (epid_winston_lutz, {"images": 5}),
        (epid_winston_lutz, {"targets": "3/4"}),
        (epid_vmat, {"test": "x"}),
        (epid_vmat, {"segment": "a=3"}),
        (epid_open_field, {"beam": "x"}),
        (epid_starshot, {"spokes": 2}),
        (epid_planar_phantom, {"phantom": "x"}),
    ):
        with pytest.raises(ValueError, match=r"expected|written as"):
            writer.simulate(tmp_path, **option)  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())
