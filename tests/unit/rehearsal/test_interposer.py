"""The faults in C, met by a bare Python in front of which they are loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sis_engine.rehearsal.interposer import Mode, build

WRITES = """
import ctypes, os, sys
folder, operation, k, mode, code, lasting = sys.argv[1:]
ctypes.CDLL(None).sis_fault_arm(
    os.fsencode(folder), int(operation), ctypes.c_long(int(k)), int(mode), int(code), int(lasting)
)
for number in range(4):
    try:
        f = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT)
        done = os.write(f, b"0123456789")
        os.fsync(f)
        os.close(f)
        os.rename(f"{folder}/{number}", f"{folder}/r{number}")
        print(done, end=" ")
    except OSError as error:
        print(-error.errno, end=" ")
"""
OPEN, WRITE, FSYNC, RENAME = range(4)
FAIL, SHORT, DIE_BEFORE, DIE_HALF_WAY, DIE_AFTER = range(1, 6)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("library"))
    if found is None:
        assert "CI" not in os.environ, "CI installs gcc"
        pytest.skip("no C compiler on this machine")
    return found


def run(
    library: Path, folder: Path, *fault: int, script: str = WRITES
) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(folder), *map(str, fault)],
        env={"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("fault", "printed"),
    [
        ((WRITE, 99, FAIL, 5, 0), "10 10 10 10 "),
        ((OPEN, 2, FAIL, 28, 0), "10 -28 10 10 "),
        ((WRITE, 3, FAIL, 5, 0), "10 10 -5 10 "),
        ((WRITE, 3, FAIL, 28, 1), "10 10 -28 -28 "),
        ((WRITE, 3, SHORT, 0, 0), "10 10 5 10 "),
        ((FSYNC, 1, FAIL, 5, 0), "-5 10 10 10 "),
        ((RENAME, 4, FAIL, 28, 0), "10 10 10 -28 "),
    ],
)
def test_the_kth_operation_fails_and_no_other(
    library: Path, tmp_path: Path, fault: tuple[int, ...], printed: str
) -> None:
    done = run(library, tmp_path / "here", *fault)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        ((RENAME, 2, DIE_BEFORE, 0, 0), {"r0": 10, "1": 10}),
        ((RENAME, 2, DIE_AFTER, 0, 0), {"r0": 10, "r1": 10}),
        ((WRITE, 2, DIE_HALF_WAY, 0, 0), {"r0": 10, "1": 5}),
        ((OPEN, 2, DIE_BEFORE, 0, 0), {"r0": 10}),
    ],
)
def test_a_death_leaves_what_was_done_until_then(
    library: Path, tmp_path: Path, fault: tuple[int, ...], there: dict[str, int]
) -> None:
    done = run(library, tmp_path / "here", *fault)
    assert done.returncode == -signal.SIGKILL
    found = {path.name: path.stat().st_size for path in (tmp_path / "here").iterdir()}
    assert found == there


def test_what_is_outside_the_folder_is_left_alone(library: Path, tmp_path: Path) -> None:
    elsewhere = WRITES.replace('f"{folder}/', 'f"{folder}-not/')
    (tmp_path / "here-not").mkdir()
    done = run(library, tmp_path / "here", OPEN, 1, FAIL, 5, 0, script=elsewhere)
    assert done.stdout == "10 10 10 10 ", done.stderr


def test_every_death_of_the_vocabulary_is_known_as_one() -> None:
    assert {mode for mode in Mode if mode.is_death} == {
        Mode.DIE_BEFORE,
        Mode.DIE_HALF_WAY,
        Mode.DIE_AFTER,
    }
