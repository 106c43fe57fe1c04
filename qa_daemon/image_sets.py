"""Which images belong together: sets that are judged as one, and the open field of a VMAT test.

The answer depends on what has arrived, never on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzers.portal_images import ImageKind

SAME_SID_MM = 2.0
MOST_OF_A_SET = 200
"""More images than this without a pause are no set, whatever they are called: each is alone."""
VMAT_TESTS = (ImageKind.VMAT_DRGS.value, ImageKind.VMAT_DRMLC.value)
BALLS = ImageKind.WINSTON_LUTZ.value
STRANGERS = (
    ImageKind.UNCLASSIFIED.value,
    ImageKind.PORTAL.value,
    ImageKind.OPEN_FIELD.value,
)
"""What an image of a Winston-Lutz set is taken for where its ball, or all of it, is dark."""
SAME_FIELD_MM = 3.0
STRANGER = (
    "no ball is seen in {count} of the images that were made with this set, and a set is judged "
    "with all of its images: look at those that nobody could tell, say what they show, or take the "
    "set anew"
)
OPEN_FIELDS = (ImageKind.VMAT_OPEN.value, ImageKind.OPEN_FIELD.value)
"""An open partner that nothing calls one looks like any open field."""


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image as far as others are compared with it; `at_ns` is when it was made.

    `file` is its row or its number, `sha256` its content.  Images of one set are of one `place`.
    """

    file: int
    sha256: str
    machine: str | None
    kind: str
    at_ns: int
    gathers: bool = False
    place: str = ""
    rows: int = 0
    columns: int = 0
    sid_mm: float | None = None
    energy: str | None = None
    field_x_mm: float | None = None
    field_y_mm: float | None = None
    study_uid: str | None = field(default=None, repr=False)
    plan_uid: str | None = field(default=None, repr=False)
    patient: str | None = field(default=None, repr=False)

    @property
    def order(self) -> tuple[int, str, int]:
        """Earlier images first, in the same order wherever they came from."""
        return self.at_ns, self.sha256, self.file


def set_of(image: SeenImage, others: Sequence[SeenImage], gap_ns: int) -> list[SeenImage]:
    """The images that are judged as one with an image, itself among them, in order.

    They are of one machine, kind, plan, patient, energy and panel, and each was made at most
    `gap_ns` after the one before.
    """
    if not image.gathers:
        return [image]
    alike = [
        other for other in others if other.file != image.file and _are_of_one_set(image, other)
    ]
    ordered = sorted([image, *alike], key=lambda one: one.order)
    place = ordered.index(image)
    first = place
    while first and ordered[first].at_ns - ordered[first - 1].at_ns <= gap_ns:
        first -= 1
    last = place
    while last + 1 < len(ordered) and ordered[last + 1].at_ns - ordered[last].at_ns <= gap_ns:
        last += 1
    found = ordered[first : last + 1]
    return found if len(found) <= MOST_OF_A_SET else [image]


def strangers_in(
    members: Sequence[SeenImage], others: Sequence[SeenImage], gap_ns: int
) -> list[SeenImage]:
    """The images that were made with a Winston-Lutz set, and in which no ball was seen.

    A set is judged by its worst image: one whose ball is not on it would leave without a word.
    One counts that nobody can tell, or that is of the very plan, between the first of the set and
    the last; and one with a field of the same size, also right before and after.
    """
    if members[0].kind != BALLS or not members[0].gathers:
        return []
    first, last = members[0], members[-1]
    return [
        one
        for one in others
        if one.kind in STRANGERS
        and _are_alike(first, one)
        and _was_made_with(first, last, one, gap_ns)
    ]


def _was_made_with(first: SeenImage, last: SeenImage, one: SeenImage, gap_ns: int) -> bool:
    is_told = one.kind == ImageKind.PORTAL.value and _told_equal(first.plan_uid, one.plan_uid)
    if first.at_ns < one.at_ns < last.at_ns and (
        is_told or one.kind == ImageKind.UNCLASSIFIED.value
    ):
        return True
    sides = (first.field_x_mm, one.field_x_mm), (first.field_y_mm, one.field_y_mm)
    return first.at_ns - gap_ns <= one.at_ns <= last.at_ns + gap_ns and all(
        own is not None and other is not None and abs(own - other) <= SAME_FIELD_MM
        for own, other in sides
    )


def open_field_of(test: SeenImage, others: Sequence[SeenImage], gap_ns: int) -> SeenImage | None:
    """The open field that a VMAT test is divided by; None: there is none within `gap_ns`.

    One of the same study or plan comes first, and one that another test of these has a better
    claim to comes last; of equals the nearest in time, before the test rather than after.
    """
    tests = [other for other in others if other.kind in VMAT_TESTS and other.file != test.file]
    found = [
        (rank, one)
        for one in others
        if one.kind in OPEN_FIELDS
        and _same_panel(test, one)
        and (rank := _claim(test, one))[1] <= gap_ns
    ]
    if not found:
        return None

    def claim(ranked: tuple[tuple[int, int, bool], SeenImage]) -> tuple[int, int, bool]:
        (stranger, apart_ns, is_after), one = ranked
        rivals = [t for t in tests if _same_panel(t, one) and t.machine == test.machine]
        is_others = stranger > 0 and any(_claim(t, one)[0] == 0 for t in rivals)
        return stranger + is_others, apart_ns, is_after

    return min(found, key=lambda ranked: (*claim(ranked), ranked[1].order))[1]


def _claim(test: SeenImage, one: SeenImage) -> tuple[int, int, bool]:
    related = _told_equal(test.study_uid, one.study_uid) or (
        _told_equal(test.plan_uid, one.plan_uid)
    )
    return int(not related), abs(test.at_ns - one.at_ns), one.at_ns > test.at_ns


def _told_equal(one: str | None, other: str | None) -> bool:
    return one is not None and one == other


def _are_of_one_set(one: SeenImage, other: SeenImage) -> bool:
    return other.gathers and other.kind == one.kind and _are_alike(one, other)


def _are_alike(one: SeenImage, other: SeenImage) -> bool:
    return (
        other.place == one.place
        and other.plan_uid == one.plan_uid
        and other.patient == one.patient
        and (None in (one.energy, other.energy) or one.energy == other.energy)
        and _same_panel(one, other)
    )


def _same_panel(one: SeenImage, other: SeenImage) -> bool:
    if (one.machine, one.rows, one.columns) != (other.machine, other.rows, other.columns):
        return False
    if one.sid_mm is None or other.sid_mm is None:
        return one.sid_mm is other.sid_mm
    return abs(one.sid_mm - other.sid_mm) <= SAME_SID_MM
