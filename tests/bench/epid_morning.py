"""A morning's 40 portal images, from the folder to the judged result, with two workers.

Everything counts: starting the workers, importing what measures, reading, classifying, judging and
storing.  Images are simulated, and kernels compiled, before the clock runs.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.app import Core, open_site
from qa_daemon.commands.service import process_all
from qa_daemon.simulate.epid_delivery import image_of
from qa_daemon.simulate.epid_open_field import open_field
from qa_daemon.simulate.epid_options import file_name
from qa_daemon.simulate.epid_panel import PERFORMED_AT, Exposure, imager_of
from qa_daemon.simulate.epid_picket_fence import picket_fence
from qa_daemon.simulate.epid_planar_phantom import planar_phantom
from qa_daemon.simulate.epid_starshot import starshot
from qa_daemon.simulate.epid_vmat import VmatTest, vmat_pair
from qa_daemon.simulate.epid_winston_lutz import winston_lutz
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.plan_shapes import vmat
from qa_daemon.simulate.rtimage import write_rtimage

IMAGES, TARGET_S = 40, 60.0
MLC = "millennium120"
MACHINES = ("TB1", "TB2")
SITE = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"

[[machine]]
name = "TB1"
machine_class = "truebeam"
mlc = "millennium120"
folders = ["incoming/TB1"]

[[machine]]
name = "TB2"
machine_class = "truebeam"
mlc = "millennium120"
folders = ["incoming/TB2"]

[ingest]
settle_time = "100 ms"
workers = 2
"""


def measure() -> dict[str, Any]:
    """Time from the first worker's start to the last result, in s, and what was judged."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        config = folder / "site.toml"
        config.write_text(SITE)
        for machine in MACHINES:
            (folder / "incoming" / machine).mkdir(parents=True)
        _warmed(config)
        written = sum(_write(folder / "incoming" / machine, machine) for machine in MACHINES)
        assert written == IMAGES, f"{written} images were written"
        began, used = time.perf_counter(), _used_s()
        core = Core(open_site(config))
        try:
            process_all(core)
            took_s = time.perf_counter() - began
            results = core.queries.results_since(limit=1000)
        finally:
            core.close()
    return {
        "images": written,
        "took_s": took_s,
        "processor_s": _used_s() - used,
        "target_s": TARGET_S,
        "results": len(results),
        "verdicts": dict(Counter(str(result.verdict) for result in results)),
        "analyses": dict(Counter(a.analyzer for result in results for a in result.analyses)),
    }


def _warmed(config: Path) -> None:
    """Kernels are compiled once for an installation, not every morning."""
    core = Core(open_site(config))
    try:
        process_all(core)
    finally:
        core.close()


def _used_s() -> float:
    """Processor time of this process and of those that have ended, its workers."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _write(folder: Path, machine: str) -> int:
    number = 0
    for number, image in enumerate(_morning(machine), start=1):
        write_rtimage(folder / file_name(image, number), image)
    return number


def _morning(machine: str) -> Iterator[PortalImage]:
    """Twenty images of one machine, the tests some minutes apart."""
    imager = imager_of("as1000")
    delivery = deliver(vmat(MLC))

    def told(kind: ImageKind, label: str, minute: int, mu: float = 100.0) -> Exposure:
        at = PERFORMED_AT + timedelta(minutes=minute)
        return Exposure(kind, label, mu=mu, machine_name=machine, performed_at=at, seed=minute)

    tests: list[Sequence[PortalImage]] = [
        [picket_fence(imager=imager, exposure=told(ImageKind.PICKET_FENCE, "PF", 0))],
        [picket_fence(imager=imager, exposure=told(ImageKind.PICKET_FENCE, "PF", 2))],
        winston_lutz(imager=imager, exposure=told(ImageKind.WINSTON_LUTZ, "", 10, 20.0)),
        winston_lutz(imager=imager, exposure=told(ImageKind.WINSTON_LUTZ, "", 100, 20.0)),
        vmat_pair(VmatTest("drgs"), imager, told(ImageKind.VMAT_DRGS, "DRGS", 30)),
        [open_field(imager=imager, exposure=told(ImageKind.OPEN_FIELD, "Open field", 40))],
        [open_field(imager=imager, exposure=told(ImageKind.OPEN_FIELD, "Open field", 44))],
        [starshot(imager=imager, exposure=told(ImageKind.STARSHOT, "Starshot", 50))],
        [planar_phantom(imager=imager, exposure=told(ImageKind.PLANAR_PHANTOM, "Las Vegas", 60))],
        *(
            [image_of(delivery, told(ImageKind.PORTAL, "MV_1", 70 + number), imager)]
            for number in range(4)
        ),
    ]
    for test in tests:
        yield from (replace(image, machine_name=machine) for image in test)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
