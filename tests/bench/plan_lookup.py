"""Finding the plans of a log among 100, 1,000 and 10,000 stored ones: time by their number.

Each stored plan has three beams and a patient of its own; a fifth of them share a meterset.  Three
kinds of log ask: one that names its plan, one that names its patient, and one that names neither.
Then one more plan is stored, which has to find the logs that it may be of.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from qa_daemon.model import DeliveryKeys, PlanKeys, PlannedBeam, Report
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger
from qa_daemon.store.plans import Plans
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.schema import files, plan_uids, planned_beams, plans
from qa_daemon.store.store import Store, upgrade, url_of

NUMBERS = (100, 1000, 10_000)
BEAMS = 3
ROUNDS = 51
NOW = datetime(2026, 3, 2, tzinfo=UTC)
LOGS = {
    "names_its_plan": DeliveryKeys(plan_uid="1.2.50", patient_id="patient 50", planned_mu=150.0),
    "names_its_patient": DeliveryKeys(patient_id="patient 50", planned_mu=150.0),
    "names_neither": DeliveryKeys(field="1-1/ARC", planned_mu=150.0),
}


def measure() -> dict[str, Any]:
    """Median times in ms by kind of log and number of plans, and their ratio, most over fewest."""
    found: dict[str, dict[str, float]] = {kind: {} for kind in (*LOGS, "one_more_plan")}
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            for kind, ms in _times_ms(Path(folder), number).items():
                found[kind][f"of_{number}_ms"] = ms
    for times in found.values():
        ms = list(times.values())
        times[f"ratio_of_{NUMBERS[-1]}_to_{NUMBERS[0]}"] = ms[-1] / ms[0]
    return found


def _times_ms(folder: Path, number: int) -> dict[str, float]:
    upgrade(url_of(folder))
    store = Store(url_of(folder), lambda: NOW)
    try:
        pseudonyms = Pseudonyms(folder, store)
        _fill(store, pseudonyms, number)
        desk = Plans(store, pseudonyms)
        times = {
            kind: _median_ms(lambda keys=keys: desk.for_log(keys, "0" * 64, "TB1"))  # type: ignore[misc]
            for kind, keys in LOGS.items()
        }
        for kind in ("names_its_plan", "names_its_patient"):
            assert len(desk.for_log(LOGS[kind], "0" * 64, "TB1").files) == 1
        ledger, results = Ledger(store), Results(store, (), desk)
        one_more = [_store_plan(ledger, results, number + k) for k in range(5)]
        return times | {"one_more_plan": statistics.median(one_more)}
    finally:
        store.close()


def _median_ms(ask: Any) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        taken.append(1000.0 * (time.perf_counter() - start))
    return statistics.median(taken)


def _store_plan(ledger: Ledger, results: Results, number: int) -> float:
    name = f"plan{number}"
    fingerprint = Fingerprint(f"/in/{name}", 1, 1, name)
    file = ledger.add(
        Arrival(fingerprint, "/in", name, "TB1", f"{number:064x}", format="dicom-rtplan")
    )
    beams = (PlannedBeam(number=1, meterset_mu=123.0),)
    keys = PlanKeys(plan_uid=f"1.2.{number}", patient_id=f"patient {number}", beams=beams)
    start = time.perf_counter()
    report = Report(format="dicom-rtplan", keys=keys)
    results.save(file, [], report, [], Provenance("0", "s", "TB1", "truebeam", None))
    return 1000.0 * (time.perf_counter() - start)


def _fill(store: Store, pseudonyms: Pseudonyms, number: int) -> None:
    """Plans as the service would have stored them, at once."""
    file_rows, plan_rows, uid_rows, beam_rows = [], [], [], []
    for k in range(1, number):
        file_rows.append(
            {
                "id": k,
                "path": f"/in/{k}",
                "folder": "/in",
                "name": str(k),
                "machine": "TB1",
                "size": 1,
                "mtime_ns": 1,
                "inode": str(k),
                "sha256": f"{k:064x}",
                "format": "dicom-rtplan",
                "is_companion": False,
                "state": "done",
                "crashes": 0,
                "arrived_at": "2026-03-01T00:00:00.000+00:00",
            }
        )
        metersets = [150.0 if k % 5 == 0 else 50.0 + 0.37 * k % 600.0, 80.0, 90.0]
        plan_rows.append(
            {
                "file": k,
                "plan_uid": f"1.2.{k}",
                "patient": pseudonyms.of(f"patient {k}"),
                "total_mu": sum(metersets),
            }
        )
        uid_rows.append({"uid": f"1.2.{k}", "file": k, "is_own": True})
        beam_rows += [
            {"file": k, "number": n + 1, "meterset_mu": metersets[n]} for n in range(BEAMS)
        ]
    with store.write() as connection:
        for table, rows in (
            (files, file_rows),
            (plans, plan_rows),
            (plan_uids, uid_rows),
            (planned_beams, beam_rows),
        ):
            connection.execute(insert(table), rows)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
