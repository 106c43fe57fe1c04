"""What the texts of a portal image say it is: the words clinics use for their tests.

Words are found where no letter stands beside them (`PF0`, `PF_270`, `T1.2_PF`), in any case.
A firm word is used for nothing else; a soft one (`T2` is a vertebra too, `flat` and `ball` are
plain English) names a test only where the picture shows it as well.  Test numbers are those of the
RapidArc QA plans Varian gives to its customers: T0.2 and T1.x picket fences, T2 dose rate and
gantry speed, T3 leaf speed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzers.portal_images import ImageKind, PortalImage

KEYWORDS = (
    "RTImageName",
    "RTImageDescription",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
)
MOST_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class Word:
    """A word for a kind of image; `name` is what evidence calls it."""

    name: str
    kind: ImageKind
    pattern: re.Pattern[str]
    firm: bool = True
    phantom: str | None = None


def _word(
    name: str, kind: ImageKind, pattern: str, firm: bool = True, phantom: str | None = None
) -> Word:
    whole = re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE | re.ASCII)
    return Word(name, kind, whole, firm, phantom)


_PF, _WL = ImageKind.PICKET_FENCE, ImageKind.WINSTON_LUTZ
_DRGS, _DRMLC = ImageKind.VMAT_DRGS, ImageKind.VMAT_DRMLC
_PHANTOM, _OPEN, _STAR = ImageKind.PLANAR_PHANTOM, ImageKind.OPEN_FIELD, ImageKind.STARSHOT
_NOT_LONGER = r"(?![0-9.])"

WORDS: tuple[Word, ...] = (
    _word("picket", _PF, r"pickets?|picket[ _-]?fence[a-z]*"),
    _word("garden fence", _PF, r"garden[ _-]?fence"),
    _word("garden", _PF, r"garden", firm=False),
    _word("PF", _PF, r"(?:ra|mlc|st|hd)?pf(?:ra[a-z]{0,3}|stat(?:ic)?|err(?:or)?|mlc)?"),
    _word("T0.2", _PF, r"(?<![0-9.])t0\.2" + _NOT_LONGER),
    _word("T1.x", _PF, r"(?<![0-9.])t1\.[0-9]" + _NOT_LONGER),
    _word("Winston", _WL, r"winston[a-z]*"),
    _word("Lutz", _WL, r"w?[ _-]?lutz(?:arc)?"),
    _word("WL", _WL, r"wl|wltest|wlqa"),
    _word("ball", _WL, r"ball(?:[ _-]?bearing)?s?|bb", firm=False),
    _word("DRGS", _DRGS, r"drgs|dr[ _-]gs|dose[ _-]?rate[ _-]?(?:and[ _-]?)?gantry[ _-]?speed"),
    _word("gantry speed", _DRGS, r"gantry[ _-]?speed", firm=False),
    _word("T2", _DRGS, r"(?<![0-9.])t2" + _NOT_LONGER, firm=False),
    _word("DRMLC", _DRMLC, r"drmlc|dr[ _-]mlc|drls|mlc[ _-]?speed|t3mlc[ _-]?sp(?:eed)?[a-z]*"),
    _word("leaf speed", _DRMLC, r"leaf[ _-]?speed", firm=False),
    _word("T3", _DRMLC, r"(?<![0-9.])t3" + _NOT_LONGER, firm=False),
    _word("open", _OPEN, r"open|open[ _-]?(?:beam|field)", firm=False),
    _word("OP", _OPEN, r"op", firm=False),
    _word("flat", _OPEN, r"flat|flatness|flat[ _-]?sym", firm=False),
    _word("sym", _OPEN, r"sym|symm|symmetry", firm=False),
    _word("starshot", _STAR, r"star[ _-]?shots?"),
    _word("spoke", _STAR, r"spokes?|spoke[ _-]?shot"),
    _word("star", _STAR, r"star", firm=False),
    _word("Leeds", _PHANTOM, r"leeds(?:[ _-]?tor)?", phantom="LeedsTOR"),
    _word("Las Vegas", _PHANTOM, r"las[ _-]?vegas", phantom="LasVegas"),
    _word("QC-3", _PHANTOM, r"qc[ _-]?3" + _NOT_LONGER, phantom="StandardImagingQC3"),
    _word("QCkV", _PHANTOM, r"qc[ _-]?kv", phantom="StandardImagingQCkV"),
    _word("FC-2", _PHANTOM, r"fc[ _-]?2" + _NOT_LONGER, phantom="StandardImagingFC2"),
    _word("Doselab", _PHANTOM, r"doselab"),
    _word("EPID QC", _PHANTOM, r"(?:ptw[ _-]?)?epid[ _-]?qc", phantom="PTWEPIDQC"),
    _word("Primus", _PHANTOM, r"primus[ _-]?(?:a|l|phantom)", phantom="IBAPrimusA"),
)
PREDICTED = re.compile(
    r"(?<![a-z])(?:predicted|prediction|pdip|portal[ _-]?dose[ _-]?pred[a-z]*)(?![a-z])",
    re.IGNORECASE | re.ASCII,
)
KILOVOLT = re.compile(r"(?<![a-z])(?:kv|cbct|drr)(?![a-z])", re.IGNORECASE | re.ASCII)


def texts_of(image: PortalImage) -> list[str]:
    """All that names an image, its plan or its beam; never for logs."""
    named = [image.label, *(image.texts.get(keyword) for keyword in KEYWORDS)]
    identity = image.identity
    named += [identity.plan_label, identity.beam_name, identity.beam_label]
    return [text[:MOST_CHARACTERS] for text in named if text]


def words_in(texts: Sequence[str]) -> list[Word]:
    """The words for kinds of images in texts, in the order of `WORDS`."""
    return [word for word in WORDS if any(word.pattern.search(_parted(text)) for text in texts)]


def says_predicted(texts: Sequence[str]) -> bool:
    """Whether a text calls the image a predicted one."""
    return any(PREDICTED.search(text) for text in texts)


def says_kilovolt(texts: Sequence[str]) -> bool:
    """Whether a text calls it an image of the kilovolt system."""
    return any(KILOVOLT.search(text) for text in texts)


def _parted(text: str) -> str:
    """With a space where a capital follows a small letter: `StaticMLC`, `OpenBeam`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
