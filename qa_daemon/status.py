"""How the service stands: the same answer for the command line and the pages."""

from __future__ import annotations

from qa_daemon.model import State
from qa_daemon.site.site import Site
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store

SHOWN = (State.QUEUED, State.WAITING, State.DONE, State.QUARANTINED, State.DUPLICATE)


def followers_of(site: Site) -> list[str]:
    """Who acts on every result."""
    return ["alerts", "trends", *sinks_of(site)]


def sinks_of(site: Site) -> list[str]:
    """Those of them that hand results to a server."""
    return ["influx"] if site.file.influx else []


def status_form(site: Site, store: Store) -> dict[str, object]:
    """What `status --json` prints and the pages show."""
    queries = Queries(store)
    counts = queries.counts()
    machines: dict[str, object] = {}
    for machine in site.machines:
        last = queries.last_result(machine.name)
        machines[machine.name] = {
            "last_result": last.performed_at or last.created_at if last else None,
            "verdict": last.verdict.name if last and last.verdict is not None else None,
        }
    return {
        "files": {state.value: counts.get(f"files.{state.value}", 0) for state in SHOWN},
        "results": counts.get("results", 0),
        "sinks": {name: Outbox(store, name).status() for name in sinks_of(site)},
        "alerts": {"open": queries.open_incidents()},
        "machines": machines,
    }
