from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.commands.doctor import machine, mpi_trap, problems


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_an_mpirun_of_another_mpi_before_openmpi_codes_is_a_problem_with_a_mend(
    tmp_path: Path,
) -> None:
    wrong = program(tmp_path / "venv", "mpirun")
    right = program(tmp_path / "bin", "mpirun.openmpi")
    program(tmp_path / "bin", "mpirun")
    program(tmp_path / "bin", "pw.x")
    (report,) = mpi_trap(f"{tmp_path / 'venv'}:{tmp_path / 'bin'}")
    assert report.problem is not None
    assert str(wrong) in report.problem
    assert "pw.x" in report.problem
    assert report.mend is not None
    assert str(right) in report.mend
    assert problems([report]) == (report,)


def test_openmpis_own_mpirun_is_no_problem(tmp_path: Path) -> None:
    right = program(tmp_path, "mpirun.openmpi")
    (tmp_path / "mpirun").symlink_to(right)
    program(tmp_path, "cp2k.psmp")
    (report,) = mpi_trap(str(tmp_path))
    assert report.problem is None


def test_without_codes_or_without_mpirun_there_is_no_trap(tmp_path: Path) -> None:
    assert mpi_trap(str(tmp_path)) == ()
    program(tmp_path, "mpirun")
    (report,) = mpi_trap(str(tmp_path))
    assert report.problem is None


def test_more_threads_than_cores_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    cores = next(report for report in machine(tmp_path) if report.name == "cores")
    assert cores.problem is not None
    assert "4096" in cores.problem
    assert "export OMP_NUM_THREADS" in (cores.mend or "")
