"""What a portal image shows: each test of its content, and what it saw, as a sentence.

A test is sure, or sees something that is enough where a label says the same.  What looks like a
test of a machine and is none of those known is `odd`: a person decides, and no rule that comes
later takes it for a patient's.  Numbers: the seven and four strips of the VMAT tests, 20 and 30 mm
apart, are those of the plans Varian gives to its customers (T2 and T3; Ling 2008, Int J Radiat
Oncol Biol Phys 72:575), as pylinac measures them too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyzers.numerics import image_fields as fields
from analyzers.numerics.image_patterns import Field, Picture, picture_of
from analyzers.numerics.image_rings import rings
from analyzers.numerics.image_spokes import THROUGH_AXIS_MM, slit, star
from analyzers.numerics.image_stripes import Seams, seams, stripes
from analyzers.portal_images import ImageKind, Pixels, Polarity, PortalImage

LEAST_DISCS = 8
DISC_SPACING_DEG = (9.0, 20.0)
FAINT_SEAM = 0.004
"""Where a label names a VMAT test: leaves that meet well leave little between two strips."""


@dataclass(frozen=True, slots=True)
class Strips:
    """A VMAT test: strips side by side, and how far their seams are apart."""

    kind: ImageKind
    seams: int
    pitch_mm: tuple[float, float]
    pitch_px_shares: tuple[float, float]
    """Width of the field over the pitch."""


STRIPS = (
    Strips(ImageKind.VMAT_DRGS, 6, (17.0, 23.0), (6.4, 7.7)),
    Strips(ImageKind.VMAT_DRMLC, 3, (26.0, 34.0), (3.6, 4.5)),
)
MOST_SEAM = 0.6
CENTERED_MM = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing an image shows; `rule` is the short name of the test that saw it."""

    kind: ImageKind
    rule: str
    evidence: str
    sure: bool = True
    phantom: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """All that an image shows; `odd` and `plain` say what fits no kind."""

    seen: tuple[Seen, ...] = ()
    odd: str | None = None
    """Looks like a test of a machine, but like none that is known."""
    plain: str = ""
    """What there is to say where nothing was seen."""
    blank: bool = False

    @property
    def sure(self) -> tuple[Seen, ...]:
        """What needs no label."""
        return tuple(seen for seen in self.seen if seen.sure)

    def shows(self, kind: ImageKind) -> Seen | None:
        """The sight of that kind, sure or not."""
        return next((seen for seen in self.seen if seen.kind is kind), None)


def look_at(image: PortalImage) -> Look:
    """Every test of the content of an image, both ways where nothing tells its polarity."""
    looks = [_look(image, image.values)]
    if image.polarity is Polarity.UNKNOWN:
        looks.append(_look(image, -image.values))
    best = [look for look in looks if look.sure] or [looks[0]]
    if len(best) == 1:
        return best[0]
    seen = {each.kind: each for look in best for each in look.seen}
    return Look(tuple(seen.values()), odd=best[0].odd or best[1].odd)


