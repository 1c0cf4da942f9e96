"""Reads what a run left: thermo rows, halts, errors, frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sis_engine.explorers.lammps.cell import Box
from sis_engine.explorers.lammps.input import (
    DYNAMICS,
    ENDED,
    FINAL,
    REFUSED,
    RELAXING,
    RING,
    SPARSE,
    STARTED,
)
from sis_engine.explorers.lammps.integrator import FS_PER_PS
from sis_engine.explorers.lammps.rules import RULE
from sis_engine.explorers.lammps.snapshots import Snapshot, snapshots
from sis_engine.records import FloatArray, Frame, MdFrame

_HALT = re.compile(r"^Fix halt condition for fix-id (\S+) met on step (\d+)", re.MULTILINE)
_RULE = re.compile(rf"^{RULE} (\S+) (\S+)$", re.MULTILINE)
_ERROR = re.compile(r"^ERROR(?: on proc \d+)?: (.*)$", re.MULTILINE)
_SILENT = -1.0e300
_NOT_REFUSED = -1.0e299


@dataclass(frozen=True, eq=False)
class RunLog:
    """What LAMMPS's log says of one run.

    began: the model has evaluated the start, with a finite energy where it is minimised first
    rows: (n, columns) thermo rows of the dynamics; the first column is the step
    halted_at: step at which ``fix halt`` stopped it
    values: (rule variable, value) of the rules that were checked at the last step
    start: values of the thermo row before the dynamics, by column header
    end_step: the step that was reached in good order, ``None`` if LAMMPS stopped by error
    error: LAMMPS's own words
    """

    began: bool
    rows: FloatArray
    halted_at: int | None
    values: tuple[tuple[str, float], ...]
    start: dict[str, float]
    refused: bool
    end_step: int | None
    error: str | None


def read_log(text: str, n_columns: int) -> RunLog:
    """Parse the text of ``log.lammps``."""
    before, _, dynamics = text.partition(f"\n{DYNAMICS}\n")
    _, started, start = before.partition(f"\n{STARTED}\n")
    ends = re.search(rf"^{ENDED} (\d+)$", dynamics, re.MULTILINE)
    error = _ERROR.search(text)
    halt = _HALT.search(dynamics)
    names, first = _table(start)
    refused = re.search(rf"^{REFUSED} ", start, re.MULTILINE) is not None
    rows = _in_order(row for row in read_rows(dynamics) if len(row) == n_columns)
    return RunLog(
        began=bool(started) or f"\n{RELAXING}\n" in before,
        rows=np.array(rows, dtype=np.float64).reshape(len(rows), n_columns),
        halted_at=int(halt.group(2)) if halt else None,
        values=tuple((name, float(value)) for name, value in _RULE.findall(dynamics)),
        start=dict(zip(names, first, strict=False)),
        refused=refused,
        end_step=0 if refused else (int(ends.group(1)) if ends else None),
        error=error.group(1).strip() if error else None,
    )


def _in_order(rows: Iterable[list[float]]) -> list[list[float]]:
    """Without the first row of a later round, which is the last one of the round before it."""
    found: list[list[float]] = []
    for row in rows:
        if not found or row[0] > found[-1][0]:
            found.append(row)
    return found


def fired_rules(log: RunLog, names: Sequence[str]) -> list[tuple[str, float]]:
    """(rule variable, value) of the rules that fired at the end, or at the start."""
    if log.refused:
        values = [(name, log.start.get(f"v_{name}", _SILENT)) for name in names]
    else:
        values = [item for item in log.values if item[0] in names] if log.halted_at else []
    return [(name, value) for name, value in values if not value < _NOT_REFUSED]


def last_row(text: str, n_columns: int) -> list[float] | None:
    """The last whole thermo row in the tail of a log that is still being written."""
    for line in reversed(text.split("\n")[:-1]):
        row = _numbers(line)
        if row is not None and len(row) == n_columns:
            return row
    return None


def _numbers(line: str) -> list[float] | None:
    words = line.split()
    if not words or not words[0].isdigit():
        return None
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def read_rows(text: str) -> Iterator[list[float]]:
    """Rows of the thermo tables: between their header and ``Loop time`` (or the end)."""
    inside = False
    for line in text.split("\n"):
        if line.lstrip().startswith("Step "):
            inside = True
        elif line.startswith("Loop time"):
            inside = False
        elif inside:
            row = _numbers(line)
            if row is not None:
                yield row


def _table(text: str) -> tuple[list[str], list[float]]:
    """Header words and the first row of the first thermo table."""
    header: list[str] = []
    for line in text.split("\n"):
        if line.lstrip().startswith("Step "):
            header = line.split()
        elif header:
            row = _numbers(line)
            if row is not None:
                return header, row
    return [], []


def read_frames(directory: Path) -> dict[int, Snapshot]:
    """Every snapshot that the run left, by step."""
    found: dict[int, Snapshot] = {}
    for name in (SPARSE, RING, FINAL):
        path = directory / name
        if path.exists():
            found.update((item.step, item) for item, _ in snapshots(path.read_bytes()))
    return dict(sorted(found.items()))


def md_frame(start: Frame, box: Box, snapshot: Snapshot, time_fs: float) -> MdFrame | None:
    """A snapshot in the frame's own orientation; ``None`` if atoms are lost or not finite.

    Columns are those of ``input.frame_columns``.
    """
    atoms = snapshot.table
    if len(atoms) != start.n_atoms or not np.isfinite(atoms[:, 1:4]).all():
        return None
    energy = float(atoms[0, 10])
    return MdFrame(
        frame=Frame(
            species=start.species,
            positions=box.from_lammps(atoms[:, 1:4]),
            cell=None if start.cell is None else _cell(start, box, snapshot),
            pbc=start.pbc,
        ),
        time_fs=time_fs,
        velocities=box.from_lammps(atoms[:, 4:7]) / FS_PER_PS,
        energy=energy if np.isfinite(energy) else None,
        forces=box.from_lammps(atoms[:, 7:10]),
    )


def _cell(start: Frame, box: Box, snapshot: Snapshot) -> FloatArray:
    """Cell rows of a snapshot; non-periodic vectors stay as they were given.

    The bounds of a tilted box are those of its bounding box (LAMMPS, Howto_triclinic).
    """
    xy, xz, yz = snapshot.tilts
    low, high = snapshot.bounds.T
    lower = np.array(
        [
            [high[0] - max(0.0, xy, xz, xy + xz) - low[0] + min(0.0, xy, xz, xy + xz), 0.0, 0.0],
            [xy, high[1] - max(0.0, yz) - low[1] + min(0.0, yz), 0.0],
            [xz, yz, high[2] - low[2]],
        ]
    )
    for axis in range(3):
        if not start.pbc[axis]:
            lower[axis] = box.lower[axis]
    if np.allclose(lower, box.lower, rtol=1e-13, atol=1e-13) and start.cell is not None:
        return start.cell  # constant volume: bit by bit as given
    return box.from_lammps(lower)
