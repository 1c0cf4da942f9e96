"""One job as the engine follows it: what it has made, and whether it still lives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sis_engine.execution.job_folder import REVOKED, JobFolder, Pulse
from sis_engine.execution.losses import Loss, slurm_says
from sis_engine.execution.parsl_pool import ParslFuture
from sis_engine.interfaces import LabelTask
from sis_engine.storage.label_stream import End, Result, read_from

VISIBLE_S = 60.0
"""How long a file system may take until what a worker wrote is seen here."""


@dataclass(eq=False)
class FollowedJob:
    """A job of this engine, or of one before it that was killed (``future`` is then ``None``).

    task: of labels; ``None``: it is other work
    keys: of the labels it makes, in their order; of a trajectory that of its first one
    submitted: by the engine's clock
    is_complete: nobody wants anything more of it
    """

    folder: JobFolder
    task: LabelTask | None
    keys: tuple[str, ...]
    future: ParslFuture | None
    submitted: float = field(default_factory=time.monotonic)
    offset: int = 0
    end: End | None = None
    begun: float | None = None
    last_result: float | None = None
    made: int = 0
    seconds: float = 0.0
    loss: Loss | None = None
    is_complete: bool = False
    _pulse: Pulse | None = None
    _over: float | None = None

    def results(self) -> list[Result]:
        """What has come since it was last asked."""
        found, self.offset = read_from(self.folder.results, self.offset)
        labels: list[Result] = []
        for item in found:
            if isinstance(item, End):
                self.end = item
            else:
                labels.append(item)
                self.made += 1
                self.seconds += item.seconds
        now = time.monotonic()
        if self.begun is None and (labels or self.is_claimed()):
            self.begun = now
        if labels:
            self.last_result = now
        return labels

    def is_claimed(self) -> bool:
        """By a worker."""
        by = self.folder.claimed_by()
        return by is not None and by.get("who") != REVOKED

    def lost(self) -> Loss | None:
        """Why it will never end; ``None``: it may. Asked after :meth:`results` gave nothing.

        A job that still beats is not lost whatever anybody says of its node.
        """
        if self.end is not None or (self.future is not None and not self.future.done()):
            return None
        error = None if self.future is None else self.future.error()
        if error is not None and _is(error, "WorkerLost"):
            return self._verdict(error)
        if self.future is not None and error is None:  # it ended, or another has it
            return self._when_not_seen()
        begun = self.future is None or self.is_claimed()
        return None if begun and self._is_alive() else self._verdict(error)

    @property
    def is_left_behind(self) -> bool:
        """An engine before this one handed it out."""
        return self.future is None

    @property
    def was_stopped(self) -> bool:
        """It ended because it was cancelled."""
        return self.end is not None and self.end.state == "stopped"

    def give_up(self) -> None:
        """Nobody may begin it later."""
        self.folder.revoke()

    def _when_not_seen(self) -> Loss | None:
        now = time.monotonic()
        if self._over is None:
            self._over = now
        waited = now - self._over > VISIBLE_S and not self._is_alive()
        return Loss.UNKNOWN if waited else None

    def _is_alive(self) -> bool:
        now = time.monotonic()
        if self._pulse is None:
            self._pulse = Pulse(self.folder, now)
        return self._pulse.is_alive(now)

    def _verdict(self, error: BaseException | None) -> Loss:
        by = self.folder.claimed_by()
        if by is None or by.get("who") == REVOKED:
            return Loss.UNKNOWN
        sign = self.folder.sign()
        if sign is not None and sign.was_full:
            return Loss.MEMORY
        if error is not None and _is(error, "WorkerLost"):
            return Loss.WORKER
        return slurm_says(str(by["batch_job"])) if by.get("batch_job") else Loss.NODE


def _is(error: BaseException, name: str) -> bool:
    """By name: Parsl is imported where its executor is, and nowhere else."""
    return type(error).__name__ == name
