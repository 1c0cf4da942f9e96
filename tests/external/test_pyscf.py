"""The PySCF labeler with the real PySCF: values, conventions, other ways, failures, silence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labelers.geometry import atoms_of
from labelers.pyscf import handlers
from labelers.pyscf.labeler import PyscfLabeler
from sis_engine.errors import ConfigurationError, ProgramUnsuitable, StopRequested
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, Origin, Purpose, System
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase
from tests.conftest import Figure, largest
from tests.external.conftest import require_module, require_program

pytestmark = pytest.mark.external

PYSCF = "PySCF, ωB97X-D3(BJ)"
ORIGIN = Origin(Purpose.SINGLE, 0, "s", "p", 0)
WATER = Frame(
    ("O", "H", "H"), np.array([[0.0, 0.0, 0.1173], [0.1, 0.7572, -0.4692], [0.0, -0.7972, -0.4692]])
)
SMALL = {"basis": "sto-3g", "grid_level": 0, "threads": 1, "device": "cpu"}
"""Where the value does not matter, only that it is PySCF's."""


@pytest.fixture(autouse=True)
def _with_pyscf() -> None:
    require_module("pyscf")


@pytest.fixture(scope="module")
def small() -> Iterator[PyscfLabeler]:
    """One for all: its process is started once."""
    given = labeler()
    yield given
    given.close()


def labeler(**settings: object) -> PyscfLabeler:
    return PyscfLabeler(PyscfLabeler.Config.model_validate({**SMALL, **settings}))


def labelled(
    given: PyscfLabeler, frame: Frame, folder: Path, **system: int
) -> Labelled | LabelFailure:
    task = SinglePoints(System("s", frame, **system), (frame,), (ORIGIN,))
    (result,) = given.label(task, Context(folder))
    return result


def good(given: PyscfLabeler, frame: Frame, folder: Path, **system: int) -> Labelled:
    result = labelled(given, frame, folder, **system)
    assert isinstance(result, Labelled), f"{result.reason}: {result.message}"
    return result


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_labeler_keeps_its_contract(
    check: Callable[[LabelerCase], None], small: PyscfLabeler, tmp_path: Path, figure: Figure
) -> None:
    positions = WATER.positions.copy()
    positions[1] = positions[0] + 0.01
    bad = replace(WATER, positions=positions)
    check(
        LabelerCase(
            small,
            System("contract", WATER),
            bad,
            tmp_path,
            repeat_tolerance=1e-7,
            measured=partial(figure, PYSCF),
        )
    )


# --------------------------------------------------------------------------- values


def alone(xc: str, *, nlc: object = "", disp: object = None, **settings: object):
    """PySCF without the labeler: a converged field of the same molecule."""
    from pyscf import dft, gto

    molecule = gto.M(
        atom=list(zip(WATER.species, WATER.positions.tolist(), strict=True)), verbose=0, **settings
    )
    field = (dft.UKS if molecule.spin else dft.RKS)(molecule)
    field._chkfile.close()  # else its handle is left to the collector, which warns
    field.chkfile = field._chkfile = None
    field.xc, field.nlc, field.disp = xc, nlc, disp
    field.grids.level, field.conv_tol = 0, 1e-9
    field.kernel()
    assert field.converged
    return field


def test_units_are_those_worked_out_by_hand(
    small: PyscfLabeler, tmp_path: Path, figure: Figure
) -> None:
    """1 hartree is 27.211386 eV, and 27.211386 / 0.52917721 = 51.422067, so that 1 hartree/bohr is
    51.422067 eV/Å. ASE's constants, a second source, say the same.
    """
    from ase.units import Bohr, Hartree

    field = alone("wb97x-d3bj", basis="sto-3g")
    gradient = field.nuc_grad_method()
    gradient.grid_response = True
    slopes = gradient.kernel()
    mine = good(small, WATER, tmp_path).label
    energy, forces = field.e_tot * 27.211386, -slopes * 51.422067
    figure(PYSCF, "energy by hand", mine.energy / energy - 1.0, "relative")
    figure(PYSCF, "forces by hand", largest(mine.forces, forces), "eV/Å")
    assert mine.energy == pytest.approx(energy, rel=1e-7)
    assert mine.forces == pytest.approx(forces, abs=1e-5)
    assert mine.forces == pytest.approx(-slopes * Hartree / Bohr, abs=1e-5)


def test_labels_agree_with_ases_calculator_of_pyscf(tmp_path: Path, figure: Figure) -> None:
    """PySCF's own calculator for ASE, whose forces leave out that the grid moves with the atoms."""
    from pyscf.pbc.tools.pyscf_ase import PySCF

    given = labeler(grid_response=False)
    mine = good(given, WATER, tmp_path).label
    given.close()
    atoms = atoms_of(WATER)
    atoms.calc = PySCF(method=alone("wb97x-d3bj", basis="sto-3g"))
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    figure(PYSCF, "energy against ASE", mine.energy / energy - 1.0, "relative")
    figure(PYSCF, "forces against ASE", largest(mine.forces, forces), "eV/Å")
    assert mine.energy == pytest.approx(energy, rel=1e-7)
    assert mine.forces == pytest.approx(forces, abs=1e-4)


