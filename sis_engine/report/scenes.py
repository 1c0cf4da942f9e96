"""The dying frames as data for the page's 3-D viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sis_engine.numerals import beside
from sis_engine.records import Exploration, FloatArray, Life, MdFrame, Quantity, Verdict
from sis_engine.report.wording import picoseconds

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

MOST_SCENES = 16
MOST_FRAMES = 16


@dataclass(frozen=True)
class SceneFrame:
    """One frame: centred positions, Å, flat (x, y, z of each atom); what MD said there."""

    time_fs: float
    temperature_k: float | None
    energy: float | None
    positions: tuple[float, ...]


@dataclass(frozen=True)
class Scene:
    """The last frames of one replica that ended in a catastrophe.

    guilty: atoms the verdict names;  cell: rows, Å, flat, ``None`` for a cluster
    origin: where the cell's corner lies once positions are centred
    turn: rotation to start from, rows, flat: longest axis across, shortest towards the reader
    """

    title: str
    verdict: str
    species: tuple[str, ...]
    guilty: tuple[int, ...]
    cell: tuple[float, ...] | None
    origin: tuple[float, ...]
    turn: tuple[float, ...]
    frames: tuple[SceneFrame, ...]


def scenes(records: Sequence[GenerationRecord]) -> tuple[Scene, ...]:
    """One scene for each catastrophe with frames, at most :data:`MOST_SCENES`.

    The first of every generation come first.
    """
    ranked: list[tuple[int, int, Scene]] = []
    for record in records:
        lives = {life.replica: life for life in record.lives}
        number = 0
        for run in record.explorations:
            life = lives.get(run.replica.id)
            if life is None or life.verdict is None:
                continue
            scene = _scene(record.generation, run, life, life.verdict)
            if scene is not None:
                ranked.append((number, record.generation, scene))
                number += 1
    kept = sorted(ranked, key=lambda item: item[:2])[:MOST_SCENES]
    return tuple(scene for _, _, scene in sorted(kept, key=lambda item: (item[1], item[0])))


def _scene(generation: int, run: Exploration, life: Life, verdict: Verdict) -> Scene | None:
    usable = [item for item in run.frames if np.isfinite(item.frame.positions).all()]
    if not usable:
        return None
    last = _around(usable, verdict.time_fs)
    centre = np.median(last[0].frame.positions, axis=0)
    cell = last[-1].frame.cell
    value, limit = beside(verdict.value, verdict.limit)
    what = f"{verdict.monitor}: {verdict.criterion}, value {value}, limit {limit}"
    return Scene(
        title=f"generation {generation}, {run.replica.id}, {picoseconds(life.time_ps)}",
        verdict=what,
        species=last[-1].frame.species,
        guilty=verdict.atoms,
        cell=None if cell is None else tuple(np.round(cell, 3).ravel().tolist()),
        origin=tuple(np.round(-centre, 3).tolist()),
        turn=principal_axes(last[0].frame.positions - centre),
        frames=tuple(_frame(run, item, centre) for item in last),
    )


def principal_axes(positions: FloatArray) -> tuple[float, ...]:
    """Rows: principal axes of (n, 3) positions, longest first, right-handed; flat."""
    _, axes = np.linalg.eigh(positions.T @ positions)
    first, second = (_upright(axes[:, column]) for column in (2, 1))
    turn = np.array([first, second, np.cross(first, second)])
    return tuple(np.round(turn, 4).ravel().tolist())


def _upright(axis: FloatArray) -> FloatArray:
    """The sign of an eigenvector is arbitrary: its largest component is positive here."""
    sign = np.sign(axis[np.argmax(np.abs(axis))])
    return np.asarray(axis * sign, dtype=np.float64)


def _around(frames: list[MdFrame], end_fs: float) -> list[MdFrame]:
    """The last frames up to the verdict, and the first one after it."""
    after = next((i for i, f in enumerate(frames) if f.time_fs >= end_fs - 1e-6), len(frames) - 1)
    stop = after + 1
    return frames[max(0, stop - MOST_FRAMES) : stop]


def _frame(run: Exploration, item: MdFrame, centre: FloatArray) -> SceneFrame:
    temperature = run.trace.series(Quantity.TEMPERATURE)
    shown = None
    if temperature is not None and len(temperature):
        nearest = int(np.argmin(np.abs(run.trace.time_fs - item.time_fs)))
        value = float(temperature[nearest])
        shown = round(value, 1) if np.isfinite(value) else None
    positions = np.round(np.clip(item.frame.positions - centre, -999.0, 999.0), 2)
    return SceneFrame(
        time_fs=round(item.time_fs, 3),
        temperature_k=shown,
        energy=None
        if item.energy is None or not np.isfinite(item.energy)
        else round(item.energy, 4),
        positions=tuple(positions.ravel().tolist()),
    )
