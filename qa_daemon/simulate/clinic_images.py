"""The demo clinic's portal images of its last days, and what is wrong with some of them.

A picket fence with the log of the same delivery, a Winston-Lutz set and an open field each morning,
a pair of VMAT images on the last one; and of TB1's patients an image of every fraction.  Faults as
clinics see them: leaf B23 of TB2, whose nut wears out, so that its log goes on calling it right; a
ball that is off on the morning after a service; an image that nobody can name; a panel that stood
elsewhere than it says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from analyzers.portal_images import ImageKind, PortalImage
from analyzers.records import Identity
from qa_daemon.simulate.clinic import MLC, Treatment, identity, shape, treatments
from qa_daemon.simulate.epid_delivery import image_of
from qa_daemon.simulate.epid_open_field import OpenField, open_field
from qa_daemon.simulate.epid_options import file_name
from qa_daemon.simulate.epid_panel import Array, Exposure, Imager, exposed, imager_of
from qa_daemon.simulate.epid_shapes import Openings, on_panel
from qa_daemon.simulate.epid_vmat import VmatTest, vmat_pair
from qa_daemon.simulate.epid_winston_lutz import Position, WinstonLutz, winston_lutz
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.rtimage import write_rtimage

IMAGED_DAYS = 3
PICKETS = 0
"""The beam of the morning's picket fence."""
WORN_NUT = ("TB2", "B23")
WORN_BY_MM = {3: 0.4, 2: 0.8, 1: 1.2}
"""By how many days are left; the log knows nothing of it."""
SERVICED = ("TB1", 2)
"""Machine and days left on the morning after the service."""
AFTER_SERVICE = Position(left_mm=0.7, in_mm=-0.6, up_mm=0.8)
SET_UP = Position(left_mm=0.1, in_mm=0.1, up_mm=-0.1)
UNNAMED = ("TB2", 1)
WATCHED = "TB1"
"""Whose patients have an image of every fraction."""
SHIFTED, SHIFT_MM = (2, 1), 6.0
"""Beam and days left of the fraction with a panel that is off, and by how much at the panel."""
WATER_PER_MM = 0.0048
"""Attenuation of a transmitted 6 MV beam."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Images of one test of one morning; they are made when they are asked for."""

    machine: str
    at: datetime
    test: str
    make: Callable[[], Sequence[PortalImage]]


Make = Callable[[Exposure], Sequence[PortalImage]]


def taken(days: int, today: datetime) -> Iterator[Taken]:
    """The images of the last mornings, oldest first."""
    given = list(treatments(days, today))
    dates = sorted({t.at.date() for t in given})
    for treatment in given:
        day = dates.index(treatment.at.date())
        left = len(dates) - day
        tests: Iterable[tuple[float, str, Make]] = ()
        if treatment.beam == PICKETS and left <= IMAGED_DAYS:
            tests = _tests(treatment, left)
        elif treatment.beam != PICKETS and treatment.machine == WATCHED:
            tests = [(1.0, "fraction", partial(_fraction, treatment, day + 1, left))]
        for minutes, test, make in tests:
            at = treatment.at + timedelta(minutes=minutes)
            yield Taken(treatment.machine, at, test, _dated(make, treatment.machine, at))


def write_images(folder: Path, days: int, today: datetime) -> None:
    """Write every image into its machine's folder, as old as its test."""
    for test in taken(days, today):
        for number, image in enumerate(test.make()):
            path = folder / "incoming" / test.machine / file_name(image, number)
            write_rtimage(path, image)
            os.utime(path, (test.at.timestamp(), test.at.timestamp()))


