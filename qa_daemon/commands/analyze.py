"""`qa-daemon analyze`: one-shot analysis of files, without a store."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from analyzers import catalogue as formats
from analyzers.catalogue import Catalogue
from analyzers.core import Companions, NamedFile, ReadError
from analyzers.plan_records import Plan
from analyzers.portal_images import PortalImage
from qa_daemon.app import open_site, utc_now
from qa_daemon.commands import forms
from qa_daemon.commands.image_groups import GivenImage, GivenLog, groups_of
from qa_daemon.fractions import goes_on
from qa_daemon.image_desk import with_imager
from qa_daemon.image_keys import told
from qa_daemon.jobs import measure
from qa_daemon.model import (
    DeliveredBeam,
    DeliveryKeys,
    ImageKeys,
    Job,
    NamedPath,
    Partners,
    PlanKeys,
    Report,
    Resumption,
    ToldKind,
)
from qa_daemon.output_desk import registered
from qa_daemon.pipeline import judge
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site, without_file
from qa_daemon.unit_rules import against_clinic

UNREADABLE = 65
BUG = 70
FAULT = "BUG"


@dataclass
class Group:
    """A main file, or a side file that is alone, with what belongs to it.

    `resumed_by` are later logs of the same beam, which was interrupted, or the other images of a
    set; `partners` is what an image is held against, `beside` those of its files that are listed;
    `told_kind` is what it shows.  `part` names one record of a main file that holds several, and
    `bytes_at` is where it lies.
    """

    main: Path
    companions: list[Path] = field(default_factory=list)
    resumed_by: list[Group] = field(default_factory=list)
    partners: Partners = field(default_factory=Partners)
    beside: list[Path] = field(default_factory=list)
    told_kind: ToldKind | None = None
    part: str | None = None
    bytes_at: Path | None = None

    @property
    def others(self) -> list[Path]:
        """All files that it is read with, but the main one."""
        later = (path for more in self.resumed_by for path in (more.main, *more.companions))
        return [*self.companions, *later]


@dataclass(frozen=True)
class Measured:
    """What was measured of a group, and the machine that it is of."""

    group: Group
    report: Report
    machine: Machine | None


@dataclass(frozen=True)
class Given:
    """What the user said beside the paths.

    `plans` are those that came with the logs, or the one that was chosen for all of them; `mlc` is
    the MLC model where neither a file nor the site says it.
    """

    has_site: bool
    plans: tuple[NamedPath, ...] = ()
    plan_is_chosen: bool = False
    mlc: str | None = None


def analyze(
    paths: Sequence[Path],
    config: Path | None,
    *,
    as_json: bool,
    mlc: str | None = None,
    plan: Path | None = None,
) -> int:
    """Analyze files and folders, print the results, and return the exit code.

    `mlc` is the MLC model where neither the file nor the site says it.  `plan` is the RT plan of
    all logs; without it, plans among the files are matched with the logs by evidence.
    """
    catalogue = formats.load()
    site = open_site(config) if config else without_file(catalogue.analyzers, utc_now)
    code = 0
    groups = grouped(list(_files(paths)), catalogue)
    if plan is None:
        plans = tuple(
            _named(group.main) for group in groups if _yields(group.main, catalogue, Plan)
        )
    else:
        plan = _followed(plan)
        plans = (_named(plan),)
        if not _is_readable_plan(plan, catalogue) and plan not in [g.main for g in groups]:
            groups = [*groups, Group(plan)]
    given = Given(config is not None, plans, plan is not None, mlc)
    images = [group for group in groups if _yields(group.main, catalogue, PortalImage)]
    # Images come last: they are held against the logs.
    logs = [group for group in groups if group not in images]
    measured = [one for group in logs for one in _records(group, catalogue, site, given)]
    whole = [_safely(j, catalogue, site, given) for j in joined(measured, site)]
    taken = {path for one in whole for path in (one.group.main, *one.group.others)}
    measured = [m for m in measured if m.group.main not in taken] + whole
    measured += _images(images, measured, catalogue, site, given)
    if any(one.report.error_code == FAULT for one in measured):
        code = BUG
    found = [_form(one, site, given) for one in measured]
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        for form in found:
            typer.echo(_as_text(form))
    return max(code, _exit_code(found))


def grouped(paths: Sequence[Path], catalogue: Catalogue) -> list[Group]:
    """Put side files to their main files by name, the nearest one first."""
    mains: list[tuple[Path, Companions | None, str]] = []
    sides: list[tuple[Path, Companions, str]] = []
    for path in paths:
        try:
            recognized = catalogue.recognize(path, path.name)
        except ReadError:
            mains.append((path, None, ""))
            continue
        rules, name = recognized.format.companions, recognized.format.name
        if recognized.is_companion and rules is not None:
            sides.append((path, rules, name))
        else:
            mains.append((path, rules, name))
    groups = {path: Group(path) for path, _, _ in mains}
    alone: list[Group] = []
    for side, rules, name in sides:
        main = _nearest(side, rules, [p for p, _, n in mains if n == name])
        if main is None:
            alone.append(Group(side))
        else:
            groups[main].companions.append(side)
    return [*groups.values(), *alone]


def _nearest(side: Path, rules: Companions, mains: Sequence[Path]) -> Path | None:
    own = rules.key(side.name)
    candidates: list[tuple[float, Path]] = []
    for main in mains:
        key = rules.key(main.name)
        if own and key and main.parent == side.parent and key[0] == own[0]:
            candidates.append((abs(key[1] - own[1]), main))
    near = [c for c in candidates if c[0] <= rules.reach]
    return min(near)[1] if near else None


def _yields(path: Path, catalogue: Catalogue, kind: type) -> bool:
    try:
        return issubclass(catalogue.recognize(path, path.name).format.yields, kind)
    except ReadError:
        return False


def _may_bundle(path: Path, catalogue: Catalogue) -> bool:
    try:
        return catalogue.recognize(path, path.name).format.may_bundle
    except ReadError:
        return False


def _images(
    images: Sequence[Group],
    measured: Sequence[Measured],
    catalogue: Catalogue,
    site: Site,
    given: Given,
) -> list[Measured]:
    """The images, each with its set and partners; what cannot be read stands alone."""
    found: list[Measured] = []
    read: list[GivenImage] = []
    for group in images:
        one = _safely(group, catalogue, site, given, only_keys=True)
        if not isinstance(one.report.keys, ImageKeys):
            found.append(one)
            continue
        read.append(
            GivenImage(
                group.main,
                _named(group.main),
                _sha256(group.main) or "",
                one.report.keys,
                one.report,
                _machine_name(one),
                group.main.stat().st_mtime,
            )
        )
    logs = [
        GivenLog(
            Resumption(
                file=_named(one.group.main),
                companions=tuple(_named(c) for c in one.group.companions),
            ),
            _machine_name(one),
            one.report.performed_at,
            one.report.keys.plan_uid,
            one.report.keys.beam_number,
        )
        for one in measured
        if isinstance(one.report.keys, DeliveryKeys)
    ]
    plans = {
        one.report.keys.plan_uid: _named(one.group.main)
        for one in measured
        if isinstance(one.report.keys, PlanKeys)
    }

    def plan_of(uid: str | None) -> NamedPath | None:
        return given.plans[0] if given.plan_is_chosen else plans.get(uid)

    for judged in groups_of(read, logs, plan_of, site):
        first, *rest = (image.path for image in judged.images)
        later, beside = [Group(path) for path in rest], list(judged.beside)
        machine = site.machine_of_path(first) or site.machine_told(
            judged.images[0].report.machine_serial, judged.images[0].report.machine_name
        )
        partners = with_imager(judged.partners, judged.images[0].report, site, machine)
        kind = told(judged.images[0].keys)
        group = Group(first, [], later, partners, beside, kind)
        found.append(_safely(group, catalogue, site, given))
    return found


def _machine_name(one: Measured) -> str | None:
    return one.machine.name if one.machine else one.report.machine_serial


def _records(group: Group, catalogue: Catalogue, site: Site, given: Given) -> list[Measured]:
    """What was measured of a group, of each record where its file holds several."""
    claimed = site.sheets_for(site.machine_of_path(group.main), group.main.name)
    if not claimed and not _may_bundle(group.main, catalogue):
        return [_safely(group, catalogue, site, given)]
    with TemporaryDirectory(prefix="qa-daemon-") as scratch:
        whole = _safely(group, catalogue, site, given, scratch=scratch)
        parts = [
            Group(group.main, part=part.name, bytes_at=Path(scratch, part.scratch))
            for part in whole.report.parts
        ]
        found = [_safely(part, catalogue, site, given) for part in parts]
        return [_with_notes(one, whole.report.warnings) for one in found] or [whole]


def _with_notes(one: Measured, notes: Sequence[str]) -> Measured:
    """With what is to be said of the whole file that the record is of."""
    warnings = (*notes, *one.report.warnings)
    return replace(one, report=one.report.model_copy(update={"warnings": warnings}))


def _safely(
    group: Group,
    catalogue: Catalogue,
    site: Site,
    given: Given,
    *,
    only_keys: bool = False,
    scratch: str | None = None,
) -> Measured:
    """What was measured of a group; a bug costs its own files alone."""
    try:
        return _one(group, catalogue, site, given, only_keys=only_keys, scratch=scratch)
    except Exception:  # noqa: BLE001
        # The boundary of a command: the other files still get their results.
        traceback.print_exc()
        fault = Report(error_code=FAULT, error_message="a fault of this program, not the file")
        return Measured(group, fault, None)


def _is_readable_plan(path: Path, catalogue: Catalogue) -> bool:
    """False where it cannot be read; refuses what is no plan at all, as a mistake of the caller."""
    try:
        if isinstance(catalogue.read(NamedFile.at(path)), Plan):
            return True
    except ReadError:
        return False
    raise typer.BadParameter("the file given with --plan is not an RT plan")


def joined(measured: Sequence[Measured], site: Site) -> Iterator[Group]:
    """The logs of beams that were interrupted and resumed, each as one group."""
    halves: dict[tuple[object, ...], list[tuple[datetime, DeliveredBeam, Group]]] = {}
    for one in measured:
        match, at = one.report.match, one.report.performed_at
        if match is None or at is None or len(match.beams) != 1:
            continue
        (beam,) = match.beams
        machine = one.machine.name if one.machine else one.report.machine_serial
        halves.setdefault((machine, beam.plan, beam.number), []).append((at, beam, one.group))
    for logs in halves.values():
        logs.sort(key=lambda log: (log[0], str(log[2].main)))
        chain = logs[:1]
        for log in logs[1:]:
            near = log[0] - chain[-1][0] <= site.file.plans.fraction_gap
            if near and goes_on(chain[-1][1], log[1]):
                chain.append(log)
                continue
            yield from _group_of(chain)
            chain = [log]
        yield from _group_of(chain)


def _group_of(chain: Sequence[tuple[datetime, DeliveredBeam, Group]]) -> Iterator[Group]:
    if len(chain) > 1:
        first, *later = (group for _, _, group in chain)
        yield Group(first.main, first.companions, later)


def _one(
    group: Group,
    catalogue: Catalogue,
    site: Site,
    given: Given,
    *,
    only_keys: bool,
    scratch: str | None,
) -> Measured:
    machine = site.machine_of_path(group.main)
    report: Report = measure(
        Job(
            file=_named(group.bytes_at or group.main),
            companions=tuple(_named(c) for c in group.companions),
            resumed_by=tuple(
                Resumption(
                    file=_named(more.main), companions=tuple(_named(c) for c in more.companions)
                )
                for more in group.resumed_by
            ),
            **site.machine_names(machine),  # type: ignore[arg-type]
            pins=site.image_pins,
            told_kind=group.told_kind,
            partners=group.partners,
            only_keys=only_keys,
            plans=given.plans,
            plan_is_chosen=given.plan_is_chosen,
            machine_class=machine.machine_class if machine else None,
            mlc=(machine.mlc if machine else None) or given.mlc,
            settings=site.analyzer_settings,
            units=tuple(registered(site, m) for m in site.machines if m.machine_class == "srt"),
            unit_of_folder=machine.name if machine else None,
            sheets=site.sheets_for(machine, group.main.name),
            scratch=scratch,
        ),
        catalogue,
    )
    report = against_clinic(report, machine, site)
    told = site.machine_told(report.machine_serial, report.machine_name)
    return Measured(group, report, machine or told)


def _form(one: Measured, site: Site, given: Given) -> forms.Form:
    group, report, machine = one.group, one.report, one.machine
    performed_at = report.performed_at
    if performed_at is not None and given.has_site:
        performed_at = site.zoned(performed_at)
    return forms.one_shot(
        _shown(group.main),
        [_shown(c) for c in (*group.others, *group.beside)],
        _sha256(group.main),
        machine.name if machine else report.machine_serial,
        performed_at,
        report,
        judge(report, site, machine),
        part=group.part,
    )


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Every path given, and every regular file below a folder given, once, in a fixed order."""
    seen: set[Path] = set()
    for path in paths:
        inside = sorted(_below(path)) if path.is_dir() else [_followed(path)]
        for file in inside:
            if file not in seen:
                seen.add(file)
                yield file


