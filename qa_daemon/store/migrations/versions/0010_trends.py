"""Tests done without limits, by whose limits a number was judged, and what trends say"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Forward only."""
    op.add_column("results", sa.Column("technique", sa.String(40), nullable=True))
    op.add_column("measurements", sa.Column("judged_as", sa.String(80), nullable=True))
    with op.batch_alter_table("routine_done") as table:
        table.alter_column("verdict", existing_type=sa.Integer(), nullable=True)
    op.create_table(
        "service_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("withdrawn_by", sa.String(200), nullable=True),
        sa.Column("withdrawn_at", sa.String(32), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "service_events_by_machine", "service_events", ["machine", "point_ns"], unique=False
    )
    op.create_table(
        "trend_signals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=False),
        sa.Column("metric", sa.String(80), nullable=False),
        sa.Column("place", sa.String(80), nullable=False),
        sa.Column("energy", sa.String(40), nullable=False),
        sa.Column("judged_as", sa.String(80), nullable=False),
        sa.Column("technique", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.String(32), nullable=False),
        sa.Column("closed_at", sa.String(32), nullable=True),
        sa.Column("told_at", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "trend_signals_by_machine", "trend_signals", ["machine", "closed_at"], unique=False
    )
    op.create_table(
        "trend_days",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=False),
        sa.Column("metric", sa.String(80), nullable=False),
        sa.Column("place", sa.String(80), nullable=False),
        sa.Column("energy", sa.String(40), nullable=False),
        sa.Column("judged_as", sa.String(80), nullable=False),
        sa.Column("technique", sa.String(40), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=False),
        sa.Column("median", sa.Float(), nullable=False),
        sa.Column("highest", sa.Float(), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=True),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("tolerance_low", sa.Float(), nullable=True),
        sa.Column("tolerance_high", sa.Float(), nullable=True),
        sa.Column("action_low", sa.Float(), nullable=True),
        sa.Column("action_high", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("trend_days_by_machine", "trend_days", ["machine", "day"], unique=False)
    op.create_index(
        "trend_days_by_trend",
        "trend_days",
        ["machine", "analyzer", "metric", "place", "energy", "judged_as", "technique", "day"],
        unique=False,
    )
    op.create_table(
        "leaf_days",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.Text(), nullable=False),
        sa.Column("quantities", sa.Text(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "leaf_days_by_machine", "leaf_days", ["machine", "analyzer", "day"], unique=False
    )
    op.create_table(
        "chart_limits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=False),
        sa.Column("metric", sa.String(80), nullable=False),
        sa.Column("place", sa.String(80), nullable=False),
        sa.Column("energy", sa.String(40), nullable=False),
        sa.Column("judged_as", sa.String(80), nullable=False),
        sa.Column("technique", sa.String(40), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("center", sa.Float(), nullable=False),
        sa.Column("sigma", sa.Float(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("alike", sa.Float(), nullable=False),
        sa.Column("widened", sa.Boolean(), nullable=False),
        sa.Column("signed_by", sa.String(200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "chart_limits_by_trend",
        "chart_limits",
        ["machine", "analyzer", "metric", "place", "energy", "judged_as", "technique", "since_ns"],
        unique=False,
    )
    # Results that are here already are looked through as if they had just come.
    op.execute(
        "INSERT INTO outbox (sink, result, state) "
        "SELECT 'trends', id, 'pending' FROM results WHERE active ORDER BY id"
    )
    op.create_index("trend_signals_by_told", "trend_signals", ["told_at"], unique=False)
    op.create_index("trend_signals_by_result", "trend_signals", ["result"], unique=False)
