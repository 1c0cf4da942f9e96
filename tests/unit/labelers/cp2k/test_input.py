"""The input: what is written is what cp2k-input-tools reads back, and means what was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k import motion
from labelers.cp2k.config import Cp2kConfig
from labelers.cp2k.handlers import Tree, ways
from labelers.cp2k.input import Job, box_of, force_eval, structure
from labelers.cp2k.schema import parsed
from labelers.cp2k.template import read_template
from labelers.k_points import k_grid
from sis_engine.errors import ConfigurationError
from sis_engine.plugins import validated
from sis_engine.records import Frame, OptimiseSpec, SegmentSpec, System
from tests.unit.labelers.cp2k.recordings import SYSTEM, WATER

CLUSTER = System("c", Frame(WATER.species, WATER.positions))
METAL = {
    "method": {"type": "dft", "smearing_k": 300.0, "k_spacing_per_angstrom": 0.1},
    "scf": {"solver": "diagonalization"},
}


def config(**given: object) -> Cp2kConfig:
    return Cp2kConfig.model_validate(given)


def point(given: Cp2kConfig, system: System) -> Tree:
    lines = structure(
        box_of(given, system, system.frame), system.frame.species, system.frame.positions
    )
    return parsed(Job("ENERGY_FORCE", force_eval(given, system)).text(lines))


def test_the_default_is_the_papers_pbe_d3_with_molopt_bases_and_gth() -> None:
    tree = point(config(), SYSTEM)["force_eval"]
    kinds = tree["subsys"]["kind"]
    assert {kind["basis_set"] for kind in kinds.values()} == {"DZVP-MOLOPT-SR-GTH"}
    assert {kind["potential"] for kind in kinds.values()} == {"GTH-PBE"}
    assert tree["dft"]["xc"]["xc_functional"]["_"] == "PBE"
    pair = tree["dft"]["xc"]["vdw_potential"]["pair_potential"]
    assert (pair["type"], pair["reference_functional"]) == ("dftd3", "PBE")
    assert tree["dft"]["mgrid"] == {"cutoff": 400.0, "rel_cutoff": 60.0}
    assert tree["stress_tensor"] == "analytical"


def test_coordinates_are_written_to_the_last_bit() -> None:
    coordinates = point(config(), SYSTEM)["force_eval"]["subsys"]["coord"]["*"]
    read = np.array([[float(word) for word in line.split()[1:]] for line in coordinates])
    assert (read == WATER.positions).all()
    assert [line.split()[0] for line in coordinates] == list(WATER.species)


@pytest.mark.parametrize("thermostat", ["csvr", "nose-hoover", "langevin", "none"])
@pytest.mark.parametrize("given", [{}, METAL, {"method": {"type": "gfn1-xtb"}}])
def test_every_job_is_one_that_cp2k_input_tools_reads(
    given: dict[str, object], thermostat: str
) -> None:
    settings = config(**given)
    spec = SegmentSpec(10, 0.5, 310.0, thermostat=thermostat, damping_fs=40.0, seed=9)
    physics = force_eval(settings, SYSTEM)
    for way in ways(physics["dft"]["scf"]):
        physics["dft"]["scf"] = way.scf
        for sections in (motion.md(spec, 9, None), motion.optimisation(OptimiseSpec(), 9)):
            text = Job("MD", physics, sections, seed=9, ext_restart="from.restart").text([])
            tree = parsed(text)
            assert tree["global"]["seed"] == 9
            assert tree["ext_restart"]["restart_file_name"] == "from.restart"
    md = parsed(Job("MD", physics, motion.md(spec, 9, None)).text([]))["motion"]["md"]
    assert (md["steps"], md["timestep"], md["temperature"]) == (9, 0.5, 310.0)
    assert md["ensemble"] == {"none": "nve", "langevin": "langevin"}.get(thermostat, "nvt")
    assert md["print"]["force_last"] is True


def test_a_cluster_lies_in_a_cube_and_its_frames_all_alike() -> None:
    given = config(vacuum_angstrom=5.0)
    box = box_of(given, CLUSTER, CLUSTER.frame)
    assert not box.periodic
    assert (box.cell == 12.0 * np.eye(3)).all()
    wiggled = replace(CLUSTER.frame, positions=CLUSTER.frame.positions + 0.3)
    assert (box_of(given, CLUSTER, wiggled).shift == box.shift).all()
    drifted = replace(CLUSTER.frame, positions=CLUSTER.frame.positions + 30.0)
    far = box_of(given, CLUSTER, drifted)
    assert drifted.positions + far.shift == pytest.approx(CLUSTER.frame.positions + box.shift)
    tree = point(given, CLUSTER)["force_eval"]
    assert tree["subsys"]["cell"]["periodic"] == "none"
    assert tree["dft"]["poisson"] == {"periodic": "none", "poisson_solver": "wavelet"}
    assert "stress_tensor" not in tree


def test_a_slab_that_is_periodic_in_two_directions_is_refused() -> None:
    half = replace(WATER, pbc=(True, True, False))
    with pytest.raises(ConfigurationError, match="all three directions or in none"):
        box_of(config(), System("s", half), half)


def test_k_points_follow_from_spacing_without_two_pi() -> None:
    """0.02 1/Å is 15 points along a bcc Li axis of 3.44 Å."""
    cell = 3.44 * np.eye(3)
    frame = Frame(("Li", "Li"), np.array([[0.0, 0, 0], [1.72, 1.72, 1.72]]), cell, (True,) * 3)
    assert k_grid(0.02, frame) == (15, 15, 15)
    assert k_grid(0.02, replace(frame, cell=cell * np.array([[2.0], [1], [1]]))) == (8, 15, 15)


def test_charge_and_spin_are_the_systems() -> None:
    tree = point(config(), replace(SYSTEM, charge=1, multiplicity=2))["force_eval"]["dft"]
    assert (tree["charge"], tree["multiplicity"], tree["uks"]) == (1, 2, True)
    assert "uks" not in point(config(), SYSTEM)["force_eval"]["dft"]


def test_frozen_atoms_are_kinds_of_their_own_too_heavy_to_move() -> None:
    system = replace(SYSTEM, frozen=(0, 2))
    physics = motion.with_heavy_kinds(force_eval(config(), system), system)
    assert motion.kinds_of(system) == ("O1", "H", "H1")
    kinds = parsed(Job("MD", physics).text([]))["force_eval"]["subsys"]["kind"]
    assert set(kinds) == {"O", "H", "O1", "H1"}
    assert kinds["H1"]["mass"] > 1e15
    assert kinds["H1"]["element"] == "H"
    assert kinds["H1"]["basis_set"] == kinds["H"]["basis_set"]
    assert "mass" not in kinds["H"]


def test_a_thermostat_holds_what_moves_named_by_ranges() -> None:
    spec = SegmentSpec(2, 0.5, 300.0)
    section = motion.md(spec, 1, [0, 1, 2, 5, 7, 8])["md"]["thermostat"]
    assert section["region"] == "DEFINED"
    assert section["define_region"] == [{"list": [["1..3"], ["6..6"], ["8..9"]]}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": {"type": "dft", "smearing_k": 300.0}}, "need `scf: {solver: diagonalization}`"),
        ({"method": {"type": "dft", "functionl": "PBE"}}, "did you mean 'functional'"),
        ({"ranks": 0}, "ranks"),
        (
            {"method": {"type": "template", "file": "x.inp"}, "scf": {"eps_scf": 1e-6}},
            "leave `scf` out",
        ),
        ({"method": {"type": "hf"}}, "gfn1-xtb"),
        ({"method": "hf"}, "gfn1-xtb"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validated(Cp2kConfig, given, key="labeler")
    assert words in str(caught.value)


def test_a_method_without_settings_may_be_named_alone() -> None:
    named = validated(Cp2kConfig, {"method": "gfn1-xtb"}, key="labeler")
    assert named == validated(Cp2kConfig, {"method": {"type": "gfn1-xtb"}}, key="labeler")


TEMPLATE = """! a user's own input
&GLOBAL
  PROJECT mine
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  METHOD QS
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    &MGRID
      CUTOFF 500
    &END
    &SCF
      EPS_SCF 1.0E-7
      MAX_SCF 20
      &OT
        MINIMIZER CG
      &END
      &PRINT
        &RESTART OFF
        &END
      &END
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END
    &END
  &END DFT
  &SUBSYS
    &CELL
      ABC 10 10 10
    &END
    &COORD
      O 0 0 0
    &END
    &KIND O
      BASIS_SET TZVP-MOLOPT-GTH
      POTENTIAL GTH-PBE-q6
    &END
    &KIND H
      BASIS_SET TZVP-MOLOPT-GTH
      POTENTIAL GTH-PBE-q1
    &END
  &END
