"""Write DICOM RT Images: any portal image, and by itself an open field with a stated shift.

What is written is what `analyzers.formats.dicom_rtimage` reads back, to the last stored value.
Patients, plans and machines are invented.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analyzers.portal_images import Aperture, Pixels, Polarity, PortalImage
from analyzers.records import Identity
from qa_daemon.simulate.dicom_file import ROOT, decimal, decimals, new_object, write_object
from qa_daemon.simulate.options import is_on, known

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "dicom-rtimage"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.1"
PLAN_CLASS = "1.2.840.10008.5.1.4.1.1.481.5"
PERFORMED_AT = datetime(2026, 1, 5, 7, 30, 0)  # noqa: DTZ001 - machines write local time
IDENTITY = Identity(patient_id="QA_SIM_1", plan_uid=f"{ROOT}.1", beam_number=1)
LARGEST = 65535
LARGEST_CALIBRATED = 60000
"""What the brightest calibrated pixel is stored as, so that none is saturated."""
PANELS = {"as1200": (1280, 1280, 0.336), "as1000": (768, 1024, 0.392), "as500": (384, 512, 0.784)}
PENUMBRA_MM = 2.5


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How the file is written, and what is wrong with it.

    `without` names the attributes that are left out, `empty` those without a value; `lost_bytes`
    are missing at the end of the pixels.
    """

    explicit: bool = False
    preamble: bool = True
    image_type: tuple[str, str, str] = ("ORIGINAL", "PRIMARY", "PORTAL")
    without: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    lost_bytes: int = 0


def image_of(
    values: NDArray[Any],
    spacing_mm: tuple[float, float],
    *,
    pixels: Pixels = Pixels.RELATIVE,
    falls: bool = False,
    states_sign: bool = True,
    **said: Any,
) -> PortalImage:
    """A portal image of these values, rounded to what 16 bits can store.

    `values` has the shape `(rows, columns)` and rises with radiation: numbers from 0 to 65535, or
    calibrated units of any size.  `falls` stores relative ones the other way round, as some panels
    do; `states_sign` says so in the file.  `said` are further fields of `PortalImage`.
    """
    wanted = np.asarray(values, np.float64)
    slope = 1.0
    if pixels is Pixels.CALIBRATED:
        # As a DS has it: 16 characters.
        slope = float(f"{max(float(wanted.max()), 1e-9) / LARGEST_CALIBRATED:.9e}")
    stored = np.clip(np.round(wanted / slope), 0, LARGEST).astype(np.uint16)
    known_values = stored.astype(np.float64) * slope
    if falls:
        stored = (LARGEST - stored).astype(np.uint16)
    fields: dict[str, Any] = {"performed_at": PERFORMED_AT, "sid_mm": 1500.0, "identity": IDENTITY}
    fields |= {"maker": "QA Daemon", "machine_name": "SIM", "machine_serial": "1234"}
    return PortalImage(
        stored=stored,
        values=known_values,
        spacing_mm=spacing_mm,
        pixels=pixels,
        polarity=Polarity.STATED if states_sign or pixels is Pixels.CALIBRATED else Polarity.SEEN,
        slope=slope,
        sign=(-1 if falls else 1) if states_sign else None,
        unit="CU" if pixels is Pixels.CALIBRATED else None,
        **(fields | said),
    )


def write_rtimage(path: Path, image: PortalImage, options: FileOptions | None = None) -> None:
    """Write one image; `stored` has to be of 16 bits."""
    options = options or FileOptions()
    data = dataset(image, options)
    write_object(path, data, preamble=options.preamble, explicit=options.explicit)


def dataset(image: PortalImage, options: FileOptions) -> Dataset:
    """The image as a pydicom data set; a number that is None is left out, a name left empty."""
    uid = image.sop_instance_uid or _uid(image)
    data = new_object(SOP_CLASS, uid, "RTIMAGE", image.identity.patient_id or "")
    if not image.identity.patient_id:
        data.PatientName = ""
    data.ImageType = list(options.image_type)
    data.StudyInstanceUID = image.study_uid or data.StudyInstanceUID
    data.Manufacturer = image.maker or ""
    data.ManufacturerModelName = image.model or ""
    data.DeviceSerialNumber = image.machine_serial or ""
    _add_time(data, image.performed_at)
    data.RTImageLabel = image.label or "Simulated"
    for keyword in ("RTImageName", "RTImageDescription", "SeriesDescription", "StationName"):
        if keyword in image.texts:
            setattr(data, keyword, image.texts[keyword])
    _add_geometry(data, image)
    data.RadiationMachineName = image.machine_name or ""
    data.ExposureSequence = [_exposure(image)]
    _add_plan(data, image)
    _add_pixels(data, image, options)
    for keyword in options.empty:
        setattr(data, keyword, None)
    for keyword in options.without:
        del data[keyword]
    return data


