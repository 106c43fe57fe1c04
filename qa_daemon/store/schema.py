"""The tables.  The store is the only truth; InfluxDB, messages and pages follow from it.

Times are UTC in nanoseconds or ISO text; SQLite keeps no zones.  Counters and `latest` exist so
that no page or status grows with the age of the archive.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "path", Text, nullable=False
    ),  # as found; bytes that are no UTF-8 as surrogates' escapes
    Column("folder", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("machine", String(200)),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("format", String(60)),
    Column("is_companion", Boolean, nullable=False, default=False),
    Column("occasion", Text),  # what the folder's name tells of the record; null: nothing
    Column("pair_key", Text),
    Column("pair_at", Float),
    Column("main_file", Integer, ForeignKey("files.id")),
    Column(
        "same_as", Integer
    ),  # the file that stands for this image, which is there in other bytes
    Column("state", String(20), nullable=False),
    Column("crashes", Integer, nullable=False, default=0),
    Column("arrived_at", String(32), nullable=False),
    Index("files_by_path", "path"),
    Index("files_by_content", "sha256"),
    Index("files_by_state", "state", "id"),
    Index("files_by_pair", "folder", "format", "pair_key", "pair_at"),
    Index("files_by_main", "main_file"),
    Index("files_by_image", "same_as"),
)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file", Integer, ForeignKey("files.id"), nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("superseded_by", Integer, ForeignKey("results.id")),
    Column("sha256", String(64), nullable=False),
    Column("format", String(60)),
    Column("machine", String(200)),
    Column("machine_class", String(40)),
    Column("performed_at", String(40)),  # ISO with the site's offset; null when the file says none
    Column("point_ns", BigInteger, nullable=False),  # UTC; unique per machine: the trend's time
    Column("energy", String(40)),
    Column("technique", String(40)),  # of a delivery: static, step and shoot, dynamic, arc, vmat
    Column("series", String(100)),  # null: results of this format follow on one another
    Column("verdict", Integer),
    Column("not_judged", Text),
    Column("error_code", String(60)),
    Column("error_message", Text),
    Column("warnings", Text, nullable=False, default="[]"),
    Column("arrays", String(80)),
    Column("software", String(40), nullable=False),
    Column("site_hash", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("results_by_file", "file", "active"),
    Index("results_by_time", "active", "point_ns"),
    Index("results_by_content", "sha256"),
    Index("results_by_successor", "superseded_by"),
    Index("results_by_machine", "machine", "active", "point_ns"),
    Index(
        "one_active_result_per_file",
        "file",
        unique=True,
        sqlite_where=text("active = 1"),
        postgresql_where=text("active"),
    ),
    Index(
        "one_point_per_machine_and_instant",
        "machine",
        "point_ns",
        unique=True,
        sqlite_where=text("active = 1"),
        postgresql_where=text("active"),
    ),
)

identities = Table(
    "identities",
    metadata,
    Column("result", Integer, ForeignKey("results.id"), primary_key=True),
    Column("fields", Text, nullable=False),
)

analyses = Table(
    "analyses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("analyzer", String(80), nullable=False),
    Column("version", String(20), nullable=False),
    Column("verdict", Integer),
    Column("failure", Text),
    Column("not_applicable", Text),
    Column("notes", Text, nullable=False, default="[]"),
    Index("analyses_by_result", "result"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("analysis", Integer, ForeignKey("analyses.id"), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("machine", String(200)),
    Column("analyzer", String(80), nullable=False),
    Column("metric", String(80), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
    Column("unit", String(20), nullable=False),
    Column("at", String(80)),
    Column("verdict", Integer),
    Column("tolerance_low", Float),
    Column("tolerance_high", Float),
    Column("action_low", Float),
    Column("action_high", Float),
    Column("limits_source", Text),
    Column("judged_as", String(80)),  # the metric whose limits applied; null: its own
    Index("measurements_by_analysis", "analysis"),
    Index("measurements_by_result", "result"),
    Index("measurements_by_trend", "machine", "analyzer", "metric", "active", "point_ns"),
)

leaf_errors = Table(  # one row a delivery: a row a leaf would be most of the store
    "leaf_errors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("machine", String(200)),
    Column("analyzer", String(80), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("leaves", Text, nullable=False),  # JSON: their names, in order
    Column("quantities", Text, nullable=False),  # JSON: names of the columns, in order
    Column("numbers", LargeBinary, nullable=False),  # float32 little-endian, column by column
    Index("leaf_errors_by_result", "result"),
    Index("leaf_errors_by_trend", "machine", "analyzer", "active", "point_ns"),
)

latest = Table(  # the newest judged analysis of each machine and test: today's board
    "latest",
    metadata,
    Column("machine", String(200), primary_key=True),
    Column("analyzer", String(80), primary_key=True),
    Column("analysis", Integer, ForeignKey("analyses.id"), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("n", Integer, nullable=False),
)

outbox = Table(  # what each follower of the store has still to do
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sink", String(40), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("state", String(20), nullable=False, default="pending"),  # pending, parked
    Column("why", Text),
    UniqueConstraint("sink", "result"),
    Index("outbox_by_state", "sink", "state", "id"),
)

sinks = Table(
    "sinks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("last_success", String(32)),
    Column("last_error", Text),
)

incidents = Table(
    "incidents",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("machine", String(200)),
    Column("test", String(120), nullable=False),
    Column("verdict", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("opened_at", String(32), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("occurrences", Integer, nullable=False, default=1),
    Index("incidents_by_open", "open"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("result", Integer, ForeignKey("results.id")),  # null: it is about a watched folder
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(20), nullable=False),  # pending, sent
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent_to", String(200)),
    Column("sent_at", String(32)),
    Column("created_at", String(32), nullable=False),
    Index("notifications_by_state", "state", "id"),
    Index("notifications_by_result", "result"),
)

outages = Table(  # watched folders of which people were told that they cannot be reached
    "outages",
    metadata,
    Column("machine", String(200), primary_key=True),  # empty: folders of no single machine
    Column("told_at", String(32), nullable=False),
)

patients = Table(  # under a pseudonym; who it is stands in the identity of the result named here
    "patients",
    metadata,
    Column("pseudonym", String(20), primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("point_ns", BigInteger, nullable=False),  # the newest delivery or plan
    Index("patients_by_time", "point_ns"),
)

plans = Table(  # what is looked up when a log comes; label and names are identity
    "plans",
    metadata,
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("plan_uid", String(64)),
    Column("patient", String(20)),
    Column("label", Text),
    Column("fractions", Integer),
    Column("dose_per_fraction_gy", Float),
    Column("total_mu", Float),
    Index("plans_by_patient", "patient"),
    Index("plans_by_meterset", "total_mu"),
)

plan_uids = Table(  # a plan's own UID and those of the plans it takes the place of
    "plan_uids",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("is_own", Boolean, nullable=False),
    Index("plan_uids_by_file", "file"),
)

planned_beams = Table(
    "planned_beams",
    metadata,
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text),
    Column("meterset_mu", Float),
    Column("energy", String(40)),
    Column("machine", String(200)),
    Index("planned_beams_by_meterset", "meterset_mu"),
)

deliveries = Table(  # what a log says by which its plan is found, and what was found
    "deliveries",
    metadata,
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("machine", String(200)),
    Column("patient", String(20)),
    Column("patient_is_told", Boolean, nullable=False),  # by the log; else by the plan it is of
    Column("plan_uid", String(64)),
    Column("beam_number", Integer),
    Column("field", Text),
    Column("planned_mu", Float),
    Column("point_ns", BigInteger, nullable=False),
    Column("state", String(20)),
    Column("reason", Text),
    Column("plan", Integer, ForeignKey("files.id")),
    Column("rivals", Text, nullable=False, default="[]"),
    Index("deliveries_by_plan_uid", "plan_uid"),
    Index("deliveries_by_result", "result"),
    Index("deliveries_by_patient", "patient", "point_ns"),
    Index("deliveries_by_meterset", "planned_mu"),
    Index("deliveries_by_field", "field"),
    Index("deliveries_by_state", "state", "point_ns"),
    Index("deliveries_by_machine", "machine", "point_ns"),
)

delivered_beams = Table(
    "delivered_beams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file", Integer, ForeignKey("files.id"), nullable=False),
    Column("plan", Integer, ForeignKey("files.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("planned_mu", Float, nullable=False),
    Column("from_mu", Float, nullable=False),
    Column("to_mu", Float, nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("joinable", Boolean, nullable=False, default=True),  # its log holds no other beam
    Column("checked", Boolean, nullable=False, default=False),  # its fraction is over, and told of
    Index("delivered_beams_by_file", "file"),
    Index("delivered_beams_by_check", "checked", "point_ns"),
    Index("delivered_beams_by_plan", "plan", "point_ns"),
)

recorded_beams = Table(  # what treatment records say was treated
    "recorded_beams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file", Integer, ForeignKey("files.id"), nullable=False),
    Column("patient", String(20)),
    Column("plan_uid", String(64)),
    Column("machine", String(200)),
    Column("number", Integer),
    Column("fraction", Integer),
    Column("delivered_mu", Float),
    Column("termination", String(20), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("arrived_at", String(32), nullable=False),
    # Is its log here?  open, found, told, settled: told with the rest of its fraction.
    Column("state", String(20), nullable=False),
    Column("log", Integer, ForeignKey("results.id")),  # the result of its log; a log has one beam
    Index("recorded_beams_by_file", "file"),
    Index("recorded_beams_by_log", "log"),
    Index("recorded_beams_by_state", "state", "arrived_at"),
    Index("recorded_beams_by_plan", "plan_uid", "point_ns"),
)

plan_choices = Table(  # which plan a physicist said a log is of; none: it is of none here
    "plan_choices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),  # the log's
    Column("field_key", String(64)),  # also of later logs of this field
    Column("plan_sha256", String(64)),
    Column("is_withdrawn", Boolean, nullable=False, default=False),  # the choice before it is void
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index("plan_choices_by_log", "sha256"),
    Index("plan_choices_by_field", "field_key"),
)

images = Table(  # what portal images show, and by what those that belong together are found
    "images",
    metadata,
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("machine", String(200)),
    Column("kind", String(60), nullable=False),
    Column("rule", String(60), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("phantom", String(60)),
    Column("gathers", Boolean, nullable=False),
    Column("energy", String(40)),
    Column("patient", String(20)),
    Column("plan_uid", String(64)),
    Column("beam_number", Integer),
    Column("fraction", Integer),
    Column("study_uid", String(64)),
    Column("sop_instance_uid", String(64)),
    Column("pixels", String(64)),  # SHA-256 of what is stored in the image
    Column("exposure", String(64)),  # SHA-256 of what it says of itself
    Column("meterset_mu", Float),
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("sid_mm", Float),
    Column("field_x_mm", Float),
    Column("field_y_mm", Float),
    Column("point_ns", BigInteger, nullable=False),
    Column("awaits", Boolean, nullable=False),  # the rest of its set, or its partner
    Column("has_waited", Boolean, nullable=False, default=False),  # long enough
    Column("used", Text, nullable=False),  # JSON: the files that it was held against
    Index("images_by_machine", "machine", "kind", "point_ns"),
    Index("images_by_kind", "kind", "point_ns"),
    Index("images_by_beam", "plan_uid", "beam_number", "kind", "point_ns"),
    Index("images_by_waiting", "awaits"),
    Index("images_by_result", "result"),
    Index("images_by_instance", "sop_instance_uid"),
)

image_kinds = Table(  # what a physicist said that an image shows
    "image_kinds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("kind", String(60)),  # null: the rules say it again
    Column("phantom", String(60)),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index("image_kinds_by_image", "sha256"),
)

image_baselines = Table(  # images that a physicist signed off as what later ones are held against
    "image_baselines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200)),
    Column("kind", String(60), nullable=False),
    Column("energy", String(40)),
    Column("plan_uid", String(64)),
    Column("beam_number", Integer),
    Column("field_x_mm", Float),
    Column("field_y_mm", Float),
    Column("images", Text, nullable=False),  # JSON: their SHA-256; none: there is no baseline now
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index("image_baselines_by_machine", "machine", "kind", "energy", "id"),
    Index("image_baselines_by_beam", "plan_uid", "beam_number", "id"),
)

unit_blocks = Table(  # a kV unit out of its limits treats nobody until a physicist clears it
    "unit_blocks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("file", Integer, ForeignKey("files.id"), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("metric", String(80), nullable=False),
    Column("at_beam", String(80)),
    Column("said", Text, nullable=False),
    Column("demands_calibration", Boolean, nullable=False),
    Column("at", String(32), nullable=False),
    Column("cleared_by", String(200)),
    Column("cleared_at", String(32)),
    Column("cleared_reason", Text),
    Index("unit_blocks_by_state", "cleared_at", "machine"),
    Index("unit_blocks_by_file", "file"),
)

routine_done = Table(  # which tests of a kV unit's routine a result holds, for what is due
    "routine_done",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("machine", String(200), nullable=False),
    Column("test", String(40), nullable=False),
    Column("at_beam", String(80), nullable=False),  # empty: of the unit as a whole
    Column("verdict", Integer),  # null: the clinic has no limits for it
    Column("point_ns", BigInteger, nullable=False),
    Index("routine_done_by_machine", "machine", "point_ns"),
    Index("routine_done_by_result", "result"),
)

reminders = Table(  # what people were told of kV units that runs out or is overdue
    "reminders",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("told_at", String(32), nullable=False),
)

check_signatures = Table(  # a physicist has seen an output check
    "check_signatures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file", Integer, ForeignKey("files.id"), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("verdict", Integer),
    Column("actor", String(200), nullable=False),
    Column("remark", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index("check_signatures_by_file", "file"),
)

output_baselines = Table(  # the output of a beam that later checks are held against
    "output_baselines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("beam", String(80), nullable=False),
    Column("to_water", Boolean, nullable=False),
    Column("gy_per_min", Float),  # null: withdrawn
    Column("since", String(40), nullable=False),  # ISO with offset: checks from then on
    Column("result", Integer, ForeignKey("results.id")),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index("output_baselines_by_machine", "machine", "beam", "id"),
)

srt_tables = Table(  # what treatments on a kV unit are calculated with; unsigned, it is not used
    "srt_tables",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", Text, nullable=False),  # the canonical text
    Column("valid_from", String(10), nullable=False),  # ISO day, the unit's own
    Column("compared", Text, nullable=False),  # with our own values; empty: there are none
    Column("imported_by", String(200), nullable=False),
    Column("imported_at", String(32), nullable=False),
    Column("signed_by", String(200)),
    Column("signed_at", String(32)),
    Column("signed_reason", Text),
    Column("withdrawn_by", String(200)),
    Column("withdrawn_at", String(32)),
    Column("withdrawn_reason", Text),
    Index("srt_tables_by_machine", "machine", "kind", "id"),
)

kv_fractions = Table(  # records of fractions on kV units: what they are of, what they gave
    "kv_fractions",
    metadata,
    Column("file", Integer, ForeignKey("files.id"), primary_key=True),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),
    Column("machine", String(200)),
    Column("patient", String(20), nullable=False),
    Column("course", String(20), nullable=False),  # pseudonym of patient, course and lesion
    Column("fraction", Integer, nullable=False),
    Column("fractions_planned", Integer, nullable=False),
    Column("prescribed_gy", Float, nullable=False),
    Column("prescribed_depth_mm", Float, nullable=False),
    Column("day", String(10), nullable=False),  # ISO, of the record's own offset
    Column("point_ns", BigInteger, nullable=False),
    Column("dose_gy", Float),  # at the prescribed depth; null: it could not be calculated
    Column("used", Text, nullable=False),  # JSON: other records of the fraction, and their doses
    Index("kv_fractions_by_course", "course", "fraction", "day"),
    Index("kv_fractions_by_machine", "machine", "point_ns"),
    Index("kv_fractions_by_patient", "patient", "point_ns"),
)

audit = Table(  # append-only and hash-chained: each row holds the hash of the one before
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(80), nullable=False),
    Column("object", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_by_action", "action", "at"),
)
