"""The border of explorers: MD with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sis_engine.interfaces.parts import Context, PluginConfig, ProgramReport
from sis_engine.records import (
    Arrangement,
    Condition,
    Exploration,
    FrameSet,
    HaltRule,
    Model,
    Prediction,
    Quantity,
    Replica,
    Rounds,
    Sampling,
)


@dataclass(frozen=True, eq=False)
class MdTask:
    """MD to be run with one model.

    rules: those that apply to all ``replicas`` (the caller groups by system and condition)
    members: models that watch: ``model`` drives alone, and every
        ``sampling.deviation_every_steps`` trace and frames say how far all of them are apart
    rounds: ``None``: each runs to its own end
    """

    model: Model
    replicas: tuple[Replica, ...]
    rules: tuple[HaltRule, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    members: tuple[Model, ...] = ()
    rounds: Rounds | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """All of them, the one that drives first."""
        return (self.model, *self.members)


@runtime_checkable
class Explorer(Protocol):
    """Runs MD with the current model and stops soon after a rule fires."""

    Config: ClassVar[type[PluginConfig]]
    watches: frozenset[Quantity]
    """Quantities it evaluates itself at every rule's interval. Rules on others are judged on the
    trace by the monitors after the run, and ``validate`` says so."""

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def explore(
        self,
        task: MdTask,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Iterator[Exploration]:
        """One result per replica, as each ends; replicas run side by side where threads allow."""
        ...

    def predict(
        self,
        model: Model,
        frames: FrameSet,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Prediction:
        """Energies and forces of frames through the very engine that will run MD."""
        ...

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        """Raise ConfigurationError or ProgramError if it cannot run these."""
        ...

    def doctor(self) -> tuple[ProgramReport, ...]: ...


@runtime_checkable
class Arrangeable(Protocol):
    """An explorer that can run replicas in several ways and be timed in each. Not all can."""

    def arrangements(self, n_replicas: int, cores: int) -> tuple[Arrangement, ...]:
        """Those that may be chosen from by measuring; one: there is nothing to choose."""
        ...

    def steps_per_s(self, task: MdTask, arrangement: Arrangement, context: Context) -> float:
        """Steps a second of so many replicas like the task's first, all together."""
        ...
