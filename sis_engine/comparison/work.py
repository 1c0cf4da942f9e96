"""The pieces of work of a comparison, each done once and found again: references, starts, runs."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from sis_engine import __version__
from sis_engine.bookkeeping.wallclock import WALL_S
from sis_engine.comparison.arm import ArmEnd, run_arm, settle
from sis_engine.comparison.charges import Charges, charges_of, examined_generations, model_of
from sis_engine.comparison.examiner import Candidate, examine
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.reference import Reference, make_reference
from sis_engine.comparison.results import ExamResult, PairResult, RunResult, write_result
from sis_engine.comparison.settings import (
    Settings,
    digest,
    examiner_settings,
    settings_of,
)
from sis_engine.comparison.starts import is_ready, make_start, start_digest
from sis_engine.errors import CampaignHeld, StopRequested
from sis_engine.setup.versions import machine
from sis_engine.storage.ledger import Ledger

R = TypeVar("R")

ONLY_SHOWS = frozenset({"report", "cli", "service", "templates", "rehearsal"})
WAIT_S = 0.2
Say = Callable[[str], None]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class Bench:
    """What every piece of work is handed. say: told what happens, a line at a time"""

    comparison: Comparison
    places: Places
    stop: Stop
    say: Say

    def reference(self, case: str) -> Reference:
        """The reference trajectories of a case: made, or found again.

        They hang on the examiner's settings: a changed one starts in a folder of its own. Another
        run of this comparison may be looking at the moment: it is waited for.
        """
        parts = self.comparison.examiner_parts(case, 0)
        folder = self.places.examiner(case) / _short(reference_settings(self.comparison, case))
        config = self.comparison.config.examiner.reference
        return self._alone(
            folder, functools.partial(make_reference, folder, parts, config, stop=self.stop)
        )

    def _alone(self, folder: Path, work: Callable[[], R]) -> R:
        """``work`` in a folder that siblings use too: each finds what another did before it."""
        while True:
            try:
                return work()
            except CampaignHeld:  # the comparison is held by us, so by a sibling
                if self.stop():
                    raise StopRequested(f"stopped while {folder} was in use") from None
                time.sleep(WAIT_S)

    def start(self, run: RunName) -> None:
        """The first labels and model that this run shares with others. A failure is told only:

        every arm then meets it by itself, and its end says what it was.
        """
        text = self.comparison.start_text(run, self.places.known_labels)
        parts = self.comparison.parts(run, text)
        folder = self.start_folder(run)
        if is_ready(folder):
            return
        ended = make_start(folder, parts, stop=self.stop)
        if self.stop():
            raise StopRequested(ended.reason)
        if not is_ready(folder):
            self.say(f"start {folder.name}: {ended.state.value}: {ended.reason}")

    def start_folder(self, run: RunName) -> Path:
        parts = self.comparison.parts(run)
        return self.places.start(run.case, run.seed, start_digest(parts, run.seed))

    def run(self, run: RunName) -> RunResult:
        """The campaign of an arm and its examinations; its result is kept when this returns."""
        settings = settings_of(self.comparison, run)
        told = settle(self.places, run, settings)
        if told is not None:
            self.say(told)
        end = run_arm(self.comparison, self.places, run, settings, stop=self.stop)
        folder = self.places.run(run)
        with Ledger(folder, read_only=True) as ledger:
            charges = charges_of(ledger)
            wall_s = float(ledger.meta(WALL_S) or 0.0)
            self.say(f"{run}: {end.end} at {charges.evaluations} evaluations: {end.reason}")
            exams = tuple(self._exams(run, charges, folder, ledger))
        result = _result(self.comparison, run, settings, end, charges, exams, wall_s)
        write_result(self.places.result(run), result)
        return result

    def _exams(
        self, run: RunName, charges: Charges, folder: Path, ledger: Ledger
    ) -> Iterator[ExamResult]:
        """Of the models at the costs of the grid, and of the last."""
        reference = self.reference(run.case)
        trainer = self.comparison.parts(run).trainer
        parts = replace(self.comparison.examiner_parts(run.case, run.seed), trainer=trainer)
        config = self.comparison.config.examiner
        mark = digest(examiner_settings(self.comparison, run.case, grid=False))
        wanted = examined_generations(charges.models, self.comparison.config.costs)
        for model in charges.models:
            if model.generation not in wanted:
                continue
            if self.stop():
                raise StopRequested(f"{run}: stopped between two examinations")
            files_there = model_of(folder, ledger, model.generation)
            place = self.places.exam(run, files_there.id, mark)
            candidate = Candidate(files_there, parts, model.generation, model.evaluations)
            bank = self.places.examiner(run.case) / "labels"
            found = self._alone(
                place,
                functools.partial(
                    examine, candidate, reference, config, place, bank, stop=self.stop
                ),
            )
            verdict = "passed" if found.passed else "; ".join(found.reasons[:2])
            self.say(f"{run}: examined at {model.evaluations} evaluations: {verdict}")
            yield found


def reference_settings(comparison: Comparison, case: str) -> Settings:
    """What the reference trajectory hangs on."""
    found = examiner_settings(comparison, case)
    wanted = ("examiner.systems", "examiner.labeler", "examination.reference")
    return {key: value for key, value in found.items() if key.startswith(wanted)}


def code_digest() -> str:
    """A hash of the source that numbers hang on: runs of one comparison by different code are told.

    What only shows them or prepares for them is left out.
    """
    found = hashlib.sha256()
    for package in ("sis_engine", "labelers", "trainers", "monitors"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            if ONLY_SHOWS.isdisjoint(path.relative_to(root).parts):
                found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _short(settings: Settings) -> str:
    return f"reference-{digest(settings)[:8]}"


def _result(
    comparison: Comparison,
    run: RunName,
    settings: Settings,
    end: ArmEnd,
    charges: Charges,
    exams: tuple[ExamResult, ...],
    wall_s: float,
) -> RunResult:
    segment = comparison.parts(run).config.initial.segment
    made = {"code": code_digest(), "machine": machine(), "date": time.strftime("%Y-%m-%d")}
    # Curves of pair distances are drawn for the last model only; the files stay small.
    slim = tuple(
        exam.model_copy(update={"pairs": tuple(_without_curve(pair) for pair in exam.pairs)})
        for exam in exams[:-1]
    )
    return RunResult(
        comparison=comparison.config.name,
        case=run.case,
        arm=run.arm,
        seed=run.seed,
        settings=settings,
        made={"sis-engine": __version__, **charges.versions, **made},
        end=end.end,
        reason=end.reason,
        limit=end.limit,
        evaluations=charges.evaluations,
        by_purpose=charges.by_purpose,
        generations=charges.generations,
        label_s=charges.label_s,
        train_s=charges.train_s,
        md_s=charges.md_s,
        wall_s=wall_s,
        reference_timestep_fs=None if segment is None else segment.timestep_fs,
        reference_md_ps=charges.reference_md_ps,
        models=charges.models,
        exams=(*slim, *exams[-1:]),
    )


def _without_curve(pair: PairResult) -> PairResult:
    return pair.model_copy(update={"r_angstrom": (), "model": (), "reference": ()})
