"""The daemon without pages and alerts: what takes files in, judges and sends them, as in `app`.

It starts faster than the whole daemon, so more kills of a campaign hit the work itself.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from qa_daemon.app import Core, _sinks, open_site, set_up_logging
from qa_daemon.ingest.watch import Watcher


def main(config: Path) -> None:
    """Serve until SIGTERM."""
    set_up_logging()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    core = Core(open_site(config))
    watcher = Watcher(core.scanner.folders, core.scanner.hint)
    parts = [core.dispatcher, core.scanner, watcher, *_sinks(core.site, core)]
    for part in parts:
        part.start()
    print("serving", file=sys.stderr, flush=True)
    ending.wait()
    for part in reversed(parts):
        part.stop()
    core.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
