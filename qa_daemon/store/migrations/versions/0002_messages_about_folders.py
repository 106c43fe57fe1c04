"""messages about watched folders"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward only."""

    # What a kill leaves: SQLite changes a column by copying the table.
    op.execute("DROP TABLE IF EXISTS _alembic_tmp_notifications")
    with op.batch_alter_table("notifications") as notifications:
        notifications.alter_column("result", existing_type=sa.Integer(), nullable=True)
    op.create_table(
        "outages",
        sa.Column("machine", sa.String(length=200), nullable=False),
        sa.Column("told_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("machine"),
    )
