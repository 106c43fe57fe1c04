"""Where the trends of a machine are cut: service events, and baselines of a kV unit's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qa_daemon.store import output_baselines, service_events
from qa_daemon.store.service_events import ServiceEvent, StoredEvent
from qa_daemon.store.store import Store
from qa_daemon.store.trend_series import SeriesName

OF_BASELINE = ("srt_output", "output_deviation")
"""The quantity that is a deviation from a baseline."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """What was done to one machine; `baselines` are places (a beam) and instants."""

    stored: Sequence[StoredEvent]
    baselines: Sequence[tuple[str, int]]

    def events(self, analyzer: str) -> list[ServiceEvent]:
        """Events in force that concern an analyzer, in order."""
        return service_events.in_force(self.stored, analyzer)

    def signed(self, name: SeriesName) -> list[int]:
        """When baselines were set that the values of a series are deviations from, in order."""
        if (name.analyzer, name.metric) != OF_BASELINE:
            return []
        return sorted(ns for place, ns in self.baselines if place == name.place)

    def of(self, name: SeriesName) -> list[int]:
        """Every instant at which a series is cut, in order."""
        events = (event.point_ns for event in self.events(name.analyzer))
        return sorted([*events, *self.signed(name)])


def read(store: Store, machine: str) -> Cuts:
    """All of a machine."""
    return Cuts(
        service_events.every(store, machine),
        [
            (
                baseline.beam + (output_baselines.WATER if baseline.to_water else ""),
                service_events.instant_of(baseline.since_at),
            )
            for baseline in output_baselines.every(store, machine)
            if baseline.gy_per_min is not None
        ],
    )
