"""The leaves: a row for each, a column for each day, from the worst of the day (`qa_leaf`)."""

from __future__ import annotations

from dashboards.grafana.dashboard import Dashboard, Section
from dashboards.grafana.influxql import Column, Function, Select, equals
from dashboards.grafana.panels import Panel, heat_map
from dashboards.grafana.units import unit_of

DAILY = (
    "Of each leaf the worst of each day of the clinic, among deliveries in which it shaped the "
    "field. An empty cell: it shaped none."
)


def leaves() -> Dashboard:
    """Leaf by day."""
    return Dashboard(
        "qa-mlc-leaves",
        "MLC leaves",
        "Each leaf of one machine on each day. Choose one machine: leaves of several are one row.",
        (
            Section(
                "What logs say",
                (
                    _map("Largest RMS error", "leaf_trust", "rms_error_mm", "mm", "max"),
                    _map("Mean error, highest", "leaf_trust", "mean_error_mm", "mm", "max"),
                    _map("Mean error, lowest", "leaf_trust", "mean_error_mm", "mm", "min"),
                    _map("Lag", "leaf_trust", "lag_ms", "ms", "max"),
                ),
            ),
            Section(
                "What images say",
                (
                    _map("Picket fence, highest", "picket_fence", "largest_error_mm", "mm", "max"),
                    _map("Picket fence, lowest", "picket_fence", "largest_error_mm", "mm", "min"),
                    _map("Image against log", "leaf_log_check", "worst_offset_mm", "mm", "max"),
                ),
                closed=True,
            ),
        ),
    )


def _map(title: str, analyzer: str, field: str, unit: str, function: Function) -> Panel:
    query = Select(
        "qa_leaf", (Column(function, field, "worst"),), (equals("analyzer", analyzer),), ("leaf",)
    )
    return heat_map(title, f"{title} ({field}). {DAILY}", query, unit_of(unit), "Oranges")
