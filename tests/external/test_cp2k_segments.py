"""CP2K's own MD and optimisation with the real CP2K: killed, stopped, resumed, frozen atoms."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k.labeler import Cp2kLabeler
from labelers.cp2k.launch import OUTPUT
from sis_engine.errors import StopRequested
from sis_engine.interfaces import Context, Optimisation, Segment
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.records import (
    Frame,
    LabelFailure,
    Labelled,
    OptimiseSpec,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md.integrators import kinetic_energy, mechanics_of
from sis_engine.storage.bank import LabelBank
from sis_engine.units import HARTREE_PER_BOHR_EV_PER_ANGSTROM
from tests.external.conftest import require_program
from tests.external.cp2k_cases import ORIGIN, cp2k, gfn1, hydrogens, label, skewed, waters

pytestmark = [pytest.mark.external, pytest.mark.timeout(1800)]  # DFT on a loaded machine

SPEC = SegmentSpec(n_steps=10, timestep_fs=0.5, temperature_k=300.0, seed=3)
METHODS = {
    "gfn1": {"method": {"type": "gfn1-xtb"}, "scf": {"eps_scf": 1e-7}},
    "pbe": {
        "method": {
            "type": "dft",
            "basis": "SZV-MOLOPT-SR-GTH",
            "cutoff_rydberg": 80.0,
            "relative_cutoff_rydberg": 20.0,
        },
        "scf": {"eps_scf": 1e-5, "preconditioner": "FULL_ALL"},
    },
}
"""Orbital transformation, where the energy errs by the square of ``eps_scf``. PBE-D3 with the
smallest basis and a coarse grid: nothing here asks how good the numbers are.
"""


@pytest.fixture(autouse=True)
def _with_cp2k() -> None:
    require_program("cp2k.psmp")


def twelve_atoms(method: str) -> Frame:
    return waters(4, skewed(6.2)) if method == "gfn1" else hydrogens(skewed(8.0))


def segment(frame: Frame, spec: SegmentSpec = SPEC, **system: object) -> Segment:
    return Segment(System("s", frame, **system), Start(frame), spec, ORIGIN)


def results(
    given: Cp2kLabeler, task: Segment | Optimisation, folder: Path, kept: Path | None = None
) -> list[Labelled]:
    folder.mkdir(exist_ok=True)
    found = []
    for result in given.label(task, Context(folder, kept=kept)):
        assert isinstance(result, Labelled), f"{result.reason}: {result.message}"
        found.append(result)
    return found


def evaluations(folder: Path) -> list[int]:
    """SCFs that came to their end, run by run."""
    outputs = sorted(folder.rglob(OUTPUT))
    return [path.read_text().count("ENERGY| Total FORCE_EVAL") for path in outputs]


ENGINE = """
import json, sys
from pathlib import Path
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.interfaces import Context
from sis_engine.storage.bank import LabelBank
from sis_engine.units import HARTREE_PER_BOHR_EV_PER_ANGSTROM
from tests.external.cp2k_cases import cp2k
from tests.external.test_cp2k_segments import METHODS, segment, twelve_atoms
folder, method, attempt = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
work = folder / attempt
work.mkdir()
with LabelBank(folder / "bank", campaign="c") as bank:
    labeler = BankedLabeler(cp2k(**METHODS[method]), bank)
    for result in labeler.label(segment(twelve_atoms(method)), Context(work, kept=folder / "kept")):
        print(json.dumps([result.origin.index, result.label.energy]), flush=True)
"""


def attempt_until(folder: Path, method: str, name: str, last: int | None) -> list[list[float]]:
    """Run the engine in a process of its own; kill -9 it when it has told of step ``last``."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(folder), method, name],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    told = []
    assert process.stdout is not None
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1][0] == last:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    return told


@pytest.mark.parametrize("method", ["gfn1", pytest.param("pbe", marks=pytest.mark.slow)])
def test_a_segment_killed_twice_is_one_that_was_never_killed(method: str, tmp_path: Path) -> None:
    """Killed with -9 after steps 3 and 7: ten frames, none computed twice but the one in hand.

    Each resumed run begins with the point it goes on from, whose forces CP2K needs: from its own
    wavefunction, and not counted as a label.
    """
    unkilled = results(cp2k(**METHODS[method]), segment(twelve_atoms(method)), tmp_path / "one")
    first = attempt_until(tmp_path, method, "a", 3)
    second = attempt_until(tmp_path, method, "b", 7)
    third = attempt_until(tmp_path, method, "c", None)
    assert [index for index, _ in third] == list(range(10))
    assert third[: len(second)] == second
    assert second[: len(first)] == first
    with LabelBank(tmp_path / "bank", campaign="c") as bank:
        assert bank.count() == 10
        assert bank.count(good=False) == 0
    assert sum(evaluations(tmp_path / "kept")) <= 10 + 2 + 2  # two begun again, two in hand
    energies = np.array([energy for _, energy in third])
    expected = np.array([result.label.energy for result in unkilled])
    assert np.abs(energies - expected).max() < 2e-5


