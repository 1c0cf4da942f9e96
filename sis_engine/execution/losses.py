"""Why a job was lost, and how often it may be lost again before somebody has to look."""

from __future__ import annotations

import enum
import shutil
import subprocess

from sis_engine.records import Failure

ASK_TIMEOUT_S = 15.0


class Loss(enum.Enum):
    """What became of a job that did not end by itself. Its finished labels are never lost."""

    NODE = "node lost"
    """its node was not heard of any more, and nobody says why"""
    CANCELLED = "block cancelled or preempted"
    """the scheduler took the block back"""
    WALLTIME = "walltime reached"
    """the block's time was over"""
    WORKER = "worker died"
    """its process ended in the middle, the block lives on"""
    MEMORY = "out of memory"
    """it was killed with nearly all memory in use, or the scheduler says so"""
    UNKNOWN = "unknown"
    """the pool itself broke, before the job had begun"""


TRIES: dict[Loss, int] = {
    Loss.NODE: 5,
    Loss.CANCELLED: 20,
    Loss.WALLTIME: 2,
    Loss.WORKER: 2,
    Loss.MEMORY: 1,
    Loss.UNKNOWN: 5,
}
"""So often in a row the same label may be in hand when its job is lost."""

AFTER_THAT: dict[Loss, Failure] = {
    Loss.NODE: Failure.INFRASTRUCTURE,
    Loss.CANCELLED: Failure.INFRASTRUCTURE,
    Loss.WALLTIME: Failure.OUT_OF_TIME,
    Loss.WORKER: Failure.PROGRAM,
    Loss.MEMORY: Failure.OUT_OF_MEMORY,
    Loss.UNKNOWN: Failure.INFRASTRUCTURE,
}
"""What the label's failure then is; the remedies of a local label hold for it."""

_SLURM_STATES = {
    "CANCELLED": Loss.CANCELLED,
    "PREEMPTED": Loss.CANCELLED,
    "REVOKED": Loss.CANCELLED,
    "TIMEOUT": Loss.WALLTIME,
    "DEADLINE": Loss.WALLTIME,
    "OUT_OF_MEMORY": Loss.MEMORY,
    "NODE_FAIL": Loss.NODE,
    "BOOT_FAIL": Loss.NODE,
}


def slurm_says(batch_job: str) -> Loss:
    """Why a Slurm job is gone, as far as Slurm says: silence and error are a node lost."""
    program = shutil.which("scontrol")
    if program is None:
        return Loss.NODE
    try:
        asked = subprocess.run(
            [program, "show", "job", batch_job, "-o"],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Loss.NODE
    words = dict(word.split("=", 1) for word in asked.stdout.split() if "=" in word)
    return _SLURM_STATES.get(words.get("JobState", ""), Loss.NODE)
