"""How an MPI program is started: shape, launcher, environment, and what it leaves behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from labelers.openmpi import MpiLaunch, find_mpirun
from sis_engine.errors import ProgramMissing
from sis_engine.execution.program import ProgramRun, run_program


def _executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("ranks", "threads", "cores", "shape"),
    [
        (None, 1, 4, (4, 1)),
        (2, 1, 4, (2, 1)),
        (8, 1, 4, (4, 1)),
        (None, 2, 4, (2, 2)),
        (4, 2, 4, (2, 2)),
        (1, 8, 4, (1, 4)),
        (4, 4, 1, (1, 1)),
        (None, 3, 4, (1, 3)),
    ],
)
def test_ranks_times_threads_never_outnumber_the_cores(ranks, threads, cores, shape):
    assert MpiLaunch(ranks, threads).shape(cores) == shape
    assert shape[0] * shape[1] <= cores


def test_the_launcher_of_this_environment_is_never_taken(tmp_path, monkeypatch):
    own = Path(sys.executable).parent
    theirs = _executable(tmp_path / "bin" / "mpirun")
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{theirs.parent}")
    assert find_mpirun() == theirs
    openmpi = _executable(tmp_path / "later" / "mpirun.openmpi")
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{theirs.parent}{os.pathsep}{openmpi.parent}")
    assert find_mpirun() == openmpi
    monkeypatch.setenv("PATH", str(own))
    with pytest.raises(ProgramMissing, match="no mpirun"):
        find_mpirun()


def test_one_rank_needs_no_launcher(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    launched = MpiLaunch(ranks=1).launched(ProgramRun(("/bin/true",), tmp_path), cores=8)
    assert launched.arguments == ("/bin/true",)
    run_program(launched)


def test_what_openmpi_shares_lies_in_a_folder_that_goes_with_the_program(tmp_path):
    show = (
        'import os; print(os.environ["OMPI_MCA_orte_tmpdir_base"], os.environ["OMP_NUM_THREADS"])'
    )
    launcher = _executable(tmp_path / "mpirun", '#!/bin/sh\nshift 2\nexec "$@"\n')
    launch = MpiLaunch(2, 3, mpirun=launcher, mpirun_arguments=())
    launched = launch.launched(ProgramRun((sys.executable, "-c", show), tmp_path), cores=6)
    assert launched.arguments[:3] == (str(launcher), "-np", "2")
    (scratch,) = launched.remove
    assert scratch.is_dir()
    assert run_program(launched).stdout_tail.split() == [str(scratch), "3"]
    assert not scratch.exists()
