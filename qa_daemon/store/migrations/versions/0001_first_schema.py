"""first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Forward only."""

    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("object", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=60), nullable=True),
        sa.Column("is_companion", sa.Boolean(), nullable=False),
        sa.Column("pair_key", sa.Text(), nullable=True),
        sa.Column("pair_at", sa.Float(), nullable=True),
        sa.Column("main_file", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("arrived_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["main_file"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("files_by_content", "files", ["sha256"], unique=False)
    op.create_index("files_by_main", "files", ["main_file"], unique=False)
    op.create_index(
        "files_by_pair", "files", ["folder", "format", "pair_key", "pair_at"], unique=False
    )
    op.create_index("files_by_path", "files", ["path"], unique=False)
    op.create_index("files_by_state", "files", ["state", "id"], unique=False)
    op.create_table(
        "sinks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("last_success", sa.String(length=32), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=60), nullable=True),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("machine_class", sa.String(length=40), nullable=True),
        sa.Column("performed_at", sa.String(length=40), nullable=True),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("energy", sa.String(length=40), nullable=True),
        sa.Column("verdict", sa.Integer(), nullable=True),
        sa.Column("not_judged", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("arrays", sa.String(length=80), nullable=True),
        sa.Column("software", sa.String(length=40), nullable=False),
        sa.Column("site_hash", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["superseded_by"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "one_active_result_per_file",
        "results",
        ["file"],
        unique=True,
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    )
    op.create_index(
        "one_point_per_machine_and_instant",
        "results",
        ["machine", "point_ns"],
        unique=True,
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    )
    op.create_index("results_by_file", "results", ["file", "active"], unique=False)
    op.create_index(
        "results_by_machine", "results", ["machine", "active", "point_ns"], unique=False
    )
    op.create_index("results_by_time", "results", ["active", "point_ns"], unique=False)
    op.create_table(
        "analyses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("analyzer", sa.String(length=80), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("not_applicable", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("analyses_by_result", "analyses", ["result"], unique=False)
    op.create_table(
        "identities",
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("result"),
    )
    op.create_table(
        "incidents",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("test", sa.String(length=120), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.String(length=32), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("incidents_by_open", "incidents", ["open"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_to", sa.String(length=200), nullable=True),
        sa.Column("sent_at", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("notifications_by_state", "notifications", ["state", "id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sink", sa.String(length=40), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sink", "result"),
    )
    op.create_index("outbox_by_state", "outbox", ["sink", "state", "id"], unique=False)
    op.create_table(
        "latest",
        sa.Column("machine", sa.String(length=200), nullable=False),
        sa.Column("analyzer", sa.String(length=80), nullable=False),
        sa.Column("analysis", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis"],
            ["analyses.id"],
        ),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("machine", "analyzer"),
    )
    op.create_table(
        "measurements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("analysis", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("analyzer", sa.String(length=80), nullable=False),
        sa.Column("metric", sa.String(length=80), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.String(length=20), nullable=False),
        sa.Column("at", sa.String(length=80), nullable=True),
        sa.Column("verdict", sa.Integer(), nullable=True),
        sa.Column("tolerance_low", sa.Float(), nullable=True),
        sa.Column("tolerance_high", sa.Float(), nullable=True),
        sa.Column("action_low", sa.Float(), nullable=True),
        sa.Column("action_high", sa.Float(), nullable=True),
        sa.Column("limits_source", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["analysis"],
            ["analyses.id"],
        ),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("measurements_by_analysis", "measurements", ["analysis"], unique=False)
    op.create_index("measurements_by_result", "measurements", ["result"], unique=False)
    op.create_index(
        "measurements_by_trend",
        "measurements",
        ["machine", "analyzer", "metric", "active", "point_ns"],
        unique=False,
    )