def test_the_functional_is_wb97x_v_without_vv10_and_with_the_papers_d3bj(
    small: PyscfLabeler, tmp_path: Path
) -> None:
    """Najibi and Goerigk, JCTC 2018, 14, 5725: s8 0.2641, a1 0, a2 5.4959, put in by hand."""
    core = alone("wb97x_v", nlc=0, basis="sto-3g")
    expected = core.e_tot + d3bj(core.mol, s8=0.2641, a1=0.0, a2=5.4959)
    energy = good(small, WATER, tmp_path).label.energy
    assert energy == pytest.approx(expected * 27.211386, rel=3e-8)


def d3bj(molecule, s8: float, a1: float, a2: float) -> float:
    """simple-dftd3's energy (hartree) with explicit parameters, not by a functional's name."""
    import ctypes

    from pyscf.dispersion import dftd3

    model = dftd3.DFTD3Dispersion(molecule, xc="pbe")
    library = dftd3.libdftd3
    error = library.dftd3_new_error()
    library.dftd3_new_rational_damping.restype = library.dftd3_load_rational_damping.restype
    numbers = (ctypes.c_double(one) for one in (1.0, s8, 0.0, a1, a2, 14.0))
    library.dftd3_delete_param(ctypes.byref(model._param))
    model._param = library.dftd3_new_rational_damping(error, *numbers)
    dftd3.error_check(error)
    library.dftd3_delete_error(ctypes.byref(error))
    return float(model.get_dispersion()["energy"])


