"""The site file as models: every key, its default and its meaning, once.

An unknown key refuses to start.  Secrets are named by file, never written here.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from qa_daemon.site.dicom_settings import Dicom
from qa_daemon.site.image_rules import ImageRule
from qa_daemon.site.sheet_settings import SpreadsheetEntry
from qa_daemon.site.srt_settings import Courses, Instrument, SrtUnit
from qa_daemon.site.values import ONE_LINE, AeTitle, Duration, Model, Paths


class SiteSection(Model):
    """`[site]`"""

    name: str = Field(pattern=ONE_LINE)
    """What people call the clinic; shown on every page and alert."""
    time_zone: str
    """IANA name; machine logs carry local time."""
    state_dir: Path
    """Store, archive and arrays; relative to the site file, on a local disk."""
    paper: Literal["a4", "us-letter"] = "a4"
    """Of printed reports."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not an IANA time zone such as Europe/Berlin") from None
        return name


OF_NO_MACHINE = "unknown"
"""What records that name no machine are called in time series."""


class Machine(Model):
    """`[[machine]]`"""

    name: str = Field(pattern=ONE_LINE)
    """What people call it; shown on every page and alert."""
    machine_class: Literal["truebeam", "halcyon", "clinac", "elekta", "srt"]
    """Decides the default limits."""
    mlc: str | None = None
    """MLC model where a file does not say it: millennium120, hd120, agility …"""
    serial: str | None = None
    """As the machine writes it into its files."""
    folders: tuple[Path, ...] = ()
    """Watched, with everything below; relative to the site file."""
    radiosurgery: bool = False
    """Treats by radiosurgery: its tests on images are judged by the limits for that as well."""
    imager_model: Paths = ()
    """Fitted models of its portal imager, a file for each energy; relative to the site file."""
    plan_names: tuple[str, ...] = ()
    """What plans call it; left out: its name, and any that is no other machine's."""
    ae_title: AeTitle | None = None
    """What a `[[dicom.peer]]` calls itself that sends this machine's objects and no other's."""
    srt: SrtUnit | None = None
    """Beams and applicators of a superficial kV unit."""

    @model_validator(mode="after")
    def _of_its_class(self) -> Machine:
        if self.srt is not None and self.machine_class != "srt":
            raise ValueError("[machine.srt] belongs to a machine of class srt")
        if self.name.strip().casefold() == OF_NO_MACHINE:
            raise ValueError("this name is that of records of no machine: call it otherwise")
        return self


class Ingest(Model):
    """`[ingest]`"""

    settle_time: Duration = timedelta(seconds=5)
    """A file is taken when it has not changed for this long."""
    rescan_every: Duration = Field(default=timedelta(seconds=60), ge=timedelta(seconds=1))
    """The scan is the truth; file events only make it come sooner."""
    workers: int = Field(default=2, ge=1, le=64)
    """Processes that read and measure files."""
    job_time_limit: Duration = timedelta(seconds=180)
    """A worker that takes longer is ended; the file is tried once more."""
    job_memory_gb: float = Field(default=4.0, ge=1.0)
    """Address space of one worker."""
    largest_file_mb: float = Field(default=512.0, gt=0)
    """Larger files are quarantined unread."""


class Plans(Model):
    """`[plans]`"""

    arrive_within: Duration = timedelta(seconds=30)
    """So long a log whose plan is not here is WAITING; it is judged by itself meanwhile.

    A plan that comes later is used all the same.
    """
    required: bool = False
    """A log whose plan does not arrive in that time is INVALID, and a message is sent."""
    fraction_gap: Duration = timedelta(hours=3)
    """Deliveries of a plan further apart than this are different fractions."""
    log_within: Duration = timedelta(hours=1)
    """A treatment record whose log has not arrived so long after it raises a message."""


class Images(Model):
    """`[images]`"""

    complete_after: Duration = timedelta(seconds=30)
    """A set of images (Winston-Lutz, starshot) is judged when none has come for this long.

    So long a VMAT test waits for its open field.  One that comes later is used all the same.
    """
    set_gap: Duration = timedelta(minutes=4)
    """Images of a Winston-Lutz test made further apart than this are of different sets."""
    starshot_gap: Duration = timedelta(minutes=15)
    """The same for a starshot of which each image holds a spoke."""
    open_field_within: Duration = timedelta(hours=2)
    """The open field of a VMAT test was made at most so long before or after it."""
    log_within: Duration = timedelta(minutes=10)
    """The log of an image's delivery was made at most so long before or after it."""


class Influx(Model):
    """`[influx]`: left out, there is no sink."""

    url: str
    api: Literal["v1", "v2"] = "v1"
    """v1: database, user, password_file (`/write`).  v2: org, bucket, token_file."""
    database: str | None = None
    user: str | None = None
    password_file: Path | None = None
    org: str = ""
    bucket: str | None = None
    token_file: Path | None = None
    leaves: bool = True
    """Each leaf's worst of the day is sent too: some hundred series for each machine."""
    timeout: Duration = timedelta(seconds=10)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address is written like http://127.0.0.1:8086")
        if parts.username or parts.password:
            raise ValueError("no user or password here: use user and password_file, or token_file")
        return url

    @model_validator(mode="after")
    def _complete(self) -> Influx:
        if self.api == "v1" and not self.database:
            raise ValueError("api v1 needs a database")
        if self.api == "v2" and not self.bucket:
            raise ValueError("api v2 needs a bucket")
        return self


