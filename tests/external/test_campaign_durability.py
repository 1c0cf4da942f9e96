"""A small real campaign (tblite, dp, lmp) in the exact setting, killed in every stage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sis_engine.storage.ledger import Ledger
from tests.external.conftest import require_module, require_program

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
SIS = Path(sys.executable).parent / "sis"

CAMPAIGN = """
name: small-real
seed: 2
exact: true
systems:
  - {name: lifsi-dol, structure: lifsi-dol-cluster.xyz}
labeler: {type: xtb, method: GFN2-xTB, charges: true}
trainer:
  type: deepmd
  cutoff_angstrom: 5.0
  sel: 20
  descriptor: {type: dpa1, neuron: [4, 8], axis_neuron: 4}
  fitting: {neuron: [8, 8]}
explorer: {type: lammps}
execution: {cores: 2}
initial:
  segment: {length_fs: 30.0, timestep_fs: 0.5}
explore:
  replicas: 3
  sampling: {sparse_every_ps: 0.005}
  condition:
    {duration_ps: 0.1, timestep_fs: 0.5, minimise: false, velocity_factor: 1.0}
monitors:
  - {type: temperature}
  - {type: blow_up}
sampler:
  type: sis
  min_survivors: 3
  segment: {length_fs: 10.0, timestep_fs: 0.5}
  audit: {burn_in_ps: 0.05, decorrelation_fs: 5.0}
training: {steps_first: 20, steps: 10, batch_size: 2}
triage: {rerun: false}
budget: {generations: 1}
"""


def written(folder: Path) -> Path:
    require_program("lmp")
    require_program("dp")
    require_module("tblite")
    folder.mkdir()
    shutil.copy(ROOT / "configs" / "structures" / "lifsi-dol-cluster.xyz", folder)
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    return folder / "campaign.yaml"


def started(config: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SIS, "run", config, folder, "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def ended(config: Path, folder: Path) -> int:
    engine = started(config, folder)
    told, _ = engine.communicate(timeout=600)
    assert engine.returncode in {0, 4}, told
    return engine.returncode


def wait_for(engine: subprocess.Popen[str], folder: Path, stage: str, seconds: float) -> bool:
    """Wait until a stage runs and then a while; ``False`` when the engine ended before."""
    while engine.poll() is None:
        if list((folder / "work" / "0000" / stage).glob("*")):
            time.sleep(seconds)
            return engine.poll() is None
        time.sleep(0.02)
    return False


def digest_and_evaluations(folder: Path) -> tuple[str, int]:
    with Ledger(folder, read_only=True) as ledger:
        counted = sum(item.paid for item in ledger.counts())
        return ledger.generations()[-1].digest, counted


def children_of(folder: Path) -> list[str]:
    """Command lines of processes whose working directory is inside the campaign."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            inside = (entry / "cwd").resolve().is_relative_to(folder)
            if entry.name.isdecimal() and inside:
                found.append((entry / "cmdline").read_bytes().decode().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("undisturbed")
    ended(written(place / "given"), place / "run")
    return place / "run"


def test_a_real_campaign_killed_in_every_stage_has_the_same_digest(
    undisturbed: Path, tmp_path: Path
) -> None:
    config, folder = written(tmp_path / "given"), tmp_path / "run"
    kills = [("label", 0.2), ("train-1", 3.0), ("admit-1", 1.0), ("explore", 2.5)]
    for stage, seconds in kills:
        engine = started(config, folder)
        assert wait_for(engine, folder, stage, seconds), (stage, engine.communicate())
        engine.send_signal(signal.SIGKILL)
        engine.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while children_of(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not children_of(folder)  # killed engines leave no program behind
    ended(config, folder)
    assert digest_and_evaluations(folder) == digest_and_evaluations(undisturbed)


def test_sigterm_in_training_ends_the_programs_and_is_resumable(
    undisturbed: Path, tmp_path: Path
) -> None:
    config, folder = written(tmp_path / "given"), tmp_path / "run"
    engine = started(config, folder)
    assert wait_for(engine, folder, "train-1", 0.0)
    while not children_of(folder):
        assert engine.poll() is None
        assert not (folder / "work" / "0000" / "admit-1").exists()
        time.sleep(0.05)
    began = time.monotonic()
    engine.terminate()
    told, _ = engine.communicate(timeout=60)
    assert engine.returncode == 3, told
    assert time.monotonic() - began < 30
    assert not children_of(folder)
    ended(config, folder)
    assert digest_and_evaluations(folder) == digest_and_evaluations(undisturbed)
