"""Write the result tables of machine performance checks, in folders named as the machine does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck
from qa_daemon.simulate.options import known, offsets

KIND = "varian-mpc-csv"
PERFORMED_AT = datetime(2026, 1, 5, 6, 45, 0)  # noqa: DTZ001 - machines write local time
SERIAL = "1234"
DELIMITERS = {"comma": ",", "semicolon": ";"}
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252")
MEASURED_LEAVES = range(11, 51)
"""The leaves inside the field of the check."""
ISO, BEAM, HALCYON_BEAM = "IsoCenterGroup/", "BeamGroup/", "BeamOutputGroup/"
MLC, BACKLASH = "CollimationGroup/MLCGroup/", "CollimationGroup/MLCBacklashGroup/"
JAWS = "CollimationGroup/JawsGroup/"
ISO_ITEMS = [
    (f"{ISO}IsoCenterSize", "mm", 0.31, 0.5),
    (f"{ISO}IsoCenterMVOffset", "mm", 0.12, 0.5),
    (f"{ISO}IsoCenterKVOffset", "mm", 0.2, 0.5),
]
BEAM_ITEMS = [
    ("BeamOutputChange", "%", -0.17, 2.0),
    ("BeamUniformityChange", "%", 0.41, 2.0),
    ("BeamCenterShift", "mm", 0.08, 0.5),
]
GANTRY_ITEMS = [
    (f"{JAWS}JawX1", "mm", -0.21, 1.0),
    (f"{JAWS}JawX2", "mm", 0.11, 1.0),
    (f"{JAWS}JawY1", "mm", 0.52, 2.0),
    (f"{JAWS}JawY2", "mm", -0.33, 2.0),
    ("CollimationGroup/RotationOffset", "deg", 0.09, 0.5),
    ("GantryGroup/GantryAbsolute", "deg", -0.05, 0.3),
    ("GantryGroup/GantryRelative", "deg", 0.08, 0.3),
]
TEMPLATES = (
    "BeamCheckTemplate6x",
    "BeamCheckTemplate6xFFF",
    "BeamCheckTemplate10x",
    "BeamCheckTemplate15x",
    "BeamCheckTemplate9e",
    "GeometryCheckTemplate6xMVkV",
)


def folder_name(check: MachineCheck) -> str:
    """The folder of a check, as the machine names it."""
    at = check.performed_at or PERFORMED_AT
    return (
        f"NDS-WKS-SN{check.machine_serial or SERIAL}-{at:%Y-%m-%d-%H-%M-%S}-0000-{check.template}"
    )


def write_machine_check(
    path: Path, check: MachineCheck, *, delimiter: str = ",", encoding: str = "utf-8"
) -> None:
    """Write the table of a check; degrees as the sign, a decimal comma beside semicolons."""

    def number(value: float | None) -> str:
        text = "" if value is None else repr(value)
        return text.replace(".", ",") if delimiter == ";" else text

    lines = [f"{delimiter} ".join(("Name [Unit]", "Value", "Threshold", "Evaluation Result"))]
    for item in check.items:
        unit = f" [{'°' if item.unit == 'deg' else item.unit}]" if item.unit else ""
        cells = (f"{item.name}{unit}", number(item.value), number(item.threshold), item.said)
        lines.append(f"{delimiter} ".join(cells))
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))


def machine_check(template: str, machine: str = "truebeam") -> MachineCheck:
    """A check in which everything is well within its threshold."""
    is_geometry, is_halcyon = template.startswith("Geometry"), machine == "halcyon"
    rows: list[tuple[str, str, float, float]] = []
    if is_geometry:
        size = 0.9 if is_halcyon else 0.5
        rows += [(n, u, v, size if n.endswith("Size") else t) for n, u, v, t in ISO_ITEMS]
    if is_halcyon or not is_geometry:
        group = HALCYON_BEAM if is_halcyon else BEAM
        rows += [(group + n, u, v, t) for n, u, v, t in BEAM_ITEMS]
    if is_geometry:
        rows += [*_leaves(), *GANTRY_ITEMS]
    return MachineCheck(
        items=tuple(_item(*row) for row in rows),
        template=template,
        performed_at=PERFORMED_AT,
        machine_serial=SERIAL,
    )


def _leaves() -> list[tuple[str, str, float, float]]:
    rows = []
    for bank, largest in (("A", 0.35), ("B", -0.29)):
        rows += [
            (f"{MLC}MLCMaxOffset{bank}", "mm", largest, 1.0),
            (f"{MLC}MLCMeanOffset{bank}", "mm", largest / 5, 1.0),
            (f"{BACKLASH}MLCBacklashMax{bank}", "mm", 0.4, 1.0),
        ]
        rows += [
            (f"{MLC}MLCLeaves{bank}/MLCLeaf{k}", "mm", largest if k == 30 else largest / 5, 1.0)
            for k in MEASURED_LEAVES
        ]
    return rows


def _item(name: str, unit: str, value: float, threshold: float) -> CheckItem:
    is_inside = abs(value) <= threshold
    evaluation = Evaluation.PASSED if is_inside else Evaluation.FAILED
    return CheckItem(name, unit, value, threshold, evaluation, evaluation.value.capitalize())


def simulate(
    out: Path,
    *,
    template: str = "BeamCheckTemplate6x",
    machine: str = "truebeam",
    values: str = "",
    said: str = "",
    rows: int | None = None,
    delimiter: str = "comma",
    encoding: str = "utf-8",
) -> Path:
    """Write one check and return the path of its table.

    `out` is the table (`.csv`), or a folder in which the machine's own naming is used.  `values`
    sets items by the last part of their name (`BeamOutputChange=2.5`), and a value beyond the
    threshold is marked Fail; `said` writes another word in place of every evaluation; `rows` keeps
    the first rows alone, 0 as of a check that was aborted.  Raises ValueError for an unknown
    template, machine, item, delimiter or encoding.
    """
    known("template", template, TEMPLATES)
    known("machine", machine, ("truebeam", "halcyon"))
    known("delimiter", delimiter, DELIMITERS)
    known("encoding", encoding, ENCODINGS)
    check = machine_check(template, machine)
    wanted = offsets(values)
    for name in wanted:
        known("item", name, [item.own_name for item in check.items])
    items = [
        _item(i.name, i.unit, wanted.get(i.own_name, i.value or 0.0), i.threshold or 0.0)
        for i in check.items
    ]
    if said:
        items = [
            CheckItem(i.name, i.unit, i.value, i.threshold, Evaluation.UNKNOWN, str(said))
            for i in items
        ]
    kept = items if rows is None else items[: int(rows)]
    written = MachineCheck(
        items=tuple(kept),
        template=template,
        performed_at=PERFORMED_AT,
        machine_serial=SERIAL,
    )
    path = out if out.suffix.lower() == ".csv" else out / folder_name(written) / "Results.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_machine_check(path, written, delimiter=DELIMITERS[delimiter], encoding=encoding)
    return path