def test_a_resumed_run_begins_from_its_own_wavefunction(tmp_path: Path) -> None:
    given, task = gfn1(), segment(waters(2, skewed(5.5)))
    steps = given.label(task, Context(tmp_path))
    for _ in range(4):
        next(steps)
    steps.close()
    results(given, task, tmp_path)
    first, second = sorted(tmp_path.rglob(OUTPUT))
    cold, warm = (
        int(file.read_text().split("SCF run converged in", 1)[1].split()[0])
        for file in (first, second)
    )
    assert warm < cold  # one or two cycles, or more where it was ended within a later step
    assert "RESTARTED QUANTITIES" in second.read_text()
    assert "PARTICLE THERMOSTAT" in second.read_text()
    assert first.parent != second.parent


@pytest.mark.parametrize("thermostat", ["csvr", "nose-hoover", "langevin", "none"])
def test_the_thermostats_state_survives_a_kill(thermostat: str, tmp_path: Path) -> None:
    """Also random numbers: the joined segment is one that a single run could have given."""
    spec = replace(SPEC, thermostat=thermostat, n_steps=8)
    given, task = gfn1(), segment(waters(1, skewed(5.0)), spec)
    whole = results(given, task, tmp_path / "whole")
    steps = given.label(task, Context(tmp_path, kept=tmp_path / "kept"))
    for _ in range(4):
        next(steps)
    steps.close()
    joined = results(given, task, tmp_path / "joined", tmp_path / "kept")
    assert joined[-1].frame.positions == pytest.approx(whole[-1].frame.positions, abs=1e-6)
    assert joined[-1].temperature_k == pytest.approx(whole[-1].temperature_k, rel=1e-4)


def test_a_half_written_end_is_left_out_and_made_again(tmp_path: Path) -> None:
    """As if the machine had died in the middle of writing: files end anywhere, the restart too."""
    given, task = gfn1(), segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=6))
    whole = results(given, task, tmp_path)
    (run,) = tmp_path.rglob("run-000")
    cut(run / OUTPUT, 0.97)
    cut(run / "sis-pos-1.xyz", 0.9)
    cut(run / "sis-1.restart", 0.5)
    again = results(given, task, tmp_path)
    assert [result.origin.index for result in again] == list(range(6))
    assert again[-1].label.energy == pytest.approx(whole[-1].label.energy, abs=2e-5)
    assert [result.label.energy for result in again[:3]] == [
        result.label.energy for result in whole[:3]
    ]


def cut(path: Path, fraction: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])


def test_a_stop_ends_the_run_after_its_step_and_loses_nothing(tmp_path: Path) -> None:
    given, task = gfn1(), segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=400))
    asked = [False]
    context = Context(tmp_path, stop=lambda: asked[0])
    told: list[Labelled | LabelFailure] = []

    def until_stopped() -> None:
        for result in given.label(task, context):
            told.append(result)
            asked[0] = len(told) >= 4

    with pytest.raises(StopRequested):
        until_stopped()
    (run,) = tmp_path.rglob("run-000")
    written = (run / "sis-pos-1.xyz").read_text().count(" i =")
    assert len(told) <= written <= len(told) + 1
    asked[0] = False
    again = given.label(task, context)
    assert [next(again).frame.key for _ in told] == [result.frame.key for result in told]
    next(again)
    again.close()


@pytest.mark.slow
def test_after_an_exit_file_the_last_step_is_written_and_another_run_goes_on(
    tmp_path: Path,
) -> None:
    """CP2K looks for it every 20 s, and with FORCE_LAST its last step is written like any other."""
    given = gfn1()
    task = segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=100_000))
    steps = given.label(task, Context(tmp_path))
    told = [next(steps)]
    (run,) = tmp_path.rglob("run-000")
    (run / "sis.EXIT_MD").touch()
    while not list(tmp_path.rglob("run-001")):
        told.append(next(steps))
    steps.close()
    assert "MD run terminated by external request" in (run / OUTPUT).read_text()
    written = (run / "sis-pos-1.xyz").read_text().count(" i =")
    assert [result.origin.index for result in told] == list(range(len(told)))
    assert len(told) == written + 1
    last = told[written - 1]
    assert last.label.energy == pytest.approx(
        label(given, last.frame, tmp_path).label.energy, abs=2e-5
    )


