"""The labeler's border: levels of theory, checks, what it remembers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k.labeler import Cp2kLabeler
from sis_engine.errors import ConfigurationError, ProgramMissing, ProgramUnsuitable
from sis_engine.interfaces import Capability, Context, SinglePoints
from sis_engine.records import Failure, Frame, LabelFailure, System
from tests.unit.labelers.cp2k.recordings import BASES, ORIGIN, SYSTEM, WATER, playing

DFT = {"type": "dft"}


def labeler(folder: Path, **settings: object) -> Cp2kLabeler:
    return playing(folder, ("good-point", 0), **settings)


def fingerprint(given: Cp2kLabeler, system: System = SYSTEM, **settings: object) -> str:
    changed = given.config.model_validate(given.config.model_dump() | settings)
    return Cp2kLabeler(changed).level_of_theory(system).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"method": DFT | {"functional": "BLYP", "potential": "GTH-PBE"}},
        {"method": DFT | {"dispersion": "D3BJ"}},
        {"method": DFT | {"dispersion": "none"}},
        {"method": DFT | {"basis_by_element": {"O": "TZVP-MOLOPT-GTH"}}},
        {"method": DFT | {"cutoff_rydberg": 500.0}},
        {"method": DFT | {"relative_cutoff_rydberg": 50.0}},
        {"method": DFT | {"smearing_k": 300.0}, "scf": {"solver": "diagonalization"}},
        {
            "method": DFT | {"k_spacing_per_angstrom": 0.1},
            "scf": {"solver": "diagonalization"},
        },
        {"scf": {"eps_scf": 1e-7}},
        {"method": {"type": "gfn1-xtb"}},
    ],
)
def test_what_changes_a_label_is_in_the_level_of_theory(
    change: dict[str, object], tmp_path: Path
) -> None:
    given = labeler(tmp_path, method=DFT)
    assert fingerprint(given, **change) != fingerprint(given)


@pytest.mark.parametrize(
    "change",
    [
        {"ranks": 8, "threads_per_rank": 2},
        {"scf": {"minimizer": "CG", "preconditioner": "FULL_ALL", "max_iterations": 9}},
        {"scf": {"solver": "diagonalization"}},
        {"silent_timeout_s": 9.0, "soft_stop_s": 1.0},
        {"dynamics": "engine", "virial": False, "side_by_side": False},
        {"method": DFT | {"basis_by_element": {"Li": "X"}}},
    ],
)
def test_what_does_not_change_a_label_is_not(change: dict[str, object], tmp_path: Path) -> None:
    given = labeler(tmp_path, method=DFT)
    assert fingerprint(given, **change) == fingerprint(given)


def test_charge_spin_and_a_clusters_box_are_part_of_the_level(tmp_path: Path) -> None:
    given = labeler(tmp_path, method=DFT)
    one = fingerprint(given)
    assert fingerprint(given, replace(SYSTEM, charge=2)) != one
    assert fingerprint(given, replace(SYSTEM, multiplicity=3)) != one
    cluster = System("c", Frame(WATER.species, WATER.positions))
    assert fingerprint(given, cluster) != one
    assert fingerprint(given, cluster, vacuum_angstrom=8.0) != fingerprint(given, cluster)


def test_the_content_of_a_data_file_is_part_of_the_level_and_its_comments_are_not(
    tmp_path: Path,
) -> None:
    given = labeler(tmp_path, method=DFT)
    one = fingerprint(given)
    other = tmp_path / "other"
    other.mkdir()
    for file in (tmp_path / "data").iterdir():
        (other / file.name).write_text(file.read_text())
    (other / "BASIS_MOLOPT").write_text(BASES.replace("# a", "#  another").replace("  1.0", " 1.0"))
    assert fingerprint(given, data_dir=other) == one
    third = tmp_path / "third"
    other.rename(third)
    (third / "BASIS_MOLOPT").write_text(BASES.replace("2.0  0.5", "2.1  0.5"))
    assert fingerprint(given, data_dir=third) != one


def test_capabilities_follow_from_the_settings(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    assert {Capability.SEGMENT, Capability.OPTIMISE, Capability.VIRIAL} < given.capabilities
    engine = Cp2kLabeler(given.config.model_copy(update={"dynamics": "engine"}))
    assert Capability.SEGMENT not in engine.capabilities
    alone = Cp2kLabeler(given.config.model_copy(update={"side_by_side": False}))
    assert Capability.SIDE_BY_SIDE not in alone.capabilities


def test_exactness_is_promised_only_where_it_is_kept(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    assert "CP2K's MD" in str(given.not_exact_because)
    cold = given.config.model_copy(update={"dynamics": "engine"})
    assert Cp2kLabeler(cold).not_exact_because is None
    many = cold.model_copy(update={"ranks": None})
    assert "ranks" in str(Cp2kLabeler(many).not_exact_because)


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        (replace(SYSTEM, charge=1), {}, "do not go with 9 electrons"),
        (System("s", replace(WATER, pbc=(True, False, True))), {}, "all three directions"),
        (System("s", replace(WATER, positions=0.3 * WATER.positions)), {}, "Å apart"),
        (System("s", replace(WATER, species=("O", "H", "Fr"))), {}, "no parameters for Fr"),
        (System("s", replace(WATER, species=("O", "H", "Li")), charge=1), {"method": DFT}, "Li"),
    ],
)
def test_a_system_it_cannot_do_is_refused_with_the_reason(
    system: System, settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labeler(tmp_path, **settings).check(system)
    assert words in str(caught.value)


def test_a_system_it_can_do_passes(tmp_path: Path) -> None:
    labeler(tmp_path, method=DFT).check(SYSTEM)


def test_a_missing_program_says_where_it_was_looked_for(tmp_path: Path) -> None:
    given = Cp2kLabeler(Cp2kLabeler.Config(program=tmp_path / "nothing"))
    with pytest.raises(ProgramMissing, match="nothing"):
        given.check(SYSTEM)
    (report,) = given.doctor()
    assert report.found is None
    assert report.mend is not None


def test_a_missing_data_folder_and_a_stranger_are_told(tmp_path: Path) -> None:
    given = labeler(tmp_path, data_dir=tmp_path / "nowhere")
    with pytest.raises(ProgramUnsuitable, match="nowhere"):
        given.check(SYSTEM)
    assert any(report.problem for report in given.doctor())
    stranger = tmp_path / "stranger"
    stranger.write_text("#!/bin/sh\necho hello\n")
    stranger.chmod(0o755)
    with pytest.raises(ProgramUnsuitable, match="does not answer as CP2K"):
        Cp2kLabeler(Cp2kLabeler.Config(program=stranger)).check(SYSTEM)


def test_threads_and_ranks_never_exceed_the_cores() -> None:
    for cores in (1, 2, 3, 8):
        for ranks in (None, 1, 4):
            for threads in (1, 2, 6):
                config = Cp2kLabeler.Config(ranks=ranks, threads_per_rank=threads)
                n, each = config.mpi.shape(cores)
                assert 1 <= n * each <= cores


def test_a_frame_no_code_should_see_is_refused_without_a_run(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    positions = WATER.positions.copy()
    positions[1] = positions[0] + 0.01
    bad = replace(WATER, positions=positions)
    (result,) = given.label(SinglePoints(SYSTEM, (bad,), (ORIGIN,)), Context(tmp_path))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.BAD_GEOMETRY
    assert not list((tmp_path / "plays").iterdir())


def test_a_cluster_that_has_grown_out_of_its_box_is_refused(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    frame = Frame(WATER.species, WATER.positions)
    grown = replace(frame, positions=frame.positions * np.array([[1.0], [1.0], [30.0]]))
    task = SinglePoints(System("c", frame), (grown,), (ORIGIN,))
    (result,) = given.label(task, Context(tmp_path))
    assert isinstance(result, LabelFailure)
    assert "out of its box" in result.message
