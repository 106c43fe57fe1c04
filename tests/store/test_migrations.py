"""An older store is brought up to date with all it holds."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from qa_daemon.store.store import MIGRATIONS, upgrade, url_of

RESULT = """
INSERT INTO results (id, file, active, sha256, point_ns, warnings, software, site_hash, created_at)
VALUES (7, 1, 1, 'a', 1, '[]', '0', 'h', 'now')
"""
FILE = """
INSERT INTO files (id, path, folder, name, size, mtime_ns, inode, sha256, is_companion, state,
crashes, arrived_at) VALUES (1, 'p', 'f', 'n', 1, 1, 'i', 'a', 0, 'done', 0, 'now')
"""
MESSAGE = """
INSERT INTO notifications (id, result, title, body, state, attempts, created_at)
VALUES (3, 7, 'title', 'body', 'pending', 2, 'now')
"""


def test_messages_of_the_first_version_are_kept(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "0001")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in (FILE, RESULT, MESSAGE):
            connection.execute(text(statement))
        # An upgrade that was killed leaves this.
        connection.execute(text("CREATE TABLE _alembic_tmp_notifications (id INTEGER)"))
    upgrade(url)
    with engine.begin() as connection:
        connection.execute(text(MESSAGE.replace("3, 7", "4, NULL")))
        rows = connection.execute(text("SELECT id, result, title, attempts FROM notifications"))
        assert [tuple(row) for row in rows] == [(3, 7, "title", 2), (4, None, "title", 2)]
        assert connection.execute(text("SELECT count(*) FROM outages")).scalar() == 0
        keys = connection.execute(text("PRAGMA foreign_key_list(notifications)")).mappings().all()
        assert [(key["table"], key["from"]) for key in keys] == [("results", "result")]
    engine.dispose()
