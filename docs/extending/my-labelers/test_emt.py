import numpy as np
import pytest
from my_labelers.emt import EmtLabeler

from sis_engine.records import Frame, System
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase


@pytest.fixture
def case(tmp_path):
    grid = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = 2.4 * (grid + 0.06 * np.random.default_rng(5).normal(size=grid.shape))
    species = ("Cu", "Ni") * 4
    bad = positions.copy()
    bad[1] = bad[0] + 0.01
    labeler = EmtLabeler(EmtLabeler.Config())
    return LabelerCase(
        labeler, System("cluster", Frame(species, positions)), Frame(species, bad), tmp_path
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_labeler_keeps_its_contract(check, case):
    check(case)
