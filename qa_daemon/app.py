"""The composition root: builds every part of the service from the site file and connects them.

Only this module and `__main__` read the environment and the clock.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware.trustedhost import TrustedHostMiddleware

from analyzers import catalogue as physics
from analyzers import numerics as kernels
from qa_daemon.alerts.channels import AppriseChannels
from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.alerts.outages import Outages
from qa_daemon.alerts.trend_news import TrendNews
from qa_daemon.alerts.unit_reminders import UnitReminders
from qa_daemon.failures import Unavailable
from qa_daemon.image_desk import ImageDesk
from qa_daemon.ingest import inbox
from qa_daemon.ingest.dispatch import Dispatcher
from qa_daemon.ingest.folders import watched_folders
from qa_daemon.ingest.intake import Intake
from qa_daemon.ingest.refusals import place_of
from qa_daemon.ingest.scanner import Scanner
from qa_daemon.ingest.watch import Watcher
from qa_daemon.jobs import WorkerLimits, Workers
from qa_daemon.lock import StateLock
from qa_daemon.notify import Notifier
from qa_daemon.output_desk import OutputDesk
from qa_daemon.pipeline import Pipeline
from qa_daemon.plan_desk import PlanDesk
from qa_daemon.requests import RequestDesk
from qa_daemon.sinks.drain import Drain, Rejected
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site
from qa_daemon.status import followers_of, status_form
from qa_daemon.store.archive import Archive
from qa_daemon.store.images import Images, gaps_of
from qa_daemon.store.kv_fractions import KvFractions
from qa_daemon.store.ledger import Ledger
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.plans import Plans
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.results import Results
from qa_daemon.store.same_records import SameRecords
from qa_daemon.store.store import Store, upgrade, url_of
from qa_daemon.trends.follower import TrendFollower

LOG = logging.getLogger("qa_daemon")
STALLED_AFTER_S = 45.0


class Part(Protocol):
    """A part of the service that works in the background."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End soon, losing nothing."""


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


def open_site(config: Path) -> Site:
    """Read and check a site file."""
    return sites.load(config, physics.load().analyzers, utc_now)


def open_store(site: Site) -> Store:
    """Open the site's store, brought up to date."""
    site.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = url_of(site.state_dir)
    upgrade(url)
    return Store(url, utc_now)


def set_up_logging() -> None:
    """Log lines go to standard error; the journal adds time and unit."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    # Libraries put addresses and values into their own messages; ours say what matters.
    noisy = ("alembic", "apprise", "pydicom", "pynetdicom", "urllib3", "uvicorn", "watchdog")
    for name in noisy:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    threading.excepthook = _tell_of_a_thread


def _tell_of_a_thread(said: threading.ExceptHookArgs) -> None:
    """A thread ended by a fault: its type and place; its text may hold what a sender wrote."""
    if said.exc_value is not None:
        LOG.error("a thread ended by %s at %s", *place_of(said.exc_value))


class Core:
    """What turns arrived files into results; `ingest` without a daemon uses it alone."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lock = StateLock(site.state_dir)
        inbox.clear_parts(site.state_dir)
        self.store = open_store(site)
        self.ledger = Ledger(self.store)
        self.queries = Queries(self.store)
        gap = site.file.plans.fraction_gap
        pseudonyms = Pseudonyms(site.state_dir, self.store)
        plans = Plans(self.store, pseudonyms, gap)
        images = Images(self.store, pseudonyms, gaps_of(site.file.images))
        fractions = KvFractions(self.store, pseudonyms)
        self.archive = Archive(site.state_dir)
        records = SameRecords(self.archive)
        self.results = Results(self.store, followers_of(site), plans, images, fractions, records)
        self.archive.clear_scratch()
        rules = site.file.ingest
        self.catalogue = physics.load()
        self.workers = Workers(
            rules.workers,
            WorkerLimits(
                rules.job_time_limit.total_seconds(),
                int(rules.job_memory_gb * 2**30),
                cache=_kernel_cache(site),
            ),
        )
        self.workers.warm_up(rules.workers)
        desk = PlanDesk(plans, self.archive, site, self.catalogue)
        lightbox = ImageDesk(images, self.archive, site, self.catalogue)
        self.pipeline = Pipeline(
            self.workers.measure,
            site,
            self.archive,
            self.ledger,
            self.results,
            desk,
            lightbox,
            OutputDesk(site, self.store, fractions),
        )
        self.dispatcher = Dispatcher(
            self.ledger, self.pipeline, threads=rules.workers, catalogue=self.catalogue
        )
        intake = Intake(self.archive, self.ledger, self.catalogue, site)
        self.scanner = Scanner(
            watched_folders(site),
            intake,
            settle_time=rules.settle_time.total_seconds(),
            rescan_every=rules.rescan_every.total_seconds(),
        )

    def close(self) -> None:
        """Let go of everything."""
        self.workers.close()
        self.store.close()
        self.lock.release()


