"""Reads what a run left: thermo rows, halts, errors, frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sis_engine.explorers.lammps.cell import Box
from sis_engine.explorers.lammps.input import DYNAMICS, ENDED, FS_PER_PS, REFUSED, STARTED
from sis_engine.records import FloatArray, Frame, MdFrame

_HALT = re.compile(r"Fix halt condition for fix-id (\S+) met on step (\d+) with value (\S+)")
_ERROR = re.compile(r"^ERROR(?: on proc \d+)?: (.*)$", re.MULTILINE)
_NOT_REFUSED = -1.0e299


@dataclass(frozen=True, eq=False)
class RunLog:
    """What LAMMPS's log says of one run.

    rows: (n, columns) thermo rows of the dynamics; the first column is the step
    halts: (fix id, step, value) as reported by ``fix halt``
    start: values of the thermo row before the dynamics, by column header
    end_step: the step that was reached in good order, ``None`` if LAMMPS stopped by error
    error: LAMMPS's own words
    """

    began: bool
    rows: FloatArray
    halts: tuple[tuple[str, int, float], ...]
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
    names, first = _table(start)
    refused = re.search(rf"^{REFUSED} ", start, re.MULTILINE) is not None
    rows = [row for row in read_rows(dynamics) if len(row) == n_columns]
    return RunLog(
        began=bool(started),
        rows=np.array(rows, dtype=np.float64).reshape(len(rows), n_columns),
        halts=tuple(
            (name, int(step), float(value)) for name, step, value in _HALT.findall(dynamics)
        ),
        start=dict(zip(names, first, strict=False)),
        refused=refused,
        end_step=0 if refused else (int(ends.group(1)) if ends else None),
        error=error.group(1).strip() if error else None,
    )


def refused_by(log: RunLog, names: Sequence[str]) -> list[tuple[str, float]]:
    """(rule variable, value) of the rules that the start broke already."""
    found = []
    for name in names:
        value = log.start.get(f"v_{name}")
        if value is not None and not value < _NOT_REFUSED:
            found.append((name, value))
    return found


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


def read_frames(directory: Path) -> dict[int, FloatArray]:
    """Every snapshot that the run left, by step: (header box, table) of all dump files."""
    paths = [directory / "sparse.dump", *directory.glob("ring.*.dump"), directory / "final.dump"]
    found: dict[int, FloatArray] = {}
    for path in paths:
        if path.exists():
            found.update(snapshots(path.read_text(errors="replace")))
    return dict(sorted(found.items()))


def snapshots(text: str) -> Iterator[tuple[int, FloatArray]]:
    """(step, array) of every whole snapshot.

    array: (3 + n_atoms, 11): the first three rows hold xlo_bound xhi_bound tilt, then one row
    an atom in the order of ``input.frame_columns``
    """
    for block in text.split("ITEM: TIMESTEP\n")[1:]:
        lines = block.split("\n")
        n_atoms = int(lines[2]) if len(lines) > 2 and lines[2].isdigit() else -1
        if n_atoms < 0 or len(lines) < 8 + n_atoms or not block.endswith("\n"):
            continue  # torn: the program was killed while writing
        width = len(lines[7].split()) - 2
        table = np.zeros((3 + n_atoms, width))
        for axis in range(3):
            numbers = [float(word) for word in lines[4 + axis].split()]
            table[axis, : len(numbers)] = numbers
        body = np.array(" ".join(lines[8 : 8 + n_atoms]).split(), dtype=np.float64)
        table[3:] = body.reshape(n_atoms, width)
        yield int(lines[0]), table


def md_frame(start: Frame, box: Box, table: FloatArray, time_fs: float) -> MdFrame | None:
    """A snapshot turned back into the frame's own orientation; ``None`` if it is not whole."""
    atoms = table[3:]
    if len(atoms) != start.n_atoms or not np.isfinite(atoms[:, 1:4]).all():
        return None
    cell = None
    if start.cell is not None:
        cell = _cell(start, box, table[:3])
    energy = float(atoms[0, 10])
    return MdFrame(
        frame=Frame(
            species=start.species,
            positions=box.from_lammps(atoms[:, 1:4]),
            cell=cell,
            pbc=start.pbc,
        ),
        time_fs=time_fs,
        velocities=box.from_lammps(atoms[:, 4:7]) / FS_PER_PS,
        energy=energy if np.isfinite(energy) else None,
        forces=box.from_lammps(atoms[:, 7:10]),
    )


def _cell(start: Frame, box: Box, bounds: FloatArray) -> FloatArray:
    """Cell rows of a snapshot; non-periodic vectors stay as they were given.

    The bounds of a tilted box are those of its bounding box (LAMMPS, Howto_triclinic).
    """
    xy, xz, yz = bounds[0, 2], bounds[1, 2], bounds[2, 2]
    shift_low = (min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0)
    shift_high = (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
    lower = np.array([[0.0, 0.0, 0.0], [xy, 0.0, 0.0], [xz, yz, 0.0]])
    for axis in range(3):
        lower[axis, axis] = (bounds[axis, 1] - shift_high[axis]) - (
            bounds[axis, 0] - shift_low[axis]
        )
        if not start.pbc[axis]:
            lower[axis] = box.lower[axis]
    if np.allclose(lower, box.lower, rtol=1e-13, atol=1e-13) and start.cell is not None:
        return start.cell  # constant volume: bit by bit as given
    return box.from_lammps(lower)
