"""What a job asks of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sis_engine.interfaces import Optimisation, Segment, SinglePoints
from sis_engine.records import Labelled


@dataclass(frozen=True, eq=False)
class LabelJob:
    """Labels by one labeler.

    labeler: its configuration, JSON;  base: folder that relative paths in it start from
    known: the first steps of a trajectory that are labelled already: they are replayed, not paid
    workdir, kept, threads, patience: as in :class:`sis_engine.interfaces.Context`
    """

    labeler: str
    base: Path | None
    task: SinglePoints | Segment | Optimisation
    workdir: Path
    kept: Path | None
    threads: int
    patience: float
    known: tuple[Labelled, ...] = ()
