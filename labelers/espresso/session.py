"""Frame after frame of one task: pw.x stays alive where frames follow each other in one cell."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelers.endings import CURABLE, PASSING, Ending
from labelers.espresso.handlers import Way, ways
from labelers.espresso.input import n_k_points, pw_input
from labelers.espresso.launch import Launcher
from labelers.espresso.process import PwProcess
from labelers.geometry import absurdity
from labelers.tasks import free_folder
from sis_engine.interfaces import Context
from sis_engine.records import (
    Failure,
    FloatArray,
    Frame,
    Label,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    System,
)


@dataclass
class _Alive:
    """A process that waits for the next frame of this cell, and how it solves the SCF."""

    process: PwProcess
    way: Way
    cell: FloatArray | None


class Session:
    """Labels frames of one system, and remembers the pw.x that made the last one.

    warm: that one is asked again, so that density and wavefunctions carry over: its plane waves
    are those of its cell, so another cell gets a new one. Otherwise each frame starts cold.
    """

    def __init__(
        self,
        launcher: Launcher,
        system: System,
        level: LevelOfTheory,
        context: Context,
        *,
        warm: bool,
    ) -> None:
        self._launcher = launcher
        self._system = system
        self._level = level
        self._context = context
        self._warm = warm
        self._alive: _Alive | None = None

    def label(self, frame: Frame, origin: Origin) -> Labelled | LabelFailure:
        """By the first way of solving the SCF that leads to a label, or why there is none."""
        begun = time.perf_counter()
        reason = absurdity(frame, self._launcher.config.shortest_angstrom)
        if reason is not None:
            return LabelFailure(frame, self._level, origin, Failure.BAD_GEOMETRY, reason)
        tried: list[str] = []
        ending = Ending(Failure.PROGRAM, "there is no way to solve the SCF")
        failed: list[Path] = []
        try:
            for alive in self._processes(frame):
                tried += [change for change in alive.way.changes if change not in tried]
                found = alive.process.ask(frame)
                if isinstance(found, Label):
                    self._keep(alive)
                    for folder in failed:
                        shutil.rmtree(folder, ignore_errors=True)
                    return self._labelled(frame, origin, found, alive.way, begun)
                ending = found
                failed.append(alive.process.folder)
                if ending.reason not in CURABLE:
                    break
        except OSError as error:
            ending = Ending(Failure.INFRASTRUCTURE, f"pw.x cannot be given its input: {error}")
        return LabelFailure(
            frame,
            self._level,
            origin,
            ending.reason,
            ending.message,
            retry_can_help=ending.reason in PASSING,
            directory=failed[-1] if failed else None,
            seconds=time.perf_counter() - begun,
            handlers=tuple(tried),
        )

    def close(self) -> None:
        """End what is alive, and remove its files: its labels are elsewhere."""
        alive, self._alive = self._alive, None
        if alive is not None:
            alive.process.close()
            shutil.rmtree(alive.process.folder, ignore_errors=True)

    def _processes(self, frame: Frame) -> Iterator[_Alive]:
        """The one that is alive, if it knows this cell; then cold ones, way after way."""
        alive = self._alive
        if alive is not None and np.array_equal(np.asarray(alive.cell), np.asarray(frame.cell)):
            self._alive = None  # who fails is dead
            yield alive
        self.close()
        for way in ways(self._launcher.config.scf):
            text = pw_input(self._launcher.config, way.scf, self._system, frame)
            process = PwProcess(
                self._launcher,
                text,
                free_folder(self._context.workdir, "pw"),
                self._context,
                n_k_points(self._launcher.config, self._system),
            )
            yield _Alive(process, way, frame.cell)

    def _keep(self, alive: _Alive) -> None:
        self._alive = alive
        if not self._warm:
            self.close()

    def _labelled(
        self, frame: Frame, origin: Origin, label: Label, way: Way, begun: float
    ) -> Labelled:
        return Labelled(
            frame,
            label,
            self._level,
            origin,
            self._launcher.version,
            time.perf_counter() - begun,
            handlers=way.changes,
        )
