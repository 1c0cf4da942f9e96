"""The kit's LAMMPS input, run as somebody does who has nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sis_engine.commands.kit import DATA, INPUT, lammps_files
from sis_engine.config.campaign import CampaignConfig
from sis_engine.records import Frame, System
from tests.contract import lennard_jones as lj
from tests.external.conftest import require_program
from tests.integration.small_campaigns import smoke

pytestmark = pytest.mark.external

NPT = {"explore.condition.ensemble": "npt", "explore.condition.pressure_gpa": 0.1}
TRICLINIC = {"explorer": {"type": "lammps", "pressure_coupling": "tri"}}
LANGEVIN = {"explore.condition.thermostat": "langevin", "explore.condition.minimise": False}


@pytest.mark.parametrize(
    ("frame", "frozen", "changes"),
    [
        (lj.cluster(), (), {}),
        (lj.cluster(), (0, 3), LANGEVIN),
        (lj.solid(), (), {**NPT, **TRICLINIC}),
        (lj.solid(), (), {"explore.condition.thermostat": "csvr"}),
    ],
)
def test_the_input_runs_as_it_is(
    frame: Frame, frozen: tuple[int, ...], changes: Mapping[str, Any], tmp_path: Path
) -> None:
    require_program("lmp")
    lammps = lj.fast_lammps()
    assert lammps is not None
    short = {"explore.condition.duration_ps": 0.2, "explore.condition.temperature_k": 30.0}
    config = CampaignConfig.model_validate(smoke({**short, **changes}))
    texts = lammps_files(config, System("s", frame, frozen=frozen), lj.model())
    assert set(texts) == {INPUT, DATA}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [str(lammps.program), "-in", INPUT],
        cwd=tmp_path,
        env={**os.environ, **lammps.environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert f"for 100 steps with {frame.n_atoms} atoms" in done.stdout
    first, *_, last = (tmp_path / "md.lammpstrj").read_text().split("ITEM: TIMESTEP\n")[1:]
    before, after = (text.splitlines()[-frame.n_atoms :] for text in (first, last))
    assert [row.split()[1] for row in after] == list(frame.species)
    moved = {k for k, rows in enumerate(zip(before, after, strict=True)) if rows[0] != rows[1]}
    assert moved == set(range(frame.n_atoms)) - set(frozen)