def _tests(treatment: Treatment, left: int) -> Iterator[tuple[float, str, Make]]:
    """Minutes after the picket fence's log, name of the test, and what makes its images."""
    machine, imager = treatment.machine, imager_of("as1000")

    def pickets(exposure: Exposure) -> Sequence[PortalImage]:
        return [_pickets(treatment, left, exposure, imager)]

    def field(exposure: Exposure) -> Sequence[PortalImage]:
        told = replace(exposure, kind=ImageKind.OPEN_FIELD, label="Open field 10x10")
        return [open_field(OpenField(), imager, told)]

    def ball(exposure: Exposure) -> Sequence[PortalImage]:
        place = AFTER_SERVICE if (machine, left) == SERVICED else SET_UP
        told = replace(exposure, kind=ImageKind.WINSTON_LUTZ, label="", mu=20.0)
        return winston_lutz(WinstonLutz(place, field_sag_mm=0.3), imager, told)

    def strips(exposure: Exposure) -> Sequence[PortalImage]:
        told = replace(exposure, kind=ImageKind.VMAT_DRGS, label="DRGS", mu=200.0)
        return vmat_pair(VmatTest("drgs", {1: 0.6, 7: -0.5}), imager, told)

    def unnamed(exposure: Exposure) -> Sequence[PortalImage]:
        return [_unnamed(replace(exposure, kind=ImageKind.UNCLASSIFIED, label="MV_1"), imager)]

    yield 1.0, "picket fence", pickets
    yield 3.0, "open field", field
    yield 5.0, "Winston-Lutz", ball
    if left == 1:
        yield 9.0, "VMAT", strips
    if (machine, left) == UNNAMED:
        yield 14.0, "without a name", unnamed


def _dated(make: Make, machine: str, at: datetime) -> Callable[[], Sequence[PortalImage]]:
    """With when and where it was, and of the clinic's own QA patient where it names none."""
    seed = int(at.timestamp()) % 10**6 + list(MLC).index(machine)
    exposure = Exposure(
        ImageKind.OTHER, machine_name=machine, performed_at=at.replace(tzinfo=None), seed=seed
    )
    patient = identity(machine, PICKETS).patient_id

    def made() -> Sequence[PortalImage]:
        return [
            image
            if image.beside.log is not None
            else replace(image, identity=Identity(patient_id=patient))
            for image in make(exposure)
        ]

    return made


def _pickets(treatment: Treatment, left: int, exposure: Exposure, imager: Imager) -> PortalImage:
    """The picket fence of the morning's own log: same delivery, and what the log does not know."""
    plan = shape(treatment.machine, treatment.beam)
    delivery = deliver(plan, treatment.errors, seed=treatment.seed, identity=treatment.identity)
    delivery = replace(delivery, performed_at=treatment.at.replace(tzinfo=None))
    machine, leaf = WORN_NUT
    worn_mm = WORN_BY_MM.get(left, 0.0) if treatment.machine == machine else 0.0
    told = replace(exposure, kind=ImageKind.PICKET_FENCE, label="PF G0")
    return image_of(delivery, told, imager, {leaf: worn_mm} if worn_mm else None)


def _fraction(
    treatment: Treatment, number: int, left: int, exposure: Exposure
) -> Sequence[PortalImage]:
    """What came through the patient while a beam was given."""
    delivery = deliver(
        shape(treatment.machine, treatment.beam),
        treatment.errors,
        seed=treatment.seed,
        identity=treatment.identity,
    )
    delivery = replace(delivery, performed_at=treatment.at.replace(tzinfo=None))
    shift_mm = SHIFT_MM if (treatment.beam, left) == SHIFTED else 0.0
    imager = imager_of("as500", sag_mm=(shift_mm, 0.0))
    told = replace(exposure, kind=ImageKind.PORTAL, label="MV_1")
    return [replace(image_of(delivery, told, imager, through=_patient), fraction=number)]


def _patient(x_mm: Array, y_mm: Array) -> Array:
    """Attenuation by 20 cm of water with a rounded front, a bone along y and a cavity."""
    water_mm = 200.0 - 0.003 * x_mm**2 + 0.0 * y_mm
    water_mm += 15.0 * np.exp(-(((x_mm - 14.0) / 8.0) ** 2))
    water_mm -= 20.0 * np.exp(-(((x_mm + 22.0) / 9.0) ** 2) - ((y_mm - 10.0) / 12.0) ** 2)
    return np.asarray(np.exp(-WATER_PER_MM * np.maximum(water_mm, 0.0)))


def _unnamed(exposure: Exposure, imager: Imager) -> PortalImage:
    """Two steps of an opening that no test has."""
    openings = Openings(
        share=np.array([0.6, 0.4]),
        left_mm=np.array([[-70.0, -20.0, 15.0], [-70.0, -60.0, 0.0]]),
        right_mm=np.array([[-10.0, 65.0, 40.0], [30.0, 0.0, 80.0]]),
        leaf_edges_mm=np.array([-60.0, -10.0, 25.0, 70.0]),
    )
    return exposed(on_panel(openings, imager) * exposure.open_cu, exposure, imager)
