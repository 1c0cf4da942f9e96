"""A trainer and an explorer whose work is done in pools, and a campaign's parts with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from sis_engine.execution.job_records import (
    Explored,
    ExploreJob,
    MdPredictJob,
    PredictJob,
    TrainJob,
)
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.interfaces import (
    Context,
    Describer,
    Explorer,
    MdTask,
    PluginConfig,
    ProgramReport,
    Trainer,
)
from sis_engine.labelling.remedies import Note
from sis_engine.records import (
    Condition,
    Dataset,
    Exploration,
    FloatArray,
    FrameSet,
    Model,
    ModelForm,
    Prediction,
    Quantity,
    TrainingResult,
    TrainingSchedule,
)
from sis_engine.remote.account import Accounts
from sis_engine.remote.bench import bench_of
from sis_engine.remote.calls import Calls
from sis_engine.setup.assembly import Parts


def with_pools(
    parts: Parts,
    *,
    pools: Mapping[str, ParslPool],
    spool: Path,
    note: Note,
    accounts: Accounts,
) -> Parts:
    """The same parts, training and MD in their pools where there are such."""
    config, base = parts.config, parts.base.parent.absolute()
    train, explore = pools.get("train"), pools.get("explore")
    if train is not None:
        kind = RemoteDescriber if isinstance(parts.trainer, Describer) else RemoteTrainer
        trainer = kind(
            parts.trainer, config.trainer, base, Calls(train, spool, note, accounts.of(train.name))
        )
        parts = replace(parts, trainer=trainer, trainings=train.slots)
    if explore is not None:
        calls = Calls(explore, spool, note, accounts.of(explore.name))
        explorer = RemoteExplorer(parts.explorer, config.explorer, config.trainer, base, calls)
        parts = replace(parts, explorer=explorer)
    return parts


class RemoteTrainer:
    """Trains and predicts in a pool; several at once. What needs no model is done here."""

    Config: ClassVar[type[PluginConfig]] = PluginConfig

    def __init__(
        self, trainer: Trainer, settings: Mapping[str, Any], base: Path, calls: Calls
    ) -> None:
        self.trainer = trainer
        self.calls = calls
        self._settings = json.dumps(dict(settings))
        self._base = base

    @classmethod
    def from_config(cls, config: Any) -> Self:
        del config
        raise TypeError("a trainer in a pool is made from one that is here")

    def check(self, elements: Sequence[str]) -> None:
        self.trainer.check(elements)

    def train(
        self,
        dataset: Dataset,
        start_from: Model | None,
        schedule: TrainingSchedule,
        context: Context,
    ) -> TrainingResult:
        bench = bench_of(context, self._base, self.calls.pool)
        asked = TrainJob(bench, self._settings, dataset, start_from, schedule)
        return self.calls.one("train", asked, TrainingResult, context)

    def predict(
        self, model: Model, form: ModelForm, frames: FrameSet, context: Context
    ) -> Prediction:
        bench = bench_of(context, self._base, self.calls.pool)
        asked = PredictJob(bench, self._settings, model, form, frames)
        return self.calls.one("predict", asked, Prediction, context)

    def calculator(self, model: Model) -> Any:
        return self.trainer.calculator(model)

    def adopt(self, path: Path, elements: Sequence[str], context: Context) -> Model:
        return self.trainer.adopt(path, elements, context)

    def doctor(self) -> tuple[ProgramReport, ...]:
        return self.trainer.doctor()


class RemoteDescriber(RemoteTrainer):
    """Of a trainer that can say what its model sees: it does so here."""

    def describe(self, model: Model, frames: FrameSet, context: Context) -> FloatArray:
        if not isinstance(self.trainer, Describer):
            raise TypeError("the trainer gives no descriptors")
        return self.trainer.describe(model, frames, context)


class RemoteExplorer:
    """Each replica is a task of its own in a pool; those that go in rounds are one task."""

    Config: ClassVar[type[PluginConfig]] = PluginConfig

    def __init__(
        self,
        explorer: Explorer,
        settings: Mapping[str, Any],
        trainer: Mapping[str, Any],
        base: Path,
        calls: Calls,
    ) -> None:
        self.explorer = explorer
        self.calls = calls
        self.watches: frozenset[Quantity] = explorer.watches
        self._settings = json.dumps(dict(settings))
        self._trainer = json.dumps(dict(trainer))
        self._base = base

    @classmethod
    def from_config(cls, config: Any) -> Self:
        del config
        raise TypeError("an explorer in a pool is made from one that is here")

    def explore(
        self,
        task: MdTask,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Iterator[Exploration]:
        """One result per replica as its task ends; the trainer's calculator is made on the node.

        What was raised first is raised last.
        """
        del calculator
        bench = bench_of(context, self._base, self.calls.pool)
        tasks = [task]
        if task.rounds is None:
            tasks = [replace(task, replicas=(replica,)) for replica in task.replicas]
        asked = [ExploreJob(bench, self._settings, self._trainer, item) for item in tasks]
        done = 0
        for _, found in self.calls.each("explore", asked, Explored, context):
            for run in found.runs:
                done += 1
                context.progress(done, len(task.replicas), f"{run.replica.id} ended")
                yield run

    def predict(
        self,
        model: Model,
        frames: FrameSet,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Prediction:
        del calculator
        bench = bench_of(context, self._base, self.calls.pool)
        asked = MdPredictJob(bench, self._settings, self._trainer, model, frames)
        return self.calls.one("mdpredict", asked, Prediction, context)

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        self.explorer.check(model_in_lammps, conditions)

    def doctor(self) -> tuple[ProgramReport, ...]:
        return self.explorer.doctor()
