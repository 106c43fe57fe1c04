"""The demo's superficial unit as a physicist left it: calibrated, its baselines and tables signed.

It is done before the service starts, which then judges every daily check by these baselines.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from analyzers import catalogue as physics
from analyzers.srt_table_files import read_table
from analyzers.srt_tables import KINDS
from qa_daemon.app import open_store
from qa_daemon.image_desk import ImageDesk
from qa_daemon.ingest.dispatch import Dispatcher
from qa_daemon.ingest.folders import watched_folders
from qa_daemon.ingest.intake import Intake
from qa_daemon.ingest.scanner import Scanner
from qa_daemon.jobs import measure
from qa_daemon.lock import StateLock
from qa_daemon.model import Verdict
from qa_daemon.output_desk import OutputDesk
from qa_daemon.pipeline import Pipeline
from qa_daemon.plan_desk import PlanDesk
from qa_daemon.simulate import srt_table
from qa_daemon.simulate.clinic_srt import CALIBRATED, UNIT
from qa_daemon.site.site import Site
from qa_daemon.status import followers_of
from qa_daemon.store import check_signatures, output_baselines, srt_tables
from qa_daemon.store.archive import Archive
from qa_daemon.store.images import Images, gaps_of
from qa_daemon.store.ledger import Ledger
from qa_daemon.store.plans import Plans
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Results
from qa_daemon.store.same_records import SameRecords
from qa_daemon.store.store import Store

SINCE = "2020-01-01"
WHY = "commissioned: the demo's own numbers"


def commission(site: Site, physicist: str) -> None:
    """Take in what lies in the unit's folder, and sign what the calibration found, and tables."""
    lock = StateLock(site.state_dir)
    store = open_store(site)
    try:
        _process(site, store)
        _sign_baselines(store, physicist)
        _sign_tables(store, physicist)
    finally:
        store.close()
        lock.release()


def _process(site: Site, store: Store) -> None:
    """A few small files, in this process: there is no worker that would have to start."""
    ledger, archive, catalogue = Ledger(store), Archive(site.state_dir), physics.load()
    pseudonyms = Pseudonyms(site.state_dir, store)
    plans = Plans(store, pseudonyms, site.file.plans.fraction_gap)
    images = Images(store, pseudonyms, gaps_of(site.file.images))
    pipeline = Pipeline(
        lambda job: measure(job, catalogue),
        site,
        archive,
        ledger,
        Results(store, followers_of(site), plans, images, records=SameRecords(archive)),
        PlanDesk(plans, archive, site, catalogue),
        ImageDesk(images, archive, site, catalogue),
        OutputDesk(site, store),
    )
    folders = [folder for folder in watched_folders(site) if folder.machine == UNIT]
    scanner = Scanner(
        folders, Intake(archive, ledger, catalogue, site), settle_time=0.0, rescan_every=60.0
    )
    dispatcher = Dispatcher(ledger, pipeline, threads=1, catalogue=catalogue)
    dispatcher.start()
    try:
        scanner.run_until_settled()
        dispatcher.wait_idle()
    finally:
        dispatcher.stop()


def _sign_baselines(store: Store, physicist: str) -> None:
    found = [r for r in Queries(store).results_since(machine=UNIT) if r.verdict is Verdict.PASS]
    for result in found:
        if result.series and result.series.startswith(CALIBRATED.value):
            beams = output_baselines.outputs_at(store, result.id)
            output_baselines.sign(store, result.id, beams, physicist, WHY)
    if found:
        check_signatures.sign(store, [r.id for r in found], physicist, "reviewed")


def _sign_tables(store: Store, physicist: str) -> None:
    with TemporaryDirectory() as folder:
        for kind in KINDS:
            path = srt_table.simulate(
                Path(folder, f"{kind}.json"), kind=kind, unit=UNIT, valid_from=SINCE
            )
            number = srt_tables.enter(store, UNIT, read_table(path), physicist)
            srt_tables.sign(store, UNIT, number, physicist, WHY)
