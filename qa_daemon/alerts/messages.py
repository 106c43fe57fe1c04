"""What a message says: site, machine, test, value, limit, when, and where to look.

Plain text.  No file name, no words of a file or an analyzer, and nothing of a patient: what a
message leaves out is on the page behind its link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from qa_daemon.alerts.incidents import Reason
from qa_daemon.model import MatchState, Verdict
from qa_daemon.site.site import Site
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement, StoredResult

UNREADABLE = "unreadable file"
"""The name of the test that a file which cannot be read has failed."""
NO_LOG = "treated, no log arrived"
REPEATED = "beam delivered more than once"
TOO_MANY = "more sessions than the plan has fractions"
AWAY = "watched folder cannot be reached"
SAID_OF = {
    NO_LOG: "  a record, or the other beams of the fraction, say that it was treated",
    REPEATED: "  within one fraction; look at the treatment before the next one",
    TOO_MANY: "  look at the treatment before anything more of this plan is delivered",
}
SAID_BY = {
    "shape_agrees": "  the delivered shape is not the plan's",
    "leaves_disagreeing": "  log and image disagree{leaf}",
}
"""Of metrics that answer yes or no, or count, what a breach means; `{leaf}` names the worst."""
# Where on the machine a value was found: leaf, jaw, direction.  Other words stay in the store.
PLACE = re.compile(
    r"\d{0,2}[ABXY]\d{1,3}|sub-beam \d{1,4}|lateral|longitudinal|vertical|lat|lng|vrt"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A message."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Wording:
    """Writes messages; `titles` names the tests as people know them."""

    site: Site
    titles: Mapping[str, str]

    def alarm(self, result: StoredResult, news: Sequence[tuple[str, Reason, Verdict]]) -> Text:
        """Tests that went out of limits or got worse: name, reason and verdict of each."""
        worst = max(verdict for _, _, verdict in news)
        parts = []
        for test, reason, verdict in news:
            lines = [f"{self._title(test)}: {verdict.name}, {reason.value}"]
            if test == UNREADABLE:
                lines.append(f"  the file cannot be read ({_one_line(result.error_code)})")
            if test in SAID_OF:
                lines.append(SAID_OF[test])
            for analysis in _analyses(result, test):
                lines += _breaches(analysis)
            parts.append("\n".join(lines))
        return self._text(worst.name, result, [test for test, _, _ in news], parts)

    def all_clear(self, result: StoredResult, tests: Sequence[str]) -> Text:
        """Tests that are back within limits."""
        parts = []
        for test in tests:
            lines = [f"{self._title(test)}: {Reason.CLEARED.value}"]
            if test == UNREADABLE:
                lines = [f"{self._title(test)}: the file has been read now"]
            for analysis in _analyses(result, test):
                lines += [f"  {_value(m)}" for m in analysis.measurements if m.verdict is not None]
            parts.append("\n".join(lines))
        return self._text("Cleared", result, tests, parts)

    def last_resort(self, result: StoredResult) -> Text:
        """A result that the service failed to look through: a person has to."""
        part = "QA Daemon failed to look through this result. Look at it yourself."
        return self._text("INVALID", result, ["result not examined"], [part])

    def _text(
        self, word: str, result: StoredResult, tests: Sequence[str], parts: Sequence[str]
    ) -> Text:
        machine = _one_line(result.machine) or "unknown machine"
        head = [
            f"Site: {_one_line(self.site.name)}",
            f"Machine: {machine}",
            f"Delivered: {self._delivered(result)}",
        ]
        link = f"{self.site.base_url}/results/{result.id}"
        named = ", ".join(self._title(test) for test in tests)
        return Text(f"{word} {machine}: {named}", "\n\n".join(["\n".join(head), *parts, link]))

    def _title(self, test: str) -> str:
        return self.titles.get(test, test)

    def _delivered(self, result: StoredResult) -> str:
        if result.performed_at is None:
            return "the file does not say when"
        at = datetime.fromisoformat(result.performed_at)
        local = at.astimezone(self.site.zone) if at.tzinfo else at
        return f"{local:%Y-%m-%d %H:%M} local time"


def folder_away(site: Site, machine: str) -> Text:
    """The watched folder of a machine cannot be reached; an empty name: of several machines."""
    says = (
        "For more than five minutes a watched folder, or a folder in it, could not be listed.\n"
        "Files in it are not taken in until it can; then those that are still there are."
    )
    return _about_folder(site, machine, AWAY, says)


def folder_back(site: Site, machine: str) -> Text:
    """The watched folder of a machine is there again."""
    says = "Files that have arrived in it meanwhile are taken in now."
    return _about_folder(site, machine, "watched folder can be reached again", says)


def unit_reminder(site: Site, machine: str, lines: Sequence[str]) -> Text:
    """What runs out or is overdue on a kV unit; an empty name: of the units' instruments."""
    name = _one_line(machine)
    head = f"Site: {_one_line(site.name)}" + (f"\nMachine: {name}" if name else "")
    what = "checks are overdue" if name else "calibrations run out"
    path = f"/units/{quote(machine, safe='')}" if name else "/"
    body = "\n\n".join([head, "\n".join(_one_line(line) for line in lines), site.base_url + path])
    return Text(f"{name or 'Instruments of kV units'}: {what}", body)