def test_cp2k_has_the_same_dispersion_with_the_papers_parameters(tmp_path: Path) -> None:
    """Another program's D3(BJ), with s6, a1, s8, a2 written out; -5.698e-4 hartree for a water is
    also what PySCF's own tests have. The two codes' coordination numbers differ in the 4th digit.
    """
    program = require_program("cp2k.psmp")
    field = alone("wb97x_v", nlc=0, basis="sto-3g")
    rows = (
        f"{symbol} {' '.join(map(str, place + 10.0))}"
        for symbol, place in zip(WATER.species, WATER.positions, strict=True)
    )
    lines = DISPERSION_ONLY.format(atoms="\n".join(rows))
    (tmp_path / "d3.inp").write_text(lines)
    done = subprocess.run(
        [str(program), "-i", "d3.inp"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMPI_MCA_ess_singleton_isolated": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Dispersion energy:\s+(-\d\.\d+)", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert d3bj(field.mol, 0.2641, 0.0, 5.4959) == pytest.approx(float(found[1]), rel=1e-3)
    assert float(found[1]) == pytest.approx(-5.7e-4, abs=2e-5)


DISPERSION_ONLY = """
&GLOBAL
  PROJECT d3
  RUN_TYPE ENERGY
  PRINT_LEVEL MEDIUM
&END
&FORCE_EVAL
  METHOD QS
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF 40
    &END
    &SCF
      MAX_SCF 1
    &END
    &XC
      &XC_FUNCTIONAL PBE
      &END
      &VDW_POTENTIAL
        POTENTIAL_TYPE PAIR_POTENTIAL
        &PAIR_POTENTIAL
          TYPE DFTD3(BJ)
          PARAMETER_FILE_NAME dftd3.dat
          D3BJ_SCALING 1.0 0.0 0.2641 5.4959
        &END
      &END
    &END
  &END
  &SUBSYS
    &CELL
      ABC 20 20 20
    &END
    &COORD
{atoms}
    &END
    &KIND O
      BASIS_SET SZV-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE
    &END
    &KIND H
      BASIS_SET SZV-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE
    &END
  &END
&END
"""


def test_charge_and_spin_reach_pyscf(small: PyscfLabeler, tmp_path: Path) -> None:
    cation = good(small, WATER, tmp_path, charge=1, multiplicity=2)
    field = alone("wb97x-d3bj", basis="sto-3g", charge=1, spin=1)
    assert cation.label.energy == pytest.approx(field.e_tot * 27.211386, rel=3e-8)
    assert abs(cation.label.energy - good(small, WATER, tmp_path).label.energy) > 5.0


@pytest.mark.slow
def test_the_default_method_labels_a_molecule(tmp_path: Path) -> None:
    """wB97X-D3(BJ)/def2-TZVPD on H2: of 1.17 hartree, and forces that push a long bond together."""
    frame = Frame(("H", "H"), np.array([[0.0, 0, 0], [0.85, 0, 0]]))
    given = PyscfLabeler(PyscfLabeler.Config(threads=1, device="cpu"))
    given.check(System("s", frame))
    result = good(given, frame, tmp_path)
    given.close()
    assert result.level.method == "wb97x-d3bj/def2-tzvpd"
    assert result.label.energy / 27.211386 == pytest.approx(-1.17, abs=0.015)
    assert result.label.forces[0, 0] > 0.5
    assert result.label.forces.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-6)


# --------------------------------------------------------------------------- other ways


def test_a_failed_scf_is_solved_another_way_and_the_label_says_so(tmp_path: Path) -> None:
    hasty, careful = labeler(max_cycles=2), labeler()
    result, wanted = good(hasty, WATER, tmp_path), good(careful, WATER, tmp_path)
    hasty.close()
    careful.close()
    assert "level_shift: 0.0 → 0.3" in result.handlers
    assert wanted.handlers == ()
    assert result.label.energy == pytest.approx(wanted.label.energy, abs=1e-6)
    assert result.level.fingerprint == wanted.level.fingerprint


def test_newtons_method_reaches_the_same_ground_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, newton = handlers.ways(50)
    monkeypatch.setattr("labelers.pyscf.labeler.ways", lambda cycles: (newton,))
    given = labeler()
    result = good(given, WATER, tmp_path)
    monkeypatch.setattr("labelers.pyscf.labeler.ways", lambda cycles: (first,))
    wanted = good(given, WATER, tmp_path)
    given.close()
    assert result.label.energy == pytest.approx(wanted.label.energy, abs=1e-6)
    assert result.label.forces == pytest.approx(wanted.label.forces, abs=1e-3)


def test_an_scf_that_no_way_solves_is_a_failure_and_never_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MOST_CYCLES", 1)
    given = labeler(max_cycles=1)
    result = labelled(given, WATER, tmp_path)
    given.close()
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.NOT_CONVERGED
    assert "after 1 cycles" in result.message
    assert any("second_order" in change for change in result.handlers)
    assert result.directory is not None
    assert (result.directory / "0" / "pyscf.log").stat().st_size > 0


# --------------------------------------------------------------------------- failures


def test_a_process_that_is_killed_is_a_failure_and_the_next_label_comes(tmp_path: Path) -> None:
    given = labeler(basis="def2-tzvp", grid_level=3)
    hit: list[int] = []

    def kill_once() -> bool:
        """Asked while PySCF works: the folder of the label says that it has begun."""
        if not hit and list(tmp_path.glob("point-*/0/pyscf.log")):
            with given._workers.lent() as idle:  # the one that works is lent: this is another
                assert idle._process is None
            (busy,) = [one for one in given._workers._all if one._process is not None]
            hit.append(busy._process.pid)
            os.kill(hit[0], signal.SIGKILL)
        return False

    task = SinglePoints(System("s", WATER), (WATER,), (ORIGIN,))
    (result,) = given.label(task, Context(tmp_path, stop=kill_once))
    assert hit
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_MEMORY
    assert result.retry_can_help
    other = Frame(("H", "H"), np.array([[0.0, 0, 0], [0.75, 0, 0]]))
    good(given, other, tmp_path)
    given.close()


def test_a_label_that_takes_too_long_is_out_of_time(tmp_path: Path) -> None:
    given = labeler(basis="def2-tzvp", timeout_s=0.05)
    result = labelled(given, WATER, tmp_path)
    given.close()
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_TIME
    assert result.retry_can_help


def test_a_stop_in_the_middle_of_a_label_ends_its_process(tmp_path: Path) -> None:
    given = labeler(basis="def2-tzvp")
    task = SinglePoints(System("s", WATER), (WATER,), (ORIGIN,))
    begun = Context(tmp_path, stop=lambda: bool(list(tmp_path.glob("point-*/0/pyscf.log"))))
    with pytest.raises(StopRequested):
        list(given.label(task, begun))
    assert all(worker._process is None for worker in given._workers._all)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"functional": "wb97x-d3"}, "labeler.functional"),
        ({"functional": "no-such"}, "labeler.functional"),
        ({"basis": "no-such-basis"}, "labeler.basis"),
    ],
)
def test_names_that_pyscf_does_not_know_are_found_before_anything_runs(
    settings: dict[str, str], key: str
) -> None:
    given = labeler(**settings)
    with pytest.raises(ConfigurationError, match="PySCF cannot calculate") as caught:
        given.check(System("s", WATER))
    given.close()
    assert caught.value.key == key


def test_vv10_of_open_shells_is_refused_before_an_scf_is_paid_for() -> None:
    given = labeler(functional="wb97x-v")
    given.check(System("s", WATER))
    with pytest.raises(ConfigurationError, match="no VV10 forces"):
        given.check(System("s", WATER, charge=1, multiplicity=2))
    given.close()


def test_a_periodic_system_is_refused_with_the_way_to_clusters(small: PyscfLabeler) -> None:
    frame = replace(WATER, cell=9.0 * np.eye(3), pbc=(True,) * 3)
    with pytest.raises(ConfigurationError, match="periodic") as caught:
        small.check(System("s", frame))
    assert "sis carve" in str(caught.value.hint)


def test_a_gpu_that_is_not_there_is_said_before_anything_runs() -> None:
    import importlib.util

    if importlib.util.find_spec("gpu4pyscf") is not None:
        pytest.skip("gpu4pyscf is installed here")
    given = labeler(device="gpu")
    with pytest.raises(ProgramUnsuitable, match="no GPU"):
        given.check(System("s", WATER))
    given.close()