class Service:
    """The whole daemon."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._socket = _bind(site)
        receivers = _receivers(site, self._hint)
        self.core = Core(site)
        self.alerts = AlertEngine(
            self.core.store,
            self.core.queries,
            Outbox(self.core.store, "alerts"),
            site,
            AppriseChannels(site),
            utc_now,
            {a.name: a.title for a in self.core.catalogue.analyzers},
            outages=Outages(self.core.store, site, self.core.scanner.status),
            reminders=UnitReminders(self.core.store, site),
            trend_news=TrendNews(
                self.core.store, site, sites.metrics_of(self.core.catalogue.analyzers)
            ),
        )
        self._parts: list[Part] = [
            self.core.dispatcher,
            self.core.scanner,
            RequestDesk(site.state_dir, self.core.store),
            Watcher(self.core.scanner.folders, self.core.scanner.hint),
            self.alerts,
            _trends(self.core),
            *_sinks(site, self.core),
            *receivers,
        ]
        self._progress: list[Callable[[], float]] = [
            part.progress for part in self._parts if hasattr(part, "progress")
        ]
        self._web = _web_server(site, self.core, self.is_ready)
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
        self._web_thread = threading.Thread(
            target=self._web.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True
        )
        self._stopping = threading.Event()
        self._started = False

    @property
    def port(self) -> int:
        """The port of the pages."""
        return int(self._socket.getsockname()[1])

    def is_ready(self) -> bool:
        """Whether files are being watched and results can be read."""
        return self._started and not self._stopping.is_set()

    def start(self) -> None:
        """Start every part, pages last."""
        for part in self._parts:
            part.start()
        self._started = True
        self._web_thread.start()
        LOG.info("serving %s on port %d", self.site.name, self.port)
        self._notifier.tell("READY=1")

    def wait(self) -> None:
        """Serve until `ask_to_stop`; systemd hears from us only while every part moves on."""
        while not self._stopping.wait(1.0):
            if self._moving():
                self._notifier.tell("WATCHDOG=1")

    def ask_to_stop(self) -> None:
        """End `wait`; safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Stop taking work, finish or abandon what is running, and let go of everything."""
        self._stopping.set()
        self._notifier.tell("STOPPING=1")
        self._web.should_exit = True
        for part in reversed(self._parts):
            part.stop()
        self.core.close()

    def _hint(self, path: str) -> None:
        self.core.scanner.hint(path)

    def _moving(self) -> bool:
        late = sum(monotonic() - p() > STALLED_AFTER_S for p in self._progress)
        late += not self._web_thread.is_alive()
        if late:
            LOG.error("%d parts of the service have stopped moving", late)
        return not late


def _kernel_cache(site: Site) -> str | None:
    """Where compiled kernels are kept when they cannot lie beside the code."""
    beside = Path(kernels.__file__).parent
    if "NUMBA_CACHE_DIR" in os.environ or os.access(beside, os.W_OK):
        return None
    folder = site.state_dir / "cache"
    folder.mkdir(exist_ok=True, mode=0o700)
    return str(folder)


def _bind(site: Site) -> socket.socket:
    web = site.file.web
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((web.host, web.port))
        listener.listen()
    except OSError as why:
        raise Unavailable(
            f"port {web.port} on {web.host} cannot be opened ({why.strerror}): "
            "stop what uses it, or set [web] port"
        ) from None
    return listener


def _receivers(site: Site, hint: Callable[[str], None]) -> list[Part]:
    if site.file.dicom is None:
        return []
    from qa_daemon.ingest.dicom_receiver import Receiver

    return [Receiver(site, site.file.dicom, hint)]


def _trends(core: Core) -> Part:
    metrics = [
        (analyzer.name, metric.name)
        for analyzer in core.catalogue.analyzers
        for metric in analyzer.metrics
        if metric.is_judged
    ]
    follower = _Trends(TrendFollower(core.store, metrics, core.site.zone))
    return Drain(core.store, Outbox(core.store, "trends"), core.queries, follower)


class _Trends:
    """A result whose trends cannot be worked out is set aside: it must not hold up all others."""

    def __init__(self, follower: TrendFollower) -> None:
        self._follower = follower

    def write(self, results: Sequence[StoredResult]) -> None:
        """Look at what results belong to; raises `Rejected` for a fault of ours."""
        try:
            self._follower.write(results)
        except SQLAlchemyError:
            raise
        except Exception as why:
            kind, place = place_of(why)
            raise Rejected(f"its trends cannot be worked out: {kind} at {place}") from why


def _sinks(site: Site, core: Core) -> list[Part]:
    if site.file.influx is None:
        return []
    from qa_daemon.sinks.influx import InfluxSink

    sink = InfluxSink(site, core.store)
    return [Drain(core.store, Outbox(core.store, "influx"), core.queries, sink)]


def _web_server(site: Site, core: Core, ready: Callable[[], bool]) -> uvicorn.Server:
    from dashboards.web.app import create_app

    pages = create_app(
        site=site,
        store=core.store,
        queries=core.queries,
        archive=core.archive,
        status=lambda: {
            **status_form(site, core.store),
            "folders": [folder.form() for folder in core.scanner.status()],
        },
        ready=ready,
        clock=utc_now,
        titles={a.name: a.title for a in core.catalogue.analyzers},
        hint=core.scanner.hint,
    )
    # A page of another site must not read ours by giving its own name this address.
    own = urlsplit(site.base_url).hostname or ""
    pages.add_middleware(
        TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", "::1", own]
    )
    return uvicorn.Server(
        uvicorn.Config(pages, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    )
