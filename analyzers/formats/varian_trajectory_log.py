"""Varian trajectory log (`.bin`): TrueBeam, Edge, VitalBeam, Halcyon, Ethos.

Versions 1.5 to 5.x.  Bytes are in `varian_trajectory_log_layout`, axes and scales in
`varian_trajectory_log_axes`, metadata, companion text and file names in
`varian_trajectory_log_text`.  The meterset axis is required; any other axis may be missing.
A file whose announced size, checksum or values do not hold is refused, never repaired; a couch
axis that is not available in some samples is NaN there.  Where sources of the planned meterset
differ, the one furthest from what was delivered is taken, so that no difference hides an error.
The file is read into memory, not mapped: a mapped file that another program cuts ends the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.core import Companions, Format, NamedFile, ReadError
from analyzers.formats import varian_trajectory_log_axes as axes
from analyzers.formats import varian_trajectory_log_layout as layout
from analyzers.formats import varian_trajectory_log_text as text
from analyzers.records import Axis, Delivery, Identity, SubBeam
from analyzers.regular_file import opened

LARGEST_COMPANION = 65536
MOST_IMAGING_MU = 20.0
SAME_MU = 0.05


def recognize(head: bytes) -> bool:
    """True for every file that begins with VOSTL, so that a cut or re-packed log says what it is.

    A log that a third-party tool has compressed with gzip is not told from any other gzip file.
    """
    return head.startswith(layout.SIGNATURE)


def read(path: Path | str) -> Delivery:
    """Read one log, without a companion; its name gives the time of the delivery.

    Returns positions in IEC 61217, mm and degrees in [0, 360) (couch pitch and roll in
    (-180, 180]), meterset in MU; arrays of 32-bit floats of shape `(samples,)`, leaves
    `(samples, pairs)`.  Raises `ReadError`, for a file that ends early `TruncatedError`.
    Varian trajectory log, as checked on real machine files of versions 2.1 and 3.0.
    """
    path = Path(path)
    return _read(NamedFile(path, path.name), ())


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Delivery:
    raw = _raw(file.path)
    warnings = [] if raw.has_crc else ["CRC absent: changed bytes would go unnoticed"]
    if raw.header.truncated:
        warnings.append("the machine cut this log for lack of space: its tail is missing")
    usable = axes.available(raw.snapshots, raw.header.columns, warnings)
    delivery = _axes(raw, usable)
    delivery = _leaves(raw, usable.get(axes.LEAVES), delivery, warnings)
    delivery = replace(
        delivery,
        performed_at=text.performed(file.name),
        sub_beams=_sub_beams(raw, delivery.control_point, warnings),
    )
    delivery = _described(raw, delivery, companions, warnings)
    return replace(delivery, warnings=tuple(warnings))


def _raw(path: Path) -> layout.RawLog:
    with opened(path) as (content, size):
        return layout.read_raw(content, size)


def _axes(raw: layout.RawLog, usable: Mapping[int, slice]) -> Delivery:
    """A delivery with every axis that has one value per snapshot."""
    header = raw.header
    read_axes, other_axes = axes.single(raw.snapshots, usable, header.scale)
    meterset_mu = read_axes.pop(layout.METERSET)
    axes.check_meterset(meterset_mu)
    beam_hold = read_axes.pop(axes.BEAM_HOLD, None)
    control_point = read_axes.pop(axes.CONTROL_POINT, None)
    fields: dict[str, Any] = {axes.KINDS[code].field: axis for code, axis in read_axes.items()}
    return Delivery(
        interval_s=header.interval_ms / 1000.0,
        meterset_mu=meterset_mu,
        control_point=control_point,
        beam_hold=None if beam_hold is None else beam_hold.actual.astype(np.int64),
        other_axes=other_axes,
        truncated=header.truncated,
        **fields,
    )


def _leaves(
    raw: layout.RawLog, column: slice | None, delivery: Delivery, warnings: list[str]
) -> Delivery:
    """Add the leaves, or keep them uninterpreted where the model is not certain."""
    if column is None:
        warnings.append("fluence unsupported: the log holds no leaf positions")
        return delivery
    samples = column.stop - column.start
    model = axes.mlc_model(raw.header.mlc_model, samples)
    if model is not None:
        layers = axes.leaf_layers(raw.snapshots, column, model)
        return replace(delivery, mlc=layers, mlc_model=model)
    warnings.append(
        f"fluence unsupported: MLC model {raw.header.mlc_model} with {samples} samples "
        "is not a known model; its leaves are not interpreted"
    )
    leaves = axes.unchanged(raw.snapshots, column)
    return replace(delivery, other_axes={**delivery.other_axes, axes.LEAVES: leaves})


def _sub_beams(
    raw: layout.RawLog, control_point: Axis | None, warnings: list[str]
) -> tuple[SubBeam, ...]:
    """Where each sub-beam begins and ends, by the actual control point.

    Begins do not fall, as the records' control points do not.  A sub-beam without a sample was not
    reached, or ends where it begins, and is not delivered.
    """
    records, samples = raw.sub_beams, raw.header.snapshots
    if control_point is None:
        if len(records) > 1:
            warnings.append("no control-point axis: the sub-beams cannot be told apart")
            return ()
        starts = [0] * len(records)
    else:
        starts = [_first_at(control_point, record.control_point) for record in records]
    stops = [*starts[1:], samples]
    return tuple(
        SubBeam(
            sequence=record.sequence,
            control_point=record.control_point,
            planned_mu=record.planned_mu,
            start=start,
            stop=stop,
            delivered=start < stop,
        )
        for record, start, stop in zip(records, starts, stops, strict=False)
    )


def _first_at(control_point: Axis, wanted: int) -> int:
    """First sample that has reached control point `wanted`; the number of samples if none has."""
    reached = control_point.actual >= wanted
    first = int(reached.argmax())
    return first if reached[first] else len(reached)


def _described(
    raw: layout.RawLog,
    delivery: Delivery,
    companions: Sequence[NamedFile],
    warnings: list[str],
) -> Delivery:
    """Add identity, planned meterset and energy: metadata, then companion, then sub-beams."""
    metadata = text.metadata(raw.header.metadata)
    companion = _companion(companions, warnings)
    names = tuple(text.beam_name(record.name) for record in raw.sub_beams)
    first, second = metadata.identity, companion.identity
    stated = {"metadata": metadata, "companion": companion}
    delivered_mu = float(delivery.meterset_mu.actual[-1])
    planned_mu, source = _planned(raw, stated, delivered_mu, warnings)
    return replace(
        delivery,
        planned_mu=planned_mu or None,
        planned_mu_source=source,
        not_judged=_not_judged(delivery, planned_mu),
        energy=metadata.energy or companion.energy,
        identity=Identity(
            patient_id=first.patient_id or second.patient_id,
            plan_label=first.plan_label or second.plan_label,
            plan_uid=first.plan_uid or second.plan_uid,
            beam_name=first.beam_name
            or second.beam_name
            or (names[0] if len(names) == 1 else None),
            beam_number=second.beam_number if first.beam_number is None else first.beam_number,
            beam_names=names,
        ),
        machine_parameters=companion.machine_parameters,
        machine_states=companion.machine_states,
    )


def _companion(companions: Sequence[NamedFile], warnings: list[str]) -> text.Description:
    """The companion's content; one that cannot be read costs a warning, not the log."""
    for file in companions:
        try:
            with opened(file.path) as (content, _):
                described = text.companion(content.read(LARGEST_COMPANION + 1)[:LARGEST_COMPANION])
        except ReadError:
            described = None
        if described is not None:
            return described
        warnings.append("the companion text file cannot be read as one and is left out")
    return text.Description()


