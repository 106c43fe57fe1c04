"""A share that goes away shows on the board of the running daemon."""

from __future__ import annotations

from pathlib import Path

from tests.integration.daemon import Daemon, write_site

LOST = "TB1: watched folder cannot be reached"


def test_a_lost_share_is_on_the_board_until_it_is_back(tmp_path: Path) -> None:
    with Daemon(write_site(tmp_path)) as daemon:
        assert LOST not in daemon.get("/")
        away = tmp_path / "away"
        daemon.incoming.rename(away)
        daemon.until(lambda: LOST in daemon.get("/"), "told", 30.0)
        assert "folders" not in daemon.status()
        away.rename(daemon.incoming)
        daemon.until(lambda: LOST not in daemon.get("/"), "back", 30.0)
