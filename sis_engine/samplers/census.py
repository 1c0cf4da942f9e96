"""How much of the explored MD a committee trusts, honestly counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.records import Exploration, Quantity, Verdict
from sis_engine.samplers.starting import alive_until_fs
from sis_engine.samplers.stopping import lived
from sis_engine.samplers.trust import Levels, Looks, Trust, judged


@dataclass(frozen=True)
class Census:
    """Looks at the MD of one system, by what they said; ``unlived`` are among the failed."""

    system: str
    accurate: int
    candidate: int
    failed: int
    unlived: int

    @property
    def total(self) -> int:
        return self.accurate + self.candidate + self.failed

    @property
    def accuracy(self) -> float:
        """Share of the looks that found the models of one mind; 0 without a look."""
        return self.accurate / self.total if self.total else 0.0

    def __str__(self) -> str:
        if not self.total:
            return f"{self.system}: nobody looked"
        shares = [100.0 * n / self.total for n in (self.accurate, self.candidate, self.failed)]
        unlived = f", {self.unlived} of them not lived" if self.unlived else ""
        return (
            f"{self.system}: {shares[0]:.1f} % accurate, {shares[1]:.1f} % candidates, "
            f"{shares[2]:.1f} % failed of {self.total} looks{unlived}"
        )


def census(
    system: str,
    runs: Sequence[Exploration],
    failures: Mapping[str, Verdict],
    levels: Levels,
) -> Census:
    """Every look in the traces of a system's replicas, evenly spaced in time.

    Frames are not counted: they are kept more densely before an end. MD that a replica did not
    live to see (it ended early, or what followed its t_cp) counts as failed: a run that blows up
    after 1 % of its time must not count 100 times less than one that did not.
    """
    counts = np.zeros(3, dtype=int)
    unlived = 0
    for run in runs:
        looks, times_fs = looks_of(run)
        alive = times_fs <= alive_until_fs(run, failures)
        states = judged(looks, levels)[alive]
        counts += np.bincount(states, minlength=3)
        if run.replica.id in failures or not lived(run):
            lost = max(0, planned_looks(run, times_fs) - int(alive.sum()))
            counts[Trust.FAILED] += lost
            unlived += lost
    return Census(system, int(counts[0]), int(counts[1]), int(counts[2]), unlived)


def looks_of(run: Exploration) -> tuple[Looks, np.ndarray]:
    """Deviations along a replica's trace, and their times, fs; rows without a look are left out."""
    force = run.trace.series(Quantity.MODEL_DEVIATION)
    if force is None:
        return Looks(np.zeros(0)), np.zeros(0)
    virial = run.trace.series(Quantity.VIRIAL_DEVIATION)
    # A NaN is no look where the potential energy is sound, and a failed look where it is not. What
    # a look found not to be finite is ∞.
    energy = run.trace.series(Quantity.POTENTIAL_ENERGY)
    broken = np.zeros(force.size, bool) if energy is None else ~np.isfinite(energy)
    seen = ~np.isnan(force) | broken
    return (
        Looks(force[seen], None if virial is None else virial[seen]),
        run.trace.time_fs[seen],
    )


def planned_looks(run: Exploration, times_fs: np.ndarray) -> int:
    """Looks that the replica's whole duration would have had, at the pace of those it had."""
    begin_fs = run.replica.time_offset_fs
    planned_fs = 1000.0 * run.replica.condition.duration_ps - begin_fs
    if times_fs.size < 2:
        return 1
    every_fs = float(np.median(np.diff(times_fs)))
    return int(planned_fs / every_fs) + 1 if every_fs > 0.0 else 1
