"""What an RT Plan gives in each fraction: fraction groups, metersets, doses.

PS3.3 C.8.8.10 and C.8.8.13.  What is announced is counted.  Metersets in MU, doses in Gy.
"""

from __future__ import annotations

from analyzers.dicom.items import Item
from analyzers.plan_records import DoseReference, FractionGroup

MOST_BEAMS = 500
MOST_GROUPS = 100
MOST_FRACTIONS = 1000
MOST_MU = 1e6
MOST_GY = 1000.0


def fraction_groups(root: Item) -> tuple[FractionGroup, ...]:
    """The fraction groups of a plan, metersets in MU and doses in Gy.  Raises `ReadError`."""
    groups: list[FractionGroup] = []
    for item in root.items("FractionGroupSequence", "fraction group", most=MOST_GROUPS):
        number = item.integer("FractionGroupNumber")
        if number is None:
            raise item.missing("FractionGroupNumber")
        if number in [group.number for group in groups]:
            raise item.error("DUPLICATE", "two fraction groups have the same number")
        references = _references(item)
        brachy_setups = item.integer("NumberOfBrachyApplicationSetups") or 0
        _check_announced(item, "NumberOfBeams", len(references))
        groups.append(
            FractionGroup(
                number=number,
                fractions=item.count("NumberOfFractionsPlanned", most=MOST_FRACTIONS),
                meterset_mu={at: _meterset_mu(beam) for at, beam in references.items()},
                brachy_setups=brachy_setups,
                beam_dose_gy={
                    at: dose_gy
                    for at, beam in references.items()
                    if (dose_gy := _dose_gy(beam, "BeamDose")) is not None
                },
            )
        )
    return tuple(groups)


def _references(group: Item) -> dict[int, Item]:
    """What a fraction group says of each beam, by beam number."""
    references: dict[int, Item] = {}
    for item in group.items("ReferencedBeamSequence", "beam reference", most=MOST_BEAMS):
        number = item.integer("ReferencedBeamNumber")
        if number is None:
            raise item.missing("ReferencedBeamNumber")
        if number in references:
            raise item.error("DUPLICATE", "a fraction group names a beam twice")
        references[number] = item
    return references


def _check_announced(item: Item, keyword: str, found: int) -> None:
    said = item.integer(keyword)
    if said is not None and said != found:
        raise item.error("COUNTS", f"{keyword} is {said}, {found} are there")


def _meterset_mu(reference: Item) -> float | None:
    meterset_mu = reference.number("BeamMeterset")
    if meterset_mu is not None and not 0.0 <= meterset_mu <= MOST_MU:
        raise reference.error("METERSET", f"a meterset of {meterset_mu:g} MU")
    return meterset_mu


def _dose_gy(item: Item, keyword: str) -> float | None:
    dose_gy = item.number(keyword)
    if dose_gy is not None and not 0.0 <= dose_gy <= MOST_GY:
        raise item.error("DOSE", f"{keyword} is {dose_gy:g} Gy, 0 to {MOST_GY:g} expected")
    return dose_gy


def dose_references(root: Item) -> tuple[DoseReference, ...]:
    """What is prescribed to targets, and to which kind of structure.  Raises `ReadError`."""
    references = root.items("DoseReferenceSequence", "dose reference", most=MOST_BEAMS)
    return tuple(
        DoseReference(
            item.word("DoseReferenceType", ("TARGET", "ORGAN_AT_RISK")),
            _dose_gy(item, "TargetPrescriptionDose"),
        )
        for item in references
    )
