"""Beam holds: how often and how long the controller held the beam during a delivery.

A hold is an unbroken run of samples whose state is not "normal" (freeze, hold or disabled),
between the first and the last sample with the beam on.  Trend-only: clean clinical deliveries hold
up to 19 times, at every change of segment or field, so a site judges the count
by its own chart.
"""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt

from analyzers.core import Analysis, Analyzer, Context, Metric, NotApplicable, Settings
from analyzers.field_shape import beam_on_samples
from analyzers.records import Delivery

COUNT = Metric("count", "1", "Number of times that the beam was held")
HELD_TIME = Metric("held_time", "s", "Total time for which the beam was held")


class BeamHoldsSettings(Settings):
    """Settings of this analyzer."""

    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not judged."""


def analyze(delivery: Delivery, context: Context[BeamHoldsSettings]) -> Analysis:
    """Count the holds of one delivery and add up their time."""
    if delivery.beam_hold is None:
        raise NotApplicable("the log has no beam-hold state")
    beam_on = beam_on_samples(delivery, context.settings.fewest_samples)

    first, last = np.flatnonzero(beam_on)[[0, -1]]
    held = delivery.beam_hold[first : last + 1] != 0
    begins = held & ~np.append(False, held[:-1])
    return Analysis(
        [
            COUNT.measured(float(begins.sum())),
            HELD_TIME.measured(float(held.sum()) * delivery.interval_s),
        ]
    )


ANALYZER = Analyzer(
    name="beam_holds",
    title="Beam holds",
    version="1",
    accepts=Delivery,
    settings=BeamHoldsSettings,
    metrics=(COUNT, HELD_TIME),
    analyze=analyze,
)
