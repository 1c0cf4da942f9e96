"""What a job asks of a worker, one record a kind of work; its answer is a record of the engine's.

Parts are rebuilt from their configuration where the work is done: no object is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sis_engine.interfaces import MdTask, Optimisation, Segment, SinglePoints
from sis_engine.records import (
    Dataset,
    Exploration,
    FrameSet,
    Labelled,
    Model,
    ModelForm,
    TrainingSchedule,
)


@dataclass(frozen=True)
class Bench:
    """Where and with what it is worked, as in :class:`sis_engine.interfaces.Context`.

    base: folder that relative paths in configurations start from
    """

    base: Path | None
    workdir: Path
    kept: Path | None
    threads: int
    patience: float


@dataclass(frozen=True, eq=False)
class LabelJob:
    """Labels by one labeler; they come one by one, and there is no other answer.

    labeler: its configuration, JSON
    known: the first steps of a trajectory that are labelled already: they are replayed, not paid
    """

    bench: Bench
    labeler: str
    task: SinglePoints | Segment | Optimisation
    known: tuple[Labelled, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainJob:
    """One training; the answer is a TrainingResult. trainer: its configuration, JSON"""

    bench: Bench
    trainer: str
    dataset: Dataset
    start_from: Model | None
    schedule: TrainingSchedule


@dataclass(frozen=True, eq=False)
class PredictJob:
    """What one form of a model says of frames, by its trainer; the answer is a Prediction."""

    bench: Bench
    trainer: str
    model: Model
    form: ModelForm
    frames: FrameSet


@dataclass(frozen=True, eq=False)
class ExploreJob:
    """MD of one replica, or of all that go in rounds; the answer is an Explored.

    explorer, trainer: configurations, JSON
    """

    bench: Bench
    explorer: str
    trainer: str
    task: MdTask


@dataclass(frozen=True, eq=False)
class Explored:
    """Replicas that came to an end, also where the job did not: one never takes its siblings."""

    runs: tuple[Exploration, ...]


@dataclass(frozen=True, eq=False)
class MdPredictJob:
    """What the explorer's engine says of frames; the answer is a Prediction."""

    bench: Bench
    explorer: str
    trainer: str
    model: Model
    frames: FrameSet
