"""The imager models that a site names for its machines."""

from __future__ import annotations

from analyzers.core import ReadError
from analyzers.imager_records import ImagerModel, from_json, to_json
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site, SiteError

LARGEST_BYTES = 1_000_000


def read(site: Site, machine: Machine, number: int) -> ImagerModel:
    """One of a machine's models, counted from 0.

    Raises `SiteError` where the file cannot be read, is no model, or is of another machine.
    """
    where = f"{site.path}: imager model {number + 1} of {machine.name}"
    try:
        with site.resolve(machine.imager_model[number]).open("rb") as file:
            text = file.read(LARGEST_BYTES).decode("utf-8", errors="replace")
    except OSError as why:
        raise SiteError(f"{where} cannot be read: {why.strerror}") from None
    try:
        model = from_json(text)
    except ReadError as why:
        raise SiteError(f"{where}: {why}") from None
    if model.machine is not None and model.machine != machine.name:
        raise SiteError(f"{where} was fitted for {model.machine}: name its own file")
    return model


def of_energy(site: Site, machine: Machine, energy: str | None) -> ImagerModel | None:
    """The machine's model of a beam's energy; None where it has none.

    Raises `SiteError` where a file that is named cannot be used, or two are of the energy.
    """
    models = [read(site, machine, number) for number in range(len(machine.imager_model))]
    found = [model for model in models if model.fits_energy(energy)]
    if len(found) > 1:
        raise SiteError(f"{site.path}: {machine.name} has two imager models of {found[0].energy}")
    return found[0] if found else None


def text_for(site: Site, machine: Machine | None, energy: str | None) -> tuple[str | None, str]:
    """The model of a beam's energy as its file has it, or None and why there is none."""
    if machine is None:
        return None, "the site does not know the machine, so nor its imager"
    if not machine.imager_model:
        return None, "no imager model is fitted for this machine"
    try:
        model = of_energy(site, machine, energy)
    except SiteError:
        return None, "the imager model that the site names cannot be used: ask doctor"
    if model is None:
        return None, "no imager model is fitted for this energy"
    return to_json(model), ""