def test_temperature_and_energy_are_those_of_a_conserved_trajectory(tmp_path: Path) -> None:
    """NVE: potential and kinetic energy add up to the same, so units of all three agree."""
    spec = SegmentSpec(20, 0.5, 300.0, thermostat="none", seed=5)
    frame = waters(2, skewed(5.5))
    found = results(gfn1(), segment(frame, spec), tmp_path)
    mechanics = mechanics_of(System("s", frame), frame.positions, "none")
    kinetic = np.array([kinetic_energy(mechanics, result.velocities) for result in found])
    potential = np.array([result.label.energy for result in found])
    assert np.ptp(potential) > 0.05
    assert np.ptp(kinetic + potential) < 0.03 * np.ptp(potential)
    (ener,) = tmp_path.rglob("sis-1.ener")
    theirs = np.loadtxt(ener)[:, 3]
    mine = [result.temperature_k for result in found]
    assert mine == pytest.approx(theirs, rel=1e-3)


def test_ase_reads_the_same_trajectory(tmp_path: Path) -> None:
    """A second reader of CP2K's xyz files (dpdata's reads MD of CP2K 7 and older only)."""
    from ase.io import read

    task = segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=4))
    found = results(gfn1(), task, tmp_path)
    (run,) = tmp_path.rglob("run-000")
    frames = read(run / "sis-pos-1.xyz", index=":")
    forces = read(run / "sis-frc-1.xyz", index=":")
    assert len(frames) == len(found)
    for mine, frame, force in zip(found, frames, forces, strict=True):
        assert mine.frame.positions == pytest.approx(frame.positions, abs=1e-9)
        in_ours = force.positions * HARTREE_PER_BOHR_EV_PER_ANGSTROM
        assert mine.label.forces == pytest.approx(in_ours, abs=1e-8)


def test_an_optimisation_ends_when_the_largest_force_is_small_enough(tmp_path: Path) -> None:
    frame = waters(2, skewed(5.5))
    task = Optimisation(System("s", frame), Start(frame), OptimiseSpec(0.5, 20, 0.1), ORIGIN)
    found = results(gfn1(), task, tmp_path)
    largest = [float(np.linalg.norm(r.label.forces, axis=1).max()) for r in found]
    assert largest[-1] <= 0.5 < min(largest[:-1])
    assert found[0].frame.key == frame.key
    for before, after in pairwise(found):
        moved = np.linalg.norm(after.frame.positions - before.frame.positions, axis=1)
        assert moved.max() <= 0.1 + 1e-6
    assert results(gfn1(), task, tmp_path)[-1].label.energy == found[-1].label.energy


@pytest.mark.slow
def test_frozen_atoms_stay_and_carry_their_true_forces(tmp_path: Path) -> None:
    """CP2K's own constraint would print zeros for them; see labelers/cp2k/motion.py."""
    frame, frozen = twelve_atoms("pbe"), (3, 4, 5)
    given = cp2k(**METHODS["pbe"])
    found = results(given, segment(frame, replace(SPEC, n_steps=3), frozen=frozen), tmp_path)
    last = found[-1]
    assert (last.frame.positions[3:6] == frame.positions[3:6]).all()
    assert np.abs(last.frame.positions[:3] - frame.positions[:3]).max() > 1e-3
    alone = label(given, last.frame, tmp_path, frozen=frozen)
    assert np.linalg.norm(alone.label.forces[3:6]) > 0.5
    assert last.label.forces == pytest.approx(alone.label.forces, abs=1e-3)


def test_frozen_atoms_in_gfn1_are_moved_from_outside_and_remembered(tmp_path: Path) -> None:
    frame = waters(1, skewed(5.0))
    task = segment(frame, replace(SPEC, n_steps=3), frozen=(0,))
    given = gfn1()
    steps: Iterator[Labelled | LabelFailure] = given.label(task, Context(tmp_path))
    first = [next(steps), next(steps)]
    steps.close()
    again = results(given, task, tmp_path)
    assert [result.frame.key for result in again[:2]] == [result.frame.key for result in first]
    assert again[1].label.energy == first[1].label.energy
    assert (again[-1].frame.positions[0] == frame.positions[0]).all()


def test_an_unconverged_step_is_taken_up_again_another_way(tmp_path: Path) -> None:
    """Two cycles a step are enough for extrapolated steps at times, never for the first."""
    given = gfn1(scf={"eps_scf": 1e-7, "max_iterations": 3, "outer_loops": 1})
    found = results(given, segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=4)), tmp_path)
    assert len(found) == 4
    assert all(result.handlers for result in found)
    careful = results(gfn1(), segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=4)), tmp_path)
    assert found[-1].label.energy == pytest.approx(careful[-1].label.energy, abs=2e-5)


def test_the_bank_keeps_each_step_as_it_comes(tmp_path: Path) -> None:
    task = segment(waters(1, skewed(5.0)), replace(SPEC, n_steps=5))
    with LabelBank(tmp_path / "bank") as bank:
        labeler = BankedLabeler(gfn1(), bank)
        for number, _ in enumerate(labeler.label(task, Context(tmp_path)), start=1):
            assert bank.count() == number
