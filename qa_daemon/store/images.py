"""Portal images and what they are held against, whatever comes first.

An image is judged with the images of its set, its partners and its log, as far as they are here;
when one comes later, the images that it changes something for are queued again.  No look-up grows
with the number of stored images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, update

from analyzers.portal_images import ImageKind
from qa_daemon.fractions import NANO
from qa_daemon.image_sets import (
    BALLS,
    OPEN_FIELDS,
    STRANGER,
    STRANGERS,
    VMAT_TESTS,
    SeenImage,
    open_field_of,
    set_of,
    strangers_in,
)
from qa_daemon.model import DeliveryKeys, Event, ImageKeys, PlanKeys, Report, State, ToldKind
from qa_daemon.site.settings import Images as ImagesSection
from qa_daemon.store.baselines import baseline_of, keys_of
from qa_daemon.store.copies import LIVE
from qa_daemon.store.image_instances import instance_of, last_word
from qa_daemon.store.image_users import WITH_LOG, WITH_PLAN
from qa_daemon.store.image_waiting import waited_enough
from qa_daemon.store.ledger import LedgerFile, file_of, move, queue_all
from qa_daemon.store.plans import Saved
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.schema import deliveries, files, images, plan_uids, plans, results
from qa_daemon.store.store import Store

MOST_NEAR = 300
"""So many images around one in time are looked at."""
MOST_OF_A_BEAM = 60
"""So many images of one beam are judged again when an earlier one or a predicted one comes."""
MOST_OF_A_PLAN = 500
MOST_LOGS = 4
LONGEST_SET = timedelta(hours=3)
JUDGED = (State.DONE.value, State.WAITING.value)
PORTAL, PREDICTED = ImageKind.PORTAL.value, ImageKind.PREDICTED.value
FIRST_OF_BEAM = "it is the first image of this beam: later ones are held against it"
NO_BEAM = "the image names no plan and beam"
NO_OPEN = "no image of the open field was made within the time that the site allows"
SIGNED = "signed"
SAID = "a physicist said so"
NO_LOG = "no log of this machine is near in time"


@dataclass(frozen=True, slots=True)
class Gaps:
    """How far apart in time what belongs together may be made."""

    of_set: timedelta
    of_starshot: timedelta
    of_open_field: timedelta
    of_log: timedelta

    def within(self, kind: str) -> timedelta:
        """The longest pause in a set of this kind."""
        return self.of_starshot if kind == ImageKind.STARSHOT.value else self.of_set


def gaps_of(section: ImagesSection) -> Gaps:
    """As the site file says."""
    return Gaps(
        section.set_gap, section.starshot_gap, section.open_field_within, section.log_within
    )


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log with its side files."""

    main: LedgerFile
    companions: tuple[LedgerFile, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundImages:
    """What an image is held against; `lacking` says by name why one is not here.

    `strangers` were made with a Winston-Lutz set and show no ball.
    """

    open_image: LedgerFile | None = None
    predicted: LedgerFile | None = None
    baseline: tuple[LedgerFile, ...] = ()
    logs: tuple[LogFile, ...] = ()
    plan: LedgerFile | None = None
    lacking: dict[str, str] = field(default_factory=dict)
    is_signed: bool = False
    """Whether a physicist signed the baseline off."""
    strangers: tuple[int, ...] = ()

    @property
    def used(self) -> str:
        """What makes it the same answer."""
        single = [self.open_image, self.predicted, self.plan]
        return json.dumps(
            [
                [*(None if file is None else file.id for file in single), *self.strangers],
                [file.id for file in self.baseline],
                [[log.main.id, *(c.id for c in log.companions)] for log in self.logs],
                [SIGNED] if self.is_signed else [],
            ]
        )

    def is_what(self, used: str) -> bool:
        """Whether it is what an image was judged with, as far as that may change its verdict.

        A baseline that is signed off, or withdrawn, counts from then on: not for what was judged.
        """
        now, then = json.loads(self.used), json.loads(used or "[]")
        if SIGNED in (*now[3], *(then[3] if len(then) == len(now) else ())):
            del now[1::2], then[1::2]
        return bool(now == then)


class Images:
    """Finds partners for images, and images for partners."""

    def __init__(self, store: Store, pseudonyms: Pseudonyms, gaps: Gaps) -> None:
        self._store = store
        self._pseudonyms = pseudonyms
        self._gaps = gaps

    def said_kind(self, file: int) -> ToldKind | None:
        """What a physicist said last that it shows; None: nobody has, or it was taken back."""
        with self._store.read() as connection:
            row = last_word(connection, file)
        if row is None or row.kind is None:
            return None
        return ToldKind(kind=row.kind, rule="said", evidence=SAID, phantom=row.phantom)

    def partners_of(
        self, keys: ImageKeys, file: LedgerFile, machine: str | None, energy: str | None, at_ns: int
    ) -> FoundImages:
        """What to hold an image against."""
        with self._store.read() as connection:
            return self._find(connection, keys, self.seen(keys, file, machine, energy, at_ns))

    def is_here(self, file: LedgerFile, read: Report) -> bool:
        """Whether the image is here in another file that stands for it, or contradicts it."""
        with self._store.read() as connection:
            other = instance_of(connection, file, read)
        return other is not None and not other.yields

    def has_waited(self, members: Sequence[int]) -> bool:
        """Whether it was said of all these files that they have waited long enough."""
        query = select(images.c.file).where(images.c.file.in_(members), images.c.has_waited)
        with self._store.read() as connection:
            return len(connection.execute(query).all()) == len(set(members))

    def end_waiting(self, arrived_before: str) -> int:
        """Queue the images whose set has not grown since an instant; how many.

        Asked every second while images wait: it writes where one has waited long enough, and only
        then, because each write wakes everybody.
        """
        with self._store.read() as connection:
            if not waited_enough(connection, arrived_before):
                return 0
        with self._store.write() as connection:
            ended = waited_enough(connection, arrived_before)
            # Those that wait as one have all waited.
            of_them = select(files.c.id).where(
                or_(files.c.id.in_(ended), files.c.main_file.in_(ended))
            )
            connection.execute(
                update(images)
                .where(images.c.file.in_(of_them))
                .values(awaits=False, has_waited=True)
            )
            return queue_all(connection, ended)

    def break_up(self, members: Sequence[int]) -> None:
        """Let images be of no set any more: each is judged for itself, and finds its set anew."""
        with self._store.write() as connection:
            alone = update(files).where(files.c.id.in_(members)).values(main_file=None)
            connection.execute(alone)
            queue_all(connection, members)

    def was_judged_otherwise(self, members: Sequence[int], site_hash: str) -> bool:
        """Whether one of these images was last judged by other rules than the site's of now."""
        query = (
            select(images.c.file)
            .join(results, results.c.id == images.c.result)
            .where(images.c.file.in_(members), results.c.site_hash != site_hash)
        )
        with self._store.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def split(self, sets: Sequence[Sequence[int]], strangers: Sequence[int]) -> None:
        """Let images leave a set for sets of their own, and `strangers` for what they are now."""
        with self._store.write() as connection:
            for first, *rest in sets:
                attached = update(files).where(files.c.id.in_(rest))
                connection.execute(attached.values(main_file=first))
            alone = [*(members[0] for members in sets), *strangers]
            connection.execute(update(files).where(files.c.id.in_(alone)).values(main_file=None))
            # What is stored of them is of rules that hold no more.
            no_more = update(images).where(images.c.file.in_(strangers))
            connection.execute(no_more.values(gathers=False))
            queue_all(connection, alone)

    def sets_of(self, seen: Sequence[SeenImage]) -> list[list[int]]:
        """The files of images by set as the site says now, the set of the first one first."""
        left, found = list(seen), list[list[int]]()
        while left:
            members = set_of(left[0], left[1:], _ns(self._gaps.within(left[0].kind)))
            found.append([one.file for one in members])
            left = [one for one in left if one.file not in found[-1]]
        return found

    def keep(
        self,
        connection: Connection,
        file: LedgerFile,
        others: Sequence[int],
        report: Report,
        saved: Saved,
        at_ns: int,
        used: FoundImages | None,
        users: Sequence[int] = (),
    ) -> None:
        """Store what an image shows in the transaction that stores its result.

        `at_ns` is when it was made: the point of its trend may lie beside it, where another result
        has that point.  `users` were held against it as it was before.  Queues what has to be
        judged again because of it.
        """
        keys = report.keys
        connection.execute(delete(images).where(images.c.file == file.id))
        if not isinstance(keys, ImageKeys):
            self._recheck_all(connection, users)
        if isinstance(keys, DeliveryKeys):
            self._recheck(connection, self._near_log(connection, saved))
        if isinstance(keys, PlanKeys):
            self._recheck(connection, _of_plan(connection, file.id))
        if not isinstance(keys, ImageKeys):
            return
        awaits = report.awaits is not None
        members = update(images).where(images.c.file.in_(others))
        connection.execute(
            members.values(result=saved.result, awaits=awaits, has_waited=not awaits)
        )
        connection.execute(
            insert(images).values(
                file=file.id,
                result=saved.result,
                machine=saved.machine,
                energy=report.energy,
                patient=self._pseudonyms.of(keys.patient_id),
                point_ns=at_ns,
                awaits=awaits,
                has_waited=not awaits,
                used="" if used is None else used.used,
                **keys.model_dump(exclude={"patient_id"}),
            )
        )
        seen = self.seen(keys, file, saved.machine, report.energy, at_ns)
        self._join(connection, seen, {file.id, *others}, awaits=awaits)
        if used is not None and self._find(connection, keys, seen).used != used.used:
            move(connection, file.id, Event.INPUT_CAME)
        self._recheck_all(connection, users)
        self._recheck(connection, self._held_against(connection, seen, keys))
        if seen.kind in STRANGERS:
            self._recheck(connection, self._sets_around(connection, seen))

    # -- finding ---------------------------------------------------------------------------------

    def _find(self, connection: Connection, keys: ImageKeys, image: SeenImage) -> FoundImages:
        lacking: dict[str, str] = {}
        open_image = predicted = plan = None
        baseline: list[LedgerFile] = []
        if image.kind in VMAT_TESTS:
            found = open_field_of(
                image,
                self._near(
                    connection, image, self._gaps.of_open_field, (*OPEN_FIELDS, *VMAT_TESTS)
                ),
                _ns(self._gaps.of_open_field),
            )
            open_image = None if found is None else _file(connection, found.file)
            if open_image is None:
                lacking["open_image"] = NO_OPEN
        if image.kind == PORTAL:
            predicted = _predicted(connection, keys)
        if image.kind in WITH_PLAN:
            plan = _plan(connection, keys)
        baseline = baseline_of(connection, keys, image)
        is_signed = bool(baseline)
        if image.kind == PORTAL and not baseline:
            first = _first_of_beam(connection, keys, image)
            baseline = [first] if first is not None else []
            if not baseline:
                lacking["baseline"] = FIRST_OF_BEAM if _beam_is_told(keys) else NO_BEAM
        logs = self._logs(connection, keys, image) if image.kind in WITH_LOG else []
        if image.kind in WITH_LOG and not logs:
            lacking["log"] = NO_LOG
        strangers = self._strangers(connection, image)
        if strangers:
            lacking["set"] = STRANGER.format(count=len(strangers))
        return FoundImages(
            open_image, predicted, tuple(baseline), tuple(logs), plan, lacking, is_signed, strangers
        )

    def _strangers(self, connection: Connection, image: SeenImage) -> tuple[int, ...]:
        if image.kind != BALLS or not image.gathers:
            return ()
        near = self._near(connection, image, LONGEST_SET, (BALLS, *STRANGERS))
        gap_ns = _ns(self._gaps.within(image.kind))
        found = strangers_in(set_of(image, near, gap_ns), near, gap_ns)
        return tuple(sorted(one.file for one in found))

    def _near(
        self, connection: Connection, image: SeenImage, within: timedelta, kinds: Sequence[str]
    ) -> list[SeenImage]:
        """The images of its machine around one in time, the nearest of these kinds."""
        query = _live_images().where(
            images.c.machine == image.machine,
            images.c.kind.in_(kinds),
            images.c.point_ns.between(image.at_ns - _ns(within), image.at_ns + _ns(within)),
        )
        nearest = (func.abs(images.c.point_ns - image.at_ns), files.c.sha256)
        rows = connection.execute(query.order_by(*nearest).limit(MOST_NEAR)).all()
        return [_seen_row(row) for row in rows]

    def _logs(self, connection: Connection, keys: ImageKeys, image: SeenImage) -> list[LogFile]:
        """The logs of its machine around an image in time, nearest first; of its beam if told."""
        reach = _ns(self._gaps.of_log)
        query = (
            select(files, deliveries.c.plan_uid, deliveries.c.beam_number, deliveries.c.point_ns)
            .join(deliveries, deliveries.c.file == files.c.id)
            .where(
                deliveries.c.machine == image.machine,
                deliveries.c.point_ns.between(image.at_ns - reach, image.at_ns + reach),
                files.c.main_file.is_(None),
                files.c.state.in_(LIVE),
            )
            .limit(MOST_NEAR)
        )
        rows = [
            row
            for row in connection.execute(query).mappings()
            if may_be_of(keys, row["plan_uid"], row["beam_number"])
        ]
        rows.sort(key=lambda row: (abs(row["point_ns"] - image.at_ns), row["sha256"]))
        return [_log_file(connection, file_of(row)) for row in rows[:MOST_LOGS]]

    # -- what else changes -----------------------------------------------------------------------

    def _join(
        self, connection: Connection, image: SeenImage, judged: set[int], *, awaits: bool
    ) -> None:
        """Attach the images of a set to its first, as side files are.

        The set is queued where it was `judged` without some of them, unless it waits for more.
        """
        if not image.gathers:
            return
        near = self._near(connection, image, LONGEST_SET, (image.kind,))
        first, *rest = set_of(image, near, _ns(self._gaps.within(image.kind)))
        if not rest:
            return
        members = [one.file for one in rest]
        # A set that one of them leaves is judged again without it.
        taken = select(files.c.main_file).where(
            files.c.id.in_([first.file, *members]),
            files.c.main_file.is_not(None),
            files.c.main_file.not_in([first.file, *members]),
        )
        queue_all(connection, list(connection.execute(taken.distinct()).scalars()))
        attached = update(files).where(files.c.id.in_(members)).values(main_file=first.file)
        connection.execute(attached)
        own = update(files).where(files.c.id == first.file).values(main_file=None)
        connection.execute(own)
        if not awaits and not judged.issuperset([first.file, *members]):
            queue_all(connection, [first.file])

    def _held_against(
        self, connection: Connection, image: SeenImage, keys: ImageKeys
    ) -> Iterable[Row[Any]]:
        """The images that a new one may be a partner of."""
        if image.kind in (*OPEN_FIELDS, *VMAT_TESTS):
            reach = _ns(self._gaps.of_open_field)
            query = _live_images().where(
                images.c.machine == image.machine,
                images.c.kind.in_(VMAT_TESTS),
                images.c.point_ns.between(image.at_ns - reach, image.at_ns + reach),
            )
        elif image.kind in (PORTAL, PREDICTED) and _beam_is_told(keys):
            query = _of_beam(keys, PORTAL)
        else:
            return []
        query = query.where(images.c.file != image.file)
        return connection.execute(
            query.order_by(images.c.point_ns.desc()).limit(MOST_OF_A_BEAM)
        ).all()

    def _sets_around(self, connection: Connection, image: SeenImage) -> Iterable[Row[Any]]:
        """The images with a ball by which one without may have been made."""
        reach = _ns(LONGEST_SET)
        query = _live_images().where(
            images.c.machine == image.machine,
            images.c.kind == BALLS,
            images.c.point_ns.between(image.at_ns - reach, image.at_ns + reach),
            files.c.main_file.is_(None),
        )
        return connection.execute(query.limit(MOST_NEAR)).all()

    def _near_log(self, connection: Connection, log: Saved) -> Iterable[Row[Any]]:
        reach = _ns(self._gaps.of_log)
        query = _live_images().where(
            images.c.machine == log.machine,
            images.c.kind.in_(WITH_LOG),
            images.c.point_ns.between(log.point_ns - reach, log.point_ns + reach),
        )
        return connection.execute(query.limit(MOST_NEAR)).all()

    def _recheck_all(self, connection: Connection, identities: Sequence[int]) -> None:
        if identities:
            query = _live_images().where(images.c.file.in_(identities))
            self._recheck(connection, connection.execute(query).all())

    def _recheck(self, connection: Connection, rows: Iterable[Row[Any]]) -> None:
        """Queue the images whose partners are others now."""
        changed = [
            row.file
            for row in rows
            if row.state in JUDGED
            and not row.awaits
            and not self._find(connection, keys_of(row), _seen_row(row)).is_what(row.used)
        ]
        queue_all(connection, changed)

    def seen(
        self, keys: ImageKeys, file: LedgerFile, machine: str | None, energy: str | None, at_ns: int
    ) -> SeenImage:
        """An image as far as others are compared with it."""
        return SeenImage(
            file=file.id,
            sha256=file.sha256,
            machine=machine,
            kind=keys.kind,
            at_ns=at_ns,
            gathers=keys.gathers,
            rows=keys.rows,
            columns=keys.columns,
            sid_mm=keys.sid_mm,
            field_x_mm=keys.field_x_mm,
            field_y_mm=keys.field_y_mm,
            energy=energy,
            study_uid=keys.study_uid,
            plan_uid=keys.plan_uid,
            patient=self._pseudonyms.of(keys.patient_id),
        )


def _live_images() -> Select[Any]:
    return (
        select(images, files.c.sha256, files.c.state)
        .join(files, files.c.id == images.c.file)
        .where(files.c.state.in_(LIVE))
    )


def _of_beam(keys: ImageKeys, kind: str) -> Select[Any]:
    return _live_images().where(
        images.c.plan_uid == keys.plan_uid,
        images.c.beam_number == keys.beam_number,
        images.c.kind == kind,
    )


def _of_plan(connection: Connection, plan: int) -> Sequence[Row[Any]]:
    """The newest images that name a plan, or one that it takes the place of."""
    uids = select(plan_uids.c.uid).where(plan_uids.c.file == plan)
    query = _live_images().where(images.c.plan_uid.in_(uids), images.c.kind.in_(WITH_PLAN))
    return connection.execute(query.order_by(images.c.point_ns.desc()).limit(MOST_OF_A_PLAN)).all()


def _beam_is_told(keys: ImageKeys) -> bool:
    return keys.plan_uid is not None and keys.beam_number is not None


def _predicted(connection: Connection, keys: ImageKeys) -> LedgerFile | None:
    """The newest predicted image of the beam."""
    if not _beam_is_told(keys):
        return None
    query = _of_beam(keys, PREDICTED).order_by(images.c.point_ns.desc(), files.c.sha256).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _file(connection, row.file)


def _first_of_beam(connection: Connection, keys: ImageKeys, image: SeenImage) -> LedgerFile | None:
    """The earliest image of the beam with the same panel; None where no other is earlier.

    One of the same instant is of the same exposure, as it came over the network and in a folder.
    """
    if not _beam_is_told(keys):
        return None
    # The sums keep SQLite from walking through all portal images of the archive in their order.
    at_ns = images.c.point_ns + 0
    query = _of_beam(keys, PORTAL).where(
        images.c.rows == image.rows, images.c.columns == image.columns, at_ns < image.at_ns
    )
    earliest_first = query.order_by(at_ns, files.c.sha256)
    row = connection.execute(earliest_first.limit(1)).first()
    return None if row is None else _file(connection, row.file)


def _plan(connection: Connection, keys: ImageKeys) -> LedgerFile | None:
    """The plan that an image names, the newest state of it."""
    if keys.plan_uid is None:
        return None
    query = (
        select(files)
        .join(plan_uids, plan_uids.c.file == files.c.id)
        .join(plans, plans.c.file == files.c.id)
        .where(plan_uids.c.uid == keys.plan_uid, files.c.state == State.DONE.value)
    )
    row = connection.execute(query.order_by(files.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else file_of(row)


def _log_file(connection: Connection, log: LedgerFile) -> LogFile:
    query = select(files).where(
        files.c.main_file == log.id, files.c.is_companion, files.c.state.in_(LIVE)
    )
    rows = connection.execute(query.order_by(files.c.id).limit(MOST_LOGS)).mappings()
    return LogFile(log, tuple(file_of(row) for row in rows))


def _file(connection: Connection, identity: int) -> LedgerFile:
    return file_of(connection.execute(select(files).where(files.c.id == identity)).mappings().one())


def _seen_row(row: Row[Any]) -> SeenImage:
    return SeenImage(
        file=row.file,
        sha256=row.sha256,
        machine=row.machine,
        kind=row.kind,
        at_ns=row.point_ns,
        gathers=row.gathers,
        rows=row.rows,
        columns=row.columns,
        sid_mm=row.sid_mm,
        field_x_mm=row.field_x_mm,
        field_y_mm=row.field_y_mm,
        energy=row.energy,
        study_uid=row.study_uid,
        plan_uid=row.plan_uid,
        patient=row.patient,
    )


def may_be_of(image: ImageKeys, plan_uid: str | None, beam_number: int | None) -> bool:
    """Whether a log of that plan and beam may be an image's: what one does not tell may be so."""
    if None in (plan_uid, image.plan_uid):
        return True
    beams = (beam_number, image.beam_number)
    return plan_uid == image.plan_uid and (None in beams or beams[0] == beams[1])


def _ns(span: timedelta) -> int:
    return int(span.total_seconds() * NANO)
