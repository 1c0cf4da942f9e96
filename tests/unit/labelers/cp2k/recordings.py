"""Recorded runs of the real CP2K (data/README.md), and a stand-in program that plays them back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from labelers.cp2k.labeler import Cp2kLabeler
from sis_engine.records import Frame, Origin, Purpose, System

DATA = Path(__file__).parent / "data"
ORIGIN = Origin(Purpose.SEGMENT, 0, "s", "plan", 0, 0.0)
CELL = np.array([[5.0, 0.15, 0.0], [0.0, 5.3, 0.25], [0.1, 0.0, 5.15]])
WATER = Frame(
    ("O", "H", "H"),
    np.array([[0.0, 0.0, 0.1], [0.8, 0.5, 0.05], [-0.75, 0.62, 0.0]]),
    CELL,
    (True, True, True),
)
SYSTEM = System("s", WATER)

BASES = """# a comment
 H  DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q1
  1
  2 0 1 1 1
  1.0  0.5 0.25
O DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q6
  1
  2 0 1 1 1
  2.0  0.5 0.25
O TZVP-MOLOPT-GTH
  1
  2 0 1 1 1
  3.0  0.5 0.25
"""
POTENTIALS = """H GTH-PBE-q1 GTH-PBE
  1
  0.2 2 -4.1 0.7
O GTH-PBE-q6 GTH-PBE
  2 4
  0.2 2 -16.6 2.4
"""

PLAYER = """#!{python}
import os, shutil, signal, sys, time
from pathlib import Path
if "--version" in sys.argv:
    print(" CP2K version 2023.1\\n Source code revision git:b888bd8\\n cp2kflags: omp")
    sys.exit(0)
if "--check" in sys.argv:
    print("SUCCESS, the input could be parsed correctly.")
    sys.exit(0)
plays = Path({plays!r})
turn = len(list(plays.glob("turn-*")))
(plays / f"turn-{{turn}}").touch()
names = {names!r}
name, code = names[min(turn, len(names) - 1)]
for file in (Path({data!r}) / name).iterdir():
    if file.name == "stderr.txt":
        sys.stderr.write(file.read_text())
    elif file.suffix != ".restart":
        shutil.copyfile(file, file.name)
sys.stderr.flush()
if code == "hang":
    time.sleep(600)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def playing(folder: Path, *runs: tuple[str, int | str], **settings: object) -> Cp2kLabeler:
    """A labeler whose program plays recordings back, one a run, the last one again and again.

    runs: (name of the recording, exit code; negative: dies by that signal; "hang": never ends)
    """
    plays = folder / "plays"
    plays.mkdir()
    data = folder / "data"
    data.mkdir()
    for file in ("xTB_parameters", "dftd3.dat"):
        (data / file).write_text("stand-in")
    (data / "BASIS_MOLOPT").write_text(BASES)
    (data / "GTH_POTENTIALS").write_text(POTENTIALS)
    program = folder / "cp2k.psmp"
    program.write_text(
        PLAYER.format(python=sys.executable, plays=str(plays), names=list(runs), data=str(DATA))
    )
    program.chmod(0o755)
    given = {
        "method": {"type": "gfn1-xtb"},
        "ranks": 1,
        "program": program,
        "data_dir": data,
        "silent_timeout_s": 60.0,
        **settings,
    }
    return Cp2kLabeler(Cp2kLabeler.Config.model_validate(given))


def recorded(name: str, into: Path) -> Path:
    """A copy of a recording that a test may cut."""
    return Path(shutil.copytree(DATA / name, into / name))
