"""Charges of one labeler on the labels of another, on fakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError, ProgramFailed
from sis_engine.interfaces import Capability, Context, Segment, SinglePoints
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.labelling.with_charges import WithCharges, levels_of
from sis_engine.plugins import Kind, configure
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.setup.label_source import label_source
from sis_engine.storage.bank import LabelBank
from sis_engine.testing.fakes import FakeLabeler, FakeLabelerConfig

DIMER = Frame(("Ar", "Ar"), [[0, 0, 0], [2.5, 0, 0]])
CLOSE = replace(DIMER, positions=[[0, 0, 0], [1.5, 0, 0]])
OVERLAP = replace(DIMER, positions=[[0, 0, 0], [0.1, 0, 0]])
SYSTEM = System("dimer", DIMER, charge=1)
FRAMES = (DIMER, CLOSE, OVERLAP)


def fake(**settings: Any) -> FakeLabeler:
    return FakeLabeler(FakeLabelerConfig(**settings))


def charging(**settings: Any) -> FakeLabeler:
    """Fails where two atoms are closer than 2 Å; another level than the base's."""
    given = {"charges": True, "depth_ev": 0.1, "unconverged_below_angstrom": 2.0}
    return fake(**given | settings)


def source(labeler: WithCharges, bank: LabelBank) -> SideBySide:
    """All that the engine puts around it, on one core: charges wait for none."""
    return label_source(labeler, bank, cores=1, exact=True, note=lambda kind, text: None)


def points(*frames: Frame) -> SinglePoints:
    origins = tuple(Origin(Purpose.SINGLE, 0, "dimer", "p", k) for k in range(len(frames)))
    return SinglePoints(SYSTEM, frames, origins)


def labelled(labeler: Any, folder: Path, *frames: Frame) -> list[Labelled | LabelFailure]:
    return list(labeler.label(points(*frames), Context(folder)))


def test_energies_are_the_bases_and_charges_the_others(tmp_path: Path) -> None:
    (plain,) = labelled(fake(), tmp_path, DIMER)
    (result,) = labelled(WithCharges(fake(), charging()), tmp_path, DIMER)
    assert result.label.energy == plain.label.energy
    assert (result.label.forces == plain.label.forces).all()
    assert result.label.charges.sum() == pytest.approx(1.0)
    assert result.level == plain.level
    assert result.charges_level == charging().level_of_theory(SYSTEM)
    assert result.charges_level.fingerprint != result.level.fingerprint


def test_charges_that_fail_stay_missing_and_never_cost_the_label(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = labelled(WithCharges(fake(), charging()), tmp_path, *FRAMES)
    good, without, failed = results
    assert good.label.charges is not None
    assert without.label.charges is None
    assert without.charges_level is not None
    assert isinstance(failed, LabelFailure)
    assert failed.reason is Failure.NOT_CONVERGED
    assert ["p, number 1: no charges" in record.message for record in caplog.records] == [True]


class Broken(FakeLabeler):
    """Its program fails at every frame."""

    def label(self, task: Any, context: Context) -> Iterator[Labelled | LabelFailure]:
        raise ProgramFailed("the charge program is broken")
        yield


def test_a_broken_charge_program_does_not_fail_the_base(tmp_path: Path) -> None:
    labeler = WithCharges(fake(), Broken(FakeLabelerConfig(charges=True)))
    (result,) = labelled(labeler, tmp_path, DIMER)
    assert result.label.charges is None
    assert np.isfinite(result.label.energy)


def test_charges_that_cannot_run_side_by_side_take_turns(tmp_path: Path) -> None:
    alone = charging()
    alone.capabilities = alone.capabilities - {Capability.SIDE_BY_SIDE}
    assert Capability.SIDE_BY_SIDE not in WithCharges(fake(), alone).capabilities
    assert Capability.SIDE_BY_SIDE in WithCharges(fake(), charging()).capabilities
    (result,) = labelled(WithCharges(fake(), alone), tmp_path, DIMER)
    assert result.label.charges is not None


class Picky(FakeLabeler):
    """Refuses every system, as GFN2 charges of periodic systems are refused."""

    def check(self, system: System) -> None:
        raise ConfigurationError("charges of such systems mean nothing")


def test_a_system_whose_charges_are_refused_is_labelled_without_and_that_is_told(
    tmp_path: Path,
) -> None:
    charges = Picky(FakeLabelerConfig(charges=True, depth_ev=0.1))
    labeler = WithCharges(fake(), charges)
    labeler.check(SYSTEM)
    assert labeler.notes(SYSTEM) == (
        "labels of dimer will have no charges: charges of such systems mean nothing",
    )
    (result,) = labelled(labeler, tmp_path, DIMER)
    assert result.label.charges is None
    assert result.charges_level is not None
    assert charges.n_evaluations == 0
    assert WithCharges(fake(), charging()).notes(SYSTEM) == ()


def test_a_system_that_the_base_refuses_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="apart"):
        WithCharges(fake(), charging()).check(System("s", OVERLAP))


def test_a_label_in_hand_gets_its_charges_although_a_stop_is_asked_for(tmp_path: Path) -> None:
    stop = iter([False, True, True, True])
    labeler = WithCharges(fake(), charging())
    results = labeler.label(points(DIMER, CLOSE), Context(tmp_path, stop=lambda: next(stop)))
    assert next(results).label.charges is not None


