"""What an image is measured with, before anybody measures it.

An image is read once for its keys, and its partners are looked up.  What a physicist said of it
goes before all rules.  An image of a set, and a VMAT test without its open field, wait a while for
the others; then they are judged with what is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import compress

from analyzers.catalogue import Catalogue
from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.image_keys import told
from qa_daemon.image_sets import VMAT_TESTS, SeenImage
from qa_daemon.model import (
    ImageKeys,
    Job,
    NamedPath,
    Partners,
    Report,
    Resumption,
)
from qa_daemon.site import imager_models
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.image_instances import AWAITS_OTHER
from qa_daemon.store.images import FoundImages, Images
from qa_daemon.store.ledger import Group, LedgerFile
from qa_daemon.store.results import instant_ns

AWAITS_SET = "the rest of its set may still come"
AWAITS_OPEN = "the image of its open field may still come"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that is ready to be measured, or (`report`) what is said of it meanwhile.

    `group` is what it is of: less than was asked for where a set is none any more.
    """

    job: Job
    group: Group
    used: FoundImages | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class ImageDesk:
    """Finds what images are held against."""

    images: Images
    archive: Archive
    site: Site
    catalogue: Catalogue

    def beside(
        self, job: Job, group: Group, machine: Machine | None, measure: Callable[[Job], Report]
    ) -> Prepared:
        """The job with the partners of its image.  Raises what `measure` raises."""
        file_format = group.main.format
        # What this version could not tell when the file came is told by reading it.
        if file_format is not None and not self._is_image(file_format):
            return Prepared(job, group)
        first = {
            "pins": self.site.image_pins,
            "told_kind": self.images.said_kind(group.main.id),
            "only_keys": True,
        }
        read = measure(job.model_copy(update=first))
        is_of_a_set = isinstance(read.keys, ImageKeys) and read.keys.gathers
        if group.resumed_by and file_format is not None and not is_of_a_set:
            # It is called something else now, or cannot be read: the others are judged without it.
            self.images.break_up([more.main.id for more in group.resumed_by])
            group = replace(group, resumed_by=())
            job = job.model_copy(update={"resumed_by": ()})
        if not isinstance(read.keys, ImageKeys):
            return Prepared(job, group, report=read if read.error_code is not None else None)
        if self.images.is_here(group.main, read):
            # Not worth measuring.  Should the other one go meanwhile, this one is tried again.
            said = read.model_copy(update={"awaits": AWAITS_OTHER, "not_judged": AWAITS_OTHER})
            return Prepared(job, group, report=said)
        job, group = self._regrouped(job, group, read, machine, measure)
        machine = machine or self.site.machine_told(read.machine_serial, read.machine_name)
        name = machine.name if machine else read.machine_serial
        at_ns = instant_ns(self.site.zoned(read.performed_at), group.main)
        found = self.images.partners_of(read.keys, group.main, name, read.energy, at_ns)
        awaits = self._awaits(read.keys, group, found)
        if awaits is not None:
            said_meanwhile = read.model_copy(update={"awaits": awaits, "not_judged": awaits})
            return Prepared(job, group, found, said_meanwhile)
        updated = {
            "told_kind": told(read.keys),
            "partners": with_imager(self._partners(found), read, self.site, machine),
            "mlc": machine.mlc if machine else job.mlc,
            "machine_class": machine.machine_class if machine else job.machine_class,
        }
        return Prepared(job.model_copy(update=updated), group, found)

    def end_waiting(self, *, at_once: bool = False) -> int:
        """Queue the images that have waited for as long as the site says; how many."""
        now = self.site.clock()
        since = now if at_once else now - self.site.file.images.complete_after
        return self.images.end_waiting(since.astimezone(UTC).isoformat(timespec="milliseconds"))

    def _regrouped(
        self,
        job: Job,
        group: Group,
        read: Report,
        machine: Machine | None,
        measure: Callable[[Job], Report],
    ) -> tuple[Job, Group]:
        """The set without those that the site's rules and gaps of now do not put into it.

        Asked when they are others than those it was judged by: each of its images is read again.
        """
        ids = [group.main.id, *(more.main.id for more in group.resumed_by)]
        if len(ids) == 1 or not self.images.was_judged_otherwise(ids, self.site.fingerprint):
            return job, group
        seen, strangers = [self._seen(read, group.main, machine)], list[int]()
        for more in group.resumed_by:
            alone = self.archive.job(more, machine, self.site).model_copy(
                update={
                    "pins": self.site.image_pins,
                    "told_kind": self.images.said_kind(more.main.id),
                    "only_keys": True,
                }
            )
            one = self._seen(measure(alone), more.main, machine)
            if one is not None and one.gathers and seen[0] and one.kind == seen[0].kind:
                seen.append(one)
            else:
                strangers.append(more.main.id)
        own, *others = self.images.sets_of([one for one in seen if one is not None])
        if not (others or strangers):
            return job, group
        self.images.split(others, strangers)
        kept = [more.main.id in own for more in group.resumed_by]
        group = replace(group, resumed_by=tuple(compress(group.resumed_by, kept)))
        later = tuple(compress(job.resumed_by, kept))
        return job.model_copy(update={"resumed_by": later}), group

    def _seen(self, read: Report, file: LedgerFile, machine: Machine | None) -> SeenImage | None:
        if not isinstance(read.keys, ImageKeys):
            return None
        machine = machine or self.site.machine_told(read.machine_serial, read.machine_name)
        name = machine.name if machine else read.machine_serial
        at_ns = instant_ns(self.site.zoned(read.performed_at), file)
        return self.images.seen(read.keys, file, name, read.energy, at_ns)

    def _is_image(self, format_name: str) -> bool:
        return issubclass(self.catalogue.format_named(format_name).yields, PortalImage)

    def _awaits(self, keys: ImageKeys, group: Group, found: FoundImages) -> str | None:
        """What an image still waits for; None where it is to be judged now."""
        lacks_open = keys.kind in VMAT_TESTS and found.open_image is None
        if not (keys.gathers or lacks_open) or self.images.has_waited(list(group.ids)):
            return None
        newest = max(datetime.fromisoformat(f.arrived_at) for f in (group.main, *group.others))
        if self.site.clock() - newest >= self.site.file.images.complete_after:
            return None
        return AWAITS_OPEN if lacks_open else AWAITS_SET

    def _partners(self, found: FoundImages) -> Partners:
        return Partners(
            open_image=self._named(found.open_image),
            predicted=self._named(found.predicted),
            baseline=tuple(self.archive.named(file) for file in found.baseline),
            logs=tuple(
                Resumption(
                    file=self.archive.named(log.main),
                    companions=tuple(self.archive.named(file) for file in log.companions),
                )
                for log in found.logs
            ),
            plan=self._named(found.plan),
            lacking=found.lacking,
        )

    def _named(self, file: LedgerFile | None) -> NamedPath | None:
        return None if file is None else self.archive.named(file)


def with_imager(partners: Partners, read: Report, site: Site, machine: Machine | None) -> Partners:
    """The partners of a clinical image, and the model of its imager."""
    if not isinstance(read.keys, ImageKeys) or read.keys.kind != ImageKind.PORTAL.value:
        return partners
    text, why = imager_models.text_for(site, machine, read.energy)
    if text is not None:
        return partners.model_copy(update={"imager": text})
    return partners.model_copy(update={"lacking": {**partners.lacking, "imager": why}})
