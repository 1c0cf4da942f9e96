"""The border of trainers: models from labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sis_engine.interfaces.parts import Context, PluginConfig, ProgramReport
from sis_engine.records import (
    Dataset,
    FloatArray,
    Frame,
    FrameSet,
    Model,
    ModelForm,
    Prediction,
    TrainingResult,
    TrainingSchedule,
)


@runtime_checkable
class Trainer(Protocol):
    """Fits a model to a data set, continuing from an earlier one where asked."""

    Config: ClassVar[type[PluginConfig]]

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def check(self, elements: Sequence[str]) -> None:
        """Raise ConfigurationError or ProgramError if it cannot train on these elements."""
        ...

    def train(
        self,
        dataset: Dataset,
        start_from: Model | None,
        schedule: TrainingSchedule,
        context: Context,
    ) -> TrainingResult:
        """A new model in ``context.workdir`` with all its forms (eager, frozen, …).

        Raises TrainingDiverged when the loss is not finite, ProgramError when the program fails.
        """
        ...

    def predict(
        self, model: Model, form: ModelForm, frames: FrameSet, context: Context
    ) -> Prediction:
        """What one form of the model says of frames, through the trainer's own code."""
        ...

    def calculator(self, model: Model) -> Any:
        """An ASE calculator of the deployed form, for the ASE explorer and for users."""
        ...

    def adopt(self, path: Path, elements: Sequence[str], context: Context) -> Model:
        """A :class:`Model` around an existing file, for campaigns that start from one."""
        ...

    def doctor(self) -> tuple[ProgramReport, ...]: ...


@runtime_checkable
class SeesNeighbours(Protocol):
    """A trainer whose models see so many neighbours of an atom and no more."""

    def check_neighbours(self, frames: Sequence[Frame], elements: Sequence[str]) -> None:
        """Raise ConfigurationError where an atom of ``frames`` has more than it is told to see.

        elements: of the campaign, in type order
        """
        ...


@runtime_checkable
class Describer(Protocol):
    """A trainer that can say what its model sees of each atom. Not every trainer can."""

    def describe(self, model: Model, frames: FrameSet, context: Context) -> FloatArray:
        """(n_frames, n_atoms, d): the model's descriptor of each atom, in the trainer's units."""
        ...


@runtime_checkable
class StartsEarly(Protocol):
    """A trainer whose program takes long to start and may do so while labels are made."""

    def begin(self, context: Context) -> None:
        """Start it and go on at once; the next call waits for it. Raises ProgramMissing."""
        ...


@runtime_checkable
class KeepsProgram(Protocol):
    """A trainer whose program goes on running between two calls."""

    def close(self) -> None:
        """End it; the next call starts it again."""
        ...
