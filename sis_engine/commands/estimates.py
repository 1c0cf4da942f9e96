"""What a round will take, as far as that can be known before it: from settings and one label."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Labelled, Origin, Purpose, System
from sis_engine.setup.assembly import Parts
from sis_engine.storage.bank import BANK_FILE, LabelBank

BYTES_PER_ATOM_AND_FRAME = 24 * 3
"""Positions, forces and velocities in float64, before compression."""
BYTES_PER_TRACE_ROW = 16 * 8
"""Time, temperature, energies and what the monitors watch."""
MODEL_MIB = 1.0
"""A small net as checkpoint, frozen and compressed: the quickstart's are 0.5 MiB together."""
TRIAL_ATOMS = 100
"""A label of more atoms is not tried: it may take its time."""


def md_mib(parts: Parts) -> float:
    """MiB of frames and traces that one exploration keeps, before compression."""
    explore = parts.config.explore
    sampling = explore.sampling
    total = 0.0
    for system in parts.systems:
        for condition in parts.sampler.conditions(parts.base_condition, 0, system):
            frames = sampling.ring_size + condition.duration_ps / sampling.sparse_every_ps
            steps = 1000.0 * condition.duration_ps / condition.timestep_fs
            rows = steps / sampling.trace_every_steps
            each = frames * system.frame.n_atoms * BYTES_PER_ATOM_AND_FRAME
            total += explore.replicas * (each + rows * BYTES_PER_TRACE_ROW)
    return total / 2**20


def label_seconds(parts: Parts) -> float | None:
    """Of one label of the largest system, from the shared bank or a trial; ``None``: unknown."""
    system = max(parts.systems, key=lambda one: one.frame.n_atoms)
    banked = _banked_seconds(parts, system)
    return _tried_seconds(parts, system) if banked is None else banked


def _banked_seconds(parts: Parts, system: System) -> float | None:
    """Median of what the bank's campaigns timed on this machine."""
    shared = parts.config.label_bank
    place = None if shared is None else parts.path(shared)
    if place is None or not (place / BANK_FILE).is_file():
        return None
    level = parts.labeler.level_of_theory(system).fingerprint
    with LabelBank(place, read_only=True) as bank:
        timed = bank.timings(level, system.frame.n_atoms)
    seconds = [one for each in timed.values() for one in each]
    return statistics.median(seconds) if seconds else None


def _tried_seconds(parts: Parts, system: System) -> float | None:
    """A second label of the start structure (the first one warms up), of a ``quick`` labeler."""
    quick = bool(getattr(parts.labeler, "quick", False))
    if not quick or system.frame.n_atoms > TRIAL_ATOMS:
        return None
    origin = Origin(Purpose.INITIAL, 0, system.name, "trial", 0)
    with TemporaryDirectory() as scratch:
        task = SinglePoints(system, (system.frame,) * 2, (origin,) * 2)
        *_, last = parts.labeler.label(task, Context(Path(scratch)))
    return last.seconds if isinstance(last, Labelled) else None
