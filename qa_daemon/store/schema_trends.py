"""The tables of trends."""

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
    String,
    Table,
    Text,
)

from qa_daemon.store.schema import metadata

service_events = Table(  # what changed a machine, so that values before and after are no one trend
    "service_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("analyzer", String(80)),  # null: every test of the machine
    Column("kind", String(40), nullable=False),
    Column("said", Text, nullable=False),
    Column("point_ns", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", String(32), nullable=False),
    Column("withdrawn_by", String(200)),
    Column("withdrawn_at", String(32)),
    Column("withdrawn_reason", Text),
    Index("service_events_by_machine", "machine", "point_ns"),
)

trend_signals = Table(  # what a trend said of itself, from when to when
    "trend_signals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("analyzer", String(80), nullable=False),
    Column("metric", String(80), nullable=False),
    Column("place", String(80), nullable=False),  # empty: of the machine as a whole
    Column("energy", String(40), nullable=False),
    Column("judged_as", String(80), nullable=False),
    Column("technique", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("result", Integer, ForeignKey("results.id"), nullable=False),  # the newest that says it
    Column("point_ns", BigInteger, nullable=False),
    Column("numbers", Text, nullable=False),  # JSON
    Column("opened_at", String(32), nullable=False),
    Column("closed_at", String(32)),
    Column("told_at", String(32)),  # null: nobody was told yet
    Index("trend_signals_by_told", "told_at"),
    Index("trend_signals_by_machine", "machine", "closed_at"),
    Index("trend_signals_by_result", "result"),
)

trend_days = Table(  # each quantity by day: long trends cost by the days they show
    "trend_days",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("analyzer", String(80), nullable=False),
    Column("metric", String(80), nullable=False),
    Column("place", String(80), nullable=False),
    Column("energy", String(40), nullable=False),
    Column("judged_as", String(80), nullable=False),
    Column("technique", String(40), nullable=False),
    Column("version", String(20), nullable=False),  # of the analyzer
    Column("day", String(10), nullable=False),  # ISO, the clinic's own
    Column("n", Integer, nullable=False),  # results
    Column("lowest", Float, nullable=False),
    Column("median", Float, nullable=False),
    Column("highest", Float, nullable=False),
    Column("verdict", Integer),  # the worst
    Column("result", Integer, ForeignKey("results.id"), nullable=False),  # of it, the newest
    Column("point_ns", BigInteger, nullable=False),  # of the newest
    Column("unit", String(20), nullable=False),
    Column("tolerance_low", Float),  # limits of the newest
    Column("tolerance_high", Float),
    Column("action_low", Float),
    Column("action_high", Float),
    Index("trend_days_by_machine", "machine", "day"),
    Index(
        "trend_days_by_trend",
        "machine",
        "analyzer",
        "metric",
        "place",
        "energy",
        "judged_as",
        "technique",
        "day",
    ),
)

leaf_days = Table(  # every leaf by day, the median of its deliveries
    "leaf_days",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("analyzer", String(80), nullable=False),
    Column("technique", String(40), nullable=False),  # empty: not told
    Column("energy", String(40), nullable=False),
    Column("version", String(20), nullable=False),  # of the analyzer
    Column("day", String(10), nullable=False),
    Column("since_ns", BigInteger, nullable=False),  # of the oldest delivery
    Column("point_ns", BigInteger, nullable=False),  # of the newest
    Column("n", Integer, nullable=False),  # deliveries
    Column("leaves", Text, nullable=False),  # JSON, as in leaf_errors
    Column("quantities", Text, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Index("leaf_days_by_machine", "machine", "day"),
    Index("leaf_days_by_series", "machine", "analyzer", "day", "technique", "energy"),
)

chart_limits = Table(  # what a control chart holds values against, from when on
    "chart_limits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("machine", String(200), nullable=False),
    Column("analyzer", String(80), nullable=False),
    Column("metric", String(80), nullable=False),
    Column("place", String(80), nullable=False),
    Column("energy", String(40), nullable=False),
    Column("judged_as", String(80), nullable=False),
    Column("technique", String(40), nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("center", Float, nullable=False),
    Column("sigma", Float, nullable=False),
    Column("n", Integer, nullable=False),
    Column("alike", Float, nullable=False),
    Column("widened", Boolean, nullable=False),
    Column("signed_by", String(200)),  # null: found from the first values of a process
    Column("reason", Text),
    Column("at", String(32), nullable=False),
    Column("version", String(20), nullable=False, server_default=""),  # of the analyzer
    Column("unit", String(20), nullable=False, server_default=""),  # empty: not written down then
    Index(
        "chart_limits_by_trend",
        "machine",
        "analyzer",
        "metric",
        "place",
        "energy",
        "judged_as",
        "technique",
        "since_ns",
    ),
)
