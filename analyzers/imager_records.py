"""What is known of one imager in one beam: the record of its commissioning, and its file.

The file is JSON with a number for its schema and a hash over its content: a model that was changed
by hand is not the model that was fitted, and is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from analyzers.core import ReadError
from analyzers.numerics.imager_kernel import ImagerKernel

SCHEMA = "qa-daemon imager model"
VERSION = 1
CODE = "IMAGER_MODEL"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class FieldResidual:
    """What the fit leaves of one open field; measured minus fitted, in percent of its middle."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    width_mm: float
    """Along x at the isocenter plane, between the points of half the signal."""
    height_mm: float
    center_percent: float
    profile_rms_percent: float
    """Over the inner 80 % of both main profiles."""
    outside_rms_percent: float
    """From 10 mm beyond the edges on."""


@dataclass(frozen=True, slots=True)
class ImagerModel:
    """How an imager answers a fluence, absolute: CU at the imager for each MU.

    A wide flat field of 1 MU reads `cu_per_mu` on the axis at `sid_mm`, times the off-axis response
    at other radii; lengths of the kernel and of the blur are at the imager.  `off_axis_mm` are
    radii at the isocenter plane from 0 on; beyond the last its value holds.
    ValueError: numbers that no imager has.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    energy: str
    """As logs write it: `6x`, `10xFFF`."""
    kernel: ImagerKernel
    cu_per_mu: float
    sid_mm: float
    blur_mm: float
    """Sigma of the source's image at the imager at `sid_mm`."""
    off_axis_mm: tuple[float, ...] = (0.0,)
    off_axis: tuple[float, ...] = (1.0,)
    leaf_transmission: float = 0.015
    """Not fitted from open fields: the planning system's own number."""
    leaf_gap_mm: float = 0.0
    """By how much rounded leaf ends open a pair more than its nominal gap, as above."""
    machine: str | None = None
    fitted_at: str | None = None
    fitted_by: str | None = None
    residuals: tuple[FieldResidual, ...] = ()

    def __post_init__(self) -> None:
        positive = (self.cu_per_mu, self.sid_mm)
        if not all(math.isfinite(number) and number > 0.0 for number in positive):
            raise ValueError("cu_per_mu and sid_mm are positive")
        if not 0.0 <= self.blur_mm < 20.0 or not 0.0 <= self.leaf_gap_mm < 10.0:
            raise ValueError("blur_mm and leaf_gap_mm are a few millimeters at most")
        if not 0.0 <= self.leaf_transmission < 0.2:
            raise ValueError("leaf_transmission is a share below 0.2")
        radii = self.off_axis_mm
        if not radii or radii[0] != 0.0 or len(radii) != len(self.off_axis):
            raise ValueError("off_axis has a value for each radius, the first of them 0")
        if any(b <= a for a, b in pairwise(radii)):
            raise ValueError("the radii of off_axis rise")
        if not all(0.0 < value < 5.0 for value in self.off_axis):
            raise ValueError("values of off_axis are between 0 and 5")

    @property
    def sha256(self) -> str:
        """Of all that is in it."""
        return _hash(asdict(self))

    def fits_energy(self, energy: str | None) -> bool:
        """Whether this is the model of a beam's energy, however it is written."""
        return energy is not None and _plain(energy) == _plain(self.energy)


def _plain(energy: str) -> str:
    return energy.casefold().replace("-", "").replace(" ", "").replace("mv", "x")


def to_json(model: ImagerModel) -> str:
    """The file's text."""
    document = {"schema": SCHEMA, "version": VERSION, "model": asdict(model)}
    return json.dumps(document | {"sha256": model.sha256}, indent=1) + "\n"


def from_json(text: str) -> ImagerModel:
    """The model in a file's text.

    Raises `ReadError` where it is not such a file, of another version, changed since it was
    written, or holds numbers that no imager has.
    """
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ReadError(CODE, "the imager model is not JSON: fit it again") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ReadError(CODE, "this is no imager model: name the file that was fitted")
    if document.get("version") != VERSION:
        raise ReadError(CODE, f"the imager model is not of version {VERSION}: fit it again")
    if document.get("sha256") != _hash(document.get("model")):
        raise ReadError(CODE, "the imager model was changed after it was fitted: fit it again")
    try:
        return TypeAdapter(ImagerModel).validate_python(document["model"])
    except ValidationError as why:
        first = why.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the model"
        raise ReadError(CODE, f"the imager model cannot be used: {where}: {first['msg']}") from None


def _hash(content: object) -> str:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()