class Person(Model):
    """`[[person]]`: is told by channels, signs in by a password, or both."""

    name: str = Field(min_length=1)
    channels: tuple[str, ...] = ()
    """Addresses (mailto://…, https webhooks …), tried in order."""
    channels_file: Path | None = None
    """The same, one to a line, where addresses hold passwords."""
    password_file: Path | None = None
    """Lets the person sign in to the pages; `qa-daemon people password` writes it."""
    role: Literal["physicist", "therapist", "reader"] = "physicist"
    """A physicist decides and sees who a patient is; a therapist enters checks; a reader only signs
    in."""
    initials: str | None = Field(default=None, pattern=r"^\w{1,8}$")
    """What checks call whoever entered them; left out: a short pseudonym of the name."""

    @property
    def may_enter_checks(self) -> bool:
        """Whether this person may type in checks of a unit."""
        return self.role in ("physicist", "therapist")

    @property
    def is_reachable(self) -> bool:
        """Whether messages can go to this person."""
        return bool(self.channels) or self.channels_file is not None

    @model_validator(mode="after")
    def _useful(self) -> Person:
        if not self.is_reachable and self.password_file is None:
            raise ValueError(
                "a person needs channels or channels_file, or a password_file to sign in"
            )
        return self


class HandOver(Model):
    """One line of the weekly rota: from this local time on, this person."""

    from_: str = Field(
        alias="from", pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d$"
    )
    person: str


class Rota(Model):
    """`[rota]`"""

    weekly: tuple[HandOver, ...] = Field(min_length=1)


class Web(Model):
    """`[web]`"""

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    public_url: str | None = None
    """How people reach the pages, for the links in messages."""

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(
                "pages are served without TLS, so on this computer alone: use 127.0.0.1 and put "
                "a reverse proxy with TLS in front"
            )
        return host


class PlanClass(Model):
    """`[[plan_class]]`: which plans are radiosurgery plans; any of its rules is enough."""

    name: str = Field(pattern=ONE_LINE)
    """Shown with the limits that judge such a plan."""
    label_contains: tuple[str, ...] = ()
    """In the plan's label, in any case: SRS, SBRT, spine."""
    dose_per_fraction_gy: float | None = Field(default=None, gt=0)
    """At least so much is prescribed per fraction."""
    techniques: tuple[str, ...] = ()
    """As the plan names its technique."""

    @model_validator(mode="after")
    def _tells(self) -> PlanClass:
        if not (self.label_contains or self.dose_per_fraction_gy or self.techniques):
            raise ValueError("give label_contains, dose_per_fraction_gy or techniques")
        return self


class LimitsEntry(Model):
    """`[[limits]]`: a limit of the clinic's own, for one machine or all of a class."""

    metric: str = Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")
    """analyzer.metric"""
    machine: str | None = None
    machine_class: str | None = None
    plan_class: str | None = None
    """Only for plans of this `[[plan_class]]`."""
    tolerance: float
    action: float
    tolerance_percent: float | None = None
    action_percent: float | None = None
    direction: Literal["at_most", "at_least", "within"] | None = None
    """Needed only for a metric without a default limit."""
    effective_from: date
    author: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    @field_validator("tolerance", "action", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        match = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?)\s*[^\d\s]*\s*", str(value))
        if match is None:
            raise ValueError('a limit is a number, or a number with its unit such as "0.5 mm"')
        return float(match[1])


class SiteFile(Model):
    """The whole file."""

    site: SiteSection
    machine: tuple[Machine, ...] = ()
    ingest: Ingest = Ingest()
    dicom: Dicom | None = None
    plans: Plans = Plans()
    images: Images = Images()
    courses: Courses = Courses()
    influx: Influx | None = None
    person: tuple[Person, ...] = ()
    rota: Rota | None = None
    web: Web = Web()
    plan_class: tuple[PlanClass, ...] = ()
    limits: tuple[LimitsEntry, ...] = ()
    image_rule: tuple[ImageRule, ...] = ()
    instrument: tuple[Instrument, ...] = ()
    spreadsheet: tuple[SpreadsheetEntry, ...] = ()
    analyzer: dict[str, dict[str, object]] = {}
    """`[analyzer.NAME]`: an analyzer's own settings."""

    @model_validator(mode="after")
    def _consistent(self) -> SiteFile:
        _unique("machine", [m.name for m in self.machine])
        _unique("person", [p.name for p in self.person])
        _unique("person", [p.initials for p in self.person if p.initials], "have the initials")
        _unique("plan_class", [c.name for c in self.plan_class])
        titles = [m.ae_title for m in self.machine if m.ae_title is not None]
        _unique("machine", titles, "have the AE title")
        _unique("instrument", [f"{i.kind} {i.serial.casefold()}" for i in self.instrument])
        if self.dicom is not None:
            self.dicom.check(titles, self.ingest.largest_file_mb)
        people = {p.name: p for p in self.person}
        for hand_over in self.rota.weekly if self.rota else ():
            if hand_over.person not in people:
                raise ValueError(f"rota: there is no [[person]] named {hand_over.person!r}")
            if not people[hand_over.person].is_reachable:
                raise ValueError(f"rota: {hand_over.person!r} has no channels to be told by")
        machines = {m.name for m in self.machine}
        units = {m.name for m in self.machine if m.machine_class == "srt"}
        for sheet in self.spreadsheet:
            if sheet.machine not in units:
                raise ValueError(
                    f"spreadsheet: there is no [[machine]] of class srt named {sheet.machine!r}"
                )
        for entry in self.limits:
            if entry.machine is not None and entry.machine not in machines:
                raise ValueError(f"limits: there is no [[machine]] named {entry.machine!r}")
            if entry.plan_class not in (None, *(c.name for c in self.plan_class)):
                raise ValueError(f"limits: there is no [[plan_class]] named {entry.plan_class!r}")
        return self


def _unique(what: str, names: list[str], are: str = "are named") -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two [[{what}]] entries {are} {name!r}")
