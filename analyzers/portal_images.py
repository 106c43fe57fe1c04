"""Portal images, and other images of a beam: vendor-neutral, IEC 61217, mm, degrees, MU.

As seen from the source: columns along +x, row 0 at the most positive y (towards the gantry), as
PS3.3 C.8.8.2 has it for an image with orientation 1, 0, 0, 0, -1, 0.  Scaling, polarity and the
makers' own angle scales are dealt with in `formats` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.imager_records import ImagerModel
from analyzers.plan_records import Beam
from analyzers.records import Delivery, FloatArray, Identity

DEFAULT_SAD_MM = 1000.0


class ImageKind(StrEnum):
    """What an image shows, and so which questions are put to it."""

    PICKET_FENCE = "picket fence"
    WINSTON_LUTZ = "Winston-Lutz"
    VMAT_OPEN = "VMAT open field"
    VMAT_DRGS = "VMAT dose rate and gantry speed"
    VMAT_DRMLC = "VMAT dose rate and leaf speed"
    OPEN_FIELD = "open field"
    STARSHOT = "starshot"
    PLANAR_PHANTOM = "planar phantom"
    PORTAL = "clinical portal image"
    PREDICTED = "predicted portal image"
    OTHER = "other"
    UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True)
class Classified:
    """What kind an image is of, which rule said so, and what it saw.

    `rule` is a stable short name (`label`, `stripes`, `pinned`); `evidence` is a sentence without a
    value of any patient element.  `phantom` names the planar phantom where one was told.
    """

    kind: ImageKind
    rule: str
    evidence: str
    phantom: str | None = None


UNSEEN = Classified(ImageKind.UNCLASSIFIED, "none", "nobody has looked at it yet")


class Pixels(StrEnum):
    """What the pixel values are worth."""

    CALIBRATED = "calibrated"
    """In calibrated units (CU), as the maker's dosimetric calibration gives them."""
    RELATIVE = "relative"
    """Proportional to the signal, in no unit, on a scale that may be the image's own."""


class Polarity(StrEnum):
    """How it is known which way the pixel values run; `values` always rise with radiation."""

    STATED = "stated"
    """The file states it, and the picture agrees."""
    SEEN = "seen"
    """The file does not state it, or the picture contradicts it: the picture decided."""
    UNKNOWN = "unknown"
    """Neither: the values are as they were stored."""


@dataclass(frozen=True, eq=False)
class Aperture:
    """The collimator as the image's own exposure states it, at the isocenter plane; NaN unknown.

    Jaws are `(2,)`, the negative side first; leaf banks `(pairs,)` as in `MlcLayer`.
    """

    jaw_x_mm: FloatArray | None = None
    jaw_y_mm: FloatArray | None = None
    leaf_edges_mm: FloatArray | None = None
    bank_a_mm: FloatArray | None = None
    bank_b_mm: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Beside:
    """What an image is held against, where the question needs it; None: it is not here.

    `open_image` is the open field of a VMAT test, `predicted` the predicted portal image of the
    same beam, `baseline` the image of an earlier fraction of it, or the mean of several, `log` the
    log of the same beam; `planned` the beam of the plan with its meterset, `imager` the model of
    this imager at this energy.  `lacking` says by name (`log`, `baseline`; `set`: the
    rest of the set that the image is one of) why one is not here.
    """

    open_image: PortalImage | None = None
    predicted: PortalImage | None = None
    baseline: PortalImage | None = None
    log: Delivery | None = None
    planned: Beam | None = None
    imager: ImagerModel | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    mlc: str | None = None
    """The model of the machine's MLC, by the site, the log or the user; never a guess."""


