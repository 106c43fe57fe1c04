"""The few sentences of InfluxQL that the panels speak: those that 1.x, 2.x and 3.x all answer.

A verdict and a value that is judged are never averaged: a mean of good and bad looks good.
`$timeFilter`, `$__interval` and the variables are filled in by Grafana, which writes a variable of
several values as a regular expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Function = Literal["mean", "max", "min", "last", "count"]
CHOSEN = ('"site" =~ /^$site$/', '"machine" =~ /^$machine$/')
"""What every query asks for: the sites and machines chosen above the panels."""


@dataclass(frozen=True, slots=True)
class Column:
    """One number of an answer: a function of a field, and what it is called."""

    function: Function
    field: str
    name: str

    def __str__(self) -> str:
        return f'{self.function}("{self.field}") AS "{self.name}"'


@dataclass(frozen=True, slots=True)
class Select:
    """One query.

    `where` holds conditions besides site and machine.  Where `by_time` is off, each series gives
    one row, at the time of its newest point if the function is `last`.
    """

    measurement: str
    columns: Sequence[Column]
    where: Sequence[str] = ()
    by: Sequence[str] = ("machine",)
    by_time: bool = True

    def __str__(self) -> str:
        columns = ", ".join(map(str, self.columns))
        conditions = " AND ".join(("$timeFilter", *CHOSEN, *self.where))
        tags = ", ".join(f'"{tag}"' for tag in self.by)
        groups = f"time($__interval), {tags} fill(none)" if self.by_time else tags
        source = f'"{self.measurement}" WHERE {conditions} GROUP BY {groups}'
        return f"SELECT {columns} FROM {source}"  # noqa: S608 - names of the catalogue

    @property
    def alias(self) -> str:
        """How a series is called: by its tags, and by its column where there are several."""
        named = " ".join(f"$tag_{tag}" for tag in self.by)
        return named if len(self.columns) == 1 else f"{named} $col"


def equals(tag: str, value: str) -> str:
    """A condition: a tag has this value, a name of the catalogue."""
    return f"\"{tag}\" = '{value}'"


def one_of(tag: str, values: Sequence[str]) -> str:
    """A condition: a tag has one of these values, names of the catalogue."""
    return f'"{tag}" =~ /^({"|".join(values)})$/'


def tag_values(tag: str, *, source: str = "", where: str = "") -> str:
    """What a variable may be, of a measurement or of all."""
    of = f' FROM "{source}"' if source else ""
    condition = f" WHERE {where}" if where else ""
    return f'SHOW TAG VALUES{of} WITH KEY = "{tag}"{condition}'
