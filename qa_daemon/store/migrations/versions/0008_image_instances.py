"""which images are the same in other bytes: by their instance, their pixels and what they say

Beams and baselines are looked up by all that tells them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Forward only.  Images that are here get theirs when they are read again."""
    op.add_column("files", sa.Column("same_as", sa.Integer(), nullable=True))
    op.create_index("files_by_image", "files", ["same_as"], unique=False)
    for name in ("sop_instance_uid", "pixels", "exposure"):
        op.add_column("images", sa.Column(name, sa.String(64), nullable=True))
    op.drop_index("images_by_beam", "images")
    op.create_index(
        "images_by_beam", "images", ["plan_uid", "beam_number", "kind", "point_ns"], unique=False
    )
    op.drop_index("image_baselines_by_machine", "image_baselines")
    op.create_index(
        "image_baselines_by_machine",
        "image_baselines",
        ["machine", "kind", "energy", "id"],
        unique=False,
    )
    op.create_index("images_by_instance", "images", ["sop_instance_uid"], unique=False)
