"""The clinic's pages, served by a real server; its results are made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.clinic import Clinic, fill
from tests.dashboards.serving import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The filled clinic; a test changes nothing in it."""
    clinic = Clinic(tmp_path_factory.mktemp("clinic"))
    ids = fill(clinic)
    with serving(clinic, ids) as pages:
        yield pages
