"""Between the bank and a labeler: labels run side by side, packed onto free cores.

:class:`PackedLabeler` lets each calculation in when there are cores for it and tells it how many
threads it may use; :class:`SideBySide` takes a task of many single points apart, so that they can
be let in together. The bank lies between the two: what is known holds no core, and a label is
durable when its thread has it, whoever looks at it later.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from sis_engine.errors import StopRequested
from sis_engine.execution.core_gate import CoreGate
from sis_engine.execution.packing import Timings, choose, share
from sis_engine.interfaces import Capability, Context, Labeler, LabelTask, SinglePoints, no_progress
from sis_engine.labelling.banked import LabelStore
from sis_engine.records import Frame, LabelFailure, Labelled, LevelOfTheory, System
from sis_engine.reference_md import LabelSource

PLANS_PER_WORKER, MOST_PLANS = 2, 256
"""Plans in hand for each worker of a pool, so that none of them waits, and at most."""

Result = Labelled | LabelFailure
Known = Callable[[System, Frame, int], bool]


class Demand:
    """How many labels are wanted at this moment, at least one. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = 0
        self._wanted = 0

    def __call__(self) -> int:
        with self._lock:
            return max(1, self._streams, self._wanted)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Held while work whose labels come one after another is in hand: it counts as one label
        wanted also between two of them.
        """
        with self._lock:
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1

    def add(self, n: int) -> None:
        """So many more labels are wanted together (fewer, where negative)."""
        with self._lock:
            self._wanted += n


class PackedLabeler:
    """A labeler whose every calculation waits for free cores and is told how many it has.

    fixed: threads are those of the context, whatever was measured: their number changes the last
        bits of a label, which the *exact* promise forbids
    """

    def __init__(
        self, labeler: Labeler, gate: CoreGate, demand: Demand, timings: Timings, *, fixed: bool
    ) -> None:
        self.labeler = labeler
        self.demand = demand
        self._gate = gate
        self._timings = timings
        self._fixed = fixed
        self._levels: dict[str, str] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.labeler.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def label(
        self, task: LabelTask, context: Context, *, alone: bool = False, all_cores: bool = False
    ) -> Iterator[Result]:
        """What the labeler yields. alone: with nothing of ours beside it"""
        level, n_atoms = self._level(task.system), task.system.frame.n_atoms

        def threads(free: int) -> int:
            if self._fixed:
                return context.threads
            cores = max(1, min(free, context.threads))
            if all_cores:
                return cores
            n_tasks = self.demand() if Capability.SIDE_BY_SIDE in self.capabilities else 1
            return choose(n_tasks, cores, self._timings.seconds(level, n_atoms)).threads

        with self._gate.enter(threads, context.stop, alone=alone) as held:
            for result in self.labeler.label(task, replace(context, threads=held)):
                if isinstance(result, Labelled) and not result.cached:
                    self._timings.add(level, n_atoms, held, result.seconds)
                yield result

    def _level(self, system: System) -> str:
        """Asked once a system: some labelers read files for it."""
        if system.name not in self._levels:
            self._levels[system.name] = self.labeler.level_of_theory(system).fingerprint
        return self._levels[system.name]


def nothing_was_known(system: System, frame: Frame, generation: int) -> bool:
    """Without a bank every label is paid for."""
    del system, frame, generation
    return False


@dataclass(frozen=True)
class SideBySide:
    """A source of labels whose single points run side by side, where the labeler allows it.

    source: with the bank in it;  cores: most labels that may run at a time
    demand: shared with the :class:`PackedLabeler` at the bottom
    fixed: threads of a label follow from the task alone, for the *exact* promise
    known: whether a label was in the bank before a generation began
    workers: of a pool that makes them; ``None``: they are made here
    banks: that remember which frames failed
    """

    source: LabelSource
    cores: int
    demand: Demand
    fixed: bool = False
    known: Known = nothing_was_known
    workers: int | None = None
    banks: tuple[LabelStore, ...] = ()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.source.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.source.level_of_theory(system)

    def stream(self) -> AbstractContextManager[None]:
        """Held while work whose labels come one after another is in hand."""
        return self.demand.stream()

    def plans_at_once(self, threads: int) -> int:
        """How many plans may be walked side by side, each in a thread that mostly waits."""
        return threads if self.workers is None else min(PLANS_PER_WORKER * self.workers, MOST_PLANS)

    def threads_of_each(self, n_tasks: int, threads: int) -> int:
        """Threads that one of ``n_tasks`` beside each other is given, of ``threads`` for all.

        Where threads are not fixed that is all of them: how many it uses is decided when its
        turn comes.
        """
        beside = self.fixed and Capability.SIDE_BY_SIDE in self.capabilities
        return share(n_tasks, threads) if beside else threads

    def forget_failures(self, failures: Sequence[LabelFailure]) -> None:
        """Their frames may be tried again."""
        for bank in self.banks:
            bank.forget_failures([failure.key for failure in failures])

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """One result a frame, in the order they finish. Raises what the labeler raised first."""
        beside = Capability.SIDE_BY_SIDE in self.capabilities
        if not (isinstance(task, SinglePoints) and beside and len(task.frames) > 1):
            yield from self.source.label(task, context)
            return
        yield from self.label_all(
            [
                SinglePoints(task.system, (frame,), (origin,))
                for frame, origin in zip(task.frames, task.origins, strict=True)
            ],
            context,
        )

    def label_all(self, tasks: Sequence[SinglePoints], context: Context) -> Iterator[Result]:
        """The same of several tasks, which may be of different systems."""
        beside = Capability.SIDE_BY_SIDE in self.capabilities
        workers = min(len(tasks), self.cores) if beside else 1
        each = replace(context, threads=self.threads_of_each(len(tasks), context.threads))
        if workers == 1:
            for task in tasks:
                yield from self.source.label(task, each)
            return
        yield from _Crew(self.source, tasks, each, self.demand).results(workers)


class _Crew:
    """Some threads that take tasks from one list; what they make is handed over as it comes."""

    def __init__(
        self, source: LabelSource, tasks: Sequence[SinglePoints], context: Context, demand: Demand
    ) -> None:
        self._source = source
        self._left = list(reversed(tasks))
        self._context = context
        self._demand = demand
        self._lock = threading.Lock()
        self._made: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        self._errors: list[BaseException] = []

    def results(self, workers: int) -> Iterator[Result]:
        """All results; then the first error, if there was one.

        After an error, or when nobody wants the results any more, what is in hand is finished
        (it is paid for) and nothing new is begun.
        """
        self._demand.add(len(self._left))
        threads = [threading.Thread(target=self._work, args=(k,)) for k in range(workers)]
        for thread in threads:
            thread.start()
        try:
            working = workers
            while working:
                made = self._made.get()
                if made is None:
                    working -= 1
                else:
                    yield made
        finally:
            self._drop_the_rest()
            for thread in threads:
                thread.join()
        if self._errors:
            raise min(self._errors, key=lambda error: isinstance(error, StopRequested))

    def _work(self, number: int) -> None:
        folder = self._context.workdir / f"worker-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        own = replace(self._context, workdir=folder, progress=no_progress)
        try:
            while (task := self._next()) is not None:
                try:
                    for result in self._source.label(task, own):
                        self._made.put(result)
                finally:
                    self._demand.add(-1)
        except BaseException as error:  # noqa: BLE001 - raised again where results are asked for
            self._errors.append(error)
            self._drop_the_rest()
        finally:
            self._made.put(None)

    def _next(self) -> SinglePoints | None:
        with self._lock:
            return self._left.pop() if self._left else None

    def _drop_the_rest(self) -> None:
        with self._lock:
            self._demand.add(-len(self._left))
            self._left.clear()
