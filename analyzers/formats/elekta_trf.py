"""Elekta TRF (`.trf`): the log of a treatment that the linac's diagnostic backup holds.

Versions 1 to 4, heads of 80 (Agility) and 40 pairs (MLCi, MLCi2).  Bytes are in
`elekta_trf_layout`, items and frames in `elekta_trf_items`, dose, states and clocks in
`elekta_trf_dose`.  The log holds no prescribed dose over time: the expected meterset is the actual
one, and the delivered one is judged against the header's prescription alone.  A service beam states
no prescription.  The header's clock and that of the rows are minutes apart on real machines: the
header's date is the delivery's, the rows' stamps give their distance.
The file is read into memory, not mapped: a mapped file that another program cuts ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile
from analyzers.field_shape import fields_of
from analyzers.formats import elekta_trf_dose as dose
from analyzers.formats import elekta_trf_items as items
from analyzers.formats import elekta_trf_layout as layout
from analyzers.formats import elekta_trf_order as order
from analyzers.records import Axis, Delivery, Identity
from analyzers.regular_file import opened

CLOCKS = "Row clock minus header clock (s)"
USUAL_SKEW_S, MOST_SKEW_S = 3600.0, 86400.0
ICOM_STAMP = re.compile(r"\A\[ICOM: [^\]]*\]")


def recognize(head: bytes) -> bool:
    """True for a file that begins with a date as a TRF does."""
    date = head[1 : 1 + layout.DATE_BYTES].decode("latin-1")
    return head[:1] == bytes([layout.DATE_BYTES]) and layout.DATE.fullmatch(date) is not None


def read(path: Path | str) -> Delivery:
    """Read one log.

    Returns positions in IEC 61217, mm and degrees in [0, 360), meterset in MU; arrays of shape
    `(samples,)`, leaves `(samples, pairs)`, 32-bit floats.  Raises `ReadError`, for a file that
    ends early `TruncatedError`.  Elekta TRF, versions 1 and 3 as checked on real machine files.
    """
    path = Path(path)
    return _read(NamedFile(path, path.name), ())


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Delivery:  # noqa: ARG001 - no side files
    raw = _raw(file.path)
    model = items.check_items(raw.header.columns)
    warnings = _remarks(raw, model)
    interval_ms = dose.intervals_ms(raw.stamps_ms, len(raw.values))
    interval_s = _interval_s(interval_ms, warnings)
    items.check_dose_rate(raw)
    states = raw.values[:, raw.header.columns[items.STATE]].astype(np.int64)
    truncated = dose.ended_early(states, warnings) or dose.lost_rows(states, interval_ms)
    delivered_mu = dose.delivered_mu(raw, interval_ms, warnings)
    was_on = dose.irradiated(states, delivered_mu)
    truncated |= order.check_order(raw, states, interval_ms, warnings)
    planned_mu = raw.header.planned_mu or None
    delivery = Delivery(
        interval_s=interval_s,
        meterset_mu=Axis(delivered_mu, delivered_mu),
        meterset_expected=False,
        performed_at=_performed_at(raw, warnings),
        control_point=items.control_point(raw),
        beam_hold=dose.beam_hold(states),
        gantry_deg=items.degrees(raw, items.GANTRY, "gantry"),
        collimator_deg=items.degrees(raw, items.COLLIMATOR, "collimator"),
        couch_longitudinal_mm=items.couch(raw, items.COUCH_LONGITUDINAL),
        couch_lateral_mm=items.couch(raw, items.COUCH_LATERAL),
        couch_vertical_mm=items.couch(raw, items.COUCH_HEIGHT),
        jaw_y1_mm=items.diaphragm(raw, items.X2_DIAPHRAGM, model),
        jaw_y2_mm=items.diaphragm(raw, items.X1_DIAPHRAGM, model),
        mlc=(items.leaf_layer(raw, model),),
        mlc_model=model,
        planned_mu=planned_mu,
        planned_mu_source="header" if planned_mu else None,
        truncated=truncated,
        machine_serial=raw.header.machine.strip() or None,
        identity=_identity(raw.header.field_text),
        machine_parameters=_clocks(raw),
        other_axes=items.uninterpreted(raw),
        warnings=tuple(warnings),
        not_judged=None
        if was_on or planned_mu
        else "not irradiated: no row has the radiation on, and no dose is prescribed",
    )
    # Several fields of a prescription come in one log, with an intersegment and a turn between.
    return replace(delivery, fields=tuple(fields_of(delivery, states == dose.INTERSEGMENT)))


def _raw(path: Path) -> layout.RawLog:
    with opened(path) as (content, size):
        return layout.read_raw(content, size)


def _remarks(raw: layout.RawLog, model: str) -> list[str]:
    """What in this file nobody has seen on a real machine."""
    remarks = []
    if raw.header.version in (2, 4):
        remarks.append(
            f"version {raw.header.version} follows public readers: no real log was checked"
        )
    if raw.header.version == 4 and model == "agility":
        remarks.append("80 leaf pairs are taken as an Agility's, 5 mm wide")
    if model == "mlci":
        remarks.append(
            "a head of 40 leaf pairs, taken as MLCi, 10 mm wide: no real log was checked"
        )
    return remarks


def _interval_s(interval_ms: NDArray[np.float64], warnings: list[str]) -> float:
    """The usual distance of two rows: real ones are 38 to 42 ms apart."""
    if interval_ms.size == 0:
        return dose.INTERVAL_MS / 1000.0
    usual_ms = float(np.median(interval_ms))
    long = int(np.count_nonzero(interval_ms > dose.LONG_GAP * usual_ms))
    if long:
        warnings.append(f"rows are missing in {long} places, for at most {interval_ms.max():g} ms")
    return usual_ms / 1000.0


def _identity(field_text: str) -> Identity:
    """`1-2/3 FIELD IMRT`: label and name, parted at the first slash; a name may hold one too.

    A beam that came over iCOM has a date in front, whose slashes part nothing.
    """
    text = ICOM_STAMP.sub("", field_text, count=1)
    label, slash, name = text.partition("/")
    if not slash:
        label, name = "", text
    return Identity(beam_label=label.strip() or None, beam_name=name.strip() or None)


def _clocks(raw: layout.RawLog) -> dict[str, float]:
    if raw.stamps_ms is None:
        return {}
    return {CLOCKS: (int(raw.stamps_ms[0]) - raw.header.utc_ms) / 1000.0}


def _performed_at(raw: layout.RawLog, warnings: list[str]) -> datetime | None:
    """The header's local time; None where the rows' clock is so far off that neither is known.

    In four real logs the rows are 398 to 448 s later.
    """
    apart_s = abs(_clocks(raw).get(CLOCKS, 0.0))
    if apart_s <= USUAL_SKEW_S:
        return raw.header.performed_at
    said = f"the rows' clock is {apart_s:.0f} s off the header's"
    if apart_s <= MOST_SKEW_S:
        warnings.append(f"{said}; the header's is taken")
        return raw.header.performed_at
    warnings.append(f"{said}: when this was is not known; set the machine's clocks")
    return None


FORMAT = Format(
    name="elekta-trf",
    yields=Delivery,
    recognize=recognize,
    read=_read,
    machine_class="elekta",
)