def _followed(path: Path) -> Path:
    # A link that a person names is meant; the readers themselves follow none.
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _named(path: Path) -> NamedPath:
    file = NamedFile.at(path)
    return NamedPath(path=str(path), name=file.name, folder=file.folder)


def _shown(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _exit_code(found: Sequence[forms.Form]) -> int:
    if any(form["error"] for form in found):
        return UNREADABLE
    return int(any(form["verdict"] in ("ACTION", "INVALID") for form in found))


def _as_text(form: forms.Form) -> str:
    part = f"#{form['part']}" if "part" in form else ""
    lines = [f"{form['verdict'] or 'not judged':10} {form['file']}{part}"]
    error = form["error"]
    if isinstance(error, dict):
        lines.append(f"  {error['code']}: {error['message']}")
    if form["not_judged"]:
        lines.append(f"  {form['not_judged']}")
    warnings = form["warnings"]
    lines += [f"  note: {warning}" for warning in (warnings if isinstance(warnings, list) else [])]
    analyses = form["analyses"]
    for analysis in analyses if isinstance(analyses, list) else []:
        lines += _analysis_lines(analysis)
    return "\n".join(lines)


def _analysis_lines(analysis: dict[str, object]) -> list[str]:
    why = analysis["failure"] or analysis["not_applicable"]
    lines = [f"  {analysis['verdict'] or '-':10} {analysis['analyzer']}{f': {why}' if why else ''}"]
    numbers = analysis["measurements"]
    for number in numbers if isinstance(numbers, list) else []:
        at = f" at {number['at']}" if number["at"] else ""
        verdict = number["verdict"] or "-"
        lines.append(
            f"    {verdict:10} {number['metric']} {number['value']:.4g} {number['unit']}{at}"
        )
    return lines
