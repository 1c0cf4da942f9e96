"""Files that another program is still writing: whole lines, whole frames, never a half one."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sis_engine.records import FloatArray

_STEP = re.compile(r"\bi\s*=\s*(\d+)")


class GrowingFile:
    """Lines of a text file as they are finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new_lines(self) -> list[str]:
        """Lines that end with a newline and were not given before."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        return data[:end].decode(errors="replace").splitlines()

    def make_durable(self) -> None:
        """What was read survives a power cut; nothing to do where there is no file."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            os.fsync(file.fileno())


@dataclass(frozen=True, eq=False)
class XyzFrame:
    """One frame of a trajectory. step: CP2K's counter;  vectors: (n_atoms, 3), as printed"""

    step: int
    vectors: FloatArray


class GrowingXyz:
    """Frames of one of CP2K's ``.xyz`` files as they are finished."""

    def __init__(self, path: Path, n_atoms: int) -> None:
        self.file = GrowingFile(path)
        self._n_atoms = n_atoms
        self._lines: list[str] = []

    def new_frames(self) -> list[XyzFrame]:
        """Frames whose last line is whole. Raises ValueError for what is no such frame."""
        self._lines += self.file.new_lines()
        size = self._n_atoms + 2
        found = []
        while len(self._lines) >= size:
            block, self._lines = self._lines[:size], self._lines[size:]
            found.append(self._frame(block))
        return found

    def _frame(self, block: list[str]) -> XyzFrame:
        step = _STEP.search(block[1])
        if block[0].split() != [str(self._n_atoms)] or step is None:
            raise ValueError(f"{self.file.path} is not a trajectory of {self._n_atoms} atoms")
        vectors = np.array([line.split()[1:4] for line in block[2:]], dtype=np.float64)
        if vectors.shape != (self._n_atoms, 3):
            raise ValueError(f"{self.file.path}: step {step[1]} is not whole")
        return XyzFrame(int(step[1]), vectors)
