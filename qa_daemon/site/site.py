"""The clinic: machines, folders, limits and people, as the rest of the service asks for them."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from analyzers.core import Analyzer, Limits, Metric
from analyzers.image_pins import Pin
from analyzers.sheet_mapping import SheetMapping
from analyzers.sheet_sessions import ClinicSheet
from qa_daemon.site.image_rules import pins
from qa_daemon.site.settings import LimitsEntry, Machine, Person, SiteFile, SiteSection
from qa_daemon.site.sheet_settings import MappingError, read_mappings


class SiteError(Exception):
    """The site file is wrong: the message names file and key and says what to do."""


@dataclass(frozen=True)
class Site:
    """A checked site file; every path is absolute."""

    file: SiteFile
    path: Path
    metrics: Mapping[str, Metric]
    clock: Callable[[], datetime]
    mappings: Sequence[SheetMapping] = ()
    """What the `[[spreadsheet]]` entries name, in their order."""

    @property
    def name(self) -> str:
        """The clinic's name."""
        return self.file.site.name

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone."""
        return ZoneInfo(self.file.site.time_zone)

    @property
    def state_dir(self) -> Path:
        """Where store, archive and arrays are."""
        return self.resolve(self.file.site.state_dir)

    @property
    def machines(self) -> Sequence[Machine]:
        """All machines."""
        return self.file.machine

    @property
    def reachable(self) -> list[Person]:
        """Everybody whom messages can go to."""
        return [person for person in self.file.person if person.is_reachable]

    def person_named(self, name: str) -> Person | None:
        """The person of that name."""
        return next((p for p in self.file.person if p.name == name), None)

    @property
    def base_url(self) -> str:
        """Where people find the pages."""
        web = self.file.web
        return (web.public_url or f"http://{web.host}:{web.port}").rstrip("/")

    def resolve(self, path: Path) -> Path:
        """A path of the site file, taken relative to it."""
        return (self.path.parent / path).absolute()

    def folders_of(self, machine: Machine) -> list[Path]:
        """The watched folders of a machine."""
        return [self.resolve(folder) for folder in machine.folders]

    def machine_named(self, name: str | None) -> Machine | None:
        """The machine of that name."""
        return next((m for m in self.machines if m.name == name), None)

    def machine_of_path(self, path: Path) -> Machine | None:
        """The machine whose watched folder holds this path; the deepest folder wins."""
        owners = [
            (len(folder.parts), machine)
            for machine in self.machines
            for folder in self.folders_of(machine)
            if path.absolute().is_relative_to(folder)
        ]
        return max(owners, key=lambda owner: owner[0])[1] if owners else None

    def machine_of_serial(self, serial: str | None) -> Machine | None:
        """The machine that writes this serial into its files."""
        found = [m for m in self.machines if serial and m.serial == serial]
        return found[0] if len(found) == 1 else None

    def machine_told(self, serial: str | None, name: str | None) -> Machine | None:
        """The machine that a file names, by its serial or by what it is called; None: no one."""
        of_serial = self.machine_of_serial(serial)
        if of_serial is not None or not name:
            return of_serial
        called = name.strip().casefold()
        found = [
            m
            for m in self.machines
            if called in {other.casefold() for other in (m.name, *m.plan_names)}
        ]
        return found[0] if len(found) == 1 else None

    def machine_names(self, machine: Machine | None) -> dict[str, object]:
        """What plans call a machine and the others, as a job is told it."""
        if machine is None:
            return {}
        others = [m for m in self.machines if m is not machine]
        return {
            "machine_names": (machine.name, *machine.plan_names),
            "other_machine_names": tuple(n for m in others for n in (m.name, *m.plan_names)),
            "machine_names_are_all": bool(machine.plan_names),
        }

    def zoned(self, wall_time: datetime | None) -> datetime | None:
        """A machine's wall time as the clinic's; of an hour that comes twice, the first.

        A record that says its own offset from UTC means an instant, and keeps it.
        """
        if wall_time is None:
            return None
        if wall_time.tzinfo is not None:
            return wall_time.astimezone(self.zone)
        return wall_time.replace(tzinfo=self.zone, fold=0)

    def today(self) -> datetime:
        """The clinic's wall time now; only for records that do not say when they were made."""
        return self.clock().astimezone(self.zone)

    def plan_class_of(
        self, labels: Sequence[str], dose_per_fraction_gy: float | None, techniques: Sequence[str]
    ) -> str | None:
        """The class of a plan, by its labels, dose per fraction in Gy or techniques; None: none."""
        for each in self.file.plan_class:
            named = any(
                part.casefold() in label.casefold()
                for part in each.label_contains
                for label in labels
            )
            least = each.dose_per_fraction_gy
            high = None not in (least, dose_per_fraction_gy) and dose_per_fraction_gy >= least  # type: ignore[operator]
            told = {t.casefold() for t in techniques} & {t.casefold() for t in each.techniques}
            if named or high or told:
                return each.name
        return None

    def limits_for(
        self,
        metric: str,
        machine_class: str,
        machine: Machine | None,
        on: date,
        plan_class: str | None = None,
    ) -> Limits | None:
        """The limits in force on a day: the machine's own, its class's own, the product's default.

        `metric` is `analyzer.metric`, `plan_class` a class of the site's radiosurgery plans, or
        what stands in for one in tests of a machine that treats those: judged by the product's
        limits for those as well, unless the site has its own for them.  None means trend-only.
        """
        usual = self._limits_for(metric, machine_class, machine, on, plan_class)
        tighter = self.metrics[metric].radiosurgery
        if plan_class is None or tighter is None:
            return usual
        entries = self._entries(metric, machine_class, machine, on, plan_class)
        if any(entry.plan_class is not None for entry in entries):
            return usual
        return tighter if usual is None else usual.tightened(tighter)

    def _entries(
        self,
        metric: str,
        machine_class: str,
        machine: Machine | None,
        on: date,
        plan_class: str | None,
    ) -> list[LimitsEntry]:
        """The site's own limits that are in force for such a plan on this machine."""
        return [
            e
            for e in self.file.limits
            if e.metric == metric
            and e.effective_from <= on
            and e.machine in (None, machine.name if machine else None)
            and e.machine_class in (None, machine_class)
            and e.plan_class in (None, plan_class)
        ]

    def _limits_for(
        self,
        metric: str,
        machine_class: str,
        machine: Machine | None,
        on: date,
        plan_class: str | None,
    ) -> Limits | None:
        declared = self.metrics[metric]
        # A class that a judged metric has no limits for is a mistake, not a trend: it never passes.
        unknown = Limits(source="no limits for this machine class") if declared.limits else None
        default = declared.limits.get(machine_class, unknown)
        entries = self._entries(metric, machine_class, machine, on, plan_class)
        if not entries:
            return default
        chosen = max(
            entries,
            key=lambda e: (e.plan_class is not None, e.machine is not None, e.effective_from),
        )
        return _own_limits(
            chosen, declared.limits.get(machine_class) or next(iter(declared.limits.values()), None)
        )

    def own_limits(self, entry: LimitsEntry) -> Limits:
        """What a limit of the site file says: its bounds, by its direction or the default's."""
        declared = self.metrics[entry.metric]
        machine = self.machine_named(entry.machine)
        machine_class = entry.machine_class or (machine.machine_class if machine else "")
        default = declared.limits.get(machine_class) or next(iter(declared.limits.values()), None)
        return _own_limits(entry, default)

    @property
    def image_pins(self) -> tuple[Pin, ...]:
        """What the site says its images are, first rule first."""
        return pins(self.file.image_rule)

    @property
    def analyzer_settings(self) -> dict[str, dict[str, object]]:
        """The site's own settings by analyzer."""
        return {name: dict(keys) for name, keys in self.file.analyzer.items()}

    def sheets_for(self, machine: Machine | None, name: str) -> tuple[ClinicSheet, ...]:
        """The mappings that claim a file of this name in a folder of this machine."""
        if machine is None:
            return ()
        return tuple(
            ClinicSheet(mapping=mapping, time_zone=self.file.site.time_zone, unit_id=machine.name)
            for entry, mapping in zip(self.file.spreadsheet, self.mappings, strict=True)
            if entry.machine == machine.name and entry.claims(name)
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that can change a number or a verdict."""
        content = self.file.model_dump(
            mode="json",
            include={
                "machine",
                "limits",
                "analyzer",
                "plan_class",
                "plans",
                "images",
                "image_rule",
                "instrument",
                "spreadsheet",
            },
        )
        content["mappings"] = [mapping.model_dump(mode="json") for mapping in self.mappings]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _own_limits(entry: LimitsEntry, default: Limits | None) -> Limits:
    source = f"site: {entry.author}, {entry.effective_from.isoformat()}, {entry.reason}"
    direction = entry.direction
    if direction is None and default is not None:
        has_low, has_high = default.action_low is not None, default.action_high is not None
        direction = "within" if has_low and has_high else "at_least" if has_low else "at_most"
    if direction == "at_least":
        return Limits.at_least(tolerance=entry.tolerance, action=entry.action, source=source)
    if direction == "at_most":
        return Limits.at_most(tolerance=entry.tolerance, action=entry.action, source=source)
    within = Limits.within(tolerance=entry.tolerance, action=entry.action, source=source)
    return replace(
        within, tolerance_percent=entry.tolerance_percent, action_percent=entry.action_percent
    )


def load(
    path: Path, analyzers: Sequence[Analyzer[Any, Any]], clock: Callable[[], datetime]
) -> Site:
    """Read and check a site file.  Raises `SiteError` that names file and key."""
    try:
        with path.open("rb") as stream:
            file = SiteFile.model_validate(tomllib.load(stream))
    except FileNotFoundError:
        raise SiteError(f"{path}: there is no such file; write one or run the demo") from None
    except (OSError, UnicodeDecodeError) as why:
        raise SiteError(f"{path}: cannot be read: {why}") from None
    except tomllib.TOMLDecodeError as why:
        raise SiteError(f"{path}: not TOML: {why}") from None
    except ValidationError as why:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in why.errors()]
        raise SiteError("\n".join(f"{path}: {line}" for line in lines)) from None
    try:
        mappings = read_mappings(file.spreadsheet, path.absolute().parent)
    except MappingError as why:
        raise SiteError(f"{path}: {why}") from None
    site = Site(file, path.absolute(), metrics_of(analyzers), clock, mappings)
    _check_names(site, analyzers)
    _check_folders(site)
    return site


def without_file(analyzers: Sequence[Analyzer[Any, Any]], clock: Callable[[], datetime]) -> Site:
    """A clinic without a site file: no machines, the product's default limits, no time zone."""
    section = SiteSection(name="no site", time_zone="UTC", state_dir=Path("state"))
    return Site(SiteFile(site=section), Path("site.toml").absolute(), metrics_of(analyzers), clock)


def metrics_of(analyzers: Sequence[Analyzer[Any, Any]]) -> dict[str, Metric]:
    """Every metric by `analyzer.metric`."""
    return {f"{a.name}.{m.name}": m for a in analyzers for m in a.metrics}


def _check_folders(site: Site) -> None:
    state = site.state_dir.resolve()
    for number, machine in enumerate(site.machines):
        for folder in site.folders_of(machine):
            if state.is_relative_to(folder.resolve()):
                raise SiteError(
                    f"{site.path}: machine.{number}.folders: the state folder lies inside a "
                    "watched folder, and the daemon would take in its own files: put it elsewhere"
                )


def _check_names(site: Site, analyzers: Sequence[Analyzer[Any, Any]]) -> None:
    known = {a.name: a for a in analyzers}
    for number, entry in enumerate(site.file.limits):
        if entry.metric not in site.metrics:
            raise SiteError(f"{site.path}: limits.{number}: there is no metric {entry.metric!r}")
        if not site.metrics[entry.metric].limits and entry.direction is None:
            raise SiteError(f"{site.path}: limits.{number}: a trend-only metric needs a direction")
        is_share = (entry.tolerance_percent, entry.action_percent) != (None, None)
        tighter = site.metrics[entry.metric].radiosurgery
        if is_share and tighter is not None and entry.plan_class is None:
            raise SiteError(
                f"{site.path}: limits.{number}: {entry.metric} has tighter limits for radiosurgery "
                "plans, which cannot be put together with tolerance_percent or action_percent: "
                "leave them out, or give the entry a plan_class"
            )
    for name, settings in site.file.analyzer.items():
        if name not in known:
            raise SiteError(f"{site.path}: analyzer.{name}: there is no such analyzer")
        try:
            known[name].settings.model_validate(settings)
        except ValidationError as why:
            first = why.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise SiteError(f"{site.path}: analyzer.{name}.{key}: {first['msg']}") from None