class WithSegments(FakeLabeler):
    """A code that has its own MD."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = self.capabilities | {Capability.SEGMENT}

    def label(self, task: Any, context: Context) -> Iterator[Labelled | LabelFailure]:
        if not isinstance(task, Segment):
            yield from super().label(task, context)
            return
        for step in range(task.spec.n_steps):
            frame = replace(DIMER, positions=DIMER.positions + 0.01 * step)
            (one,) = super().label(points(frame), context)
            origin = replace(task.origin, index=step)
            yield replace(one, origin=origin, temperature_k=300.0)


@pytest.mark.parametrize("base", [WithSegments(), fake()])
def test_segments_of_the_bases_own_and_lifted_ones_carry_charges(
    base: FakeLabeler, tmp_path: Path
) -> None:
    labeler = WithCharges(base, charging())
    assert labeler.capabilities == base.capabilities | {Capability.CHARGES}
    spec = SegmentSpec(n_steps=4, timestep_fs=1.0, temperature_k=100.0)
    task = Segment(SYSTEM, Start(DIMER), spec, Origin(Purpose.SEGMENT, 0, "dimer", "p", 0))
    with LabelBank(tmp_path) as bank:
        lifted = ReferenceMD(source(labeler, bank))
        results = list(lifted.label(task, Context(tmp_path)))
    assert [result.origin.index for result in results] == [0, 1, 2, 3]
    assert all(result.label.charges is not None for result in results)
    assert all(result.temperature_k is not None for result in results)


# --------------------------------------------------------------------------- the bank


def test_neither_labels_nor_charges_are_paid_for_twice(tmp_path: Path) -> None:
    base, charges = fake(), charging()
    with LabelBank(tmp_path) as bank:
        first = labelled(source(WithCharges(base, charges), bank), tmp_path, *FRAMES)
        paid = base.n_evaluations, charges.n_evaluations
        assert paid == (3, 2)
        again = labelled(source(WithCharges(base, charges), bank), tmp_path, *FRAMES)
        assert (base.n_evaluations, charges.n_evaluations) == paid
        by_index = {result.origin.index: result for result in again}
        assert [type(by_index[k]) for k in range(3)] == [type(result) for result in first]
        assert (by_index[0].label.charges == first[0].label.charges).all()
        assert by_index[1].label.charges is None


def test_other_charges_do_not_buy_the_base_again_and_the_reverse(tmp_path: Path) -> None:
    base = fake()
    with LabelBank(tmp_path) as bank:
        labelled(BankedLabeler(base, bank), tmp_path, DIMER)
        one = labelled(source(WithCharges(base, charging()), bank), tmp_path, DIMER)
        other = charging(depth_ev=0.2)
        two = labelled(source(WithCharges(base, other), bank), tmp_path, DIMER)
        assert base.n_evaluations == 1
        assert one[0].charges_level != two[0].charges_level
        (plain,) = labelled(BankedLabeler(base, bank), tmp_path, DIMER)
        assert plain.label.charges is None
        assert plain.charges_level is None


def test_a_label_banked_without_charges_gains_them_once(tmp_path: Path) -> None:
    """The labeler's own charges, asked for later: evaluated once more, then known."""
    with LabelBank(tmp_path) as bank:
        (before,) = labelled(BankedLabeler(fake(), bank), tmp_path, DIMER)
        own = fake(charges=True)
        labelled(BankedLabeler(own, bank), tmp_path, DIMER)
        (after,) = labelled(BankedLabeler(own, bank), tmp_path, DIMER)
        assert own.n_evaluations == 1
        assert after.label.energy == before.label.energy
        assert after.label.charges is not None
        assert bank.count() == 1
        assert bank.count_quarantined() == 0


# --------------------------------------------------------------------------- configuration


def given(**changes: Any) -> dict[str, Any]:
    base = {"type": "fake"}
    return {"type": "with-charges", "base": base, "charges": dict(base, depth_ev=0.1)} | changes


def test_it_is_found_by_its_name_and_asks_the_other_for_charges() -> None:
    labeler = configure(Kind.LABELER, given(), key="labeler")
    assert labeler.charges.config.charges
    assert [level.fingerprint for level in levels_of(labeler, SYSTEM)] == [
        fake().level_of_theory(SYSTEM).fingerprint,
        charging().level_of_theory(SYSTEM).fingerprint,
    ]
    assert levels_of(fake(), SYSTEM) == (fake().level_of_theory(SYSTEM),)
    assert labeler.doctor()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (given(base={"type": "fake", "charges": True}), "gives charges of its own"),
        (given(charges={"type": "fake", "charges": False}), "gives no charges"),
        (
            given(charges={"type": "teacher", "potential": {"type": "ase", "calculator": "a.B"}}),
            "no",
        ),
        (given(charges={}), "labeler.charges.type"),
        (given(base={"type": "fike"}), "did you mean 'fake'"),
        (given(base={"type": "fake", "depth": 1.0}), "labeler.base.depth"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configure(Kind.LABELER, settings, key="labeler")
    assert words in str(caught.value)


def test_paths_of_both_start_at_the_campaign_file(tmp_path: Path) -> None:
    potential = {"type": "lammps", "pair_style": "eam", "pair_coeff": ["*"], "files": ["a.eam"]}
    settings = given(base={"type": "teacher", "potential": potential})
    labeler = configure(Kind.LABELER, settings, key="labeler", base=tmp_path)
    assert labeler.base.config.potential.files == (tmp_path / "a.eam",)
