"""Energies are written in many ways, and what differs must stay apart."""

from __future__ import annotations

import pytest

from analyzers.plan_matching import _energy


@pytest.mark.parametrize(
    ("words", "one"),
    [
        (["6x", "6X", "06x", "6 MV", "6MV", "6.0 MV", "006X", " 6 x "], "6x"),
        (["6FFF", "6 FFF", "6XFFF", "6X-FFF", "06x-fff", "6 MV FFF", "6MV_FFF", "6xFFF"], "6xfff"),
        (["10X-FFF", "10XFFF", "10 FFF"], "10xfff"),
        (["9E", "9 MeV", "09e", "9.0MeV"], "9e"),
        (["2.5X", "2.5 MV", "2.50x"], "2.5x"),
        (["6X-SRS", "6x srs"], "6xsrs"),
        (["6", " 6 "], "6"),
        (["kV", "KV"], "kv"),
        ([""], ""),
    ],
)
def test_one_spelling(words: list[str], one: str) -> None:
    assert [_energy(word) for word in words] == [one] * len(words)


def test_what_differs_stays_apart() -> None:
    words = [
        "6X",
        "6X-FFF",
        "6E",
        "6",
        "60X",
        "6X-SRS",
        "6X-NON_STANDARD",
        "10X",
        "10X-FFF",
        "2.5X",
    ]
    assert len({_energy(word) for word in words}) == len(words)
    assert _energy(None) is None
