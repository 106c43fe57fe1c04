"""what the name of a folder tells of a file, and kinds of record"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only."""

    op.add_column("files", sa.Column("occasion", sa.Text(), nullable=True))
    op.add_column("results", sa.Column("series", sa.String(length=100), nullable=True))
