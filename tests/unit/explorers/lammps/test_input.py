from dataclasses import replace

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.input import ENDED, RELAXING, data_text, n_steps_of, script
from sis_engine.explorers.lammps.integrator import seed_for
from sis_engine.interfaces import MdTask
from sis_engine.records import (
    Condition,
    Ensemble,
    Frame,
    HaltRule,
    LammpsPair,
    Model,
    ModelForm,
    Quantity,
    Relation,
    Replica,
    Rounds,
    System,
)

FRAME = Frame(("H", "Li", "H"), [[0.1, 0.2, 1 / 3], [1.6, 0, 0], [3.0, 0, 0]])
MODEL = Model(
    "m",
    "none",
    ("Li", "H"),
    (),
    ModelForm.FROZEN,
    LammpsPair("zero 6.0", ("* * {elements}",)),
    cutoff_angstrom=6.0,
)
NVT = Condition("c", Ensemble.NVT, 300.0, 0.5, 1.0)


def replica(condition=NVT, frame=FRAME, **more):
    system = System("s", frame, frozen=more.pop("frozen", ()))
    return Replica("r", system, frame, condition, 7, **more)


def text_of(given, *rules, config=None):
    task = MdTask(MODEL, (given,), tuple(rules))
    return script(given, task, config or LammpsConfig())[0]


def test_types_follow_the_models_order_and_numbers_are_exact():
    text = data_text(FRAME, box_of(FRAME), MODEL, None, skewed=False)
    atoms = text.split("Atoms # atomic\n\n")[1].splitlines()
    assert [line.split()[:2] for line in atoms] == [["1", "2"], ["2", "1"], ["3", "2"]]
    assert float(atoms[0].split()[4]) == 1 / 3
    assert "1 6.94\n2 1.008\n" in text


def test_velocities_are_in_angstrom_per_ps():
    text = data_text(FRAME, box_of(FRAME), MODEL, np.full((3, 3), 0.002), skewed=False)
    assert "Velocities\n\n1 2.0 2.0 2.0" in text


def test_an_element_the_model_does_not_know_is_named():
    frame = Frame(("H", "Xe"), [[0, 0, 0], [3, 0, 0]])
    with pytest.raises(ConfigurationError, match="Xe") as caught:
        data_text(frame, box_of(frame), MODEL, None, skewed=False)
    assert "Li, H" in str(caught.value)


def test_times_are_ps_and_pressures_bar():
    cell = np.diag([9.0, 9.0, 9.0])
    frame = Frame(FRAME.species, FRAME.positions, cell, (True,) * 3)
    npt = replace(NVT, ensemble=Ensemble.NPT, pressure_gpa=0.5, pressure_damping_fs=400.0)
    text = text_of(replica(npt, frame))
    assert "timestep 0.0005" in text
    assert "npt temp 300.0 300.0 0.05 tchain 3 iso 5000.0 5000.0 0.4" in text


def test_the_duration_counts_what_came_before():
    assert n_steps_of(replica()) == 2000
    assert n_steps_of(replica(time_offset_fs=400.0)) == 1200
    assert n_steps_of(replica(time_offset_fs=2000.0)) == 0


def test_a_run_that_continues_neither_minimises_nor_draws():
    text = text_of(replica(velocities=np.zeros((3, 3))))
    assert "minimize" not in text
    assert "velocity" not in text
    assert "minimize 0.0001 1e-06 200 2000" in text_of(replica())


def test_frozen_atoms_are_left_out_of_everything_that_moves():
    text = text_of(replica(frozen=(0,)))
    assert "group sis_frozen id 1\n" in text
    assert "fix sis_md sis_mobile nvt" in text
    assert "compute sis_temp sis_mobile temp" in text
    assert "compute_modify sis_temp extra/dof 0" in text  # nothing keeps their momentum
    assert "mom no rot no" in text