def _uid(image: PortalImage) -> str:
    """Of its own for every picture, label, beam, angle and second."""
    angles = (image.gantry_deg, image.collimator_deg, image.couch_rotation_deg)
    said = (image.label, image.performed_at, image.identity.beam_number, angles, image.energy)
    seen = hashlib.sha256(repr(said).encode() + image.stored.tobytes()).digest()
    return f"{ROOT}.4.{int.from_bytes(seen[:8])}"


def _add_time(data: Dataset, performed_at: datetime | None) -> None:
    if performed_at is None:
        data.StudyDate, data.StudyTime = "", ""
        return
    day, clock = f"{performed_at:%Y%m%d}", f"{performed_at:%H%M%S}"
    data.StudyDate, data.StudyTime = day, clock
    data.AcquisitionDate, data.AcquisitionTime = day, clock
    data.ContentDate, data.ContentTime = day, clock


def _add_geometry(data: Dataset, image: PortalImage) -> None:
    data.RTImagePlane = "NORMAL"
    data.RTImageOrientation = ["1", "0", "0", "0", "-1", "0"]
    data.ReportedValuesOrigin = "ACTUAL"
    data.ImagePlanePixelSpacing = [f"{step:.10g}" for step in image.spacing_mm]
    if image.axis_px is not None:
        row, column = image.axis_px
        data.RTImagePosition = decimals([-column * image.spacing_mm[1], row * image.spacing_mm[0]])
    if image.panel_shift_mm is not None:
        below_mm = image.sad_mm - (image.sid_mm or image.sad_mm)
        data.XRayImageReceptorTranslation = decimals([*image.panel_shift_mm, below_mm])
    data.XRayImageReceptorAngle = "0"
    data.RadiationMachineSAD = decimal(image.sad_mm)
    for keyword, value in (
        ("RTImageSID", image.sid_mm),
        ("GantryAngle", image.gantry_deg),
        ("BeamLimitingDeviceAngle", image.collimator_deg),
        ("PatientSupportAngle", image.couch_rotation_deg),
    ):
        if value is not None:
            setattr(data, keyword, decimal(value))


def _exposure(image: PortalImage) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    if image.energy is not None:
        megavolts = float(image.energy.casefold().removesuffix("fff").rstrip("x"))
        item.KVP = decimal(megavolts * 1000.0)
        mode = Dataset()
        is_filter_free = image.energy.casefold().endswith("fff")
        mode.FluenceMode = "NON_STANDARD" if is_filter_free else "STANDARD"
        if is_filter_free:
            mode.FluenceModeID = "FFF"
        item.PrimaryFluenceModeSequence = [mode]
    if image.meterset_mu is not None:
        item.MetersetExposure = decimal(image.meterset_mu)
    devices = [] if image.aperture is None else _devices(image.aperture)
    if devices:
        item.BeamLimitingDeviceSequence = devices
    item.NumberOfBlocks = 0
    return item


def _devices(aperture: Aperture) -> list[Dataset]:
    from pydicom.dataset import Dataset

    rows: list[tuple[str, NDArray[Any]]] = []
    if aperture.jaw_x_mm is not None:
        rows.append(("ASYMX", aperture.jaw_x_mm))
    if aperture.jaw_y_mm is not None:
        rows.append(("ASYMY", aperture.jaw_y_mm))
    if aperture.bank_a_mm is not None and aperture.bank_b_mm is not None:
        rows.append(("MLCX", np.concatenate([aperture.bank_b_mm, aperture.bank_a_mm])))
    devices = []
    for kind, positions_mm in rows:
        item = Dataset()
        item.RTBeamLimitingDeviceType = kind
        item.NumberOfLeafJawPairs = len(positions_mm) // 2
        if kind == "MLCX" and aperture.leaf_edges_mm is not None:
            item.LeafPositionBoundaries = decimals(aperture.leaf_edges_mm)
        item.LeafJawPositions = decimals(positions_mm)
        devices.append(item)
    return devices


def _add_plan(data: Dataset, image: PortalImage) -> None:
    from pydicom.dataset import Dataset

    if image.fraction is not None:
        data.FractionNumber = image.fraction
    if image.identity.beam_number is not None:
        data.ReferencedBeamNumber = image.identity.beam_number
    if image.identity.plan_uid is not None:
        reference = Dataset()
        reference.ReferencedSOPClassUID = PLAN_CLASS
        reference.ReferencedSOPInstanceUID = image.identity.plan_uid
        data.ReferencedRTPlanSequence = [reference]


