"""What every stage is handed, and how a stage is done once and found again after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from sis_engine.bookkeeping.budget import budget_left, spent_through
from sis_engine.errors import TornFile
from sis_engine.execution.turns import NoTurns, Turns
from sis_engine.interfaces import Context, Progress
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import Allowance, Frame, LabelFailure, Labelled, Purpose
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts
from sis_engine.stages.kept import Kept
from sis_engine.storage.atomic import move_aside
from sis_engine.storage.codec import load_record, save_record
from sis_engine.storage.ledger import Ledger, StageRow

Record = TypeVar("Record")

ON_GPU, LABELS = frozenset({"train", "admit", "explore"}), frozenset({"label", "test"})
"""Kinds of stage that are worth a GPU, and those that others may have it in. The rest keeps it."""


class Console(Protocol):
    """Where a running campaign is watched: progress of the stage in hand, and events."""

    def stage(self, generation: int, name: str) -> Progress: ...

    def event(self, text: str, kind: str = "event", level: str = "info") -> None: ...

    def evaluated(self) -> None: ...

    def lived(self, time_ps: float) -> None: ...


@dataclass(frozen=True)
class StageContext:
    """One generation's bench: the parts, the ledger, folders, seeds, progress and the stop flag."""

    parts: Parts
    labeler: SideBySide
    ledger: Ledger
    folder: Path
    generation: int
    console: Console
    stop: Callable[[], bool]
    turns: Turns = field(default_factory=NoTurns)

    def seed(self, *purpose: str | int) -> int:
        """A seed for this generation and purpose."""
        return derive_seed(self.parts.config.seed, self.generation, *purpose)

    def is_known(self, system: str, frame: Frame) -> bool:
        """Whether this label costs nothing (see :meth:`BankedLabeler.is_known`)."""
        return self.labeler.known(self.parts.system(system), frame, self.generation)

    def left(self, *, leaving_out: Sequence[Purpose]) -> Allowance:
        """What may still be spent, as a stage finds it that buys labels of these purposes.

        leaving_out: its own purposes, and those of later stages of this generation
        """
        spent = spent_through(self.ledger, self.generation, leaving_out=leaving_out)
        return budget_left(self.parts.config.budget, spent)

    def stage_folder(self, name: str) -> Path:
        return self.folder / "work" / f"{self.generation:04d}" / name

    def context(self, name: str, attempt: int) -> Context:
        """Scratch folder, threads, progress and stop flag of one attempt at a stage.

        The kept folder outlives the attempt, not the commit; a part makes it when it needs it.
        """
        workdir = self.stage_folder(name) / str(attempt)
        if workdir.exists():  # of a generation that was taken back: not this attempt's files
            move_aside(workdir)
        workdir.mkdir(parents=True)
        return Context(
            workdir=workdir,
            threads=self.parts.cores,
            progress=self.console.stage(self.generation, name),
            stop=self.stop,
            kept=self.stage_folder(name) / "kept",
        )

    def once(
        self,
        name: str,
        kind: type[Record],
        compute: Callable[[Context], Record],
        whole: Callable[[Record], Record | None] | None = None,
    ) -> Record:
        """The result of a stage: loaded if it was finished before, else computed and kept.

        The result file is durable before the ledger says *done*; a kill in between computes the
        stage again, from the same seeds and the same bank. So does a result file that is torn.
        whole: looks at a loaded result's own files; ``None`` from it: they are not as recorded
        """
        found = self._found(name, kind, whole)
        if found is not None:
            return found
        self._take_turn(name.partition("-")[0])
        attempt = self.ledger.start_stage(self.generation, name)
        started = time.monotonic()
        try:
            result = compute(self.context(name, attempt))
        except BaseException as error:
            self.ledger.fail_stage(
                self.generation,
                name,
                attempt,
                seconds=time.monotonic() - started,
                message=str(error) or type(error).__name__,
            )
            raise
        path = self.stage_folder(name) / f"result-{attempt}.h5"
        digest = save_record(path, result)
        self.ledger.finish_stage(
            self.generation,
            name,
            attempt,
            result_path=path,
            sha256=digest,
            seconds=time.monotonic() - started,
        )
        return result

    def _take_turn(self, kind: str) -> None:
        if kind in LABELS:
            self.leave_gpu()
        elif kind in ON_GPU and self.turns.take(self.stop):
            self.parts.close_programs()

    def leave_gpu(self) -> None:
        """Labels are made on CPUs, and may take long."""
        if self.turns.held:
            self.parts.close_programs()
            self.turns.give_back()

    def _found(
        self, name: str, kind: type[Record], whole: Callable[[Record], Record | None] | None
    ) -> Record | None:
        """The result of a finished stage, or ``None`` when there is none that is whole."""
        known = self.ledger.done_stage(self.generation, name)
        if known is None or known.result_path is None:
            return None
        try:
            result = load_record(self.folder / known.result_path, kind)
        except TornFile as error:
            self._tell_torn(known, self.folder / known.result_path, error)
            return None
        found = result if whole is None else whole(result)
        if found is None:
            self.note(
                "torn_result",
                f"generation {self.generation} {name}: its files are not as recorded; "
                "the stage is done again",
            )
        return found

    def kept(self, name: str, kind: type[Record]) -> Kept[Record]:
        """Pieces of a stage's result that outlive a kill in the middle of it."""
        return Kept(self.stage_folder(name) / "kept", kind, self.note)

    def note(self, kind: str, text: str, level: str = "warning") -> None:
        """An event, in the ledger and for the person watching."""
        self.ledger.event(kind, text, level=level)
        self.console.event(text)

    def _tell_torn(self, row: StageRow, path: Path, error: TornFile) -> None:
        """A result file that is not as written is moved aside; its stage is done again."""
        moved = move_aside(path) if path.exists() else None
        self.note(
            "torn_result",
            f"generation {row.generation} {row.stage}: {error.message}; moved to {moved}; "
            "the stage is done again",
        )

    def count(self, item: Labelled | LabelFailure) -> None:
        """Enter one evaluation into the ledger (counting it twice is impossible there).

        One that is counted already is not shown as another: a resumed stage meets it again.
        """
        if self.ledger.count_evaluation(self.generation, item) and not item.cached:
            self.console.evaluated()

    def of_generation(self, generation: int) -> StageContext:
        return replace(self, generation=generation)
