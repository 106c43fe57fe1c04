"""`qa-daemon imager fit`: an imager's kernel and absolute scale from images of open fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from analyzers.core import AnalysisError, NamedFile, ReadError
from analyzers.imager_records import ImagerModel, to_json
from analyzers.portal_images import PortalImage
from qa_daemon.app import utc_now

REFUSED = 65


@dataclass(frozen=True, slots=True)
class Commissioned:
    """What open fields do not tell of the beam and of the fit."""

    machine: str
    energy: str
    leaf_transmission: float
    leaf_gap_mm: float
    who: str


def fit(paths: Sequence[Path], beam: Commissioned, out: Path) -> int:
    """Fit, print the residuals, write the model; the exit code.

    A file that is there is not written over: results name the model by its hash.
    """
    from analyzers.imager_fit import fit_imager

    if out.exists():
        raise typer.BadParameter(f"{out} is there: give the new model a name of its own")
    try:
        images = [_image(path, number) for number, path in enumerate(paths, start=1)]
        found = fit_imager(images, beam.energy)
    except (ReadError, AnalysisError) as why:
        typer.echo(f"no model was written: {why}", err=True)
        return REFUSED
    model = replace(
        found.model,
        machine=beam.machine,
        leaf_transmission=beam.leaf_transmission,
        leaf_gap_mm=beam.leaf_gap_mm,
        fitted_at=utc_now().isoformat(timespec="seconds"),
        fitted_by=beam.who,
    )
    _print(model, found.notes)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_json(model), "utf-8")
    typer.echo(f'written; in the site file: imager_model = ["{out}"]')
    return 0


def _image(path: Path, number: int) -> PortalImage:
    from analyzers import catalogue

    try:
        record = catalogue.load().read(NamedFile.at(path))
    except ReadError as why:
        raise ReadError(why.code, f"image {number}: {why}") from None
    if not isinstance(record, PortalImage):
        raise ReadError("NOT_AN_IMAGE", f"file {number} is no portal image")
    return record


def _print(model: ImagerModel, notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("field", "middle", "RMS inside", "RMS outside", title="Measured minus fitted")
    for left in model.residuals:
        table.add_row(
            f"{left.width_mm / 10:.1f} x {left.height_mm / 10:.1f} cm",
            f"{left.center_percent:+.2f} %",
            f"{left.profile_rms_percent:.2f} %",
            f"{left.outside_rms_percent:.2f} %",
        )
    console = Console(highlight=False)
    console.print(table)
    middles = [left.center_percent for left in model.residuals]
    console.print(f"response to the field's size within {max(map(abs, middles)):.2f} %")
    console.print(f"{model.cu_per_mu:.5g} CU/MU at {model.sid_mm:g} mm, {model.sha256[:12]}")
    for note in notes:
        console.print(f"note: {note}")
