"""Varian Dynalog (`.dlg`): Clinac class machines, one file for each leaf bank.

The two files of a delivery look alike from inside; only the first letter of the name tells bank A
(X2 side) from bank B, and the rest of the name is the same.  The A file is the record, the B file
its companion, and neither is a delivery without the other.  The text is in `varian_dynalog_table`,
the conversion in `varian_dynalog_rows`.  A Dynalog has no MU: its dose is a share of the planned
meterset, and an arc by default holds the gantry angle in its place and no dose at all.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from analyzers.core import Companions, Format, NamedFile, ReadError
from analyzers.formats import varian_dynalog_rows as rows
from analyzers.formats import varian_dynalog_table as table
from analyzers.formats import varian_dynalog_whole as whole
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Axis, Delivery, Identity, Meterset, MlcLayer

INTERVAL_S = 0.05
"""A tick of the controller; published work has 50 to 55 ms."""
NAME = re.compile(r"(?P<bank>[AaBb])(?P<stem>.+)\.dlg", re.IGNORECASE | re.DOTALL)
STAMP = re.compile(r"\d{14}(?!\d)")
MODELS = {26: "millennium52", 40: "millennium80", 60: "millennium120"}
SEVERAL_MODELS = {60}
"""Numbers of pairs that more than one model has (Millennium 120, HD120)."""
UID = re.compile(r"[0-9.]{1,64}")


def read(path_a: Path | str, path_b: Path | str) -> Delivery:
    """Read one pair; the names tell which bank is which and when it was delivered.

    Returns positions in IEC 61217, mm at the isocenter and degrees in [0, 360), arrays of 64-bit
    floats of shape `(rows - 1,)`, leaves `(rows - 1, pairs)`.  Gantry, collimator and jaws are
    logged only as they were.  Raises `ReadError`, for a file that ends early `TruncatedError`.
    Varian Dynalog version B, as checked on real pairs.
    """
    a, b = Path(path_a), Path(path_b)
    return _read(NamedFile(a, a.name), [NamedFile(b, b.name)])


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Delivery:
    beside = _other_bank(file, companions)
    pair = rows.paired(table.read_table(file.path), table.read_table(beside.path))
    if len(pair.bank_a) <= rows.LEAD_ROWS:
        raise ReadError(
            "DLG_EMPTY", f"{len(pair.bank_a)} row holds no delivery; {table.COPY_AGAIN}"
        )
    rows.check_banks(pair)
    dose_is_angle = rows.has_gantry_for_dose(pair.bank_a)
    if dose_is_angle:
        rows.check_angle_for_dose(pair.bank_a)
    percent = None if dose_is_angle else rows.dose_percent(pair.bank_a)
    lag = rows.lag_warning(pair)
    lost = whole.lost(pair, has_dose=not dose_is_angle)
    lost += [] if lag else whole.out_of_step(pair)
    logged = slice(rows.LEAD_ROWS, None)
    no_mu = np.full(len(pair.bank_a) - rows.LEAD_ROWS, np.nan)
    delivery = Delivery(
        interval_s=INTERVAL_S,
        meterset_mu=Axis.actual_only(no_mu),
        meterset=Meterset.NONE if percent is None else Meterset.SHARE,
        meterset_percent=None if percent is None else Axis.actual_only(percent[logged]),
        performed_at=performed(file.name),
        beam_hold=rows.beam_hold(pair.bank_a[logged]),
        beam_flag=rows.beam_on(pair.bank_a[logged]),
        mlc=_leaves(pair),
        mlc_model=MODELS[pair.header.pairs],
        mlc_is_assumed=pair.header.pairs in SEVERAL_MODELS,
        truncated=bool(lost),
        identity=_identity(pair.header),
        warnings=_warnings(pair, lost, lag, dose_is_angle=dose_is_angle),
    )
    single: dict[str, Any] = {**rows.single_axes(pair.bank_a, pair.header.scale)}
    return replace(delivery, **single)


def _other_bank(file: NamedFile, companions: Sequence[NamedFile]) -> NamedFile:
    """The B file of this A file.  Raises `ReadError` DLG_PAIR where the two are not a pair."""
    own = NAME.fullmatch(file.name)
    if own is None:
        raise ReadError(
            "DLG_PAIR",
            "the bank cannot be told: the name of a Dynalog begins with A or B and ends in .dlg; "
            "give the file its own name again",
        )
    if own["bank"] in "Bb":
        raise ReadError(
            "DLG_PAIR",
            "this is the B file of a Dynalog, and the A file of the same name is not here; "
            "copy both from the machine",
        )
    if not companions:
        raise ReadError(
            "DLG_PAIR",
            "this is the A file of a Dynalog, and the B file of the same name is not here; "
            "copy both from the machine",
        )
    beside = [c for c in companions if _is_bank_b_of(own["stem"], c.name)]
    if not beside and len(companions) == 1:
        raise ReadError(
            "DLG_PAIR",
            "the file beside this A file is not its B file: names must be equal after the first "
            "letter, which is B",
        )
    # A pair that was copied under other names brings its B file along once more.
    if not beside or not all(_is_same_file(beside[0], other) for other in companions):
        raise ReadError("DLG_PAIR", f"{len(companions)} B files claim to belong to this A file")
    return beside[0]


def _is_bank_b_of(stem: str, name: str) -> bool:
    found = NAME.fullmatch(name)
    return found is not None and found["bank"] in "Bb" and found["stem"] == stem


def _is_same_file(one: NamedFile, other: NamedFile) -> bool:
    """Whether two side files hold the same bytes; the archive keeps these but once."""
    try:
        return one.path == other.path or filecmp.cmp(one.path, other.path, shallow=False)
    except OSError as why:
        raise ReadError("UNREADABLE", f"the file cannot be read: {why.strerror}") from None


def _leaves(pair: rows.Pair) -> tuple[MlcLayer]:
    (edges_mm,) = LEAF_EDGES_MM[MODELS[pair.header.pairs]].values()
    return (
        MlcLayer("", edges_mm, rows.leaves_mm(pair.bank_a, 1.0), rows.leaves_mm(pair.bank_b, -1.0)),
    )


def _warnings(
    pair: rows.Pair, lost: Sequence[str], lag: str | None, *, dose_is_angle: bool
) -> tuple[str, ...]:
    found = [f"the delivery is not whole: {what}" for what in lost]
    found += pair.remarks
    if pair.header.version.upper() not in "AB":
        found.append(f"version {pair.header.version} is not known; read as version B")
    if dose_is_angle:
        found.append(
            "the log holds the gantry angle where the dose should be: no dose is known, and an arc "
            "that was stopped at the end of a segment looks whole"
        )
    return tuple(found if lag is None else [*found, lag])


def _identity(header: table.Header) -> Identity:
    """Line 2 is last name, first name, id; line 3 plan UID and beam, or the name of a MLC file."""
    names = header.patient.split(",")
    plan, _, beam = header.plan.rpartition(",")
    is_uid = bool(UID.fullmatch(plan)) and beam.strip().isdecimal() and len(beam) < 10
    return Identity(
        patient_id=(names[-1].strip() or None) if len(names) >= 3 else None,
        plan_uid=plan if is_uid else None,
        beam_number=int(beam) if is_uid else None,
        plan_label=None if is_uid else header.plan or None,
    )


def is_bank_b(name: str) -> bool:
    """Whether a name is that of a B file."""
    found = NAME.fullmatch(name)
    return found is not None and found["bank"] in "Bb"


def name_key(name: str) -> tuple[str, float] | None:
    """What both names of a pair share; there is no distance between the two."""
    found = NAME.fullmatch(name)
    return None if found is None else (found["stem"], 0.0)


def performed(name: str) -> datetime | None:
    """The machine's local time from the 14 digits after the first letter of a name."""
    found = NAME.fullmatch(name)
    stamp = STAMP.match(found["stem"]) if found else None
    if stamp is None:
        return None
    try:
        return datetime.strptime(stamp[0], "%Y%m%d%H%M%S")  # noqa: DTZ007 - zone unknown
    except ValueError:
        return None


FORMAT = Format(
    name="varian-dynalog",
    yields=Delivery,
    recognize=table.recognize,
    read=_read,
    machine_class="clinac",
    companions=Companions(
        recognize=lambda _: False,
        is_side_by_name=is_bank_b,
        is_required=True,
        key=name_key,
        reach=0.0,
        performed_at=performed,
    ),
)
