"""For the whole suite: the real servers, and what keeps it quick.

How the servers run is in `tests/servers.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

# One thread for linear algebra, as the service's workers have, and kernels' threads that sleep when
# they have nothing to do: tests run beside each other, and threads that wait awake take each
# other's processor.  Read when the libraries are loaded, which no test has done yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tests import servers


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Hundreds of stores are opened; SQLAlchemy would compile each statement anew for each.

    The compiled form belongs to a dialect, so all SQLite engines of this process share one.
    """
    from qa_daemon.store import store

    first = create_engine("sqlite://")
    first.connect().close()  # a dialect is complete after its first connection
    compiled: dict[Any, Any] = {}

    def engine_of(url: str, **options: Any) -> Engine:
        engine = create_engine(url, execution_options={"compiled_cache": compiled}, **options)
        if engine.dialect.name == "sqlite":
            engine.dialect = first.dialect
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "create_engine", engine_of)
        yield


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.InfluxServer]:
    """InfluxDB 1.x without sign-in; a test takes a database of its own."""
    with servers.influx_server(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.VictoriaServer]:
    """An empty VictoriaMetrics."""
    with servers.victoria_server(tmp_path_factory.mktemp("victoria")) as server:
        yield server


@pytest.fixture
def mail() -> Iterator[servers.MailServer]:
    """An SMTP server that keeps what it receives."""
    with servers.mail_server() as server:
        yield server


@pytest.fixture
def stub() -> Iterator[servers.Stub]:
    """An HTTP server that answers as told."""
    with servers.stub_server() as server:
        yield server
