"""A finished run as a small JSON file: all that the report needs, and a comparison goes on from.

Campaign folders are large and may be lost; these are small and may be committed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from sis_engine.bookkeeping.budget import Limit
from sis_engine.errors import NewerFormat, TornFile
from sis_engine.storage.atomic import write_text

FORMAT = 1


def _finite(value: Any) -> Any:
    """Not finite is not known: JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Known = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or ``None`` where it is not known."""


class Kept(BaseModel):
    """Frozen; unknown keys are errors: a newer engine's file is not half understood."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LifeResult(Kept):
    """One replica of the examiner's MD. censored: lived to the end"""

    system: str
    time_ps: float
    censored: bool
    criterion: str | None = None


class ErrorResult(Kept):
    """force_rmse: eV/Å; relative: over the RMS reference force; energy: eV/atom

    relative_upper: one-sided 95 % limit over replicas, where a bootstrap gave one
    elements: relative force RMSE by element
    """

    n_frames: int
    force_rmse: Known
    relative: Known
    force_p99: Known
    energy_rmse_per_atom: Known
    relative_upper: Known = None
    elements: dict[str, Known] = {}


class PairResult(Kept):
    """Pair distances of the examiner's MD beside the reference's.

    kind: "g(r)" or "density / (1/Å)";  error: integral of the absolute difference over r
    floor: the same between the halves of the reference: less cannot be told from none
    """

    system: str
    pair: tuple[str, str]
    kind: str
    error: float
    floor: float
    r_angstrom: tuple[float, ...] = ()
    model: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()


class SpeciesResult(Kept):
    """Molecules and bonds in the examiner's MD beside the reference's.

    error: sum over formulas of |difference of mean numbers of molecules|
    counts, reference: mean number of each formula
    broken: kinds of bonds in the order of their mean first breaking, with the share of replicas
    order_agreement: Kendall's tau of that order with the reference's; ``None``: too few to order
    """

    system: str
    error: float
    counts: dict[str, float]
    reference: dict[str, float]
    broken: tuple[tuple[str, float], ...] = ()
    reference_broken: tuple[tuple[str, float], ...] = ()
    order_agreement: Known = None


class ExamResult(Kept):
    """The examiner's word on one model.

    generation: that made it;  evaluations: what the arm had paid by then
    survival_ps: mean of min(life, duration) over the replicas;  survived: share that lived on
    audit: on frames of survivors, ``None`` without any;  test: on the reference trajectory
    reasons: why it did not pass, empty where it did;  notes: how far to trust it, either way
    """

    generation: int
    evaluations: int
    duration_ps: float
    lives: tuple[LifeResult, ...]
    survival_ps: float
    survived: float
    audit: ErrorResult | None
    test: ErrorResult
    rdf_error: Known
    pairs: tuple[PairResult, ...]
    species: tuple[SpeciesResult, ...]
    stable: bool
    right: bool
    reasons: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.stable and self.right


class ModelResult(Kept):
    """A model that an arm had: what everything up to it cost, and how long its own MD lived.

    lives_ps: of each replica, t_cp where it failed;  censored: lived to the end (empty in the files
        of earlier versions: not known)
    """

    generation: int
    evaluations: int
    label_s: float
    train_s: float
    md_s: float
    lives_ps: tuple[float, ...]
    decision: str
    censored: tuple[bool, ...] = ()


End = Literal["stable", "exhausted", "out_of_budget", "refused"]


class RunResult(Kept):
    """One finished (arm, seed).

    settings: see :mod:`sis_engine.comparison.settings`;  made: engine, code, programs, machine
    end: ``stable`` by its own stop rule; ``exhausted``: its sampler gave up; ``out_of_budget``:
        a key of its budget ended it; ``refused``: no model was admitted
    limit: that key; ``None``: none did, or it is not known
    evaluations: all it was charged for, by purpose as well;  reference_md_ps: of its segments
    longest_ps: the longest life in the examination of its last model
    """

    format: Literal[1] = 1
    comparison: str
    case: str
    arm: str
    seed: int
    settings: dict[str, Any]
    made: dict[str, str]
    end: End
    reason: str
    limit: Limit | None = None
    evaluations: int
    by_purpose: dict[str, int]
    generations: int
    label_s: float
    train_s: float
    md_s: float
    wall_s: float
    reference_timestep_fs: Known
    reference_md_ps: float
    models: tuple[ModelResult, ...]
    exams: tuple[ExamResult, ...]

    @property
    def reached(self) -> bool:
        """Did it say *stable* of itself?"""
        return self.end == "stable"

    @property
    def last_exam(self) -> ExamResult | None:
        return self.exams[-1] if self.exams else None

    @property
    def passed(self) -> bool:
        """Did its last model pass the examiner?"""
        return self.last_exam is not None and self.last_exam.passed

    def exam_at(self, cost: int) -> ExamResult | None:
        """Of the model it had for ``cost`` evaluations; ``None`` before there was one."""
        had = [item for item in self.exams if item.evaluations <= cost]
        return had[-1] if had else None


def write_result(path: Path, result: RunResult) -> None:
    """Durable when this returns; the same bytes for the same result."""
    write_text(path, result.model_dump_json() + "\n")


def read_result(path: Path) -> RunResult:
    """Raises TornFile for what is not a result, NewerFormat for one of a newer engine."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(tree, dict) and int(tree.get("format", FORMAT)) > FORMAT:
            raise NewerFormat(
                f"{path} has format {tree['format']}, this engine reads up to {FORMAT}",
                path=path,
                hint="upgrade: pip install --upgrade sis-engine",
            )
        return _whole(RunResult.model_validate(tree))
    except (OSError, ValueError, TypeError) as error:
        raise TornFile(
            f"{path} is not the result of a run: {str(error).splitlines()[0]}",
            path=path,
            hint="move it away, and the run is computed again",
        ) from error


def _whole(result: RunResult) -> RunResult:
    """Raises ValueError where its own numbers do not agree."""
    by_purpose = sum(result.by_purpose.values())
    if by_purpose != result.evaluations:
        raise ValueError(
            f"evaluations is {result.evaluations}, those by_purpose are {by_purpose} together"
        )
    return result
