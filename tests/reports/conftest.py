"""A month that is read and not changed; it is made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.months import NOW, MonthClinic, fill_february


@pytest.fixture(scope="session")
def february(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[MonthClinic, dict[str, int], dict[str, Path]]]:
    """The clinic, the ids of its results, and the files of its month by their endings."""
    clinic = MonthClinic(tmp_path_factory.mktemp("february"), NOW)
    ids = fill_february(clinic)
    clinic.follow_trends()
    yield clinic, ids, clinic.package("2026-02")
    clinic.store.close()
