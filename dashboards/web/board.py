"""Today's board: a tile for each machine and test, worst first, and how the service stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analyzers.core import Limits
from dashboards.web.clinic import Clinic, When
from dashboards.web.history import signals_of
from dashboards.web.wording import (
    LOOKS,
    Look,
    action_of,
    age,
    instant,
    plural,
    quantity,
    tolerance_of,
)
from qa_daemon.model import Verdict
from qa_daemon.store import image_kinds
from qa_daemon.store.courses import MOST_UNMATCHED
from qa_daemon.store.image_kinds import MOST_LISTED
from qa_daemon.store.queries import Finding, StoredAnalysis, StoredMeasurement, Tile

STALE_AFTER = timedelta(hours=36)
LATE_AFTER = timedelta(minutes=10)
A_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TileView:
    """One tile."""

    test: str
    look: Look
    result: int
    when: When
    is_stale: bool
    value: str
    place: str
    meaning: str
    limits: list[str]
    sentence: str


@dataclass(frozen=True, slots=True)
class EarlierView:
    """A delivery of the last day that was worse than what the tile of its test shows now."""

    test: str
    look: Look
    result: int
    when: When


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine's row; `worst` None: there is no result yet; `is_stale`: none but old ones."""

    name: str
    machine_class: str
    tiles: list[TileView]
    worst: Look | None
    is_stale: bool
    earlier: list[EarlierView]
    signals: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement of the strip on top; `is_bad` makes it stand out."""

    text: str
    is_bad: bool = False
    link: str | None = None
    detail: str = ""


def machines(clinic: Clinic) -> list[MachineView]:
    """Every machine in the order of the site file, then those that only files know."""
    tiles: dict[str, list[Tile]] = {}
    for tile in clinic.queries.board():
        tiles.setdefault(tile.machine, []).append(tile)
    classes = {m.name: m.machine_class for m in clinic.site.machines}
    names = [*classes, *(name for name in tiles if name not in classes)]
    since_ns = int((clinic.clock() - A_DAY).timestamp()) * 10**9
    signals = signals_of(clinic)
    found = clinic.queries.findings_since(since_ns)
    return [
        _machine(
            clinic,
            name,
            classes.get(name, "not in the site file"),
            tiles.get(name, []),
            [finding for finding in found if finding.machine == name],
            len(signals.get(name, [])),
        )
        for name in names
    ]


def facts(clinic: Clinic) -> Iterator[Fact]:
    """Folders that cannot be reached, files that could not be read, backlog, sinks and alerts."""
    status = clinic.status()
    files, alerts = _part(status, "files"), _part(status, "alerts")
    if not clinic.ready():
        yield Fact("Not taking in files now", is_bad=True, detail="the service starts or stops")
    yield from _lost_folders(status.get("folders"), clinic.clock())
    unread = _count(files, "quarantined")
    yield Fact(
        f"{plural(unread, 'file')} could not be read" if unread else "All files could be read",
        is_bad=unread > 0,
        link="/quarantine",
    )
    yield Fact(
        plural(_count(alerts, "open"), "open alert"),
        is_bad=_count(alerts, "open") > 0,
    )
    unmatched = clinic.courses.count_unmatched()
    if unmatched:
        more = " and more" if unmatched > MOST_UNMATCHED else ""
        many = min(unmatched, MOST_UNMATCHED)
        text = f"{many}{more} {'log needs' if unmatched == 1 else 'logs need'} a match"
        yield Fact(text, is_bad=True, link="/matches")
    unseen = image_kinds.count_unclassified(clinic.store)
    if unseen:
        more = " and more" if unseen > MOST_LISTED else ""
        text = f"{min(unseen, MOST_LISTED)}{more} {'image needs' if unseen == 1 else 'images need'}"
        yield Fact(f"{text} a physicist's word", is_bad=True, link="/images")
    queued, waiting = _count(files, "queued"), _count(files, "waiting")
    yield Fact(
        f"{plural(queued, 'file')} queued",
        detail=f"{plural(waiting, 'file')} waiting for what belongs with them" if waiting else "",
    )
    for name, sink in _part(status, "sinks").items():
        if isinstance(sink, Mapping):
            yield _sink(str(name), sink, clinic.clock())


def _machine(
    clinic: Clinic,
    name: str,
    machine_class: str,
    tiles: list[Tile],
    found: list[Finding],
    signals: int,
) -> MachineView:
    views = [
        _tile(clinic, tile)
        for tile in sorted(tiles, key=lambda t: (_rank(t.analysis.verdict), t.analysis.analyzer))
    ]
    verdicts = [t.analysis.verdict for t in tiles if t.analysis.verdict is not None]
    return MachineView(
        name,
        machine_class,
        views,
        worst=LOOKS[max(verdicts)] if verdicts else None,
        is_stale=bool(views) and all(view.is_stale for view in views),
        earlier=_earlier(clinic, tiles, found),
        signals=f"{plural(signals, 'trend')} to look at" if signals else "",
    )


def _earlier(clinic: Clinic, tiles: list[Tile], found: list[Finding]) -> list[EarlierView]:
    """The worst of the day for each test, where a newer delivery hides it."""
    now = {tile.analysis.analyzer: tile.analysis.verdict or Verdict.PASS for tile in tiles}
    worst: dict[str, Finding] = {}
    for finding in found:
        if finding.verdict > now.get(finding.analyzer, Verdict.PASS):
            worst.setdefault(finding.analyzer, finding)
    return [
        EarlierView(clinic.title(f.analyzer), LOOKS[f.verdict], f.result, clinic.when(f.point_ns))
        for f in worst.values()
    ]


def _rank(verdict: Verdict | None) -> int:
    return 1 if verdict is None else -int(verdict)


def _tile(clinic: Clinic, tile: Tile) -> TileView:
    said = tile.analysis
    worst = worst_measurement(said)
    stale = clinic.clock() - instant(tile.point_ns) > STALE_AFTER
    return TileView(
        test=clinic.title(said.analyzer),
        look=LOOKS[said.verdict],
        result=tile.result,
        when=clinic.when(tile.point_ns),
        is_stale=stale,
        value=quantity(worst.value, worst.unit, worst.limits) if worst else "no value",
        place=(worst.at or "") if worst else "",
        meaning=clinic.meaning(said.analyzer, worst.metric) if worst else "",
        limits=_limits(worst) if worst else [],
        sentence=said.failure or "",
    )


def worst_measurement(said: StoredAnalysis) -> StoredMeasurement | None:
    """The judged number with the worst verdict; of equals the one nearest its limit."""
    judged = [m for m in said.measurements if m.verdict is not None]
    if not judged:
        return None
    return max(judged, key=lambda m: (int(m.verdict or 0), _used(m.value, m.limits, m.unit)))


def _used(value: float, limits: Limits, unit: str) -> float:
    """How much of what is allowed is used up; 1 at the limit."""
    shares = [0.0]
    highs = (limits.tolerance_high, limits.action_high)
    shares += [value / bound for bound in highs if bound is not None and bound > 0]
    for bound in (limits.tolerance_low, limits.action_low):
        if bound is not None and bound < 0:
            shares.append(value / bound)
        elif bound is not None and unit == "%" and bound < 100:
            shares.append((100.0 - value) / (100.0 - bound))
    return max(shares)


def _limits(measured: StoredMeasurement) -> list[str]:
    tolerance = tolerance_of(measured.limits, measured.unit)
    action = action_of(measured.limits, measured.unit)
    if tolerance == action:
        return [f"limit {tolerance}"]
    return [f"tolerance {tolerance}", f"action {action}"]


def _sink(name: str, sink: Mapping[object, object], now: datetime) -> Fact:
    behind, error = sink.get("behind"), sink.get("last_error")
    last = sink.get("last_success")
    when = datetime.fromisoformat(str(last)) if last else None
    took = f"last took a result {age(when, now)}" if when else ""
    count = behind if isinstance(behind, int) else 0
    late = count > 0 and when is not None and now - when > LATE_AFTER
    text = f"{name}: {plural(count, 'result')} behind" if count else f"{name}: up to date"
    return Fact(text, is_bad=error is not None or late, detail=str(error) if error else took)


def _lost_folders(folders: object, now: datetime) -> Iterator[Fact]:
    """One fact for each machine whose watched folders cannot all be listed."""
    lost: dict[str, float | None] = {}
    for folder in folders if isinstance(folders, list) else []:
        if not folder["is_reachable"]:
            lost.setdefault(folder["machine"] or "Several machines", folder["last_scan_s_ago"])
    for machine, ago_s in lost.items():
        seen = f"last looked through {age(now - timedelta(seconds=ago_s), now)}" if ago_s else ""
        yield Fact(f"{machine}: watched folder cannot be reached", is_bad=True, detail=seen)


def _part(status: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = status.get(name)
    return part if isinstance(part, Mapping) else {}


def _count(part: Mapping[str, object], name: str) -> int:
    count = part.get(name)
    return count if isinstance(count, int) else 0
