from __future__ import annotations

import numpy as np
import pytest

from analyzers.core import AnalysisError
from analyzers.formats.dicom_rtimage import read
from analyzers.machine.planar_image import ANALYZER
from analyzers.portal_images import Classified, ImageKind
from tests import epid, real_data
from tests.machine.judging import measured, run, verdict

FLAT = epid.judged(epid.image(np.full((200, 200), 0.5), 0.5), ImageKind.PLANAR_PHANTOM)


def test_an_unknown_phantom_is_never_guessed() -> None:
    with pytest.raises(AnalysisError, match="set `phantom`"):
        run(ANALYZER, FLAT)
    named = FLAT.as_kind(Classified(ImageKind.PLANAR_PHANTOM, "label", "by the test", "Acme 7"))
    with pytest.raises(AnalysisError, match="set `phantom`"):
        run(ANALYZER, named)


@pytest.mark.parametrize("phantom", ["Las Vegas", "QC-3", "Leeds TOR 18 FG"])
def test_a_phantom_is_known_by_the_names_people_write(phantom: str) -> None:
    kind = Classified(ImageKind.PLANAR_PHANTOM, "label", "by the test", phantom)
    with pytest.raises(AnalysisError, match="the phantom could not be measured as"):
        run(ANALYZER, FLAT.as_kind(kind))


@real_data.skip_without("epid-planar")
def test_a_real_phantom_reads_as_pylinac_reads_its_file() -> None:
    (path,) = real_data.files("epid-planar", "**/*leeds.dcm")
    (peer,) = real_data.peer_reads("epid-planar").values()
    image = epid.judged(read(path), ImageKind.PLANAR_PHANTOM)
    found = measured(ANALYZER, image, phantom="LeedsTOR")
    for metric in ("median_contrast", "median_cnr", "num_contrast_rois_seen"):
        assert found[metric].value == pytest.approx(peer[metric], rel=1e-6)
    assert all(verdict(m) is None for m in found.values()), "trended, not judged"