def _planned(
    raw: layout.RawLog,
    stated: Mapping[str, text.Description],
    delivered_mu: float,
    warnings: list[str],
) -> tuple[float | None, str | None]:
    """The planned meterset (0: a source says so; None: no source) and the source of a positive one.

    Of positive sources that differ, the one furthest from the delivered meterset: whichever of them
    is wrong, an overdose or underdose against the other is not hidden.
    """
    warnings.extend(
        f"the planned meterset of the {source} is not a number of MU and is left out"
        for source, description in stated.items()
        if description.planned_mu_unusable
    )
    found = {
        source: description.planned_mu
        for source, description in stated.items()
        if description.planned_mu is not None
    }
    found = _with_records(found, [record.planned_mu for record in raw.sub_beams])
    if found and max(found.values()) - min(found.values()) > SAME_MU:
        said = ", ".join(f"{source} {mu:g}" for source, mu in found.items())
        warnings.append(
            "planned meterset in MU differs, "
            f"the one furthest from the delivered {delivered_mu:g} is used: {said}"
        )
    positive = {source: mu for source, mu in found.items() if mu > 0.0}
    if not positive:
        return (0.0 if found else None), None
    source = max(positive, key=lambda name: abs(positive[name] - delivered_mu))
    return positive[source], source


def _with_records(stated_mu: Mapping[str, float], records_mu: Sequence[float]) -> dict[str, float]:
    """What sources say of the whole log's planned meterset.

    In a log of several sub-beams the records are added up, and metadata and companion give either
    that sum or the first one's meterset only (a real companion says 107 where the sub-beams are 107
    and 9); only one that gives neither is a source of its own.
    """
    if not records_mu:
        return dict(stated_mu)
    sum_mu = sum(records_mu)
    if len(records_mu) > 1:
        stated_mu = {
            source: mu
            for source, mu in stated_mu.items()
            if min(abs(mu - sum_mu), abs(mu - records_mu[0])) > SAME_MU
        }
    return {**stated_mu, "sub-beam records": sum_mu}


def _not_judged(delivery: Delivery, planned_mu: float | None) -> str | None:
    """Real kV, CBCT, port and double-exposure logs state a planned meterset of zero.

    A treatment that was stopped before its first MU has a planned meterset and is judged; so is a
    log that states none at all, or that metered more than an image takes.
    """
    metered_mu = max(delivery.meterset_mu.expected.max(), delivery.meterset_mu.actual.max())
    if planned_mu == 0.0 and metered_mu <= MOST_IMAGING_MU:
        return "imaging or setup log: no planned meterset"
    return None


FORMAT = Format(
    name="varian-trajectory-log",
    yields=Delivery,
    recognize=recognize,
    read=_read,
    machine_class="truebeam",
    companions=Companions(
        recognize=text.recognize_companion,
        key=text.name_key,
        reach=5.0,
        performed_at=text.performed,
    ),
)
