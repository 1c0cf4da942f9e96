"""What a run left behind to go on from: CP2K's restart files and its wavefunction."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelers.cp2k.input import PROJECT, RESTART
from labelers.cp2k.steps import Step
from sis_engine.records import FloatArray

FROM_RESTART = "from.restart"
FROM_WAVEFUNCTION = "from-wavefunction"
_SAME_ANGSTROM = 1e-6
_STEP = re.compile(r"^\s*STEP_START_VAL\s+(\d+)", re.MULTILINE)
_COORDINATES = re.compile(r"^\s*&COORD\n(.*?)^\s*&END COORD", re.MULTILINE | re.DOTALL)
_WHOLE = re.compile(r"^ &END \w+\s*\Z", re.MULTILINE)
"""Its last line closes an outermost section: EXT_RESTART in a run that went on itself."""
_WAVEFUNCTIONS = (f"{PROJECT}-RESTART.wfn", f"{PROJECT}-RESTART.kp")


@dataclass(frozen=True, eq=False)
class RestartFile:
    """A whole restart file. step: that it was written after;  positions: (n_atoms, 3), Å"""

    path: Path
    step: int
    positions: FloatArray


def read_restart(path: Path) -> RestartFile | None:
    """``None`` for a file that is not there, or was cut short."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    step, block = _STEP.search(text), _COORDINATES.search(text)
    whole = _WHOLE.search(text) and "\n &END FORCE_EVAL\n" in f"{text}\n"
    if step is None or block is None or not whole:
        return None
    try:
        rows = [line.split()[1:4] for line in block[1].splitlines() if line.strip()]
        return RestartFile(path, int(step[1]), np.array(rows, dtype=np.float64))
    except ValueError:
        return None


def newest_restart(folders: Sequence[Path], recorded: Sequence[Step]) -> RestartFile | None:
    """The latest restart file that belongs to a recorded step, where the atoms were there.

    A file of a step that got no label (an SCF that failed, a frame that was cut) is passed over.
    """
    found = [
        restart
        for folder in folders
        for path in sorted(folder.glob(f"{RESTART}*"))
        if (restart := read_restart(path)) is not None and _fits(restart, recorded)
    ]
    return max(found, key=lambda restart: restart.step, default=None)


def _fits(restart: RestartFile, recorded: Sequence[Step]) -> bool:
    if not 0 < restart.step < len(recorded):
        return False
    known = recorded[restart.step].positions
    if restart.positions.shape != known.shape:
        return False
    return bool(np.abs(restart.positions - known).max() <= _SAME_ANGSTROM)


def take_wavefunction(folders: Sequence[Path], into: Path) -> str | None:
    """Copy the newest whole wavefunction; its name there. Only a guess: it changes no label."""
    for folder in reversed(folders):
        for name in _WAVEFUNCTIONS:
            path = _whole(folder / name)
            if path is not None:
                shutil.copyfile(path, into / FROM_WAVEFUNCTION)
                return FROM_WAVEFUNCTION
    return None


def _whole(path: Path) -> Path | None:
    """The file, or its backup where a kill cut it short (all of a run are equally long)."""
    backup = path.with_name(f"{path.name}.bak-1")
    sizes = {one: one.stat().st_size for one in (path, backup) if one.is_file()}
    if not sizes:
        return None
    longest = max(sizes.values())
    return next((one for one, size in sizes.items() if size == longest and size > 0), None)


def drop_wavefunctions(folders: Sequence[Path]) -> None:
    """They are large, and of no use when the work is done."""
    for folder in folders:
        for path in (*folder.glob(f"{PROJECT}-RESTART.*"), folder / FROM_WAVEFUNCTION):
            path.unlink(missing_ok=True)
