"""Arrays of a result (maps, traces) in one HDF5 file, compressed and with checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, dict[str, NDArray[np.generic]]]


def write(path: Path, traces: Mapping[str, Mapping[str, NDArray[np.generic]]]) -> None:
    """Write `analyzer/name` datasets; floats as float32, which is what the machines log."""
    with h5py.File(path, "w") as file:
        for analyzer, arrays in traces.items():
            for name, array in arrays.items():
                values = np.asarray(array)
                if values.dtype == np.float64:
                    values = values.astype(np.float32)
                options = (
                    {
                        "compression": "gzip",
                        "compression_opts": 3,
                        "shuffle": True,
                        "fletcher32": True,
                    }
                    if values.size > 0 and values.ndim > 0
                    else {}
                )
                file.create_dataset(f"{analyzer}/{name}", data=values, **options)


def read(path: Path, analyzer: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of one analyzer; empty when it left none."""
    with h5py.File(path, "r") as file:
        group = file.get(analyzer)
        return {} if group is None else {name: group[name][()] for name in group}
