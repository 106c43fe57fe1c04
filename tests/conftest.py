"""Fixtures for the whole suite: the real servers.  How they run is in `tests/servers.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import servers


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