def trend_news(site: Site, machine: str, lines: Sequence[str]) -> Text:
    """What trends of a machine say while its values may all be within their limits."""
    name = _one_line(machine)
    head = f"Site: {_one_line(site.name)}\nMachine: {name}"
    says = "Nothing has to be done tonight. Look at the trend before it leaves its limits:"
    told = "\n".join(_one_line(line) for line in lines)
    link = f"{site.base_url}/machines/{quote(machine, safe='')}"
    return Text(f"{name}: a trend to look at", "\n\n".join([head, says, told, link]))


def _about_folder(site: Site, machine: str, what: str, says: str) -> Text:
    # Without its path: names of folders may identify.
    name = _one_line(machine) or "Several machines"
    head = f"Site: {_one_line(site.name)}\nMachine: {name}"
    return Text(f"{name}: {what}", "\n\n".join([head, says, f"{site.base_url}/"]))


def _analyses(result: StoredResult, test: str) -> list[StoredAnalysis]:
    return [analysis for analysis in result.analyses if analysis.analyzer == test]


def _breaches(analysis: StoredAnalysis) -> list[str]:
    bad = [
        m for m in analysis.measurements if m.verdict is not None and m.verdict >= Verdict.ACTION
    ]
    lines = [_said(m) for m in bad]
    if (analysis.failure or "").startswith(MatchState.NEEDS_A_MATCH):
        lines.append("  nobody knows which plan it is of: a physicist has to choose")
    elif analysis.failure is not None or not lines:
        lines.append("  the test applies and could not be done")
    return lines


def _said(measured: StoredMeasurement) -> str:
    sentence = SAID_BY.get(measured.metric)
    if sentence is None:
        return f"  {_value(measured)}, {_limit(measured)}"
    at = measured.at or ""
    leaf = f": leaf {at}" if PLACE.fullmatch(at) else ""
    others = int(measured.value) - 1
    more = f" and {others} more" if leaf and others > 0 else ""
    return sentence.format(leaf=leaf + more)


def _value(measured: StoredMeasurement) -> str:
    at = measured.at or ""
    place = f" at {at}" if PLACE.fullmatch(at) else ""
    number = _number(measured.value, _bounds(measured))
    return f"{measured.metric} {number} {measured.unit}".rstrip() + place


def _limit(measured: StoredMeasurement) -> str:
    limits, unit = measured.limits, measured.unit
    low, high = limits.action_low, limits.action_high
    if low is not None and high is not None:
        text = f"action limits {low:g} to {high:g} {unit}"
    elif low is not None:
        text = f"action limit at least {low:g} {unit}"
    elif high is not None:
        text = f"action limit {high:g} {unit}"
    else:
        text = "no action limit"
    return text.rstrip()


def _bounds(measured: StoredMeasurement) -> list[float]:
    limits = measured.limits
    every = (limits.tolerance_low, limits.tolerance_high, limits.action_low, limits.action_high)
    return [bound for bound in every if bound is not None]


def _number(value: float, bounds: Sequence[float]) -> str:
    """Short, but never rounded onto or across a limit."""
    for digits in (3, 4, 6, 9):
        text = f"{value:.{digits}g}"
        if all(_side(float(text), bound) == _side(value, bound) for bound in bounds):
            return text
    return repr(value)


def _side(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
