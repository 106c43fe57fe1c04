"""control limits say in which unit they are, and by which version of the analyzer"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Forward only; limits that are there say neither."""
    for name in ("version", "unit"):
        op.add_column(
            "chart_limits", sa.Column(name, sa.String(20), nullable=False, server_default="")
        )
