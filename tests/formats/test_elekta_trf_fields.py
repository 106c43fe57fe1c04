"""Several fields in one TRF: where one ends and the next begins, and what each delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers.formats import dicom_rtplan
from analyzers.formats.elekta_trf import read
from analyzers.machine import axes, delivered_fluence, meterset
from analyzers.plan_choice import with_plan
from analyzers.records import Delivery
from qa_daemon.simulate.elekta_trf import deliver_on_elekta
from qa_daemon.simulate.elekta_trf_bytes import encode
from qa_daemon.simulate.motion import Errors
from qa_daemon.simulate.plan_shapes import Plan, sequence, static, vmat
from tests import real_data
from tests.formats.small_trfs import read_back, small_trf, with_value
from tests.machine.judging import measured, run

IMRT = real_data.files("trf", "*/multi_fraction_groups__imrt.trf")
IMRT_PLAN = real_data.files("trf", "*/multi_fraction_groups__rtplan.dcm")


def turned(plan: Plan, gantry_deg: float) -> Plan:
    """The plan with its gantry elsewhere."""
    beams = tuple(replace(b, gantry_deg=np.full_like(b.gantry_deg, gantry_deg)) for b in plan.beams)
    return replace(plan, beams=beams)


def three_fields(errors: Errors | None = None) -> Delivery:
    """12, 8 and 5 MU at 0, 45 and 90 degrees."""
    fields = [turned(static("agility", mu), at) for mu, at in ((12.0, 0), (8.0, 45), (5.0, 90))]
    return deliver_on_elekta(sequence(*fields), errors or Errors(noise=False))


def test_fields_are_parted_where_the_gantry_turns_with_the_beam_off(tmp_path: Path) -> None:
    delivery = read_back(encode(three_fields()), tmp_path)
    assert delivery.sub_beams == ()
    found = [field.planned_mu for field in delivery.fields]
    assert found == pytest.approx([12.0, 8.0, 5.0], abs=0.11)
    assert sum(found) == pytest.approx(delivery.meterset_mu.actual[-1], abs=1e-9)
    starts = [(field.start, field.stop) for field in delivery.fields]
    assert [a[1] for a in starts[:-1]] == [b[0] for b in starts[1:]]
    assert (starts[0][0], starts[-1][1]) == (0, delivery.samples)
    assert delivery.gantry_deg is not None
    for (start, stop), at_deg in zip(starts, (0.0, 45.0, 90.0), strict=True):
        on = delivery.beam_on[start:stop]
        gantry_deg = delivery.gantry_deg.actual[start:stop][on]
        # The last pulse comes as the gantry sets out.
        assert gantry_deg == pytest.approx(np.full(gantry_deg.size, at_deg), abs=0.11)


def test_one_field_is_none(tmp_path: Path) -> None:
    """Whether its segments stand still or its gantry turns with the beam on."""
    assert read_back(small_trf(), tmp_path).fields == ()
    arc = deliver_on_elekta(vmat("agility", 30.0), Errors(noise=False))
    assert read_back(encode(arc), tmp_path).fields == ()


def test_a_pause_within_a_segment_parts_no_fields(tmp_path: Path) -> None:
    """The machine says "radiation on" throughout: a slow arc has rows without a tenth of an MU."""
    content = encode(three_fields())
    states = np.asarray(read_back(content, tmp_path).other_axes[2543].actual)
    for row in np.flatnonzero(states == 41):
        content = with_value(content, int(row), 2, 40)
    assert read_back(content, tmp_path).fields == ()


def test_a_fault_in_one_field_is_named_and_not_divided_by_the_others(tmp_path: Path) -> None:
    """1 % of the field's width too wide in the smallest one, which is a fifth of the dose."""
    delivery = three_fields()
    (layer,), last = delivery.mlc, int(np.flatnonzero(delivery.gantry_deg.actual > 85.0)[0])  # type: ignore[union-attr]
    layer.bank_a_mm.actual[last:] += 2.0
    found = measured(delivered_fluence.ANALYZER, read_back(encode(delivery), tmp_path), "elekta")
    assert found["fluence_error"].at == "field 3"
    assert found["fluence_error"].value == pytest.approx(2.0, abs=0.1)
    whole = replace(read_back(encode(delivery), tmp_path), fields=())
    divided = measured(delivered_fluence.ANALYZER, whole, "elekta")["fluence_error"].value
    assert divided == pytest.approx(2.0 * 5.0 / 25.0, abs=0.1)


def test_the_meterset_of_each_field_is_told(tmp_path: Path) -> None:
    delivery = read_back(encode(three_fields()), tmp_path)
    notes = run(meterset.ANALYZER, delivery, "elekta").notes
    assert notes == ["3 fields of 12.0, 8.0, 5.0 MU; the log states their sum alone"]


@real_data.skip_without("trf")
def test_a_real_log_of_three_fields() -> None:
    """Metersets of its plan, gantry 0, 45 and 90 degrees; each field judged for itself."""
    delivery = read(IMRT[0])
    plan = dicom_rtplan.read(IMRT_PLAN[0])
    found = [field.planned_mu for field in delivery.fields]
    planned = with_plan(delivery, [plan], chosen=True).planned
    assert planned is not None
    assert [part.beam.meterset_mu for part in planned.parts] == pytest.approx(found, abs=0.2)
    assert [(p.start, p.stop) for p in planned.parts] == [
        (field.start, field.stop) for field in delivery.fields
    ]
    assert sum(found) == pytest.approx(delivery.meterset_mu.actual[-1])
    assert measured(delivered_fluence.ANALYZER, delivery, "elekta")["gamma_pass"].at in {
        "field 1",
        "field 2",
        "field 3",
    }
    assert measured(axes.ANALYZER, delivery, "elekta")["gantry_largest_error"].value < 2.0
