"""The borders: what a labeler, trainer, explorer, monitor, sampler and executor are.

Every border is a :class:`typing.Protocol`; contract tests that any implementation can run ship in
:mod:`sis_engine.testing`. A plugin is a class with a ``Config`` (a pydantic model that forbids
unknown keys) and ``from_config``; it is found by an entry point in group ``sis_engine.<kind>``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

from sis_engine.records import (
    Allowance,
    Answer,
    Arrangement,
    AuditResult,
    Condition,
    Dataset,
    Drifted,
    Exploration,
    FloatArray,
    Frame,
    FrameSet,
    GenerationSummary,
    HaltRule,
    Inspected,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    MdFrame,
    Model,
    ModelForm,
    OptimiseSpec,
    Origin,
    Prediction,
    Purpose,
    Quantity,
    ReferenceEnd,
    Replica,
    Rounds,
    Sampling,
    SegmentSpec,
    Start,
    Support,
    System,
    Trace,
    TrainingResult,
    TrainingSchedule,
    Verdict,
)


class PluginConfig(BaseModel):
    """Base of every plugin's configuration: unknown keys are errors, values frozen and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    type: str


def _from_the_campaign_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    return path if base is None or path.is_absolute() else Path(base) / path


InputPath = Annotated[Path, AfterValidator(_from_the_campaign_file)]
"""A file or folder that a plugin's configuration names: relative to the campaign file, wherever
``sis`` is called from."""


# --------------------------------------------------------------------------- shared contexts


@runtime_checkable
class Progress(Protocol):
    """Where a part says how far it is. Cheap to call; never raises."""

    def __call__(
        self, done: float, total: float | None, message: str = "", **facts: float | str
    ) -> None: ...


def no_progress(done: float, total: float | None, message: str = "", **facts: float | str) -> None:
    """Says nothing."""


def never_stop() -> bool:
    """The default stop check."""
    return False


@dataclass(frozen=True)
class Context:
    """What every part is handed beside its work.

    workdir: an existing folder of its own, scratch: it survives a failure, not a commit
    threads: cores it may use
    stop: ask it often; when true raise :class:`sis_engine.errors.StopRequested` soon
    kept: a folder that all attempts at this work share: what a killed one left there may be taken
        up (a code's own restart files). ``None``: there is none
    patience: factor on time limits of its own; above one at a second try of what ran out of time
    arrangement: of replicas, as it was measured to be best; ``None``: the explorer's own
    """

    workdir: Path
    threads: int = 1
    progress: Progress = no_progress
    stop: Callable[[], bool] = never_stop
    kept: Path | None = None
    patience: float = 1.0
    arrangement: Arrangement | None = None


@dataclass(frozen=True)
class ProgramReport:
    """What ``doctor`` says of one program or package.

    found: path or module, ``None`` if absent;  problem: what is wrong, ``None`` if nothing
    mend: the command or step that mends it
    """

    name: str
    found: str | None
    version: str | None
    problem: str | None = None
    mend: str | None = None


# --------------------------------------------------------------------------- labeler


class Capability(enum.Enum):
    """What a labeler can do."""

    SINGLE_POINT = "single_point"
    SEGMENT = "segment"
    OPTIMISE = "optimise"
    VIRIAL = "virial"
    CHARGES = "charges"
    SIDE_BY_SIDE = "side_by_side"
    """``label`` may be called from several threads at once, each with a ``workdir`` of its own
    (``kept`` is shared); a task of one frame then costs no more than its share of a task of many.
    Without it the engine asks for one task at a time."""


@dataclass(frozen=True, eq=False)
class SinglePoints:
    """Label these frames, each on its own. ``origins`` go with ``frames``."""

    system: System
    frames: tuple[Frame, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, eq=False)
class Segment:
    """Run reference MD from ``start``; one result per step, the first is ``start`` itself.

    origin: of the first frame; ``index`` counts on from it
    """

    system: System
    start: Start
    spec: SegmentSpec
    origin: Origin


@dataclass(frozen=True, eq=False)
class Optimisation:
    """Optimise ``start``; one result per step, the last is the optimised structure."""

    system: System
    start: Start
    spec: OptimiseSpec
    origin: Origin


LabelTask = SinglePoints | Segment | Optimisation


@runtime_checkable
class Labeler(Protocol):
    """Reference calculations at one level of theory.

    ``label`` yields one result per frame *as it finishes*; a failure is a value. It must accept
    ``SinglePoints``; ``Segment`` and ``Optimisation`` only if its capabilities say so, otherwise
    :class:`sis_engine.reference_md.ReferenceMD` lifts it. Given the same frame it gives the same
    label, to the code's own tolerance.

    One member is optional: ``not_exact_because: str | None``, why a run that was killed and goes on
    is not bit by bit one that was never killed. ``exact: true`` is then refused.
    """

    Config: ClassVar[type[PluginConfig]]
    capabilities: frozenset[Capability]

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def level_of_theory(self, system: System) -> LevelOfTheory: ...

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        ...

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]: ...

    def doctor(self) -> tuple[ProgramReport, ...]: ...


