"""plans, the logs and records that belong to them, and what physicists chose"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only."""

    op.create_table(
        "plan_choices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("field_key", sa.String(length=64), nullable=True),
        sa.Column("plan_sha256", sa.String(length=64), nullable=True),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("plan_choices_by_field", "plan_choices", ["field_key"], unique=False)
    op.create_index("plan_choices_by_log", "plan_choices", ["sha256"], unique=False)
    op.create_table(
        "delivered_beams",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("planned_mu", sa.Float(), nullable=False),
        sa.Column("from_mu", sa.Float(), nullable=False),
        sa.Column("to_mu", sa.Float(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["plan"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "delivered_beams_by_check", "delivered_beams", ["checked", "point_ns"], unique=False
    )
    op.create_index("delivered_beams_by_file", "delivered_beams", ["file"], unique=False)
    op.create_index(
        "delivered_beams_by_plan", "delivered_beams", ["plan", "point_ns"], unique=False
    )
    op.create_table(
        "plan_uids",
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("uid", "file"),
    )
    op.create_index("plan_uids_by_file", "plan_uids", ["file"], unique=False)
    op.create_table(
        "planned_beams",
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("meterset_mu", sa.Float(), nullable=True),
        sa.Column("energy", sa.String(length=40), nullable=True),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("file", "number"),
    )
    op.create_index("planned_beams_by_meterset", "planned_beams", ["meterset_mu"], unique=False)
    op.create_table(
        "plans",
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("plan_uid", sa.String(length=64), nullable=True),
        sa.Column("patient", sa.String(length=20), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("fractions", sa.Integer(), nullable=True),
        sa.Column("dose_per_fraction_gy", sa.Float(), nullable=True),
        sa.Column("total_mu", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("file"),
    )
    op.create_index("plans_by_meterset", "plans", ["total_mu"], unique=False)
    op.create_index("plans_by_patient", "plans", ["patient"], unique=False)
    op.create_table(
        "recorded_beams",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("patient", sa.String(length=20), nullable=True),
        sa.Column("plan_uid", sa.String(length=64), nullable=True),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("fraction", sa.Integer(), nullable=True),
        sa.Column("delivered_mu", sa.Float(), nullable=True),
        sa.Column("termination", sa.String(length=20), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("log", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["log"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("recorded_beams_by_file", "recorded_beams", ["file"], unique=False)
    op.create_index("recorded_beams_by_log", "recorded_beams", ["log"], unique=False)
    op.create_index(
        "recorded_beams_by_plan", "recorded_beams", ["plan_uid", "point_ns"], unique=False
    )
    op.create_index(
        "recorded_beams_by_state", "recorded_beams", ["state", "arrived_at"], unique=False
    )
    op.create_table(
        "deliveries",
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=True),
        sa.Column("patient", sa.String(length=20), nullable=True),
        sa.Column("patient_is_told", sa.Boolean(), nullable=False),
        sa.Column("plan_uid", sa.String(length=64), nullable=True),
        sa.Column("beam_number", sa.Integer(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("planned_mu", sa.Float(), nullable=True),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("plan", sa.Integer(), nullable=True),
        sa.Column("rivals", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["plan"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("file"),
    )
    op.create_index("deliveries_by_field", "deliveries", ["field"], unique=False)
    op.create_index("deliveries_by_machine", "deliveries", ["machine", "point_ns"], unique=False)
    op.create_index("deliveries_by_meterset", "deliveries", ["planned_mu"], unique=False)
    op.create_index("deliveries_by_patient", "deliveries", ["patient", "point_ns"], unique=False)
    op.create_index("deliveries_by_plan_uid", "deliveries", ["plan_uid"], unique=False)
    op.create_index("deliveries_by_state", "deliveries", ["state", "point_ns"], unique=False)
    op.create_table(
        "patients",
        sa.Column("pseudonym", sa.String(length=20), nullable=False),
        sa.Column("result", sa.Integer(), nullable=False),
        sa.Column("point_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result"],
            ["results.id"],
        ),
        sa.PrimaryKeyConstraint("pseudonym"),
    )
    op.create_index("patients_by_time", "patients", ["point_ns"], unique=False)
