"""The LAMMPS explorer with the real ``lmp``: physics, blow-ups, and surroundings that fail."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from sis_engine.analysis.pairs import most_neighbours, shortest_distance
from sis_engine.errors import InfrastructureError, ProgramFailed, TornFile
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Frame,
    FrameSet,
    HaltRule,
    LammpsPair,
    ModelFile,
    ModelForm,
    Quantity,
    Relation,
    Replica,
    Sampling,
    System,
)
from tests.contract import lennard_jones as lj
from tests.external.conftest import require_program

pytestmark = pytest.mark.external

WARM = Condition("warm", Ensemble.NVT, 40.0, 4.0, 40.0)


@pytest.fixture
def explorer() -> LammpsExplorer:
    require_program("lmp")
    config = lj.fast_lammps()
    assert config is not None
    return LammpsExplorer(config)


def replica_of(frame: Frame, condition: Condition, **more) -> Replica:
    system = System("s", frame, frozen=more.pop("frozen", ()))
    return Replica(more.pop("id", "r"), system, frame, condition, more.pop("seed", 3), **more)


def run(explorer, replica, tmp_path, *rules, model=None, sampling=None):
    task = MdTask(model or lj.model(), (replica,), rules, sampling or Sampling())
    (result,) = explorer.explore(task, Context(tmp_path))
    return result


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin", "csvr"])
@pytest.mark.parametrize("frozen", [(), (0, 5)])
def test_every_thermostat_reaches_its_temperature(explorer, tmp_path, thermostat, frozen):
    condition = replace(WARM, thermostat=thermostat, damping_fs=200.0)
    frame = lj.solid(3)
    result = run(explorer, replica_of(frame, condition, frozen=frozen), tmp_path)
    temperature = result.trace.series(Quantity.TEMPERATURE)
    # sigma_T = 40 sqrt(2/78) = 6.4 K; some 100 independent samples in 40 ps
    assert temperature[len(temperature) // 4 :].mean() == pytest.approx(40.0, abs=2.5)


def test_a_cluster_is_not_heated_by_its_missing_degrees_of_freedom(explorer, tmp_path):
    condition = replace(WARM, temperature_k=10.0, duration_ps=200.0, damping_fs=200.0)
    result = run(explorer, replica_of(lj.cluster(), condition), tmp_path)
    frames = result.frames[20:]
    masses = Atoms(lj.cluster().species).get_masses()
    momenta = [masses[:, None] * frame.velocities for frame in frames]
    assert max(np.abs(p.sum(axis=0)).max() for p in momenta) < 1e-6
    kinetic = result.trace.series(Quantity.KINETIC_ENERGY)[500:].mean()
    assert kinetic == pytest.approx(0.5 * 33 * 8.617e-5 * 10.0, rel=0.08)


def test_forces_are_those_of_a_second_reader(explorer, tmp_path):
    npt = replace(WARM, ensemble=Ensemble.NPT, pressure_gpa=0.2, duration_ps=1.0)
    for result in (
        run(explorer, replica_of(lj.solid(), npt), tmp_path),
        run(
            explorer,
            replica_of(lj.cluster(), replace(WARM, thermostat="langevin", duration_ps=1.0)),
            tmp_path,
        ),
    ):
        last = result.frames[-1]
        cell = None if last.frame.cell is None else np.array(last.frame.cell)
        atoms = Atoms(
            last.frame.species,
            np.array(last.frame.positions),
            cell=cell,
            pbc=last.frame.pbc,
            calculator=lj.calculator(lj.model()),
        )
        assert np.abs(atoms.get_forces() - last.forces).max() < 1e-10


def test_virials_are_the_slope_of_the_energy_under_strain(explorer, tmp_path):
    frame, step = lj.solid(), 1e-4
    # smooth at the cutoff, or neighbours crossing it would spoil the differences
    model = replace(
        lj.model(),
        lammps=LammpsPair("lj/smooth/linear 6.0", (f"* * {lj.EPSILON_EV} {lj.SIGMA_ANGSTROM}",)),
    )
    strains = [np.zeros((3, 3))]
    for a, b in ((0, 0), (1, 1), (0, 1), (1, 2)):
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[a, b] = strain[b, a] = sign * step
            strains.append(strain)
    deformed = [np.eye(3) + strain for strain in strains]
    prediction = explorer.predict(
        model,
        FrameSet(
            "s",
            frame.species,
            frame.pbc,
            np.stack([frame.positions @ d for d in deformed]),
            np.stack([frame.cell @ d for d in deformed]),
            np.zeros(len(deformed)),
            np.zeros((len(deformed), frame.n_atoms, 3)),
        ),
        Context(tmp_path),
    )
    slopes = -(prediction.energies[1::2] - prediction.energies[2::2]) / (2 * step)
    virial = prediction.virials[0]
    expected = [virial[0, 0], virial[1, 1], 2 * virial[0, 1], 2 * virial[1, 2]]
    assert np.allclose(slopes, expected, rtol=1e-5, atol=1e-6)


def test_the_trace_measures_what_its_last_frame_shows(explorer, tmp_path):
    rules = (
        HaltRule("g", Quantity.SHORTEST_DISTANCE, Relation.BELOW, 0.5),
        HaltRule("n", Quantity.NEIGHBOURS, Relation.ABOVE, 900),
    )
    short = replace(WARM, duration_ps=0.4)
    for frame in (lj.solid(), lj.cluster()):
        result = run(explorer, replica_of(frame, short), tmp_path, *rules)
        last = result.frames[-1].frame
        shown = result.trace.series(Quantity.SHORTEST_DISTANCE)[-1]
        assert shown == pytest.approx(shortest_distance(last), abs=1e-10)
        assert result.trace.series(Quantity.NEIGHBOURS)[-1] == most_neighbours(last, 6.0)


def test_a_nan_in_the_middle_of_a_run_fires_and_the_last_good_frames_stay(explorer, tmp_path):
    nan = "(1e308*1e308)-(1e308*1e308)"
    model = replace(
        lj.model(),
        lammps=replace(
            lj.model().lammps,
            preamble=(
                f'variable boom equal "ternary(step<110,0.0,{nan})"',
                "fix boom all addforce v_boom 0.0 0.0",
            ),
        ),
    )
    condition = replace(WARM, minimise=False, velocity_factor=1.0)
    rule = HaltRule("t", Quantity.TEMPERATURE, Relation.ABOVE, 1000.0, every_steps=20)
    result = run(explorer, replica_of(lj.cluster(), condition), tmp_path, rule, model=model)
    assert result.exit is Exit.HALTED
    assert math.isnan(result.value)
    assert result.md_ps == pytest.approx(0.480)  # step 120
    assert result.frames[-1].time_fs == pytest.approx(440.0)  # step 110 moved by good forces
    unwatched = run(explorer, replica_of(lj.cluster(), condition), tmp_path, model=model)
    assert unwatched.exit is Exit.CRASHED
    assert "not finite" in unwatched.message


def test_lost_atoms_are_a_crash_with_lammps_words_and_siblings_go_on(explorer, tmp_path):
    wild = replace(WARM, temperature_k=1e6, timestep_fs=20.0, minimise=False)
    calm = replace(WARM, duration_ps=1.0)
    frame = lj.solid()
    results = list(
        explorer.explore(
            MdTask(
                lj.model(),
                (replica_of(frame, wild, id="wild"), replica_of(frame, calm, id="calm")),
                (),
                Sampling(ring_every_steps=1),
            ),
            Context(tmp_path, threads=2),
        )
    )
    by_id = {result.replica.id: result for result in results}
    assert by_id["calm"].exit is Exit.COMPLETED
    assert by_id["wild"].exit is Exit.CRASHED
    assert "Lost atoms" in by_id["wild"].message
    assert by_id["wild"].frames


def test_an_error_inside_the_minimisation_is_that_replicas_crash(tmp_path):
    """Where the model evaluated the start: it is no broken program, and siblings go on."""
    require_program("lmp")
    explorer = LammpsExplorer(lj.fast_lammps())
    pair = lj.model().lammps
    ends = ("variable far equal step*(step<1000)", "fix far all halt 1 v_far >= 2 error hard")
    model = replace(lj.model(), lammps=replace(pair, preamble=(*pair.preamble, *ends)))
    frame = lj.solid()
    strained = replace(frame, positions=frame.positions * (1.0 + 0.02 * (frame.positions > 5.0)))
    relaxed = replace(WARM, etol=0.0, ftol=0.0)
    begun = replace(WARM, minimise=False, duration_ps=0.004)  # one step
    replicas = (
        replica_of(strained, relaxed, id="relaxed"),
        replica_of(frame, begun, id="begun"),
    )
    found = explorer.explore(MdTask(model, replicas), Context(tmp_path, threads=2))
    results = {result.replica.id: result for result in found}
    assert results["relaxed"].exit is Exit.CRASHED
    assert "LAMMPS stopped: Fix halt condition" in results["relaxed"].message
    assert results["relaxed"].md_ps == 0.0
    assert results["begun"].exit is Exit.COMPLETED


def test_a_model_that_lammps_cannot_load_is_no_catastrophe(explorer, tmp_path):
    model = replace(lj.model(), lammps=LammpsPair("no/such/style 6.0"))
    with pytest.raises(ProgramFailed, match="no/such/style"):
        run(explorer, replica_of(lj.cluster(), WARM), tmp_path, model=model)
    frame = lj.cluster()
    one = FrameSet(
        "s",
        frame.species,
        frame.pbc,
        frame.positions[None],
        None,
        np.zeros(1),
        np.zeros((1, frame.n_atoms, 3)),
    )
    with pytest.raises(ProgramFailed, match="0 of 1 frames"):
        explorer.predict(model, one, Context(tmp_path))


def test_lammps_killed_from_outside_is_the_surroundings_fault(explorer, tmp_path):
    endless = replace(WARM, duration_ps=1e6)

    def kill_soon() -> None:
        for _ in range(400):
            for status in Path("/proc").glob("[0-9]*/cwd"):
                try:
                    if status.readlink() == tmp_path / "r":
                        name = (status.parent / "comm").read_text().strip()
                        if name == "lmp" and (tmp_path / "r" / "log.lammps").exists():
                            os.kill(int(status.parent.name), signal.SIGKILL)
                            return
                except OSError:
                    continue
            time.sleep(0.02)

    killer = threading.Thread(target=kill_soon)
    killer.start()
    with pytest.raises(InfrastructureError, match="killed from outside"):
        run(explorer, replica_of(lj.cluster(), endless), tmp_path)
    killer.join()


def test_a_model_file_that_changed_is_not_loaded(explorer, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(b"code")
    model = replace(lj.model(), files=(ModelFile(ModelForm.FROZEN, path, "0" * 64),))
    with pytest.raises(TornFile, match="recorded is 0000"):
        run(explorer, replica_of(lj.cluster(), WARM), tmp_path, model=model)


def test_doctor_finds_the_wheels_lmp_and_its_version():
    require_program("lmp")
    (report,) = LammpsExplorer(LammpsConfig()).doctor()
    assert report.problem is None
    assert report.version is not None
    assert "202" in report.version
    (missing,) = LammpsExplorer(LammpsConfig(program=Path("/no/lmp"))).doctor()
    assert missing.found is None
    assert missing.mend is not None


def test_a_minimisation_down_a_potential_without_bottom_ends(tmp_path):
    # LAMMPS's line search runs for ever where an ill trained model has led it to forces of NaN
    require_program("lmp")
    explorer = LammpsExplorer(lj.fast_lammps().model_copy(update={"silent_timeout_s": 10.0}))
    nan = "(1e308*1e308)-(1e308*1e308)"
    hollow = LammpsPair(
        "lj/cut 6.0",
        (f"* * {-lj.EPSILON_EV} {lj.SIGMA_ANGSTROM}",),
        preamble=(
            f'variable boom equal "ternary(pe>-1e20,0.0,{nan})"',
            "variable nothing atom 0.0",
            "fix boom all addforce v_boom 0.0 0.0 energy v_nothing",
        ),
    )
    condition = replace(WARM, etol=0.0, ftol=0.0)
    rule = HaltRule("f", Quantity.MAX_FORCE, Relation.ABOVE, 100.0, every_steps=20)
    replica = replica_of(lj.solid(), condition)
    result = run(explorer, replica, tmp_path, rule, model=replace(lj.model(), lammps=hollow))
    assert result.exit is Exit.HALTED
    assert result.value > 100.0
