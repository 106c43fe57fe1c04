"""messages are looked up by the result that they are about"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Forward only."""
    op.create_index("notifications_by_result", "notifications", ["result"])
