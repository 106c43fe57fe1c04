"""Receiving over the network: our receiver beside dcmtk's `storescp`, both from dcmtk's `storescu`.

Images are 1190 x 1190 x 16 bit.  Ours is durable before it answers (fsync of file and folders), and
`storescp` is not; both write to the disk of this checkout, in turn, and the best of several rounds
counts.  The time is that of the sender, its start and its reading included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ingest.receiving import PEERS, echoscu, storescu, write_image
from tests.servers import free_port, installed

ROOT = Path(__file__).parents[2]
IMAGES = 40
SIZE = 1190
ROUNDS = 5
SERVE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from qa_daemon.ingest.dicom_receiver import Receiver
from qa_daemon.site import site as sites
site = sites.load(Path(sys.argv[1]), (), lambda: datetime.now(UTC))
receiver = Receiver(site, site.file.dicom, lambda path: None)
receiver.start()
sys.stdin.read()
receiver.stop()
"""


def measure() -> dict[str, Any]:
    """Rates in MB/s, best of the rounds, and ours over that of `storescp`."""
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name)
        images = folder / "images"
        images.mkdir()
        for number in range(IMAGES):
            write_image(images / f"{number}.dcm", number, size=SIZE)
        megabytes = sum(file.stat().st_size for file in images.iterdir()) / 1e6
        ours, theirs = _ours(folder), _storescp(folder)
        seconds: dict[str, list[float]] = {"ours": [], "storescp": []}
        try:
            for _ in range(ROUNDS):
                for who, port in (("ours", ours[1]), ("storescp", theirs[1])):
                    seconds[who].append(_sending_takes(port, images))
        finally:
            for process, _ in (ours, theirs):
                process.terminate()
                process.wait()
        kept = len(list((folder / "state" / "inbox").iterdir()))
        assert kept == IMAGES * ROUNDS, f"{kept} objects are in the inbox"
    rates = {who: [megabytes / s for s in taken] for who, taken in seconds.items()}
    return {
        "name": "receiving images over the network, against storescp",
        "images": IMAGES,
        "ours_mb_per_s": max(rates["ours"]),
        "ours_slowest_mb_per_s": min(rates["ours"]),
        "storescp_mb_per_s": max(rates["storescp"]),
        "storescp_slowest_mb_per_s": min(rates["storescp"]),
        "ratio": max(rates["ours"]) / max(rates["storescp"]),
        "wanted_mb_per_s": 50.0,
    }


def _sending_takes(port: int, images: Path) -> float:
    start = time.perf_counter()
    said = storescu(port, "+sd", images)
    taken = time.perf_counter() - start
    assert said.returncode == 0, said.stderr
    return taken


def _ours(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A process of its own, as the daemon is; nobody takes what is in its inbox."""
    port, config = free_port(), folder / "site.toml"
    site = '[site]\nname = "Bench"\ntime_zone = "UTC"\nstate_dir = "state"\n'
    config.write_text(site + PEERS.replace("port = 0", f"port = {port}"))
    command = [sys.executable, "-c", SERVE, str(config)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
    _wait(lambda: echoscu(port).returncode == 0)
    return process, port


def _storescp(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port, into = free_port(), folder / "storescp"
    into.mkdir()
    command = [installed("storescp"), "+xa", "-pdu", "131072", "+uf", "-od", str(into), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait(lambda: echoscu(port).returncode == 0)
    return process, port


def _wait(is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < end, "a receiver does not answer"
        time.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