@dataclass(frozen=True, eq=False)
class PortalImage:
    """One image of a beam.

    `stored` is what the file holds, shape `(rows, columns)`, an integer or float type; `slope` and
    `intercept` are its own rescale (1 and 0 where it has none), `sign` its stated
    PixelIntensityRelationshipSign.  `values` is what to measure with: float64, same shape, higher
    where there was more radiation.  A calibrated image is never turned over or stretched.

    `spacing_mm` is (row, column) at the image plane, `sid_mm` source to image plane (None: not
    stated, and no length at the isocenter is known), `axis_px` the (row, column) where the beam's
    central axis meets the image, fractions of pixels counted from the middle of the first; None:
    not told by the file, and the middle of the image stands in.
    """

    stored: NDArray[Any]
    values: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    pixels: Pixels = Pixels.RELATIVE
    polarity: Polarity = Polarity.UNKNOWN
    slope: float = 1.0
    intercept: float = 0.0
    sign: int | None = None
    unit: str | None = None
    """Of `values`: `CU`, or None."""
    sid_mm: float | None = None
    sad_mm: float = DEFAULT_SAD_MM
    axis_px: tuple[float, float] | None = None
    panel_shift_mm: tuple[float, float] | None = None
    """XRayImageReceptorTranslation x and y, at the panel."""
    gantry_deg: float | None = None
    collimator_deg: float | None = None
    couch_rotation_deg: float | None = None
    meterset_mu: float | None = None
    frames: int = 1
    """How many frames were summed into `values`."""
    aperture: Aperture | None = None
    label: str | None = field(default=None, repr=False)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What else names the image, by DICOM keyword: RTImageName, RTImageDescription,
    SeriesDescription, ImageType …  May hold anything a person typed: for rules, never for logs."""
    maker: str | None = None
    model: str | None = None
    machine_name: str | None = None
    machine_serial: str | None = None
    energy: str | None = None
    """As logs write it (`6x`, `10xFFF`); None where it is not told."""
    performed_at: datetime | None = None
    """Local wall time of the exposure without a zone."""
    study_uid: str | None = field(default=None, repr=False)
    sop_instance_uid: str | None = field(default=None, repr=False)
    fraction: int | None = None
    identity: Identity = field(default_factory=Identity)
    saturated_percent: float = 0.0
    """Share of pixels at the largest value that can be stored."""
    geometry_is_consistent: bool = True
    """False where RTImagePosition and the panel's shift place the axis differently."""
    warnings: tuple[str, ...] = ()
    not_judged: str | None = None
    classified: Classified = UNSEEN
    set_with: tuple[PortalImage, ...] = ()
    """The other images of a set (Winston-Lutz, starshot), in the order of exposure."""
    beside: Beside = field(default_factory=Beside)

    @property
    def kind(self) -> ImageKind:
        """What it shows."""
        return self.classified.kind

    @property
    def machine_class(self) -> str | None:
        """No image tells the class of its machine."""
        return None

    @property
    def series(self) -> str:
        """Images of another kind say nothing of this one."""
        return self.kind.value

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.values.shape
        return rows, columns

    @property
    def magnification(self) -> float:
        """Size at the image plane over size at the isocenter; 1 where the distance is not known."""
        return 1.0 if self.sid_mm is None else self.sid_mm / self.sad_mm

    @property
    def center_px(self) -> tuple[float, float]:
        """Row and column of the central axis, the middle of the image where it is not told."""
        rows, columns = self.shape
        return self.axis_px or ((rows - 1) / 2.0, (columns - 1) / 2.0)

    @cached_property
    def x_mm(self) -> NDArray[np.float64]:
        """IEC x of each column at the isocenter plane, from the central axis; `(columns,)`."""
        step_mm = self.spacing_mm[1] / self.magnification
        return np.asarray((np.arange(self.shape[1]) - self.center_px[1]) * step_mm, np.float64)

    @cached_property
    def y_mm(self) -> NDArray[np.float64]:
        """IEC y of each row at the isocenter plane: falls with the row; `(rows,)`."""
        step_mm = self.spacing_mm[0] / self.magnification
        return np.asarray((self.center_px[0] - np.arange(self.shape[0])) * step_mm, np.float64)

    def as_kind(self, classified: Classified) -> PortalImage:
        """The same image, said to be of a kind."""
        return replace(self, classified=classified)
