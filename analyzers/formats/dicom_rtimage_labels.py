"""What an RT Image says of itself beside its pixels: names, machine, energy, time, plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time

from analyzers.dicom.items import Item
from analyzers.records import Identity

TEXTS = (
    *("RTImageName", "RTImageDescription", "SeriesDescription", "StudyDescription"),
    *("ProtocolName", "StationName", "ImageType", "ConversionType", "ReportedValuesOrigin", "KVP"),
)
MEASURED_AT = ("Acquisition", "Content", "InstanceCreation")
OF_ALL_IMAGES = ("Series", "Study")
FRAMES = re.compile(r"\bAveraged Frames (\d{1,6})\b")
LEFT_EMPTY = ("PatientID", "RadiationMachineName", "StudyDate")
STATION_SERIAL = re.compile(r"(?:^|[-_ ])SN(\d{2,8})$")
KILOVOLTS_PER_MEGAVOLT = 1000.0
MEGAVOLTS = (1.0, 50.0)
MOST_BEAM_NUMBER = 100_000
MOST_FRACTIONS = 1000
# `6 MV`, `6 [MV]`, `10X-FFF`, `6xFFF`; no word before it, no MV/min after it.
WRITTEN_ENERGY = re.compile(
    r"(?<![\w.])(\d{1,2}(?:\.\d)?) ?(?:\[MV\]|MV|X)(?: ?-? ?(FFF))?(?![\w/])", re.IGNORECASE
)


def texts(root: Item, exposure: Item | None) -> Mapping[str, str]:
    """What a person or a system wrote to name the image, by keyword; what is empty is left out."""
    found = {keyword: root.text(keyword) for keyword in TEXTS}
    if exposure is not None and found["KVP"] is None:
        found["KVP"] = exposure.text("KVP")
    return {keyword: text for keyword, text in found.items() if text is not None}


def frames(root: Item) -> int:
    """How many frames the panel put together, where its description says so; else 1."""
    written = FRAMES.search(root.text("RTImageDescription") or "")
    return max(1, int(written[1])) if written is not None else 1


def machine_serial(root: Item) -> str | None:
    """The machine's serial number: of its station (`NDS-WKS-SN2110`), else of the device.

    The serial in an image that was derived is that of the system that derived it.
    """
    station = STATION_SERIAL.search(root.text("StationName") or "")
    if station is not None:
        return station[1]
    is_derived = (root.code("ImageType") or "").upper().startswith("DERIVED")
    return None if is_derived else root.text("DeviceSerialNumber")


def identity(root: Item) -> Identity:
    """Patient, plan and beam.  Raises `ReadError` where nothing says whose image it is.

    What a machine takes outside of any patient's study has all of this written and left empty, the
    study's date too; the folder that it comes by has to tell the machine then.
    """
    patient_id = root.text("PatientID")
    named = ("PatientName", "RadiationMachineName", "DeviceSerialNumber", "StationName")
    if patient_id is None and not any(root.text(keyword) for keyword in named):
        is_of_no_study = (
            (root.code("ImageType") or "").upper().startswith("ORIGINAL")
            and all(root.has(keyword) for keyword in LEFT_EMPTY)
            and root.code("StudyDate") is None
            and root.text("Manufacturer") is not None
        )
        if not is_of_no_study:
            raise root.error("IDENTITY", "the image names neither a patient nor a machine")
        root.reading.warn(
            "the image names neither a patient nor a machine; the folder that it comes by tells "
            "the machine"
        )
    plans = root.items("ReferencedRTPlanSequence", "plan reference", most=100)
    if len(plans) > 1:
        root.reading.warn(f"{len(plans)} plans are referred to: none of them is taken")
    return Identity(
        patient_id=patient_id,
        plan_uid=plans[0].code("ReferencedSOPInstanceUID") if len(plans) == 1 else None,
        beam_number=root.count("ReferencedBeamNumber", most=MOST_BEAM_NUMBER),
    )


def performed_at(root: Item) -> datetime | None:
    """When the image was taken, local time; the best of what is stated.

    The study's and the series' times may be earlier by days: they stand in with a warning.  So
    does a date without a time, at 00:00.
    """
    for kind in MEASURED_AT:
        found = root.moment(f"{kind}Date", f"{kind}Time")
        if found is not None:
            return found
    for kind in OF_ALL_IMAGES:
        found = root.moment(f"{kind}Date", f"{kind}Time")
        if found is not None:
            root.reading.warn(f"the image's own time is not stated: that of its {kind} is taken")
            return found
    for kind in (*MEASURED_AT, *OF_ALL_IMAGES):
        day = _day(root.code(f"{kind}Date"))
        if day is not None:
            root.reading.warn("the date of the image is stated without a time: 00:00 is taken")
            return day
    root.reading.warn("the image does not say when it was taken")
    return None


def _day(written: str | None) -> datetime | None:
    if written is None or not re.fullmatch(r"\d{8}", written, re.ASCII):
        return None
    try:
        return datetime.combine(datetime.strptime(written, "%Y%m%d").date(), time())  # noqa: DTZ007
    except ValueError:
        return None


def energy(root: Item, exposure: Item | None) -> str | None:
    """The energy as logs write it (`6x`, `10xFFF`); None for kilovolts and where it is not told.

    KVP is in kV by the standard; systems that write 6 there mean MV.
    """
    kilovolts = exposure.number("KVP") if exposure is not None else None
    kilovolts = root.number("KVP") if kilovolts is None else kilovolts
    megavolts = _megavolts(kilovolts)
    said = root.text("RTImageDescription") or ""
    written = WRITTEN_ENERGY.search(said)
    if kilovolts is not None and megavolts is None:
        return None
    if written is not None and megavolts not in (None, float(written[1])):
        root.reading.warn("KVP and the description give different energies; KVP is taken")
        written = None
    if megavolts is None:
        megavolts = float(written[1]) if written is not None else None
    if megavolts is None:
        return None
    is_filter_free = (written is not None and written[2] is not None) or _is_filter_free(exposure)
    return f"{megavolts:g}x{'FFF' if is_filter_free else ''}"


def _megavolts(kilovolts: float | None) -> float | None:
    if kilovolts is None:
        return None
    low, high = MEGAVOLTS
    if low <= kilovolts <= high:
        return kilovolts
    return kilovolts / KILOVOLTS_PER_MEGAVOLT if kilovolts >= KILOVOLTS_PER_MEGAVOLT else None


def _is_filter_free(exposure: Item | None) -> bool:
    if exposure is None:
        return False
    modes = exposure.items("PrimaryFluenceModeSequence", "fluence mode", most=4)
    return any(
        mode.code("FluenceMode") == "NON_STANDARD" and mode.text("FluenceModeID") == "FFF"
        for mode in modes
    )