&END
"""


def template(folder: Path, text: str = TEMPLATE) -> Path:
    path = folder / "mine.inp"
    path.write_text(text)
    return path


def test_a_template_keeps_its_physics_and_gets_our_structure_and_printing(tmp_path: Path) -> None:
    given = config(method={"type": "template", "file": template(tmp_path)})
    tree = point(given, SYSTEM)["force_eval"]
    assert tree["dft"]["mgrid"]["cutoff"] == 500.0
    assert tree["dft"]["scf"]["ot"]["minimizer"] == "cg"
    assert tree["subsys"]["kind"]["O"]["basis_set"] == "TZVP-MOLOPT-GTH"
    assert len(tree["subsys"]["coord"]["*"]) == 3
    assert "abc" not in tree["subsys"]["cell"]
    assert tree["print"]["forces"]["ndigits"] == 14


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MAX_SCF 20", "MAX_SCF 99"),
        ("MINIMIZER CG", "MINIMIZER DIIS\n PRECONDITIONER FULL_ALL"),
        ("&RESTART OFF", "&RESTART ON"),
        ("ABC 10 10 10", "ABC 20 20 20"),
        ("RUN_TYPE ENERGY", "RUN_TYPE MD"),
        ("CUTOFF 500", "cutoff   5.0E2 ! the same"),
        ("    &KIND O\n", "    # moved\n    &KIND O\n"),
        ("POTENTIAL GTH-PBE-q1\n", "POTENTIAL   GTH-PBE-q1  \n"),
    ],
)
def test_how_a_template_is_written_or_solved_is_no_other_level(
    old: str, new: str, tmp_path: Path
) -> None:
    one = read_template(template(tmp_path)).fingerprint
    assert old in TEMPLATE
    other = template(tmp_path, TEMPLATE.replace(old, new))
    assert read_template(other).fingerprint == one


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CUTOFF 500", "CUTOFF 600"),
        ("EPS_SCF 1.0E-7", "EPS_SCF 1.0E-6"),
        ("XC_FUNCTIONAL PBE", "XC_FUNCTIONAL BLYP"),
        ("TZVP-MOLOPT-GTH", "DZVP-MOLOPT-GTH"),
        ("&MGRID", "UKS\n&MGRID"),
        ("&MGRID", "&QS\nEPS_DEFAULT 1e-14\n&END\n&MGRID"),
    ],
)
def test_what_changes_a_label_is_another_level(old: str, new: str, tmp_path: Path) -> None:
    one = read_template(template(tmp_path)).fingerprint
    other = template(tmp_path, TEMPLATE.replace(old, new, 1))
    assert read_template(other).fingerprint != one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEMPLATE.replace("CUTOFF 500", "CUTTOFF 500"), "CUTTOFF"),
        (TEMPLATE.replace("CUTOFF 500", "CUTOFF many"), "many"),
        (TEMPLATE.replace("&END DFT\n", ""), "SUBSYS"),
        (TEMPLATE.replace("METHOD QS", "METHOD FIST"), "not Quickstep"),
        ("&GLOBAL\n&END\n", "one &FORCE_EVAL"),
        (f"@INCLUDE more.inc\n{TEMPLATE}", "stands alone"),
        (
            TEMPLATE + "&MOTION\n&CONSTRAINT\n&FIXED_ATOMS\nLIST 1\n&END\n&END\n&END\n",
            "CONSTRAINT",
        ),
    ],
)
def test_a_template_that_cannot_be_kept_is_refused_with_its_reason(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_template(template(tmp_path, text))
    assert words in str(caught.value)
    assert "mine.inp" in str(caught.value)


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.inp"):
        read_template(tmp_path / "gone.inp")
