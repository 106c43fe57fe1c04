"""Which images are judged as one, and which open field a VMAT test is divided by."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from analyzers.portal_images import ImageKind
from qa_daemon.fractions import NANO
from qa_daemon.image_sets import SeenImage, open_field_of, set_of, strangers_in

MINUTE_NS = 60 * NANO
GAP_NS = 4 * MINUTE_NS
DAY_NS = 24 * 60 * MINUTE_NS


def seen(file: int, minute: float, kind: ImageKind = ImageKind.WINSTON_LUTZ) -> SeenImage:
    return SeenImage(
        file=file,
        sha256=f"{file:064d}",
        machine="TB1",
        kind=kind.value,
        at_ns=int(minute * MINUTE_NS),
        gathers=kind is ImageKind.WINSTON_LUTZ,
        rows=768,
        columns=1024,
        sid_mm=1500.0,
    )


def numbers(images: list[SeenImage]) -> list[int]:
    return [image.file for image in images]


def test_images_that_follow_within_the_gap_are_one_set_in_any_order_of_arrival() -> None:
    # As a real set was made: 12:38 to 12:55, pauses of up to two and a half minutes.
    images = [seen(1, 0.0), seen(2, 2.4), seen(3, 6.4), seen(4, 10.5), seen(5, 12.0)]
    for order in permutations(images):
        assert numbers(set_of(order[0], order, GAP_NS)) == [1, 2, 3] or order[0].file > 3
    assert numbers(set_of(images[3], images, GAP_NS)) == [4, 5]  # 4.1 minutes after the third


def test_images_of_another_machine_kind_energy_plan_patient_or_panel_are_not_of_it() -> None:
    first = replace(seen(1, 0.0), energy="6x", plan_uid="1.2", patient="P-A")
    same = replace(first, file=2, sha256="2")
    others = [
        replace(same, machine="TB2"),
        replace(same, kind=ImageKind.STARSHOT.value),
        replace(same, energy="10x"),
        replace(same, plan_uid="1.3"),
        replace(same, patient="P-B"),
        replace(same, rows=384),
        replace(same, sid_mm=1000.0),
        replace(same, sid_mm=None),
        replace(same, gathers=False),
    ]
    for other in others:
        assert numbers(set_of(first, [other], GAP_NS)) == [1]
    assert numbers(set_of(first, [same], GAP_NS)) == [1, 2]
    assert numbers(set_of(first, [replace(same, energy=None)], GAP_NS)) == [1, 2]


def test_an_image_that_does_not_gather_is_alone() -> None:
    fence = seen(1, 0.0, ImageKind.PICKET_FENCE)
    assert set_of(fence, [seen(2, 0.1, ImageKind.PICKET_FENCE)], GAP_NS) == [fence]


def test_an_image_without_a_ball_is_of_the_set_it_was_made_with() -> None:
    def sized(file: int, minute: float, kind: ImageKind, mm: float = 20.0) -> SeenImage:
        return replace(seen(file, minute, kind), field_x_mm=mm, field_y_mm=mm)

    ball, nobody = ImageKind.WINSTON_LUTZ, ImageKind.UNCLASSIFIED
    members = [sized(1, 0.0, ball), sized(2, 1.0, ball), sized(3, 3.0, ball)]

    def strangers(one: SeenImage) -> bool:
        return strangers_in(members, [*members, one], GAP_NS) == [one]

    assert strangers(sized(9, 2.0, nobody, 400.0))  # a blank exposure has no size
    assert strangers(sized(9, 4.0, nobody))  # the last of the set
    assert strangers(sized(9, -1.0, ImageKind.OPEN_FIELD))  # the first
    assert not strangers(sized(9, 4.0, nobody, 100.0))
    assert not strangers(sized(9, 8.0, nobody))
    assert not strangers(sized(9, 2.0, ImageKind.OPEN_FIELD, 100.0))
    assert not strangers(sized(9, 2.0, ImageKind.PICKET_FENCE))
    assert not strangers(sized(9, 2.0, ImageKind.OTHER))
    for other in ({"machine": "TB2"}, {"plan_uid": "1"}, {"patient": "P"}, {"sid_mm": 1000.0}):
        assert not strangers(replace(sized(9, 2.0, nobody), **other))  # type: ignore[arg-type]
    # Called a patient's beam for its plan, which is that of the set.
    planned = [replace(one, plan_uid="1.2") for one in members]
    dark = replace(sized(9, 2.0, ImageKind.PORTAL, 400.0), plan_uid="1.2")
    assert strangers_in(planned, [dark], GAP_NS) == [dark]
    star = [seen(1, 0.0, ImageKind.STARSHOT), seen(2, 2.0, ImageKind.STARSHOT)]
    assert strangers_in(star, [sized(9, 1.0, nobody)], GAP_NS) == []


def test_the_open_field_is_of_the_same_study_or_plan_before_the_nearest_in_time() -> None:
    test = replace(seen(1, 10.0, ImageKind.VMAT_DRGS), study_uid="s", plan_uid="p")
    near = seen(2, 9.0, ImageKind.VMAT_OPEN)
    far = replace(seen(3, 30.0, ImageKind.VMAT_OPEN), study_uid="s")
    planned = replace(seen(4, 31.0, ImageKind.OPEN_FIELD), plan_uid="p")
    assert open_field_of(test, [near], DAY_NS) == near
    assert open_field_of(test, [near, far], DAY_NS) == far
    assert open_field_of(test, [near, planned], DAY_NS) == planned
    assert open_field_of(test, [near, far], 5 * MINUTE_NS) == near
    assert open_field_of(test, [far], 5 * MINUTE_NS) is None


def test_an_open_field_that_is_another_tests_is_left_to_it() -> None:
    """Times and studies of two real tests: the nearer open field is that of the other."""
    drgs_open = replace(seen(1, 4.63, ImageKind.VMAT_OPEN), study_uid="a")
    drgs = replace(seen(2, 12.92, ImageKind.VMAT_DRGS), study_uid="b")
    drmlc = replace(seen(3, 15.80, ImageKind.VMAT_DRMLC), study_uid="c")
    drmlc_open = replace(seen(4, 16.37, ImageKind.VMAT_OPEN), study_uid="c")
    every = [drgs_open, drgs, drmlc, drmlc_open]
    assert open_field_of(drgs, every, DAY_NS) == drgs_open
    assert open_field_of(drmlc, every, DAY_NS) == drmlc_open
    # Alone with it, it is taken: it is an open field of the same panel all the same.
    assert open_field_of(drgs, [drgs, drmlc, drmlc_open], DAY_NS) == drmlc_open


def test_of_two_open_fields_as_near_the_one_before_is_taken() -> None:
    test = seen(1, 10.0, ImageKind.VMAT_DRMLC)
    before, after = seen(2, 9.0, ImageKind.VMAT_OPEN), seen(3, 11.0, ImageKind.VMAT_OPEN)
    assert open_field_of(test, [after, before], DAY_NS) == before
    assert open_field_of(test, [replace(before, machine="TB2")], DAY_NS) is None
