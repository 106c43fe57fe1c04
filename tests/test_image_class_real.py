"""Kinds of every real image, and of what real plans would let an imager see."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

from analyzers.core import ReadError
from analyzers.formats import dicom_rtplan
from analyzers.image_class import classify
from analyzers.numerics.fluence import delivered_fluence
from analyzers.plan_records import Beam
from analyzers.portal_images import ImageKind, Polarity, PortalImage
from tests import real_data

PICKETS = ("PF Stat", "T1.1", "T1.2")
RADIUS_OF_LEAF_ENDS_MM = 0.8
"""So far beyond its end light comes past a leaf: half the dosimetric gap of a Millennium 120."""


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix != ".zip":
        yield path.name, path.read_bytes()
        return
    with zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            if not name.endswith("/"):
                yield name, packed.read(name)


def _dicom(content: bytes) -> PortalImage:
    data = pydicom.dcmread(io.BytesIO(content), force=True)
    if "TransferSyntaxUID" not in data.file_meta:
        data.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    stored = data.pixel_array
    values = stored.astype(np.float64)
    border = np.median(np.concatenate([values[3], values[-4], values[:, 3], values[:, -4]]))
    low, high = np.percentile(values, (0.2, 99.8))
    values = values if high - border >= border - low else -values
    keywords = ("SeriesDescription", "RTImageDescription")
    texts = {word: str(data.get(word)) for word in keywords if data.get(word)}
    row, column = (float(each) for each in data.ImagePlanePixelSpacing)
    return PortalImage(
        stored=stored,
        values=values,
        spacing_mm=(row, column),
        sid_mm=float(data.RTImageSID),
        polarity=Polarity.SEEN,
        label=str(data.get("RTImageLabel", "")),
        texts={**texts, "ImageType": "\\".join(data.ImageType)},
    )


def _film(content: bytes) -> PortalImage:
    stored = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    values = stored.astype(np.float64)
    return PortalImage(stored=stored, values=values, spacing_mm=(0.26, 0.26))


def _expected(path: Path, name: str) -> ImageKind:
    """By the folder, and by what its manifest says is in the file."""
    if path.parent.name == "bozhikov":
        return ImageKind.OTHER
    if path.parts[-3] == "epid-vmat":
        if "open" in name:
            return ImageKind.OPEN_FIELD
        return ImageKind.VMAT_DRGS if "DRGS" in name else ImageKind.VMAT_DRMLC
    return {
        "epid-pf": ImageKind.PICKET_FENCE,
        "epid-wl": ImageKind.WINSTON_LUTZ,
        "epid-open": ImageKind.OPEN_FIELD,
        "epid-star": ImageKind.STARSHOT,
        "epid-planar": ImageKind.PLANAR_PHANTOM,
    }[path.parts[-3]]


FILES = [
    path
    for kind in ("pf", "wl", "vmat", "open", "star", "planar")
    for path in real_data.files(f"epid-{kind}", "*/*")
]


@real_data.skip_without("epid-pf")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_real_image_is_of_the_kind_it_is(path: Path) -> None:
    for name, content in _contents(path):
        image = _film(content) if "tif" in path.suffix else _dicom(content)
        found = classify(image)
        assert found.kind is _expected(path, name), (name, found)
        assert found.phantom == ("LeedsTOR" if "leeds" in name else None)


@real_data.skip_without("epid-pf")
def test_unlabelled_real_images_are_known_by_their_picture() -> None:
    for path in real_data.files("epid-pf", "*/*.dcm"):
        image = _dicom(path.read_bytes())
        bare = PortalImage(
            stored=image.stored,
            values=image.values,
            spacing_mm=image.spacing_mm,
            sid_mm=image.sid_mm,
            polarity=Polarity.SEEN,
        )
        assert classify(bare).rule == "stripes", path.name


def _fluence_image(beam: Beam) -> PortalImage:
    points = beam.control_points
    edges = np.linspace(-200.0, 200.0, 257)
    banks, leaf_edges, along = (-250.0, 250.0), [-200.0, 200.0], "X"
    share = points.meterset_share
    left, right = np.full((len(share), 1), banks[0]), np.full((len(share), 1), banks[1])
    if points.mlc:
        layer = points.mlc[0]
        left = np.minimum(layer.bank_a_mm, layer.bank_b_mm) - RADIUS_OF_LEAF_ENDS_MM
        right = np.maximum(layer.bank_a_mm, layer.bank_b_mm) + RADIUS_OF_LEAF_ENDS_MM
        leaf_edges, along = layer.leaf_edges_mm, layer.along
    fluence = delivered_fluence(
        share * (beam.meterset_mu or 100.0),
        left,
        right,
        leaf_edges,
        x_edges_mm=edges,
        y_edges_mm=edges,
        jaw_x_mm=points.jaws_x_mm,
        jaw_y_mm=points.jaws_y_mm,
        leaf_transmission=0.015,
        jaw_transmission=0.003,
    )
    fluence = ndimage.gaussian_filter(fluence if along == "X" else fluence.T, 0.9)[::-1]
    noisy = fluence + np.random.default_rng(1).normal(0.0, 0.002 * fluence.max(), fluence.shape)
    return PortalImage(
        stored=noisy,
        values=noisy,
        spacing_mm=(400.0 / 256, 400.0 / 256),
        sid_mm=1000.0,
        polarity=Polarity.STATED,
    )


def _allowed(path: Path, beam: Beam) -> set[ImageKind]:
    """What the picture of a beam may be taken for, without any label."""
    name = beam.name or ""
    if name.startswith(PICKETS):
        return {ImageKind.PICKET_FENCE}
    if name == "T2_DR_GS":
        return {ImageKind.VMAT_DRGS}
    if name.startswith("T3"):
        return {ImageKind.VMAT_DRMLC}
    plain = ("Open", "Dosimetry", "x")
    if any(part in name for part in plain) or "FFF" in path.name:
        return {ImageKind.OPEN_FIELD, ImageKind.UNCLASSIFIED}
    return {ImageKind.UNCLASSIFIED}


@real_data.skip_without("rtplan")
def test_no_beam_of_a_real_plan_is_taken_for_a_test_that_it_is_not() -> None:
    seen: set[tuple[object, ...]] = set()
    for path in real_data.files("rtplan", "*/*.dcm"):
        try:
            plan = dicom_rtplan.read(path)
        except ReadError:
            # Structures and dose lie there too.
            continue
        for beam in plan.beams:
            shape = beam.control_points
            same = (beam.name, "HD120" in path.name, shape.meterset_share.size)
            if same in seen or (beam.name or "").startswith(("10MV", "06MVFFF", "PF Stat 2")):
                continue
            seen.add(same)
            found = classify(_fluence_image(beam))
            assert found.kind in _allowed(path, beam), (path.name, beam.name, found)
    assert len(seen) > 20
