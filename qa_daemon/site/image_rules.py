"""`[[image_rule]]` of the site file: what the clinic's own images are called and what they show."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator, model_validator

from analyzers.image_pins import Pin
from analyzers.portal_images import ImageKind
from qa_daemon.site.values import Model

KINDS = {kind.name.lower(): kind for kind in ImageKind if kind is not ImageKind.UNCLASSIFIED}
"""By the name that the site file uses: `picket_fence`, `winston_lutz`, `vmat_open` …"""


class ImageRule(Model):
    """`[[image_rule]]`: images that meet all of its conditions are of this kind.

    Rules are tried in the order of the file, before any of the product's own.
    """

    kind: str
    """picket_fence, winston_lutz, vmat_open, vmat_drgs, vmat_drmlc, open_field, starshot,
    planar_phantom, portal, predicted or other."""
    label_contains: tuple[str, ...] = ()
    """Any of these words in the image's label, name or series, in any case."""
    station: str | None = Field(default=None, min_length=1)
    """The whole name of the machine or station, as its images write it."""
    folder: str | None = Field(default=None, min_length=1)
    """A folder that the image lies below: its whole path, or the end of it such as `qa/weekly`."""
    plan_label_contains: tuple[str, ...] = ()
    """Any of these words in the label of the plan, in any case."""
    phantom: str | None = Field(default=None, min_length=1)
    """Which planar phantom: LeedsTOR, LasVegas, StandardImagingQC3 …"""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"a kind of image is one of {', '.join(KINDS)}")
        return kind

    @field_validator("label_contains", "plan_label_contains")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not all(any(c.isalnum() for c in word) for word in words):
            raise ValueError("a word has a letter or a digit: an empty one would be in every text")
        return words

    @field_validator("station", "folder")
    @classmethod
    def _names(cls, name: str | None) -> str | None:
        if name is not None and not any(c.isalnum() for c in name):
            raise ValueError("a name has a letter or a digit")
        return name

    @model_validator(mode="after")
    def _tells(self) -> ImageRule:
        if not (self.label_contains or self.station or self.folder or self.plan_label_contains):
            raise ValueError("give label_contains, station, folder or plan_label_contains")
        if self.phantom is not None and self.kind != "planar_phantom":
            raise ValueError("only planar_phantom has a phantom")
        return self


def pins(rules: Sequence[ImageRule]) -> tuple[Pin, ...]:
    """The rules as classification takes them, in their order."""
    return tuple(
        Pin(
            kind=KINDS[rule.kind],
            label_contains=rule.label_contains,
            station=rule.station,
            folder=rule.folder,
            plan_label_contains=rule.plan_label_contains,
            phantom=rule.phantom,
        )
        for rule in rules
    )
