"""CP2K's labels from Slurm jobs are those it makes here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k.labeler import Cp2kLabeler
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Frame, Labelled, Origin, Purpose, System
from sis_engine.remote.account import Account
from sis_engine.setup.label_source import Elsewhere, pooled_label_source
from sis_engine.storage.bank import LabelBank
from tests.external.conftest import require_program
from tests.external.cp2k_cases import waters
from tests.external.slurm.cluster import Cluster
from tests.external.slurm.running import cluster, pool_settings

__all__ = ["cluster"]
pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(1800)]
SETTINGS = {"type": "cp2k", "method": {"type": "gfn1-xtb"}, "scf": {"eps_scf": 1e-7}, "ranks": 1}
SCF_EV = 1e-5
"""Two SCFs converged to 1e-7 Hartree differ by less."""


def test_a_batch_of_cp2k_labels_has_the_same_energies(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("cp2k.psmp")
    monkeypatch.setenv("SLURM_CONF", str(cluster.configuration))
    task, labeler = batch(4), Cp2kLabeler(Cp2kLabeler.Config.model_validate(SETTINGS))
    (tmp_path / "here").mkdir()
    here = {i.key: i for i in labeler.label(task, Context(tmp_path / "here"))}
    settings = LabelPool.model_validate(pool_settings("day", group=2))
    pool = ParslPool("label", settings, tmp_path / "pool", "127.0.0.1")
    try:
        with LabelBank(tmp_path / "labels") as bank:
            place = Elsewhere(pool, SETTINGS, tmp_path, tmp_path / "spool", Account("label"))
            source = pooled_label_source(
                labeler, bank, place, cores=1, exact=False, note=lambda *_: None
            )
            there = {i.key: i for i in source.label(task, Context(tmp_path))}
    finally:
        pool.shutdown()
    assert there.keys() == here.keys()
    for key, made in there.items():
        mine = here[key]
        assert isinstance(made, Labelled), made.message
        assert isinstance(mine, Labelled)
        assert made.label.energy == pytest.approx(mine.label.energy, abs=SCF_EV)
        assert made.label.forces == pytest.approx(mine.label.forces, abs=1e-4)


def batch(n: int) -> SinglePoints:
    water = waters(1)
    rng = np.random.default_rng(0)
    frames = tuple(
        Frame(water.species, water.positions + 0.02 * rng.normal(size=(3, 3)), None, water.pbc)
        for _ in range(n)
    )
    origins = tuple(Origin(Purpose.COMMAND, 0, "water", "batch", k) for k in range(n))
    return SinglePoints(System("water", water), frames, origins)
