"""MD with the trainer's ASE calculator, in this process: any model runs, slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.ase.committee import CommitteeWatch
from sis_engine.explorers.ase.config import AseConfig
from sis_engine.explorers.ase.prediction import predict
from sis_engine.explorers.ase.replica_run import ReplicaRun
from sis_engine.explorers.model_file import verify_model
from sis_engine.explorers.progress import ReplicaProgress
from sis_engine.explorers.watch import WATCHED_IN_PYTHON
from sis_engine.interfaces import Context, MdTask, ProgramReport
from sis_engine.records import (
    Condition,
    Ensemble,
    Exploration,
    FrameSet,
    Model,
    Prediction,
    Quantity,
    Rounds,
)


class AseExplorer:
    """Runs replicas one after the other; see :class:`sis_engine.interfaces.Explorer`."""

    Config: ClassVar[type[AseConfig]] = AseConfig
    watches: frozenset[Quantity] = WATCHED_IN_PYTHON

    def __init__(self, config: AseConfig) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(config)

    def explore(
        self,
        task: MdTask,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Iterator[Exploration]:
        """One result per replica, in their order. Raises StopRequested, ConfigurationError."""
        make = _needed(calculator)
        for item in task.models:
            verify_model(item)
        progress = ReplicaProgress(context.progress, task.replicas)
        models = [make(item) for item in task.models] if task.members else []
        watch = CommitteeWatch(models, task.sampling.deviation_every_steps)
        if task.rounds is not None:
            runs = [ReplicaRun(replica, task, self.config, watch) for replica in task.replicas]
            yield from _in_rounds(runs, task, task.rounds, make, context, progress)
            return
        for replica in task.replicas:
            run = ReplicaRun(replica, task, self.config, watch)
            run.go_on(make(task.model), context, progress)
            yield run.result(progress)

    def predict(
        self,
        model: Model,
        frames: FrameSet,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Prediction:
        """Energies, forces (and virials of periodic frames where it has them) of frames."""
        verify_model(model)
        return predict(_needed(calculator)(model), frames, context)

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        """Raise what can be known before anything runs."""
        del model_in_lammps
        for condition in conditions:
            if condition.thermostat not in ("nose-hoover", "langevin", "csvr"):
                raise ConfigurationError(
                    f"condition {condition.name}: unknown thermostat {condition.thermostat!r}",
                    allowed="nose-hoover, langevin, csvr",
                )
            if condition.ensemble is Ensemble.NPT and condition.pressure_gpa is None:
                raise ConfigurationError(f"condition {condition.name}: NPT needs pressure_gpa")

    def doctor(self) -> tuple[ProgramReport, ...]:
        """Which ASE."""
        import ase

        return (ProgramReport("ase", ase.__file__, ase.__version__),)


def _needed(calculator: Callable[[Model], Any] | None) -> Callable[[Model], Any]:
    if calculator is None:
        raise ConfigurationError(
            "the ASE explorer needs the trainer's calculator and got none",
            hint="this trainer may not have one: use the LAMMPS explorer",
        )
    return calculator


def _in_rounds(
    runs: Sequence[ReplicaRun],
    task: MdTask,
    rounds: Rounds,
    make: Callable[[Model], Any],
    context: Context,
    progress: ReplicaProgress,
) -> Iterator[Exploration]:
    """One after another to the end of each round; a calculator for each, for it may remember."""
    calculators = {run.replica.id: make(task.model) for run in runs}
    ends = {run.replica.id: dict(rounds.ends(run.replica)) for run in runs}
    ended, left = list(rounds.ended), list(runs)
    for number in sorted({k for found in ends.values() for k in found}):
        for run in tuple(left):
            until = ends[run.replica.id].get(number)
            if until is None and run.replica.time_offset_fs > 1000.0 * rounds.length_ps * number:
                continue  # it goes on from a later round
            if run.go_on(calculators[run.replica.id], context, progress, until):
                left.remove(run)
                result = run.result(progress)
                ended.append((result.md_ps, result.has_failed))
                yield result
        if rounds.is_enough(ended, number):
            for run in left:
                run.stop_here()
            break
    for run in left:
        if run.ending is None:
            run.go_on(calculators[run.replica.id], context, progress)
        yield run.result(progress)
