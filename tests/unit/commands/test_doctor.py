from __future__ import annotations

import os
from pathlib import Path

import pytest

from sis_engine.cli.tables import show_reports
from sis_engine.commands.doctor import examine, machine, mpi_launcher, problems
from sis_engine.interfaces import ProgramReport
from sis_engine.setup.assembly import assemble

SMOKE = Path(__file__).parents[3] / "configs" / "smoke.yaml"


def program(folder: Path, name: str, says: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_an_mpirun_of_another_mpi_for_openmpi_codes_is_a_problem_with_a_mend(
    tmp_path: Path,
) -> None:
    wrong = program(tmp_path / "venv", "mpirun", "HYDRA build details:")
    program(tmp_path / "bin", "pw.x")
    (report,) = mpi_launcher(f"{tmp_path / 'venv'}:{tmp_path / 'bin'}")
    assert report.problem is not None
    assert str(wrong) in report.problem
    assert "pw.x" in report.problem
    assert "openmpi-bin" in (report.mend or "")
    assert problems([report]) == (report,)


def test_another_mpirun_first_on_path_is_no_problem_where_openmpis_is_used(
    tmp_path: Path,
) -> None:
    program(tmp_path / "venv", "mpirun", "HYDRA build details:")
    right = program(
        tmp_path / "bin",
        "mpirun.openmpi",
        "mpirun.openmpi (OpenRTE) 4.1.4, http://www.open-mpi.org",
    )
    program(tmp_path / "bin", "cp2k.psmp")
    (report,) = mpi_launcher(f"{tmp_path / 'venv'}:{tmp_path / 'bin'}")
    assert report.problem is None
    assert report.found == str(right)


def test_without_codes_or_without_mpirun_there_is_no_trap(tmp_path: Path) -> None:
    program(tmp_path, "mpirun", "HYDRA build details:")
    assert mpi_launcher(str(tmp_path)) == ()
    (tmp_path / "mpirun").unlink()
    program(tmp_path, "pw.x")
    assert mpi_launcher(str(tmp_path)) == ()


def test_a_campaign_is_asked_about_its_own_parts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "mpirun", "HYDRA build details:")
    program(tmp_path, "pw.x")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    reports = examine(tmp_path, assemble(SMOKE))
    assert "mpirun" not in {report.name for report in reports}
    assert problems(reports) == ()


def test_what_was_not_examined_has_a_mark_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    show_reports(
        (
            ProgramReport("labeler espresso", None, None, None, "needs settings", examined=False),
            ProgramReport("lmp", "/usr/bin/lmp", "2025"),
            ProgramReport("gpu", None, None),
        )
    )
    signs = [line[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert signs == ["?", "✓", "–"]


def test_more_threads_than_cores_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    cores = next(report for report in machine(tmp_path) if report.name == "cores")
    assert cores.problem is not None
    assert "4096" in cores.problem
    assert "export OMP_NUM_THREADS" in (cores.mend or "")
