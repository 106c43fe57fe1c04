"""Which files are processed together: a main file and the side files nearest to it.

The answer depends on what has arrived, never on the order of arrival.
"""

from __future__ import annotations

from dataclasses import replace

from analyzers.catalogue import Catalogue
from qa_daemon.model import Event, State
from qa_daemon.store.ledger import Group, Ledger, LedgerFile


class Pairing:
    """Finds the group of a queued file."""

    def __init__(self, ledger: Ledger, catalogue: Catalogue) -> None:
        self._ledger = ledger
        self._reach = {
            f.name: f.companions.reach for f in catalogue.formats if f.companions is not None
        }
        self._only_together = {
            f.name for f in catalogue.formats if f.companions and f.companions.is_required
        }

    def group_of(self, file: LedgerFile) -> Group:
        """The group a file belongs to; a side file without a main file is alone."""
        main = self._main_of(file) if file.is_companion else file
        if main is None:
            return Group(file)
        if main.main_file is not None:
            main = self._ledger.file(main.main_file)
        later = self._ledger.resumptions_of(main)
        return replace(
            self._with_side_files(main), resumed_by=tuple(map(self._with_side_files, later))
        )

    def is_half(self, group: Group) -> bool:
        """Whether the group lacks a file without which its format has no record, that may come."""
        main = group.main
        is_alone = main.pair is not None and not group.companions
        return is_alone and main.format in self._only_together

    def queue(self, group: Group) -> None:
        """Queue what has to be judged again because of this group, before anything is processed.

        That is the main file, when a side file came after it was judged, and the main file that a
        side file was read with until a nearer one came.
        """
        self._queue_again(group.main)
        own = (group.main.id, *(more.main.id for more in group.resumed_by))
        for companion in group.others:
            if companion.main_file is not None and companion.main_file not in own:
                self._queue_again(self._ledger.file(companion.main_file))

    def _queue_again(self, main: LedgerFile) -> None:
        if main.state in (State.DONE, State.WAITING, State.QUARANTINED):
            self._ledger.move(main, Event.INPUT_CAME)

    def _with_side_files(self, main: LedgerFile) -> Group:
        beside = tuple(c for c in self._near(main) if self._is_main_of(main, c))
        named = self._named_beside(main, beside) if main.format in self._only_together else main
        return Group(named, beside)

    def _named_beside(self, main: LedgerFile, companions: tuple[LedgerFile, ...]) -> LedgerFile:
        """A main file by the name of the copy that lies beside a side file, where its own does not.

        The name says what belongs together, and the content may have come under a wrong one first.
        """
        pairs = {companion.pair for companion in companions}
        if not pairs or main.pair in pairs:
            return main
        beside = (copy for copy in self._ledger.copies_of(main) if copy.pair in pairs)
        return next((replace(main, name=copy.name, pair=copy.pair) for copy in beside), main)

    def _is_main_of(self, main: LedgerFile, companion: LedgerFile) -> bool:
        nearest = self._main_of(companion)
        return nearest is not None and nearest.id == main.id

    def _main_of(self, companion: LedgerFile) -> LedgerFile | None:
        return next(iter(self._near(companion)), None)

    def _near(self, file: LedgerFile) -> list[LedgerFile]:
        reach = self._reach.get(file.format or "")
        return [] if reach is None else self._ledger.near(file, reach)
