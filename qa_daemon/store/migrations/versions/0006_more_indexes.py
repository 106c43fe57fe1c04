"""what is looked up by content, by successor and by result; logs of several beams are not joined"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only."""
    op.create_index("results_by_content", "results", ["sha256"])
    op.create_index("results_by_successor", "results", ["superseded_by"])
    op.create_index("deliveries_by_result", "deliveries", ["result"])
    op.add_column(
        "delivered_beams",
        sa.Column("joinable", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