def _add_pixels(data: Dataset, image: PortalImage, options: FileOptions) -> None:
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2" if image.sign == -1 else "MONOCHROME1"
    data.Rows, data.Columns = image.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 0
    if image.sign is not None:
        data.PixelIntensityRelationship = "LIN"
        data.PixelIntensityRelationshipSign = image.sign
    data.RescaleIntercept = f"{image.intercept:.9g}"
    data.RescaleSlope = f"{image.slope:.9e}"
    data.RescaleType = "CU" if image.pixels is Pixels.CALIBRATED else "US"
    content = np.asarray(image.stored, "<u2").tobytes()
    data.PixelData = content[: len(content) - options.lost_bytes]
    data["PixelData"].VR = "OW"


def open_field(
    panel: str,
    *,
    size_mm: tuple[float, float],
    shift_mm: tuple[float, float] = (0.0, 0.0),
    sid_mm: float = 1500.0,
) -> NDArray[np.float64]:
    """An open field of `size_mm` (x, y) at the isocenter with its middle at `shift_mm`: 0 to 1.

    Each edge is an error function, half of it where the field ends, with some leakage outside.
    """
    from scipy.special import erf

    rows, columns, spacing_mm = PANELS[panel]
    step_mm = spacing_mm * 1000.0 / sid_mm
    x_mm = (np.arange(columns) - (columns - 1) / 2.0) * step_mm
    y_mm = ((rows - 1) / 2.0 - np.arange(rows)) * step_mm
    profiles = []
    for place_mm, size, shift in ((x_mm, size_mm[0], shift_mm[0]), (y_mm, size_mm[1], shift_mm[1])):
        inside_mm = size / 2.0 - np.abs(place_mm - shift)
        profiles.append((1.0 + erf(inside_mm / PENUMBRA_MM)) / 2.0)
    return np.asarray(0.005 + 0.995 * np.outer(profiles[1], profiles[0]), np.float64)


def simulate(
    out: Path,
    *,
    panel: str = "as1200",
    field_x_mm: float = 100.0,
    field_y_mm: float = 100.0,
    shift_x_mm: float = 0.0,
    shift_y_mm: float = 0.0,
    sid_mm: float = 1500.0,
    gantry: float = 0.0,
    collimator: float = 0.0,
    couch: float = 0.0,
    energy: str = "6x",
    mu: float = 100.0,
    label: str = "OpenField",
    machine: str = "SIM",
    patient: str = "QA_SIM_1",
    signal: float = 40000.0,
    noise_percent: float = 0.2,
    calibrated: bool | str = False,
    falls: bool | str = False,
    states_sign: bool | str = True,
    without: str = "",
    empty: str = "",
    lost_bytes: int = 0,
    preamble: bool | str = True,
    explicit: bool | str = False,
    seed: int = 1,
) -> Path:
    """Write one image of an open field and return its path.

    `out` is the file, or a folder.  Sizes and shifts of the field are at the isocenter; the jaws
    are stated where they should be, without the shift.  `signal` is the largest value stored, and
    100 MU are 1 CU where `calibrated`; `falls` stores it the other way round.  `without` and
    `empty` list attributes (`RTImageSID,PatientID`) that are left out or empty.  Raises ValueError
    for an unknown panel.
    """
    known("panel", panel, PANELS)
    _, _, spacing_mm = PANELS[panel]
    shape = open_field(
        panel,
        size_mm=(float(field_x_mm), float(field_y_mm)),
        shift_mm=(float(shift_x_mm), float(shift_y_mm)),
        sid_mm=float(sid_mm),
    )
    shape *= 1.0 + np.random.default_rng(seed).normal(0.0, float(noise_percent) / 100, shape.shape)
    is_calibrated = is_on("calibrated", calibrated)
    image = image_of(
        shape * (float(mu) / 100.0 if is_calibrated else float(signal)),
        (spacing_mm, spacing_mm),
        pixels=Pixels.CALIBRATED if is_calibrated else Pixels.RELATIVE,
        falls=is_on("falls", falls),
        states_sign=is_on("states_sign", states_sign),
        sid_mm=float(sid_mm),
        axis_px=((shape.shape[0] - 1) / 2.0, (shape.shape[1] - 1) / 2.0),
        gantry_deg=float(gantry),
        collimator_deg=float(collimator),
        couch_rotation_deg=float(couch),
        energy=str(energy),
        meterset_mu=float(mu),
        aperture=Aperture(
            np.array([-field_x_mm, field_x_mm]) / 2.0, np.array([-field_y_mm, field_y_mm]) / 2.0
        ),
        label=str(label),
        machine_name=str(machine) or None,
        machine_serial="1234" if machine else None,
        identity=replace(IDENTITY, patient_id=str(patient) or None),
    )
    path = out / "RI.simulated.dcm" if out.is_dir() else out
    options = FileOptions(
        explicit=is_on("explicit", explicit),
        preamble=is_on("preamble", preamble),
        without=tuple(filter(None, str(without).split(","))),
        empty=tuple(filter(None, str(empty).split(","))),
        lost_bytes=int(lost_bytes),
    )
    write_rtimage(path, image, options)
    return path
