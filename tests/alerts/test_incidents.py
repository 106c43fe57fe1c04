from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_daemon.alerts.incidents import Finding, Incident, Reason, decide
from qa_daemon.model import Verdict

PASS, TOLERANCE, ACTION, INVALID = Verdict
FIRST, WORSE, CLEARED = Reason


def finding(verdict: Verdict | None, at: int = 0, known: Verdict | None = None) -> Finding:
    return Finding("TB1 | axes", "TB1", "axes", verdict, at, at, known)


def told(findings: Iterable[Finding]) -> list[Reason | None]:
    """What is told of findings that come in this order."""
    incident: Incident | None = None
    reasons = []
    for found in findings:
        reason, incident = decide(incident, found, "now")
        reasons.append(reason)
    return reasons


@pytest.mark.parametrize(
    ("verdicts", "reasons"),
    [
        ([PASS, TOLERANCE, PASS], [None, None, None]),
        ([ACTION, ACTION, ACTION], [FIRST, None, None]),
        ([INVALID, ACTION, INVALID], [FIRST, None, None]),
        ([ACTION, INVALID, ACTION, INVALID], [FIRST, WORSE, None, None]),
        ([ACTION, PASS, PASS], [FIRST, CLEARED, None]),
        ([ACTION, TOLERANCE], [FIRST, CLEARED]),
        ([ACTION, PASS, ACTION, PASS], [FIRST, CLEARED, FIRST, CLEARED]),
        ([ACTION, None, None], [FIRST, None, None]),
        ([None, ACTION], [None, FIRST]),
        ([INVALID, PASS, ACTION], [FIRST, CLEARED, FIRST]),
    ],
)
def test_one_message_as_it_opens_worsens_and_clears(
    verdicts: list[Verdict | None], reasons: list[Reason | None]
) -> None:
    assert told(finding(verdict, at) for at, verdict in enumerate(verdicts)) == reasons


@pytest.mark.parametrize(
    ("arrivals", "reasons"),
    [
        # An old result never ends what a newer one keeps open.
        ([(ACTION, 5), (PASS, 4), (PASS, 6)], [FIRST, None, CLEARED]),
        ([(ACTION, 5), (ACTION, 9), (PASS, 7), (PASS, 10)], [FIRST, None, None, CLEARED]),
        # An old breach is told: somebody has to look at it.
        ([(PASS, 5), (ACTION, 4)], [None, FIRST]),
        ([(ACTION, 5), (PASS, 6), (ACTION, 3), (PASS, 4)], [FIRST, CLEARED, FIRST, CLEARED]),
        ([(ACTION, 5), (INVALID, 4), (PASS, 6)], [FIRST, WORSE, CLEARED]),
    ],
)
def test_time_is_the_time_of_delivery_and_not_of_arrival(
    arrivals: list[tuple[Verdict, int]], reasons: list[Reason | None]
) -> None:
    assert told(finding(verdict, at) for verdict, at in arrivals) == reasons


def test_a_file_read_again_clears_its_own_incident_at_the_same_instant() -> None:
    assert told([finding(ACTION, 5), finding(PASS, 5, known=ACTION)]) == [FIRST, CLEARED]


@pytest.mark.parametrize(
    ("known", "verdict", "reason"),
    [
        (ACTION, ACTION, None),
        (INVALID, ACTION, None),
        (ACTION, INVALID, FIRST),
        (PASS, ACTION, FIRST),
        (None, ACTION, FIRST),
    ],
)
def test_reading_an_old_file_again_is_no_news_unless_it_is_worse(
    known: Verdict | None, verdict: Verdict, reason: Reason | None
) -> None:
    # The incident of long ago was cleared meanwhile.
    past = [finding(ACTION, 1), finding(PASS, 2)]
    assert told([*past, finding(verdict, 1, known)])[-1] is reason


def test_breaches_are_counted_once_each() -> None:
    _, incident = decide(None, finding(ACTION, 1), "now")
    for again in (finding(ACTION, 1, known=ACTION), finding(INVALID, 2), finding(ACTION, 3)):
        _, incident = decide(incident, again, "later")
    assert incident is not None
    assert (incident.occurrences, incident.opened_at) == (3, "now")
    assert (incident.verdict, incident.told) == (ACTION, INVALID)


class Model:
    """The rules once more, in the plainest way: every breach of the open incident is kept."""

    def __init__(self) -> None:
        self.breaches: list[tuple[int, Verdict]] = []

    def tell(self, found: Finding) -> Reason | None:
        if found.verdict in (ACTION, INVALID):
            worst = max((verdict for _, verdict in self.breaches), default=None)
            if worst is None and found.known in (ACTION, INVALID) and found.known >= found.verdict:
                return None
            self.breaches.append((found.point_ns, found.verdict))
            if worst is None:
                return FIRST
            return WORSE if found.verdict > worst else None
        newest = max((at for at, _ in self.breaches), default=None)
        if found.verdict is not None and newest is not None and found.point_ns >= newest:
            self.breaches.clear()
            return CLEARED
        return None


VERDICTS = st.sampled_from([None, *Verdict])
FINDINGS = st.lists(st.builds(finding, VERDICTS, st.integers(0, 12), VERDICTS), max_size=50)


@given(FINDINGS)
def test_any_sequence_tells_what_the_plain_model_tells(findings: list[Finding]) -> None:
    model = Model()
    assert told(findings) == [model.tell(found) for found in findings]


@given(FINDINGS)
def test_any_sequence_opens_before_it_worsens_or_clears_and_never_repeats(
    findings: list[Finding],
) -> None:
    reasons = [reason for reason in told(findings) if reason is not None]
    for before, after in zip([CLEARED, *reasons], reasons, strict=False):
        assert after in {FIRST: (WORSE, CLEARED), WORSE: (CLEARED,), CLEARED: (FIRST,)}[before]


def test_a_result_that_took_the_place_of_the_breach_clears_it_whatever_its_time() -> None:
    """The logs of a beam that was resumed are judged as one, at the time of the first."""
    finding = Finding("TB1 | axes", "TB1", "axes", Verdict.ACTION, 7, 200)
    _, incident = decide(None, finding, "now")
    assert incident is not None
    earlier = replace(finding, verdict=Verdict.PASS, result=9, point_ns=100)
    assert decide(incident, earlier, "now") == (None, incident)
    reason, after = decide(incident, replace(earlier, replaces=frozenset([7])), "now")
    assert (reason, after is not None and after.open) == (Reason.CLEARED, False)