def test_npt_is_refused_where_it_has_no_meaning():
    npt = replace(NVT, ensemble=Ensemble.NPT, pressure_gpa=0.0)
    with pytest.raises(ConfigurationError, match="periodic in all"):
        text_of(replica(npt))
    frame = Frame(FRAME.species, FRAME.positions, np.eye(3) * 9, (True,) * 3)
    with pytest.raises(ConfigurationError, match="frozen"):
        text_of(replica(npt, frame, frozen=(1,)))


def test_an_unknown_thermostat_and_a_model_without_lammps_are_refused():
    with pytest.raises(ConfigurationError, match="berendsen"):
        text_of(replica(replace(NVT, thermostat="berendsen")))
    task = MdTask(replace(MODEL, lammps=None), (replica(),))
    with pytest.raises(ConfigurationError, match="ASE explorer"):
        script(replica(), task, LammpsConfig())


def test_seeds_are_what_lammps_takes_and_differ_by_purpose():
    seeds = {seed_for(replica(), purpose) for purpose in ("velocities", "thermostat")}
    assert len(seeds) == 2
    assert all(0 < seed < 900_000_000 for seed in seeds)


def test_distance_rules_share_one_histogram_rounded_down():
    rules = [
        HaltRule("g", Quantity.SHORTEST_DISTANCE, Relation.BELOW, limit, 20, pair)
        for limit, pair in ((1.15, ("Li", "H")), (0.509, ("H", "H")), (9.0, ("O", "H")))
    ]
    text = text_of(replica(), *rules)
    assert text.count("rdf") - text.count("c_sis_rdf") == 2  # compute sis_rdf all rdf
    assert "c_sis_rdf[115]" in text
    assert "c_sis_rdf[50]" in text


def test_rules_that_have_no_meaning_here_are_refused():
    upper = HaltRule("g", Quantity.SHORTEST_DISTANCE, Relation.ABOVE, 3.0)
    with pytest.raises(ConfigurationError, match="below"):
        text_of(replica(), upper)
    volume = HaltRule("v", Quantity.VOLUME, Relation.ABOVE, 3.0)
    with pytest.raises(ConfigurationError, match="not periodic"):
        text_of(replica(), volume)
    neighbours = HaltRule("n", Quantity.NEIGHBOURS, Relation.ABOVE, 40)
    task = MdTask(replace(MODEL, cutoff_angstrom=None), (replica(),), (neighbours,))
    with pytest.raises(ConfigurationError, match="cutoff"):
        script(replica(), task, LammpsConfig())


def test_in_rounds_it_waits_at_a_pipe_of_its_own_and_leaves_when_a_rule_has_fired():
    hot = HaltRule("t", Quantity.TEMPERATURE, Relation.ABOVE, 900.0, every_steps=50)
    given = replica(replace(NVT, duration_ps=0.6))
    task = MdTask(MODEL, (given,), (hot,), rounds=Rounds(0.25, 1))
    lines = script(given, task, LammpsConfig())[0].splitlines()
    assert [line for line in lines if line.startswith(("run ", "include "))][-5:] == [
        "run 500", "include go.1", "run 500", "include go.2", "run 200",
    ]  # fmt: skip
    first = lines.index("include go.1")
    assert 'if "$(step) != 500" then "jump SELF sis_over"' in lines[:first]
    assert 'if "$(v_sis_good50) != 1" then "jump SELF sis_over"' in lines[first - 2 : first]
    assert lines[first + 1] == 'if "$(v_sis_stop) == 1" then "jump SELF sis_over"'
    assert lines.index("label sis_over") < lines.index(f"print '{ENDED} $(step)'")


def test_a_minimisation_never_begins_with_a_nan():
    # LAMMPS's line search does not end then: seen with DeePMD and two atoms in one place
    lines = text_of(replica()).splitlines()
    start = lines.index("run 0 post no")
    guard = next(k for k, line in enumerate(lines) if line.startswith('if "$(v_sis_relaxes) != 1"'))
    minimise = next(k for k, line in enumerate(lines) if line.startswith("minimize"))
    # an error behind the mark is of the physics: the model has evaluated the start by then
    assert start < guard < lines.index(f"print '{RELAXING}'") < minimise
    assert "quit 0" in lines[guard]
