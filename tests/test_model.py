"""The life of a file: what is not in the table cannot happen."""

from __future__ import annotations

import itertools

import pytest

from qa_daemon.model import NEXT, Event, State, after


def test_every_pair_outside_the_table_raises() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in NEXT:
            assert after(state, event) is NEXT[state, event]
        else:
            with pytest.raises(ValueError, match=state.value):
                after(state, event)


def test_every_state_can_be_reached_from_the_first() -> None:
    reached = {State.SETTLING}
    for _ in State:
        reached |= {new for (old, _), new in NEXT.items() if old in reached}
    assert reached == set(State)


def test_nothing_gets_stuck_but_what_was_replaced() -> None:
    leaving = {old for old, _ in NEXT}
    assert set(State) - leaving == {State.REPLACED}


def test_a_file_that_was_quarantined_or_judged_can_be_tried_again() -> None:
    for state in (State.QUARANTINED, State.DONE, State.WAITING):
        assert after(state, Event.RELEASED) is State.QUEUED
