"""What every page needs: the clinic, its store, and how things are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from analyzers.core import Metric
from dashboards.web.people import People
from dashboards.web.wording import age, instant, local
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.courses import Courses
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store


@dataclass(frozen=True, slots=True)
class When:
    """An instant as people read it."""

    age: str
    exact: str
    iso: str


@dataclass(frozen=True, slots=True)
class Clinic:
    """The parts of the service that pages read.

    `titles` are the names of the analyzers as people know them, `people` those who sign in;
    `status` says how the service stands.
    """

    site: Site
    queries: Queries
    archive: Archive
    status: Callable[[], dict[str, object]]
    ready: Callable[[], bool]
    clock: Callable[[], datetime]
    titles: Mapping[str, str]
    people: People
    store: Store
    courses: Courses
    pseudonyms: Pseudonyms

    @property
    def meanings(self) -> Mapping[str, Metric]:
        """Every metric by `analyzer.metric`."""
        return self.site.metrics

    def when(self, point_ns: int) -> When:
        """An instant of the store, seen from now."""
        at = instant(point_ns)
        return When(age(at, self.clock()), self.local(at), at.isoformat())

    def local(self, when: datetime | str | None) -> str:
        """A time in the clinic's zone."""
        return local(when, self.site.zone)

    def title(self, analyzer: str) -> str:
        """An analyzer's name as people know it."""
        return self.titles.get(analyzer, analyzer.replace("_", " "))

    def meaning(self, analyzer: str, metric: str) -> str:
        """What a metric is, in words."""
        declared = self.meanings.get(f"{analyzer}.{metric}")
        return declared.meaning if declared else metric.replace("_", " ")

    def metrics_of(self, analyzer: str) -> list[Metric]:
        """The metrics of an analyzer in the order of their declaration."""
        return [m for name, m in self.meanings.items() if name.partition(".")[0] == analyzer]
