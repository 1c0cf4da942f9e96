"""Watches a training from its learning curves while they grow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sis_engine.errors import TrainingDiverged
from sis_engine.interfaces import Context
from sis_engine.records import LearningCurve
from trainers.deepmd.input import Phase
from trainers.deepmd.output import diverged, read_curves

WATCH_EVERY_S = 0.5
SETTLE_STEPS = 100
"""The Kalman filter overshoots in its first steps (10 eV/Å at step 12, seen) and comes back."""


class CurveWatch:
    """Reads the learning curves while they grow: progress, and an early end when one diverges."""

    def __init__(
        self, folder: Path, planned: Sequence[Phase], largest: float, context: Context
    ) -> None:
        self._folder = folder
        self._planned = planned
        self._total = sum(phase.steps for phase in planned)
        self._largest = largest
        self._context = context
        self._begun = time.monotonic()
        self._next = 0.0
        self._said = 0

    def curve(self) -> LearningCurve:
        return read_curves(
            [self._folder / phase.curve_file for phase in self._planned],
            [phase.steps for phase in self._planned],
        )

    def __call__(self) -> None:
        self._look(SETTLE_STEPS)

    def _look(self, settle_steps: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + WATCH_EVERY_S
        curve = self.curve()
        if not len(curve.step):
            return
        reason = diverged(curve, self._largest, settle_steps)
        if reason is not None:
            raise TrainingDiverged(
                f"training diverged: {reason}\n  files: {self._folder}",
                hint="lower start_lr, or look for bad labels among the newest frames",
            )
        done = int(curve.step[-1])
        if done > self._said:
            self._said = done
            left = (now - self._begun) * (self._total - done) / done
            force = float(curve.force_rmse_training[-1])
            message = f"training step {done} of {self._total}"
            self._context.progress(done, self._total, message, force_rmse=force, eta_s=left)

    def finish(self) -> None:
        """The last look, at the whole curve."""
        self._next = 0.0
        self._look(0)
