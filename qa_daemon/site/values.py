"""What the models of the site file are made of: their base, and values with a form of their own."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

ONE_LINE = r"^[^\x00-\x1f\x7f]+$"
LONGEST_S = 3653 * 86400.0
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: object) -> object:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\s*", str(value))
    if isinstance(value, timedelta):
        return value
    if match is None:
        raise ValueError('a duration is written like "5 s", "10 min" or "1 h"')
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST_S:
        raise ValueError("a duration is at most ten years")
    return timedelta(seconds=seconds)


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str | Path) else value


def _ae_title(value: object) -> object:
    if re.fullmatch(r"(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )", str(value)) is None:
        raise ValueError("an AE title has 1 to 16 characters, none of them a backslash or accented")
    return value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_one_or_several)]
"""One file, or a list of them."""
Duration = Annotated[timedelta, BeforeValidator(_duration)]
AeTitle = Annotated[str, StringConstraints(strict=True), BeforeValidator(_ae_title)]
"""DICOM PS3.5 6.2, VR AE; spaces at either end do not count and are refused."""


class Model(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(extra="forbid", frozen=True)
