"""When to tell somebody: one message as a test goes wrong, one as it worsens, one as it clears.

An incident is one test on one machine, from the first breach until a newer result, of checks of
several kinds one of the same kind, is within limits.  What was told is stored with it, so that a
restart neither forgets nor repeats.  Breach: ACTION or INVALID.  Time is the time of delivery: an
old result that arrives late never ends an incident that a newer one keeps open, but it opens one,
because somebody has to look at it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from qa_daemon.model import Verdict


class Reason(Enum):
    """Why a message is sent."""

    FIRST = "new"
    WORSE = "worse than told before"
    CLEARED = "back within limits"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged test of a result.

    `known` is what the result it supersedes said of the same test, if that was looked at: reading a
    file again is no news.  `replaces` are the results that this one took the place of: whatever its
    time, it says how those stand now.
    """

    key: str
    machine: str | None
    test: str
    verdict: Verdict | None
    result: int
    point_ns: int
    known: Verdict | None = None
    replaces: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Incident:
    """What is known, and what was told, of one test on one machine.

    `verdict`, `result` and `point_ns` are those of the newest breach, or of what cleared it; `told`
    is the worst verdict that was told.
    """

    key: str
    machine: str | None
    test: str
    verdict: Verdict
    told: Verdict
    open: bool
    opened_at: str
    result: int
    point_ns: int
    occurrences: int = 1


def decide(
    incident: Incident | None, finding: Finding, now: str
) -> tuple[Reason | None, Incident | None]:
    """What to tell, None for nothing, and the incident afterwards.  The `if`s are the policy."""
    is_open = incident is not None and incident.open
    if finding.verdict is None:
        return None, incident
    if finding.verdict >= Verdict.ACTION:
        if incident is not None and is_open:
            return _another_breach(incident, finding, finding.verdict)
        if finding.known is not None and finding.known >= finding.verdict:
            return None, incident
        return Reason.FIRST, _opened(finding, finding.verdict, now)
    if incident is None or not is_open:
        return None, incident
    if finding.point_ns < incident.point_ns and incident.result not in finding.replaces:
        return None, incident
    return Reason.CLEARED, replace(
        incident,
        open=False,
        verdict=finding.verdict,
        result=finding.result,
        point_ns=finding.point_ns,
    )


def _opened(finding: Finding, verdict: Verdict, now: str) -> Incident:
    return Incident(
        key=finding.key,
        machine=finding.machine,
        test=finding.test,
        verdict=verdict,
        told=verdict,
        open=True,
        opened_at=now,
        result=finding.result,
        point_ns=finding.point_ns,
    )


def _another_breach(
    incident: Incident, finding: Finding, verdict: Verdict
) -> tuple[Reason | None, Incident]:
    is_news = finding.point_ns != incident.point_ns
    after = replace(
        incident,
        told=max(incident.told, verdict),
        occurrences=incident.occurrences + is_news,
    )
    if finding.point_ns >= incident.point_ns:
        after = replace(after, verdict=verdict, result=finding.result, point_ns=finding.point_ns)
    return (Reason.WORSE if verdict > incident.told else None), after
