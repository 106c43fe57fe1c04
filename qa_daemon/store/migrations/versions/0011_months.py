"""messages are looked up by what they are about, acts by what was done, and when"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Forward only."""
    op.create_index("notifications_by_result", "notifications", ["result"])
    op.create_index("audit_by_action", "audit", ["action", "at"])
