"""In-vivo constancy on simulated fractions: false alarms of noise alone, and what is found.

Every trial has a baseline fraction and a fraction of its own, both with all the noise; an alarm is
any verdict but PASS by the default limits.  Output varies by 0.5 % a fraction, pixels by 0.4 %, the
panel stands within 0.3 mm along each axis, the patient within 1 mm in space (0.58 mm along each
axis); further rows say what other sizes of these do.  Errors are put in one at a time on top.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analyzers.core import Context, Measurement
from analyzers.patient.in_vivo_constancy import ANALYZER, InVivoConstancySettings
from analyzers.plan_records import Beam
from analyzers.portal_comparison import mean_image
from analyzers.portal_images import Beside, PortalImage
from qa_daemon.simulate.epid_portal import Panel, Patient, portal_image
from qa_daemon.simulate.plan_shapes import static
from qa_daemon.simulate.portal_beam import Errors, planned_beam
from tests.machine.judging import verdict

TRIALS = 200
PANEL = Panel(rows=180, columns=180, spacing_mm=1.44)
SPACE_MM = 1.0 / np.sqrt(3.0)


@dataclass(frozen=True)
class Noise:
    """Standard deviations from fraction to fraction; lengths along each axis."""

    output_percent: float = 0.5
    pixel_percent: float = 0.4
    panel_mm: float = 0.3
    setup_mm: float = SPACE_MM


@dataclass(frozen=True)
class Trial:
    """What was planned to go wrong in one fraction."""

    output_percent: float = 0.0
    setup_mm: float = 0.0
    panel_mm: float = 0.0
    pocket_mm: float = 0.0
    lost_frames_percent: float = 0.0
    cause: str = ""


NOTHING = Trial()
WRONG = {
    "output +3 %": Trial(output_percent=3.0, cause="a uniform change of output"),
    "output -3 %": Trial(output_percent=-3.0, cause="a uniform change of output"),
    "panel or field 3 mm off": Trial(panel_mm=3.0, cause="a moved panel"),
    "patient 3 mm off": Trial(setup_mm=3.0, cause="a local change, of anatomy or set-up"),
    "patient 5 mm off": Trial(setup_mm=5.0, cause="a local change, of anatomy or set-up"),
    "air pocket 1 cm": Trial(pocket_mm=10.0, cause="a local change, of anatomy or set-up"),
    "5 % of frames missing": Trial(lost_frames_percent=5.0, cause="missing frames"),
}
NOISES = {
    "output sd 0.4 %": Noise(output_percent=0.4),
    "output sd 0.65 %": Noise(output_percent=0.65),
    "patient within 1 mm along each axis": Noise(setup_mm=1.0),
    "patient does not move": Noise(setup_mm=0.0),
}


def measure(trials: int = TRIALS) -> dict[str, Any]:
    """Shares in percent of the trials."""
    found: dict[str, Any] = {"trials_each": trials}
    # A rate below 1 % takes more trials to tell.
    found["noise only, five times as many"] = _rates(5 * trials, NOTHING, Noise(), 999)
    found["noise only"] = _rates(trials, NOTHING, Noise(), 0)
    found["noise only, baseline of three"] = _rates(trials, NOTHING, Noise(), 0, baselines=3)
    for number, (name, trial) in enumerate(WRONG.items(), start=1):
        found[name] = _rates(trials, trial, Noise(), number)
    for number, (name, noise) in enumerate(NOISES.items(), start=1):
        found[f"noise only, {name}"] = _rates(trials, NOTHING, noise, 100 + number)
    lasting = Noise(setup_mm=0.0)
    found["patient 3 mm off, does not move else"] = _rates(
        trials, WRONG["patient 3 mm off"], lasting, 200
    )
    return found


def _rates(
    trials: int, trial: Trial, noise: Noise, stream: int, *, baselines: int = 1
) -> dict[str, Any]:
    beam, random = planned_beam(static("millennium120")), np.random.default_rng([7, stream])
    alarms: Counter[str] = Counter()
    actions = right = 0
    for _ in range(trials):
        earlier = [fraction(beam, NOTHING, noise, random) for _ in range(baselines)]
        image = fraction(beam, trial, noise, random)
        measured, notes = judged(image, mean_image(earlier))
        verdicts = {m.metric.name: verdict(m) for m in measured}
        fired = [name for name, said in verdicts.items() if said not in (None, "PASS")]
        alarms.update(fired or ["none"])
        actions += "ACTION" in verdicts.values()
        spoken = [note for note in notes if note.startswith("speaks for")]
        right += bool(trial.cause and spoken and trial.cause in spoken[0])
    silent = alarms.pop("none", 0)
    rates: dict[str, Any] = {"alarm_percent": 100.0 * (trials - silent) / trials}
    rates["action_percent"] = 100.0 * actions / trials
    if trial.cause:
        rates["right_cause_first_percent"] = 100.0 * right / trials
    rates["by_metric_percent"] = {m: 100.0 * n / trials for m, n in alarms.most_common()}
    return rates


def fraction(beam: Beam, trial: Trial, noise: Noise, random: np.random.Generator) -> PortalImage:
    """One fraction's transit image; shifts and the pocket lie in a direction of chance."""
    way = random.uniform(0.0, 2.0 * np.pi)
    along = np.array([np.cos(way), np.sin(way)])
    setup = random.normal(0.0, noise.setup_mm, 2) + trial.setup_mm * along
    panel = random.normal(0.0, noise.panel_mm, 2) + trial.panel_mm * along
    place = random.uniform(0.0, 25.0) * along
    errors = Errors(
        output_percent=random.normal(0.0, noise.output_percent) + trial.output_percent,
        panel_mm=(float(panel[0]), float(panel[1])),
        lost_frames_percent=trial.lost_frames_percent,
        pixel_noise_percent=noise.pixel_percent,
    )
    patient = Patient(
        setup_mm=(float(setup[0]), float(setup[1])),
        pocket_mm=trial.pocket_mm,
        pocket_at_mm=(float(place[0]), float(place[1])),
    )
    seed = int(random.integers(2**31))
    return portal_image(beam, PANEL, errors, patient=patient, seed=seed)


def judged(image: PortalImage, baseline: PortalImage) -> tuple[Sequence[Measurement], list[str]]:
    """What the analyzer says of a fraction."""
    context = Context("truebeam", InVivoConstancySettings())
    analysis = ANALYZER.analyze(replace(image, beside=Beside(baseline=baseline)), context)
    return analysis.measurements, list(analysis.notes)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
