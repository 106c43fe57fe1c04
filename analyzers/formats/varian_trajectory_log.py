"""Varian trajectory log (`.bin`): TrueBeam, Edge, VitalBeam, Halcyon, Ethos.

Versions 1.5 to 5.x.  Bytes are in `varian_trajectory_log_layout`, axes and scales in
`varian_trajectory_log_axes`, metadata, companion text and file names in
`varian_trajectory_log_text`.  The meterset axis is required; any other axis may be missing.
A file whose announced size, checksum or values do not hold is refused, never repaired.  The file is
read into memory, not mapped: a mapped file that another program cuts ends the process.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from analyzers.core import Companions, Format, NamedFile, ReadError
from analyzers.formats import varian_trajectory_log_axes as axes
from analyzers.formats import varian_trajectory_log_layout as layout
from analyzers.formats import varian_trajectory_log_text as text
from analyzers.records import Axis, Delivery, Identity, SubBeam

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
    with _opened(file.path) as content:
        raw = layout.read_raw(content, os.fstat(content.fileno()).st_size)
    warnings = [] if raw.has_crc else ["CRC absent: changed bytes would go unnoticed"]
    if raw.header.truncated:
        warnings.append("the machine cut this log for lack of space: its tail is missing")
    delivery = _with_leaves(raw, _delivery(raw, warnings), warnings)
    delivery = replace(
        delivery,
        performed_at=text.performed(file.name),
        sub_beams=_sub_beams(raw, delivery.control_point, warnings),
        truncated=raw.header.truncated,
    )
    delivery = _described(raw, delivery, companions, warnings)
    return replace(delivery, not_judged=_not_judged(delivery), warnings=tuple(warnings))


def _opened(path: Path) -> BinaryIO:
    """Open a regular file; anything else, such as a pipe, would keep us waiting."""
    try:
        content = open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", 0)  # noqa: PTH123, SIM115 - flags that Path.open has not; the caller closes
    except (OSError, ValueError) as why:
        reason = why.strerror if isinstance(why, OSError) else "not a possible name"
        raise ReadError("UNREADABLE", f"the file cannot be opened: {reason}") from None
    if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
        content.close()
        raise ReadError("NOT_A_FILE", "this is not a regular file")
    return content
