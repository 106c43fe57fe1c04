"""DICOM RT Image (SOP class 1.2.840.10008.5.1.4.1.1.481.1): portal images.

PS3.3 A.18 and C.8.8.2.  Bytes are checked in `analyzers.dicom` and pixels decoded here; compressed
files are refused before anything of them is decompressed.  Checked on real images of Varian and
Elekta panels, exported by the machines and by record systems, with and without preamble.

An image says whose it is, by a patient or a machine.  One that names neither is refused, but for
what a machine's own system takes outside of any patient's study: it writes patient, machine and
date of the study and leaves all of them empty.  Units: mm, IEC degrees, MU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analyzers.core import Format, NamedFile
from analyzers.dicom.items import Item, open_file
from analyzers.dicom.structure import sop_class
from analyzers.formats import dicom_rtimage_labels as labels
from analyzers.formats.dicom_rtimage_geometry import Geometry, angle_deg, aperture, geometry
from analyzers.formats.dicom_rtimage_pixels import Samples, samples
from analyzers.formats.dicom_rtimage_values import intensity, rescale, rescaled, shielded
from analyzers.portal_images import PortalImage

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.1"
CODES = "RTIMAGE"
RECONSTRUCTED = "a reconstructed radiograph, no measurement"
MOST_MU = 1e6
MOST_EXPOSURES = 1000


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> PortalImage:
    """Read one image.

    A reconstructed radiograph (DRR) keeps the values of the file and is not judged.  Raises
    `ReadError`, for a file that ends early `TruncatedError`.
    """
    root, reading = open_file(Path(path), CODES, SOP_CLASS)
    if root.code("Modality") not in ("RTIMAGE", None):
        raise root.error("SOP_CLASS", "its Modality is not RTIMAGE")
    found = samples(root)
    is_reconstructed = "DRR" in (root.code("ImageType") or "").upper().split("\\")
    place = geometry(root, found.stored.shape, needs_sid=not is_reconstructed)
    found = replace(found, stored=place.turn.of(found.stored))
    exposure = _exposure(root)
    image = _named(root, exposure, _placed(root, exposure, found, place))
    if is_reconstructed:
        image = replace(image, not_judged=RECONSTRUCTED)
    else:
        image = _measured(root, image, found, place)
    return replace(image, warnings=tuple(reading.warnings))


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> PortalImage:  # noqa: ARG001
    return read(file.path)


def _exposure(root: Item) -> Item | None:
    """The one exposure of the image; of several none, since the image is of them all."""
    exposures = root.items("ExposureSequence", "exposure", most=MOST_EXPOSURES)
    if len(exposures) > 1:
        root.reading.warn(
            f"the image is of {len(exposures)} exposures: collimator, energy and meterset of none "
            "of them are taken"
        )
        return None
    return exposures[0] if exposures else None


def _placed(root: Item, exposure: Item | None, found: Samples, place: Geometry) -> PortalImage:
    slope, intercept = rescale(root)
    return PortalImage(
        stored=found.stored,
        values=rescaled(found, slope, intercept),
        spacing_mm=place.spacing_mm,
        slope=slope,
        intercept=intercept,
        sid_mm=place.sid_mm,
        sad_mm=place.sad_mm,
        axis_px=place.axis_px,
        panel_shift_mm=place.panel_shift_mm,
        geometry_is_consistent=place.is_consistent,
        gantry_deg=angle_deg(root, exposure, "GantryAngle"),
        collimator_deg=angle_deg(root, exposure, "BeamLimitingDeviceAngle"),
        couch_rotation_deg=angle_deg(root, exposure, "PatientSupportAngle"),
        aperture=None if exposure is None else aperture(exposure),
        meterset_mu=None if exposure is None else _meterset_mu(exposure),
    )


def _named(root: Item, exposure: Item | None, image: PortalImage) -> PortalImage:
    return replace(
        image,
        identity=labels.identity(root),
        label=root.text("RTImageLabel"),
        texts=labels.texts(root, exposure),
        maker=root.text("Manufacturer"),
        model=root.text("ManufacturerModelName"),
        machine_name=root.text("RadiationMachineName"),
        machine_serial=labels.machine_serial(root),
        energy=labels.energy(root, exposure),
        frames=labels.frames(root),
        performed_at=labels.performed_at(root),
        study_uid=root.code("StudyInstanceUID"),
        sop_instance_uid=root.code("SOPInstanceUID"),
        fraction=root.count("FractionNumber", most=labels.MOST_FRACTIONS),
    )


def _measured(root: Item, image: PortalImage, found: Samples, place: Geometry) -> PortalImage:
    """The image with values that rise with radiation.  Raises `ReadError`."""
    blocked = shielded(place, image.shape, image.aperture, image.collimator_deg)
    known = intensity(root, found, image.values, blocked)
    return replace(
        image,
        values=known.values,
        pixels=known.pixels,
        polarity=known.polarity,
        sign=known.sign,
        unit=known.unit,
        saturated_percent=known.saturated_percent,
    )


def _meterset_mu(exposure: Item) -> float | None:
    meterset_mu = exposure.number("MetersetExposure")
    if meterset_mu is not None and not 0.0 <= meterset_mu <= MOST_MU:
        raise exposure.error("METERSET", f"a meterset of {meterset_mu:g} MU")
    return meterset_mu


FORMAT = Format(
    name="dicom-rtimage",
    yields=PortalImage,
    recognize=recognize,
    read=_read,
    # An image does not tell the class: of those there are, the one with the tightest limits.
    machine_class="truebeam",
)
