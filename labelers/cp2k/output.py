"""CP2K's main output, read as it is written: one evaluation after another.

An evaluation is one SCF with its energy, forces and stress. It is given when CP2K has said which
step it belongs to; what was cut short is never given. By default CP2K before 2024 goes on after an
SCF that did not converge, and ends with exit code 0: that is read here for every evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelers.cp2k.growing import GrowingFile
from sis_engine.records import FloatArray

_RANKS = re.compile(r"GLOBAL\| Total number of message passing processes\s+(\d+)")
_ENERGY = re.compile(r"ENERGY\| Total FORCE_EVAL .*?(-?\d+\.\d+)\s*$")
_CONVERGED = re.compile(r"SCF run converged in\s+(\d+) ")
_NOT_CONVERGED = "SCF run NOT converged"
_MD_STEP = re.compile(r"^ MD\| Step number\s+(\d+)")
_MD_SECONDS = re.compile(r"^ MD\| CPU time per MD step \[s\]\s+([\d.]+)")
_MD_START = re.compile(r"^ MD_INI\| Potential energy")
_OPTIMISER_STEP = re.compile(r"Informations at step =\s+(\d+)")
_OPTIMISER_SECONDS = re.compile(r"^\s+Used time\s+=\s+([\d.]+)")
_FORCES = ("ATOMIC FORCES in [a.u.]", "FORCES| Atomic forces [hartree/bohr]")
"""Of CP2K before 2025, and since: the latter as dpdata reads it."""
_FORCES_END = re.compile(r"^\s*(?:SUM OF ATOMIC FORCES|FORCES\|\s+Sum)")
_STRESS = "Analytical stress tensor [GPa]"
_STRESS_ROW = re.compile(r"^ STRESS\|\s+[xyz]\s")
_ENDED = "PROGRAM ENDED AT"
_EDGE = "Density non-zero on the"
_SCF_COLUMNS = 7


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One SCF and what followed from it, in CP2K's units.

    energy: hartree;  forces: (n_atoms, 3), hartree/bohr, ``None`` if not printed
    stress: (3, 3), GPa, +P, no kinetic part;  converged: the SCF was
    step: of MD or optimisation (``None``: the point where a run begins, or a single point)
    cycles: SCF iterations of the last loop;  seconds: wall time, as far as CP2K says
    """

    energy: float
    forces: FloatArray | None
    stress: FloatArray | None
    converged: bool
    step: int | None
    cycles: int
    seconds: float


@dataclass
class _Draft:
    """What has been read of the evaluation in hand."""

    energy: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    converged: bool | None = None
    step: int | None = None
    cycles: int = 0
    seconds: float = 0.0

    def finished(self) -> Evaluation | None:
        if self.energy is None:
            return None
        return Evaluation(
            self.energy,
            self.forces,
            self.stress,
            self.converged is True,
            self.step,
            self.cycles,
            self.seconds,
        )


class OutputReader:
    """What one run has said so far.

    ranks: MPI processes it runs as;  ended: it came to its regular end;  at_edge: a cluster's
    density reaches the faces of its box;  unconverged: an SCF of the evaluation in hand failed
    """

    def __init__(self, path: Path) -> None:
        self.file = GrowingFile(path)
        self._draft = _Draft()
        self._table: Callable[[str], bool] | None = None
        self._rows: list[list[float]] = []
        self._found: list[Evaluation] = []
        self.ranks: int | None = None
        self.ended = False
        self.at_edge = False

    @property
    def unconverged(self) -> bool:
        return self._draft.converged is False

    def new_evaluations(self) -> list[Evaluation]:
        """Evaluations that were finished since the last call, in order."""
        for line in self.file.new_lines():
            if self._table is None or not self._table(line):
                self._line(line)
        found, self._found = self._found, []
        return found

    def last_evaluation(self) -> Evaluation | None:
        """The evaluation in hand, for a run that ends without naming a step (a single point)."""
        return self._draft.finished()

    # ------------------------------------------------------------------ one line

    def _line(self, line: str) -> None:
        if any(title in line for title in _FORCES):
            self._begin(self._force_row)
        elif _STRESS in line:
            self._begin(self._stress_row)
        elif line.startswith("  Step     Update method"):
            self._begin(self._scf_row)
        elif _NOT_CONVERGED in line:
            self._draft.converged = False
        elif _EDGE in line:
            self.at_edge = True
        elif _ENDED in line:
            self.ended = True
        else:
            self._matched(line)

    def _matched(self, line: str) -> None:
        if self.ranks is None and (ranks := _RANKS.search(line)):
            self.ranks = int(ranks[1])
        elif energy := _ENERGY.search(line):
            self._draft.energy = float(energy[1])
        elif converged := _CONVERGED.search(line):
            # Inner loops that the outer one repeats do not say "NOT converged": that word is final.
            self._draft.converged = self._draft.converged is not False
            self._draft.cycles = int(converged[1])
        elif step := _MD_STEP.match(line):
            self._draft.step = int(step[1])
        elif seconds := _MD_SECONDS.match(line):
            self._close(float(seconds[1]))
        elif _MD_START.match(line):
            self._close(self._draft.seconds)
        elif step := _OPTIMISER_STEP.search(line):
            self._draft.step = int(step[1])
        elif (seconds := _OPTIMISER_SECONDS.match(line)) and self._draft.step is not None:
            self._close(float(seconds[1]))

    def _close(self, seconds: float) -> None:
        self._draft.seconds = seconds
        finished = self._draft.finished()
        if finished is not None:
            self._found.append(finished)
        self._draft = _Draft()

    # ------------------------------------------------------------------ tables

    def _begin(self, table: Callable[[str], bool]) -> None:
        self._rows = []
        self._table = table

    def _force_row(self, line: str) -> bool:
        if _FORCES_END.match(line):
            self._draft.forces = np.array(self._rows, dtype=np.float64).reshape(-1, 3)
            self._table = None
            return True
        words = line.replace("FORCES|", "").split()
        if len(words) >= 5 and words[0].isdigit():
            first = 3 if len(words) == 6 else 1  # kind and element, or the norm at the end
            self._rows.append([_number(word) for word in words[first : first + 3]])
        return True

    def _stress_row(self, line: str) -> bool:
        if _STRESS_ROW.match(line) and len(line.split()) == 5:
            self._rows.append([_number(word) for word in line.split()[2:]])
        if len(self._rows) == 3:
            self._draft.stress = np.array(self._rows)
            self._table = None
        return True

    def _scf_row(self, line: str) -> bool:
        """Iterations carry the time they took; the table ends with the first empty line."""
        words = line.split()
        if not words and self._rows:
            self._table = None
        elif len(words) >= _SCF_COLUMNS and words[0].isdigit():
            self._rows.append([float(words[0])])
            self._draft.seconds += _number(words[-4])
        return False


def _number(word: str) -> float:
    """A Fortran number; one that overflowed its field (``****``) or is none at all is NaN."""
    try:
        return float(word)
    except ValueError:
        return float("nan")
