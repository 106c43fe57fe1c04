"""The tables of trends."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

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
