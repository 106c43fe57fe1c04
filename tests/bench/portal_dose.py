"""Portal dose on simulated images, from commissioning on: what is found, false alarms, times.

The imager is commissioned from six simulated open fields with noise, the prediction is the fitted
model's, the measured images are the true model's with noise of their own: output within 0.4 %,
pixels 0.4 %, panel 0.3 mm along each axis.  An alarm is any verdict but PASS by the default limits.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analyzers.core import Context
from analyzers.imager_fit import fit_imager
from analyzers.imager_model import predicted_cu
from analyzers.imager_records import ImagerModel
from analyzers.numerics.imager_kernel import spread
from analyzers.patient.portal_dose import ANALYZER, CRITERIA, PortalDoseSettings
from analyzers.plan_records import Beam
from analyzers.portal_comparison import gammas_of, overlay, plane_of
from analyzers.portal_images import Beside
from qa_daemon.simulate.epid_portal import IMAGER, KERNEL, Panel, portal_image
from qa_daemon.simulate.plan_shapes import static, vmat
from qa_daemon.simulate.portal_beam import Errors, planned_beam
from tests.machine.judging import verdict

TRIALS = 200
PANEL = Panel(rows=180, columns=180, spacing_mm=1.44)
OUTPUT_PERCENT, PIXEL_PERCENT, PANEL_MM = 0.4, 0.4, 0.3
HALF_MM = (15.0, 25.0, 50.0, 75.0, 100.0, 130.0)
RADII_MM = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
ROUNDS = 7


@dataclass(frozen=True)
class Wrong:
    """One error; `shift_mm` in a direction of chance."""

    output_percent: float = 0.0
    gap_mm: float = 0.0
    bank_mm: float = 0.0
    leaf_mm: Mapping[str, float] = field(default_factory=dict)
    shift_mm: float = 0.0


ERRORS = {
    "nothing": Wrong(),
    "output +1 %": Wrong(output_percent=1.0),
    "output +2 %": Wrong(output_percent=2.0),
    "output +3 %": Wrong(output_percent=3.0),
    "output -3 %": Wrong(output_percent=-3.0),
    "every leaf 0.2 mm out": Wrong(gap_mm=0.2),
    "every leaf 0.5 mm out": Wrong(gap_mm=0.5),
    "every leaf 1 mm out": Wrong(gap_mm=1.0),
    "both banks 1 mm along x": Wrong(bank_mm=1.0),
    "one leaf 1 mm out": Wrong(leaf_mm={"A30": 1.0}),
    "one leaf 5 mm out": Wrong(leaf_mm={"A30": 5.0}),
    "panel or field 2 mm off": Wrong(shift_mm=2.0),
}


def measure(trials: int = TRIALS) -> dict[str, Any]:
    """Shares in percent of the trials; times in s."""
    fitted, commissioning = _commissioned()
    beam = planned_beam(vmat("millennium120"))
    rates = {
        name: _rates(beam, fitted, wrong, trials, number)
        for number, (name, wrong) in enumerate(ERRORS.items())
    }
    return {
        "trials_each": trials,
        "commissioning": commissioning,
        "alarms": rates,
        "times": _times(beam, fitted),
    }


def _commissioned() -> tuple[ImagerModel, dict[str, Any]]:
    """The fitted model, and how far its kernel and its response are from the true ones."""
    panel = Panel(rows=640, columns=640, spacing_mm=0.672)
    random = np.random.default_rng(3)
    images = [
        portal_image(
            planned_beam(static("millennium120", half_width_mm=half_mm)),
            panel,
            Errors(pixel_noise_percent=PIXEL_PERCENT, output_percent=random.normal(0.0, 0.1)),
            seed=number,
        )
        for number, half_mm in enumerate(HALF_MM)
    ]
    began = time.perf_counter()
    model = fit_imager(images, "6x").model
    took_s = time.perf_counter() - began
    # What open fields do not tell is known from the plans.
    model = replace(
        model, leaf_transmission=IMAGER.leaf_transmission, leaf_gap_mm=IMAGER.leaf_gap_mm
    )
    away = 100.0 * np.abs(model.kernel.within(RADII_MM) - KERNEL.within(RADII_MM))
    response = _response(model, panel) / _response(IMAGER, panel)
    return model, {
        "fit_s": took_s,
        "kernel_within_2_to_80_mm_largest_error_percent": float(away.max()),
        "field_size_response_3_to_26_cm_largest_error_percent": float(
            100.0 * np.abs(response / response[2] - 1.0).max()
        ),
        "absolute_10_cm_error_percent": float(100.0 * (response[2] - 1.0)),
        "left_in_the_middle_percent": max(abs(r.center_percent) for r in model.residuals),
    }


def _response(model: ImagerModel, panel: Panel) -> np.ndarray:
    """Signal on the axis of each square field."""
    like = panel.empty()
    middle = panel.rows // 2
    beams = [planned_beam(static("millennium120", half_width_mm=half_mm)) for half_mm in HALF_MM]
    return np.array([predicted_cu(beam, like, model)[middle, middle] for beam in beams])


def _rates(
    beam: Beam, model: ImagerModel, wrong: Wrong, trials: int, stream: int
) -> dict[str, Any]:
    random = np.random.default_rng([11, stream])
    context = Context("truebeam", PortalDoseSettings())
    alarms: Counter[str] = Counter()
    silent = actions = 0
    for _ in range(trials):
        way = random.uniform(0.0, 2.0 * np.pi)
        panel_mm = random.normal(0.0, PANEL_MM, 2) + wrong.shift_mm * np.array(
            [np.cos(way), np.sin(way)]
        )
        errors = Errors(
            output_percent=random.normal(0.0, OUTPUT_PERCENT) + wrong.output_percent,
            gap_mm=wrong.gap_mm,
            bank_mm=wrong.bank_mm,
            leaf_mm=wrong.leaf_mm,
            panel_mm=(float(panel_mm[0]), float(panel_mm[1])),
            pixel_noise_percent=PIXEL_PERCENT,
        )
        image = portal_image(beam, PANEL, errors, seed=int(random.integers(2**31)))
        image = replace(image, beside=Beside(planned=beam, imager=model))
        verdicts = {
            m.metric.name: verdict(m) for m in ANALYZER.analyze(image, context).measurements
        }
        fired = [name for name, said in verdicts.items() if said not in (None, "PASS")]
        alarms.update(fired)
        silent += not fired
        actions += "ACTION" in verdicts.values()
    return {
        "alarm_percent": 100.0 * (trials - silent) / trials,
        "action_percent": 100.0 * actions / trials,
        "by_metric_percent": {m: 100.0 * n / trials for m, n in alarms.most_common()},
    }


def _times(beam: Beam, model: ImagerModel) -> dict[str, Any]:
    """Medians on an imager of 1280 x 1280 pixels, the field 10 x 10 cm of an arc."""
    image = portal_image(beam, Panel(), seed=1)
    lit = np.where(image.values > 0.1 * image.values.max(), 1.0, 0.0)
    predicted = predicted_cu(beam, image, model)
    measured, expected = plane_of(image, 0.5), plane_of(image, 0.5, predicted)
    full = plane_of(image, 0.2), plane_of(image, 0.2, predicted)
    laid, laid_full = (
        overlay(a, b, limit_mm=2.0, threshold_percent=10.0, absolute=True)
        for a, b in ((measured, expected), full)
    )
    context = Context("truebeam", PortalDoseSettings())
    whole = replace(image, beside=Beside(planned=beam, imager=model))
    return {
        "convolution_1280_s": _median(
            lambda: spread(lit, image.spacing_mm, model.kernel, model.blur_mm)
        ),
        "prediction_1280_arc_s": _median(lambda: predicted_cu(beam, image, model)),
        "three_gammas_half_mm_s": _median(lambda: gammas_of(laid, CRITERIA)),
        "three_gammas_every_pixel_s": _median(lambda: gammas_of(laid_full, CRITERIA)),
        "analysis_1280_s": _median(lambda: ANALYZER.analyze(whole, context)),
    }


def _median(task: Callable[[], object]) -> float:
    task()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