# --------------------------------------------------------------------------- trainer


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
class Describer(Protocol):
    """A trainer that can say what its model sees of each atom. Not every trainer can."""

    def describe(self, model: Model, frames: FrameSet, context: Context) -> FloatArray:
        """(n_frames, n_atoms, d): the model's descriptor of each atom, in the trainer's units."""
        ...


@runtime_checkable
class KeepsProgram(Protocol):
    """A trainer whose program goes on running between two calls."""

    def close(self) -> None:
        """End it; the next call starts it again."""
        ...


# --------------------------------------------------------------------------- explorer


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


# --------------------------------------------------------------------------- monitor


@dataclass(frozen=True)
class MonitorContext:
    """What a monitor may derive its limits from.

    support: what the labels of this system cover;  sel, cutoff: of the model, where it has them
    generation: number of the current one (windows go from coarse to fine)
    """

    system: System
    condition: Condition
    support: Support | None
    generation: int
    model_elements: tuple[str, ...] = ()
    model_sel: tuple[int, ...] | None = None
    model_cutoff_angstrom: float | None = None


@runtime_checkable
class Monitor(Protocol):
    """Judges MD: is this still physical? Pure: no files, no clock, no randomness."""

    Config: ClassVar[type[PluginConfig]]
    name: str

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def check(self, context: MonitorContext) -> None:
        """Raise ConfigurationError if its settings cannot work for this system and condition."""
        ...

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        """Rules for the explorer to stop by."""
        ...

    def judge(
        self, trace: Trace, frames: Sequence[MdFrame], context: MonitorContext
    ) -> tuple[Verdict, ...]:
        """Findings in time order; empty when all is well."""
        ...


# --------------------------------------------------------------------------- sampler


@dataclass(frozen=True, eq=False)
class SamplerInput:
    """All that a decision may rest on.

    explorations, verdicts: of this generation; verdicts only of catastrophes that triage calls
        DATA and, for suspects, that the labeler disagreed with
    support: per system;  history: earlier generations, oldest first
    audit: the result of the audit this sampler asked for in this generation, or ``None``
    evaluations_left: in all, ``None`` without a limit;  left_by_purpose: where some are limited
    conditions: that were explored, of all systems together
    reference_ends: where the newest reference MD of each system stands, if it has any
    inspected: what the last inspection that this sampler asked for in this generation found
    drifted: where the force field's MD took the structures that this sampler sent off
    """

    generation: int
    systems: tuple[System, ...]
    explorations: tuple[Exploration, ...]
    verdicts: tuple[Verdict, ...]
    support: tuple[Support, ...]
    history: tuple[GenerationSummary, ...]
    seed: int
    audit: AuditResult | None = None
    audit_frames: tuple[Labelled, ...] = ()
    evaluations_left: int | None = None
    left_by_purpose: tuple[tuple[Purpose, int], ...] = ()
    conditions: tuple[Condition, ...] = field(default=())
    reference_ends: tuple[ReferenceEnd, ...] = ()
    inspected: tuple[Inspected, ...] = ()
    drifted: tuple[Drifted, ...] = ()

    @property
    def allowance(self) -> Allowance:
        """What may still be spent."""
        return Allowance(self.evaluations_left, self.left_by_purpose)

    def is_labelled(self, system: str, frame: Frame) -> bool:
        """Whether this generation's audits labelled the frame: its label costs nothing more."""
        return (system, frame.key) in self._labelled

    @cached_property
    def _labelled(self) -> frozenset[tuple[str, str]]:
        return frozenset((item.origin.system, item.frame.key) for item in self.audit_frames)


@dataclass(frozen=True)
class Needs:
    """What a sampler needs of the engine beside the MD of one model.

    members: models of its committee, the one that drives MD included; 1: that one alone
    failures: of the replicas of a system and condition, after which later ones change nothing;
        ``None``: every replica's end counts
    watch: the committee watches all MD; false: it only looks where the sampler asks it to
    descriptors: it may ask what the model sees of a frame (the trainer is a :class:`Describer`)
    force_field: settings of a labeler (any plugin) by whose forces it may move structures; what
        that gives is never a label
    """

    members: int = 1
    failures: int | None = None
    watch: bool = True
    descriptors: bool = False
    force_field: Mapping[str, Any] | None = None


@runtime_checkable
class Sampler(Protocol):
    """Turns traces and verdicts into label requests. Pure and seeded."""

    Config: ClassVar[type[PluginConfig]]

    @property
    def needs(self) -> Needs: ...

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def check(self, replicas: int) -> None:
        """Raise ConfigurationError if it can never be satisfied by so many replicas."""
        ...

    def conditions(
        self, base: Condition, generation: int, system: System | None = None
    ) -> tuple[Condition, ...]:
        """The conditions to explore in this generation; ``None``: of a system that bears any."""
        ...

    def decide(self, given: SamplerInput) -> Answer: ...


# --------------------------------------------------------------------------- executor


class Future(Protocol):
    """A result to come."""

    def result(self, timeout_s: float | None = None) -> Any: ...

    def done(self) -> bool: ...


class Executor(Protocol):
    """Runs tasks somewhere. ``cores`` is what one task needs."""

    def submit(self, task: Callable[[], Any], *, cores: int = 1) -> Future: ...

    def shutdown(self) -> None: ...
