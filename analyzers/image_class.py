"""What kind of image a portal image is, by ordered rules, each with its evidence.

1. the site's own rules; 2. the type the file states (DRR, simulator, kilovolt); 3. labels, where
the picture shows the same; 4. the picture alone; 5. plan, beam and meterset: a clinical image.
What no rule fits, or two fit, is for a person.  A label alone makes no image a test of a machine:
a picket fence without pickets, or a VMAT test that shows an open field, would be judged on nothing.

Evidence never repeats a text of the image: it names the word of our own list that was found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzers.image_kinds import Look, Seen, look_at
from analyzers.image_labels import Word, says_kilovolt, says_predicted, texts_of, words_in
from analyzers.image_pins import Pin, pinned
from analyzers.portal_images import Classified, ImageKind, PortalImage

LEAST_CLINICAL_MU = 20.0
KILOVOLTS = (50.0, 1000.0)
"""From more, up to less: a tube; above is a linac, and systems that write 6 mean MV."""
NO_BEAM_TYPES = {
    "DRR": "a radiograph computed from CT",
    "SIMULATOR": "a simulator image",
    "BLANK": "an image without a picture",
    "FLUENCE": "a fluence map",
}
OPEN_PARTNER = (ImageKind.VMAT_DRGS, ImageKind.VMAT_DRMLC)
_OTHER, _UNCLASSIFIED = ImageKind.OTHER, ImageKind.UNCLASSIFIED
_OPEN, _PHANTOM = ImageKind.OPEN_FIELD, ImageKind.PLANAR_PHANTOM


def classify(image: PortalImage, pins: Sequence[Pin] = (), folder: str | None = None) -> Classified:
    """The kind of an image, the rule that told it, and what the rule saw.

    `pins` are the site's own rules, `folder` is the path of the folder the file lay in.  Rules:
    `pinned`, `image type`, `predicted`, `label` (a word and the picture agree), `stripes`, `ball`,
    `strips`, `even field`, `spokes`, `slit`, `round phantom` (the picture alone), `kilovolt`,
    `plan` (clinical), and for UNCLASSIFIED `label and picture`, `two kinds`, `odd` and `nothing`.
    """
    by_site = pinned(image, pins, folder)
    if by_site is not None:
        return by_site
    by_type = _by_type(image)
    if by_type is not None:
        return by_type
    texts = texts_of(image)
    if says_predicted(texts):
        return Classified(ImageKind.PREDICTED, "predicted", "a text calls it a predicted image")
    look = look_at(image)
    if _is_kilovolt(image, texts):
        return _kilovolt(look, words_in(texts))
    return _by_words(look, words_in(texts)) or _by_picture(look) or _by_plan(image, look)


def _by_type(image: PortalImage) -> Classified | None:
    stated = re.findall(r"[A-Z]+", image.texts.get("ImageType", "").upper())
    for word in stated:
        if word in NO_BEAM_TYPES:
            evidence = f"its type is {word}: {NO_BEAM_TYPES[word]}"
            return Classified(_OTHER, "image type", evidence)
    return None


def _is_kilovolt(image: PortalImage, texts: Sequence[str]) -> bool:
    try:
        kilovolts = float(image.texts.get("KVP", "nan"))
    except ValueError:
        kilovolts = float("nan")
    low, high = KILOVOLTS
    if low < kilovolts < high:
        return True
    is_radiograph = "RADIOGRAPH" in image.texts.get("ImageType", "").upper()
    return is_radiograph or (image.energy is None and says_kilovolt(texts))


def _kilovolt(look: Look, words: Sequence[Word]) -> Classified:
    """A kilovolt image shows a phantom, or is none of a beam that treats."""
    phantom = next((word for word in words if word.kind is _PHANTOM), None)
    seen = look.shows(_PHANTOM)
    if look.blank:
        return Classified(_UNCLASSIFIED, "nothing", look.plain)
    if phantom is not None or (seen is not None and seen.sure):
        return _planar(phantom, seen, look)
    return Classified(_OTHER, "kilovolt", "an image of the kilovolt system without a phantom")


def _planar(word: Word | None, seen: Seen | None, look: Look) -> Classified:
    shown = seen.evidence if seen is not None else look.plain
    if word is None:
        assert seen is not None
        return Classified(_PHANTOM, seen.rule, shown, seen.phantom)
    name = word.phantom or (seen.phantom if seen is not None else None)
    return Classified(_PHANTOM, "label", f"labelled {word.name}; {shown}", name)


def _by_words(look: Look, words: Sequence[Word]) -> Classified | None:
    """What a label says and the picture shows as well; UNCLASSIFIED where a firm label errs."""
    sure = {seen.kind for seen in look.sure}
    for word in words:
        agreed = _agreed(look, word, sure)
        if agreed is not None:
            return agreed
    shown = _shown(look)
    firm = next((word for word in words if word.firm), None)
    partner = next((word for word in words if word.kind in OPEN_PARTNER), None)
    is_open = sure == {_OPEN}
    if is_open and partner is not None and any(word.kind is _OPEN for word in words):
        evidence = f"labelled {partner.name}, open: the open field of a VMAT test; {shown}"
        return Classified(_OPEN, "label", evidence)
    if firm is None and not (is_open and partner is not None):
        return None
    said = firm or partner
    assert said is not None
    evidence = f"labelled {said.name} ({said.kind.value}), but the picture shows: {shown}"
    return Classified(_UNCLASSIFIED, "label and picture", evidence)


def _agreed(look: Look, word: Word, sure: set[ImageKind]) -> Classified | None:
    if word.kind is _OPEN and sure != {_OPEN} and sure:
        return None
    if word.kind is _PHANTOM:
        fits = not look.blank and look.odd is None and sure <= {_PHANTOM}
        return _planar(word, look.shows(_PHANTOM), look) if fits else None
    seen = look.shows(word.kind)
    # A faint sight and a soft word are two guesses.
    if seen is None or not (seen.sure or word.firm or word.kind is _OPEN):
        return None
    if sure - {word.kind} and not (seen.sure and word.firm):
        return None
    if word.kind is _OPEN:
        return None if not seen.sure and look.odd is None and not word.firm else _open(word, seen)
    return Classified(word.kind, "label", f"labelled {word.name}; {seen.evidence}")


def _open(word: Word, seen: Seen) -> Classified:
    return Classified(_OPEN, "label", f"labelled {word.name}; {seen.evidence}")


def _by_picture(look: Look) -> Classified | None:
    sure = look.sure
    if len({seen.kind for seen in sure}) > 1:
        both = " and ".join(f"{seen.kind.value} ({seen.evidence})" for seen in sure)
        return Classified(_UNCLASSIFIED, "two kinds", f"the picture could be {both}")
    if sure:
        return Classified(sure[0].kind, sure[0].rule, sure[0].evidence, sure[0].phantom)
    if look.blank:
        return Classified(_UNCLASSIFIED, "nothing", look.plain)
    if look.odd is not None:
        return Classified(_UNCLASSIFIED, "odd", f"like a test of a machine: {look.odd}")
    return None


def _by_plan(image: PortalImage, look: Look) -> Classified:
    identity, meterset = image.identity, image.meterset_mu
    has_beam = identity.beam_number is not None or identity.beam_name is not None
    enough = meterset is not None and meterset > LEAST_CLINICAL_MU
    if identity.plan_uid is not None and has_beam and enough:
        evidence = f"{meterset:.0f} MU of a beam of a plan; {look.plain}"
        return Classified(ImageKind.PORTAL, "plan", evidence)
    return Classified(_UNCLASSIFIED, "nothing", _shown(look))


def _shown(look: Look) -> str:
    return " and ".join(seen.evidence for seen in look.seen) or look.odd or look.plain
