"""What a site says its images are: by label, station, folder or plan, before any other rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzers.portal_images import Classified, ImageKind, PortalImage


@dataclass(frozen=True, slots=True)
class Pin:
    """Images that meet all of the conditions given are of `kind`.

    Texts are compared without case.  Of `label_contains` and `plan_label_contains` one is enough,
    and no letter or digit may stand beside it: `PF` is in `PF_270` and not in `PF2` or `APFEL`.
    `station` is the machine's or the station's whole name, `folder` a folder or a part of a path
    that an image lies below.
    """

    kind: ImageKind
    label_contains: tuple[str, ...] = ()
    station: str | None = None
    folder: str | None = None
    plan_label_contains: tuple[str, ...] = ()
    phantom: str | None = None

    def __post_init__(self) -> None:
        if not self.conditions:
            raise ValueError("a rule for images needs a condition, else it would be for all")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the conditions given."""
        given = {
            "label": self.label_contains,
            "station": self.station,
            "folder": self.folder,
            "plan label": self.plan_label_contains,
        }
        return tuple(name for name, condition in given.items() if condition)


def pinned(image: PortalImage, pins: Sequence[Pin], folder: str | None) -> Classified | None:
    """What the first rule that an image meets says it is; None where it meets none."""
    for number, pin in enumerate(pins, start=1):
        if _meets(image, pin, folder):
            conditions = " and ".join(pin.conditions)
            evidence = f"image rule {number} of the site, by {conditions}"
            return Classified(pin.kind, "pinned", evidence, pin.phantom)
    return None


def _meets(image: PortalImage, pin: Pin, folder: str | None) -> bool:
    names = [image.label, *(image.texts.get(k) for k in ("RTImageName", "SeriesDescription"))]
    stations = [image.machine_name, image.texts.get("StationName")]
    plans = [image.identity.plan_label]
    return (
        _any_in(pin.label_contains, names)
        and _is_one_of(pin.station, stations)
        and (pin.folder is None or _lies_below(pin.folder, folder))
        and _any_in(pin.plan_label_contains, plans)
    )


def _any_in(wanted: Sequence[str], texts: Sequence[str | None]) -> bool:
    if not wanted:
        return True
    patterns = [rf"(?<![^\W_]){re.escape(part.strip())}(?![^\W_])" for part in wanted]
    return any(re.search(p, t, re.IGNORECASE) for p in patterns for t in texts if t)


def _is_one_of(wanted: str | None, names: Sequence[str | None]) -> bool:
    if wanted is None:
        return True
    return wanted.strip().casefold() in {n.strip().casefold() for n in names if n}


def _lies_below(wanted: str, folder: str | None) -> bool:
    """Whether the parts of one path are, in turn, among those of the other."""
    if folder is None:
        return False
    parts, path = _parts(wanted), _parts(folder)
    if wanted.startswith("/"):
        return path[: len(parts)] == parts
    starts = range(len(path) - len(parts) + 1)
    return bool(parts) and any(path[i : i + len(parts)] == parts for i in starts)


def _parts(path: str) -> list[str]:
    return [part.casefold() for part in re.split(r"[\\/]+", path) if part not in ("", ".")]
