"""what portal images show, what a physicist said of them, and the baselines that were signed off"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Forward only."""
    op.create_table(
        "image_baselines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=True),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("energy", sa.String(40), nullable=True),
        sa.Column("plan_uid", sa.String(64), nullable=True),
        sa.Column("beam_number", sa.Integer(), nullable=True),
        sa.Column("field_x_mm", sa.Float(), nullable=True),
        sa.Column("field_y_mm", sa.Float(), nullable=True),
        sa.Column("images", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "image_baselines_by_beam",
        "image_baselines",
        ["plan_uid", "beam_number", "id"],
        unique=False,
    )
    op.create_index(
        "image_baselines_by_machine", "image_baselines", ["machine", "kind", "id"], unique=False
    )
    op.create_table(
        "image_kinds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(60), nullable=True),
        sa.Column("phantom", sa.String(60), nullable=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("image_kinds_by_image", "image_kinds", ["sha256"], unique=False)
    op.create_table(
        "images",
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=True),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("rule", sa.String(60), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("phantom", sa.String(60), nullable=True),
        sa.Column("gathers", sa.Boolean(), nullable=False),
        sa.Column("energy", sa.String(40), nullable=True),
        sa.Column("patient", sa.String(20), nullable=True),
        sa.Column("plan_uid", sa.String(64), nullable=True),
        sa.Column("beam_number", sa.Integer(), nullable=True),
        sa.Column("fraction", sa.Integer(), nullable=True),
        sa.Column("study_uid", sa.String(64), nullable=True),
        sa.Column("meterset_mu", sa.Float(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("sid_mm", sa.Float(), nullable=True),
        sa.Column("field_x_mm", sa.Float(), nullable=True),
        sa.Column("field_y_mm", sa.Float(), nullable=True),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("awaits", sa.Boolean(), nullable=False),
        sa.Column("has_waited", sa.Boolean(), nullable=False),
        sa.Column("used", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("file"),
    )
    op.create_index(
        "images_by_beam", "images", ["plan_uid", "beam_number", "point_ns"], unique=False
    )
    op.create_index("images_by_kind", "images", ["kind", "point_ns"], unique=False)
    op.create_index("images_by_machine", "images", ["machine", "kind", "point_ns"], unique=False)
    op.create_index("images_by_result", "images", ["result"], unique=False)
    op.create_index("images_by_waiting", "images", ["awaits"], unique=False)
