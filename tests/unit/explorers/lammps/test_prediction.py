from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sis_engine.errors import ProgramFailed
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.prediction import predict
from sis_engine.interfaces import Context
from sis_engine.records import FrameSet, LammpsPair, Model, ModelForm

MODEL = Model("m", "fake", ("Li",), (), ModelForm.FROZEN, LammpsPair("zero 3.0"))
FRAMES = FrameSet(
    system="s",
    species=("Li",),
    pbc=(False,) * 3,
    positions=np.zeros((2, 1, 3)),
    cells=None,
    energies=np.zeros(2),
    forces=np.zeros((2, 1, 3)),
)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('torch is broken')", "exit code 1; last lines: torch is broken"),
        ("pass", r"predicted 0 of 2 frames \(exit code 0\): it did not say why"),
        (
            "import sys; open('log.lammps', 'w').write('ERROR: no such style\\n'); sys.exit(1)",
            r"predicted 0 of 2 frames \(exit code 1\): ERROR: no such style",
        ),
    ],
    ids=["dies before its log", "ends without frames", "says why in its log"],
)
def test_a_program_that_predicts_nothing_is_told_with_what_it_said(
    code: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ProgramFailed, match=told):
        predict(
            (sys.executable, "-c", code), (), MODEL, FRAMES, LammpsConfig(), Context(tmp_path, 1)
        )
