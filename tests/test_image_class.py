"""Kinds of portal images: many drawn ones, real ones, and fluences of real plans."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analyzers.image_class import classify
from analyzers.portal_images import Classified, ImageKind, Polarity, PortalImage
from analyzers.records import Identity
from tests.portal_pictures import MACHINE, NOTHING, TINY_PANELS, open_field, picket_fence
from tests.portal_pictures_clinical import CLINICAL, UNKNOWN

MANY = 16
MOST_UNCLASSIFIED = 1
OF_A_PLAN = Identity(plan_uid="1.2.3", beam_number=1)


def drawn(name: str, number: int) -> PortalImage:
    make = {**MACHINE, **NOTHING, **CLINICAL, **UNKNOWN}[name]
    return make(np.random.default_rng([number, *name.encode()]), TINY_PANELS)


@pytest.mark.parametrize("name", MACHINE)
def test_a_test_of_a_machine_is_known_by_its_picture_and_never_taken_for_another(
    name: str,
) -> None:
    found = Counter(classify(drawn(name, i)).kind.name for i in range(MANY))
    assert set(found) <= {name.split()[0], "UNCLASSIFIED"}
    assert found["UNCLASSIFIED"] <= MOST_UNCLASSIFIED


@pytest.mark.parametrize("name", [*NOTHING, *UNKNOWN])
def test_what_shows_no_known_test_is_for_a_person(name: str) -> None:
    found = Counter(classify(drawn(name, i)).kind for i in range(MANY // 2))
    assert set(found) == {ImageKind.UNCLASSIFIED}


@pytest.mark.parametrize("name", CLINICAL)
def test_a_patient_s_beam_is_no_test_of_a_machine(name: str) -> None:
    found = Counter[ImageKind]()
    for i in range(MANY // 2):
        image = replace(drawn(name, i), identity=OF_A_PLAN, meterset_mu=87.0)
        found[classify(image).kind] += 1
    assert set(found) <= {ImageKind.PORTAL, ImageKind.UNCLASSIFIED}
    assert found[ImageKind.UNCLASSIFIED] <= MOST_UNCLASSIFIED


def test_a_patient_s_beam_without_plan_or_meterset_is_for_a_person() -> None:
    image = drawn("sliding window", 0)
    for less in (
        image,
        replace(image, identity=OF_A_PLAN, meterset_mu=None),
        replace(image, identity=OF_A_PLAN, meterset_mu=5.0),
        replace(image, meterset_mu=87.0),
    ):
        assert classify(less).kind is ImageKind.UNCLASSIFIED


def labelled(name: str, label: str, **texts: str) -> Classified:
    return classify(replace(drawn(name, 1), label=label, texts=texts))


@pytest.mark.parametrize(
    ("name", "label", "kind"),
    [
        ("PICKET_FENCE", "PF 270", ImageKind.PICKET_FENCE),
        ("OPEN_FIELD", "PF 270", ImageKind.UNCLASSIFIED),
        ("noise", "picket fence", ImageKind.UNCLASSIFIED),
        ("sliding window", "T1.2_PF_RA_error", ImageKind.UNCLASSIFIED),
        ("VMAT_DRGS", "PF0", ImageKind.UNCLASSIFIED),
        ("bare small field", "WL 90", ImageKind.UNCLASSIFIED),
        ("WINSTON_LUTZ", "Winston-Lutz", ImageKind.WINSTON_LUTZ),
        ("VMAT_DRGS", "T2_DR_GS", ImageKind.VMAT_DRGS),
        ("VMAT_DRMLC", "T2_DR_GS", ImageKind.UNCLASSIFIED),
        ("VMAT_DRMLC", "T3MLCSpeed", ImageKind.VMAT_DRMLC),
        ("OPEN_FIELD", "T3MLCSpeed", ImageKind.UNCLASSIFIED),
        ("OPEN_FIELD", "T2", ImageKind.UNCLASSIFIED),
        ("OPEN_FIELD", "T2_OP", ImageKind.OPEN_FIELD),
        ("OPEN_FIELD", "T3 OpenBeam", ImageKind.OPEN_FIELD),
        ("OPEN_FIELD", "starshot", ImageKind.UNCLASSIFIED),
        ("STARSHOT", "starshot", ImageKind.STARSHOT),
        ("transit", "Leeds", ImageKind.PLANAR_PHANTOM),
        ("PICKET_FENCE", "Leeds", ImageKind.UNCLASSIFIED),
        ("noise", "Las Vegas", ImageKind.UNCLASSIFIED),
        ("PICKET_FENCE", "T2 ball flat", ImageKind.PICKET_FENCE),
        ("sliding window", "Predicted_PF", ImageKind.PREDICTED),
    ],
)
def test_a_label_counts_where_the_picture_shows_the_same(
    name: str, label: str, kind: ImageKind
) -> None:
    found = labelled(name, label)
    assert found.kind is kind, found
    assert found.evidence


def test_evidence_repeats_no_text_of_the_image() -> None:
    for name in ("PICKET_FENCE", "OPEN_FIELD", "sliding window", "noise"):
        found = labelled(name, "PF Doe^Jane 4711", SeriesDescription="Doe Jane + PF0")
        assert not {"doe", "jane", "4711"} & set(found.evidence.lower().replace("^", " ").split())


def test_a_phantom_s_name_comes_with_its_label() -> None:
    assert labelled("transit", "LAS VEGAS weekly").phantom == "LasVegas"
    assert labelled("transit", "Doselab").phantom is None


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ({"ImageType": "DERIVED\\SECONDARY\\DRR"}, ImageKind.OTHER),
        ({"ImageType": "ORIGINAL\\PRIMARY\\SIMULATOR"}, ImageKind.OTHER),
        ({"ImageType": "ORIGINAL\\PRIMARY\\PORTAL", "KVP": "80"}, ImageKind.OTHER),
        ({"ImageType": "ORIGINAL\\PRIMARY\\PORTAL", "KVP": "6000"}, ImageKind.PICKET_FENCE),
        ({"KVP": "80", "SeriesDescription": "QC-3 weekly"}, ImageKind.PLANAR_PHANTOM),
    ],
)
def test_what_is_no_beam_that_treats_is_no_test_of_it(
    texts: dict[str, str], kind: ImageKind
) -> None:
    assert classify(replace(drawn("PICKET_FENCE", 2), texts=texts)).kind is kind


def test_an_image_with_one_value_is_for_a_person() -> None:
    flat = np.full((384, 512), 7.0)
    image = PortalImage(stored=flat, values=flat, spacing_mm=(0.784, 0.784), sid_mm=1500.0)
    assert classify(image).kind is ImageKind.UNCLASSIFIED
    for bad in (np.full((384, 512), np.nan), np.ones((3, 3)), np.ones((1, 4000))):
        odd = replace(image, stored=bad, values=bad)
        assert classify(odd).kind is ImageKind.UNCLASSIFIED


def test_an_image_of_unknown_polarity_is_looked_at_both_ways() -> None:
    fence = picket_fence(np.random.default_rng(3), TINY_PANELS)
    turned = replace(fence, values=-fence.values, polarity=Polarity.UNKNOWN)
    assert classify(turned).kind is ImageKind.PICKET_FENCE


def test_an_open_field_through_the_whole_panel_is_known_where_no_signal_is_known() -> None:
    image = open_field(np.random.default_rng(5), TINY_PANELS)
    assert classify(image).rule == "even field"
