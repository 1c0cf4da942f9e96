from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sis_engine.explorers.lammps.shared_memory import remove_what_the_dead_left


def test_only_segments_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    dead, alive = f"mpich_shm_{gone.pid:x}_0", f"mpich_shm_{os.getpid():x}_0"
    for name in (dead, alive, f"mpich_shm_{gone.pid:x}", "another"):
        (tmp_path / name).touch()
    assert remove_what_the_dead_left(tmp_path) == (dead,)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {alive, f"mpich_shm_{gone.pid:x}", "another"}
    )
    assert remove_what_the_dead_left(tmp_path / "nowhere") == ()
