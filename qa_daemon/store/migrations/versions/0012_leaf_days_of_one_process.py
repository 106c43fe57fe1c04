"""leaves by day are of one technique, energy and version, and say when they were delivered"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Forward only."""
    # Days are made from deliveries, and a result makes its whole day anew: one of each is enough,
    # looked through again as if it had just come, those of the newest days first.
    op.execute(
        "INSERT INTO outbox (sink, result, state) "
        "SELECT 'trends', found.result, 'pending' FROM ("
        "SELECT days.day AS day, (SELECT trend_days.result FROM trend_days "
        "WHERE trend_days.machine = days.machine AND trend_days.day = days.day LIMIT 1) AS result "
        "FROM (SELECT DISTINCT machine, day FROM leaf_days) AS days) AS found "
        "WHERE found.result IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox "
        "WHERE outbox.sink = 'trends' AND outbox.result = found.result) "
        "ORDER BY found.day DESC"
    )
    op.drop_table("leaf_days")
    op.create_table(
        "leaf_days",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("analyzer", sa.String(80), nullable=False),
        sa.Column("technique", sa.String(40), nullable=False),
        sa.Column("energy", sa.String(40), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.Text(), nullable=False),
        sa.Column("quantities", sa.Text(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("leaf_days_by_machine", "leaf_days", ["machine", "day"], unique=False)
    op.create_index(
        "leaf_days_by_series",
        "leaf_days",
        ["machine", "analyzer", "day", "technique", "energy"],
        unique=False,
    )
