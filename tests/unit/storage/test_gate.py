from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pydantic import ValidationError

from sis_engine.records import DatasetPart, Frame, Label, Labelled, Purpose, Split
from sis_engine.storage.gate import GateConfig, pass_gate
from tests.unit.storage.storage_samples import make_frame_set, make_labelled


def altered(item: Labelled, **label: object) -> Labelled:
    return dataclasses.replace(item, label=dataclasses.replace(item.label, **label))


def moved(item: Labelled, atom: int, to: list[float]) -> Labelled:
    positions = item.frame.positions.copy()
    positions[atom] = to
    return dataclasses.replace(item, frame=dataclasses.replace(item.frame, positions=positions))


def test_good_labels_pass_in_their_order() -> None:
    items = make_labelled(50)
    passed = pass_gate(items, GateConfig())
    assert passed.accepted == items
    assert passed.rejected == ()


def test_each_bad_label_is_rejected_for_its_own_reason_with_value_and_limit() -> None:
    items = list(make_labelled(60))
    forces = items[3].label.forces.copy()
    forces[2] = [30.0, 40.0, 60.0]
    items[3] = altered(items[3], forces=forces)
    items[7] = altered(items[7], energy=float("nan"))
    items[8] = altered(items[8], forces=np.full((6, 3), np.inf))
    items[11] = altered(items[11], energy=-100.0 + 83.0)  # as seen in the released data
    items[14] = altered(items[14], forces=items[14].label.forces + np.array([0.0, 0.3, 0.4]))
    items[20] = moved(items[20], 1, (items[20].frame.positions[0] + [0.3, 0, 0]).tolist())
    items[30] = dataclasses.replace(items[31], origin=items[30].origin)
    passed = pass_gate(items, GateConfig())
    found = {r.item.origin.index: (r.reason, r.value, r.limit) for r in passed.rejected}
    assert sorted(found) == [3, 7, 8, 11, 14, 20, 31]
    assert found[3] == ("force too large", pytest.approx(np.sqrt(6100.0)), 50.0)
    assert found[7][0] == found[8][0] == "not finite"
    reason, value, limit = found[11]
    assert (reason, value) == ("energy outlier", pytest.approx(83.0, abs=0.3))
    assert limit == pytest.approx(6 * 0.3)
    assert found[14] == ("net force", pytest.approx(0.5), 0.05)
    assert found[20] == ("atoms too close", pytest.approx(0.3, abs=1e-5), 0.5)
    assert found[31] == ("duplicate", None, None)
    assert len(passed.accepted) + len(passed.rejected) == 60


def test_under_an_outer_field_forces_need_not_sum_to_nothing() -> None:
    items = [altered(item, forces=item.label.forces + 0.3) for item in make_labelled(3)]
    assert pass_gate(items, GateConfig(max_net_force_per_atom=None)).rejected == ()


def test_energies_of_a_reaction_are_no_outliers() -> None:
    items = [
        altered(item, energy=item.label.energy - (1.5 if k > 30 else 0.0))
        for k, item in enumerate(make_labelled(60))
    ]
    assert pass_gate(items, GateConfig()).rejected == ()


def test_energies_of_different_systems_are_not_compared() -> None:
    first = make_labelled(40)
    second = [
        dataclasses.replace(
            altered(item, energy=item.label.energy - 500.0),
            origin=dataclasses.replace(item.origin, system="other"),
        )
        for item in make_labelled(40, seed=1)
    ]
    assert pass_gate([*first, *second], GateConfig()).rejected == ()


def test_a_bad_majority_of_numbers_does_not_hide_the_outlier() -> None:
    items = [
        altered(i, energy=float("nan")) if i.origin.index < 30 else i for i in make_labelled(80)
    ]
    items[70] = altered(items[70], energy=-50.0)
    reasons = [r.reason for r in pass_gate(items, GateConfig()).rejected]
    assert reasons.count("not finite") == 30
    assert reasons.count("energy outlier") == 1


def test_first_frames_of_segments_can_be_left_out_but_not_single_points() -> None:
    items = list(make_labelled(30))
    origin = dataclasses.replace(items[1].origin, purpose=Purpose.SINGLE)
    items[1] = dataclasses.replace(items[1], origin=origin)
    passed = pass_gate(items, GateConfig(skip_first_frames=3))
    assert [r.item.origin.index for r in passed.rejected] == [0, 2]
    assert {r.reason for r in passed.rejected} == {"first frames of a segment"}


def test_a_frame_of_earlier_data_is_a_duplicate() -> None:
    earlier = DatasetPart("p", Split.TRAINING, 0, make_frame_set(10))
    passed = pass_gate(make_labelled(15), GateConfig(), (earlier,))
    assert [r.item.origin.index for r in passed.rejected] == list(range(10))
    assert {r.reason for r in passed.rejected} == {"duplicate"}


def test_too_close_is_judged_through_the_periodic_boundary() -> None:
    item = make_labelled(1, periodic=True)[0]
    near = Frame(
        ("H", "H"), np.array([[0.1, 1.0, 1.0], [5.8, 1.0, 1.0]]), np.eye(3) * 6.0, (True,) * 3
    )
    item = dataclasses.replace(item, frame=near, label=Label(0.0, np.zeros((2, 3))))
    (rejected,) = pass_gate([item], GateConfig()).rejected
    assert rejected.value == pytest.approx(0.3, abs=1e-5)


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        GateConfig.model_validate({"max_forces": 10.0})


def test_nothing_in_nothing_out() -> None:
    assert pass_gate((), GateConfig()).accepted == ()
