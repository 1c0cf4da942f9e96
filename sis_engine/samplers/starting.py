"""Frames of the model's MD that may be labelled, and as what they are handed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sis_engine.records import Exploration, MdFrame, Start, Verdict


def as_start(item: MdFrame) -> Start:
    """A start with what the model said there; velocities are drawn anew."""
    return Start(item.frame, item.time_fs, None, item.energy, item.forces, item.deviation)


def usable(frames: Sequence[MdFrame], until_fs: float) -> list[MdFrame]:
    """Finite frames up to a time, in time order, each structure once."""
    seen: dict[str, MdFrame] = {}
    for item in frames:
        if item.time_fs <= until_fs and np.isfinite(item.frame.positions).all():
            seen.setdefault(item.frame.key, item)
    return sorted(seen.values(), key=lambda item: item.time_fs)


def first_failures(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """t_cp of every replica that has one, by replica."""
    first: dict[str, Verdict] = {}
    for verdict in verdicts:
        known = first.get(verdict.replica)
        if known is None or verdict.time_fs < known.time_fs:
            first[verdict.replica] = verdict
    return first


def alive_until_fs(run: Exploration, failures: Mapping[str, Verdict]) -> float:
    """Until when a replica's MD is not known to be wrong, fs."""
    verdict = failures.get(run.replica.id)
    return 1000.0 * run.md_ps if verdict is None else verdict.time_fs