def _look(image: PortalImage, values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Look:
    spacing_mm = float(np.mean(image.spacing_mm)) / image.magnification
    dark = 0.0 if image.pixels is Pixels.CALIBRATED else None
    picture = picture_of(values, spacing_mm, image.center_px, dark)
    if picture is None:
        return Look(plain="the picture is blank, or no more than noise", blank=True)
    pickets = _pickets(picture)
    if pickets and pickets[0].sure:
        return Look(tuple(pickets + _spokes(picture)))
    seen = [*pickets, *_spokes(picture), *_round(picture)]
    field = picture.field
    if field is None:
        return Look(tuple(seen), plain="no field stands out of the picture")
    if fields.is_small(field):
        return _small(picture, field, seen)
    return _large(picture, field, seen, filter_free="FFF" in (image.energy or ""))


def _pickets(picture: Picture) -> list[Seen]:
    found = stripes(picture)
    if found is None:
        return []
    places = "place" if found.missing == 1 else "places"
    gaps = f", {found.missing} {places} empty" if found.missing else ""
    evidence = (
        f"{found.count} parallel stripes {found.pitch_mm:.1f} mm apart, {found.width_mm:.1f} mm "
        f"wide{gaps}"
    )
    return [Seen(ImageKind.PICKET_FENCE, "stripes", evidence, found.sure)]


def _spokes(picture: Picture) -> list[Seen]:
    found = star(picture)
    if found is None:
        return []
    evidence = f"{found.arms} narrow arms meet in one point"
    return [Seen(ImageKind.STARSHOT, "spokes", evidence, sure=found.lines >= 2)]


def _round(picture: Picture) -> list[Seen]:
    found = rings(picture)
    if found is None:
        return []
    low, high = DISC_SPACING_DEG
    discs = found.discs if low <= found.spacing_deg <= high else 0
    evidence = f"a round object of {2.0 * found.radius_mm:.0f} mm with {discs} discs on a circle"
    is_leeds = discs >= LEAST_DISCS
    phantom = "LeedsTOR" if is_leeds else None
    return [Seen(ImageKind.PLANAR_PHANTOM, "round phantom", evidence, is_leeds, phantom)]


def _size(field: Field) -> str:
    return f"{field.sides_mm[0]:.0f} x {field.sides_mm[1]:.0f} mm"


def _small(picture: Picture, field: Field, seen: list[Seen]) -> Look:
    found = fields.ball(picture, field)
    if found is not None:
        evidence = (
            f"a field of {_size(field)} with a round shadow of {found.diameter_mm:.0f} mm in it, "
            f"{100.0 * found.depth:.1f} % deep"
        )
        seen = [
            *seen,
            Seen(ImageKind.WINSTON_LUTZ, "ball", evidence, sure=found.sure),
        ]
        return Look(tuple(seen), plain=evidence)
    bare = f"a field of {_size(field)} with no ball in it"
    if fields.is_steep(picture, field):
        evenness = fields.evenness(picture, field)
        if evenness is not None and evenness.may_be_open:
            seen = [*seen, Seen(ImageKind.OPEN_FIELD, "even field", bare, sure=False)]
        return Look(tuple(seen), odd=bare, plain=bare)
    return Look(tuple(seen), plain=f"a small field of {_size(field)} with slopes")


def _large(picture: Picture, field: Field, seen: list[Seen], filter_free: bool) -> Look:
    line = slit(picture, field)
    if line is not None:
        evidence = (
            f"one slit of {line.width_mm:.0f} x {line.length_mm:.0f} mm that passes the axis "
            f"{line.off_axis_mm:.0f} mm away"
        )
        through = line.off_axis_mm <= THROUGH_AXIS_MM
        seen = [*seen, Seen(ImageKind.STARSHOT, "slit", evidence, sure=through)]
        return Look(tuple(seen), odd=None if through else evidence, plain=evidence)
    found = seams(picture, field)
    faint = found or seams(picture, field, FAINT_SEAM)
    if faint is not None:
        strips = _strips(faint, sure=found is not None and fields.is_rectangular(field))
        seen = [*seen, *strips]
        if found is not None:
            return Look(tuple(seen), odd=None if strips else _odd(found), plain=_seams(found))
    return _even(picture, field, seen, filter_free)


def _strips(found: Seams, sure: bool) -> list[Seen]:
    for each in STRIPS:
        fits = (
            found.count == each.seams
            and each.pitch_mm[0] <= found.pitch_mm <= each.pitch_mm[1]
            and each.pitch_px_shares[0]
            <= found.across_mm / found.pitch_mm
            <= each.pitch_px_shares[1]
            and abs(found.off_center_mm) <= CENTERED_MM
            and abs(found.depth) <= MOST_SEAM
        )
        if fits:
            evidence = (
                f"{each.seams + 1} strips side by side, seams {found.pitch_mm:.1f} mm apart, "
                f"{100.0 * found.depth:+.1f} % of the signal"
            )
            return [Seen(each.kind, "strips", evidence, sure)]
    return []


def _seams(found: Seams) -> str:
    apart = f" {found.pitch_mm:.1f} mm apart" if found.pitch_mm else ""
    return f"{found.count} thin parallel lines{apart} through a field"


def _odd(found: Seams) -> str | None:
    return _seams(found) if found.pitch_mm > 0.0 and found.count >= 3 else None


def _even(picture: Picture, field: Field, seen: list[Seen], filter_free: bool) -> Look:
    evenness = fields.evenness(picture, field)
    if evenness is None:
        return Look(tuple(seen), plain=f"an irregular field within {_size(field)}")
    if evenness.may_be_open:
        evidence = f"one even rectangular field of {_size(field)}"
        sure = evenness.is_open(filter_free)
        seen = [*seen, Seen(ImageKind.OPEN_FIELD, "even field", evidence, sure)]
        return Look(tuple(seen), plain=evidence)
    how = "rectangular" if evenness.rectangular else "irregular"
    uneven = f"{100.0 * evenness.rough:.1f} % uneven"
    return Look(tuple(seen), plain=f"one {how} field within {_size(field)}, {uneven}")
