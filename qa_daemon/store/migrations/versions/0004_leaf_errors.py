"""errors of every leaf"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Forward only."""

    op.create_table(
        "leaf_errors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("analyzer", sa.String(length=80), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.Text(), nullable=False),
        sa.Column("quantities", sa.Text(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("leaf_errors_by_result", "leaf_errors", ["result"], unique=False)
    op.create_index(
        "leaf_errors_by_trend",
        "leaf_errors",
        ["machine", "analyzer", "active", "point_ns"],
        unique=False,
    )
