"""kV units: baselines of their output, what blocks them, and signatures under their checks"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Forward only."""
    op.create_table(
        "output_baselines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("beam", sa.String(80), nullable=False),
        sa.Column("to_water", sa.Boolean(), nullable=False),
        sa.Column("gy_per_min", sa.Float(), nullable=True),
        sa.Column("since", sa.String(40), nullable=False),
        sa.Column("result", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "output_baselines_by_machine", "output_baselines", ["machine", "beam", "id"], unique=False
    )
    op.create_table(
        "unit_blocks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("metric", sa.String(80), nullable=False),
        sa.Column("at_beam", sa.String(80), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("demands_calibration", sa.Boolean(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("cleared_by", sa.String(200), nullable=True),
        sa.Column("cleared_at", sa.String(32), nullable=True),
        sa.Column("cleared_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["file"], ["files.id"]),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("unit_blocks_by_file", "unit_blocks", ["file"], unique=False)
    op.create_index("unit_blocks_by_state", "unit_blocks", ["cleared_at", "machine"], unique=False)
    op.create_table(
        "reminders",
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("told_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "routine_done",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("test", sa.String(40), nullable=False),
        sa.Column("at_beam", sa.String(80), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("routine_done_by_result", "routine_done", ["result"], unique=False)
    op.create_index(
        "routine_done_by_machine", "routine_done", ["machine", "point_ns"], unique=False
    )
    op.create_table(
        "check_signatures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["file"], ["files.id"]),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("check_signatures_by_file", "check_signatures", ["file"], unique=False)
    op.create_table(
        "srt_tables",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.String(10), nullable=False),
        sa.Column("compared", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.String(200), nullable=False),
        sa.Column("imported_at", sa.String(32), nullable=False),
        sa.Column("signed_by", sa.String(200), nullable=True),
        sa.Column("signed_at", sa.String(32), nullable=True),
        sa.Column("signed_reason", sa.Text(), nullable=True),
        sa.Column("withdrawn_by", sa.String(200), nullable=True),
        sa.Column("withdrawn_at", sa.String(32), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("srt_tables_by_machine", "srt_tables", ["machine", "kind", "id"], unique=False)
    op.create_table(
        "kv_fractions",
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=True),
        sa.Column("patient", sa.String(20), nullable=False),
        sa.Column("course", sa.String(20), nullable=False),
        sa.Column("fraction", sa.Integer(), nullable=False),
        sa.Column("fractions_planned", sa.Integer(), nullable=False),
        sa.Column("prescribed_gy", sa.Float(), nullable=False),
        sa.Column("prescribed_depth_mm", sa.Float(), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("dose_gy", sa.Float(), nullable=True),
        sa.Column("used", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file"], ["files.id"]),
        sa.ForeignKeyConstraint(["result"], ["results.id"]),
        sa.PrimaryKeyConstraint("file"),
    )
    op.create_index(
        "kv_fractions_by_course", "kv_fractions", ["course", "fraction", "day"], unique=False
    )
    op.create_index(
        "kv_fractions_by_machine", "kv_fractions", ["machine", "point_ns"], unique=False
    )
    op.create_index(
        "kv_fractions_by_patient", "kv_fractions", ["patient", "point_ns"], unique=False
    )
