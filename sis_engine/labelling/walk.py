"""LABEL: walks down a plan and says which rung held.

The labeler it is handed is a :class:`sis_engine.labelling.banked.BankedLabeler`, so what is known
is not paid for and what is new is durable before anything else happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.interfaces import (
    Context,
    Optimisation,
    Segment,
    SinglePoints,
)
from sis_engine.labelling.banked import BankedLabeler, LabelStore, Result
from sis_engine.labelling.costs import (
    IsKnown,
    Purse,
    nothing_is_known,
    probe_purpose,
    takes_first_start,
)
from sis_engine.labelling.starts import next_probe, refusal, relative_force_error
from sis_engine.numerals import beside
from sis_engine.records import (
    Allowance,
    FloatArray,
    Frame,
    LabelFailure,
    Labelled,
    LabelPlan,
    Origin,
    PlanOutcome,
    Purpose,
    Rung,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import LabelSource, ReferenceMD, finite_or_failure, single_point

__all__ = ["BankedLabeler", "LabelStore", "OnResult", "Result", "walk"]

OnResult = Callable[[Result], None]
ModelForces = Callable[[System, Sequence[Frame]], FloatArray]
"""(n_frames, n_atoms, 3), eV/Å: what the model at hand says of frames of a system."""


def walk(
    plan: LabelPlan,
    system: System,
    labeler: LabelSource,
    *,
    generation: int,
    context: Context,
    on_result: OnResult,
    model_forces: ModelForces | None = None,
    allowance: Allowance | None = None,
    is_known: IsKnown = nothing_is_known,
) -> PlanOutcome:
    """Label what a plan asks for, as :class:`sis_engine.records.LabelPlan` documents.

    labeler: banked; it is lifted here when it has single points only
    on_result: handed every result as it finishes, cached or not, kept or not
    model_forces: for plans with ``until``; without it their segments run to their length
    allowance: what it may spend at most, of which it knows beforehand what ``is_known``

    Audit and test plans skip bounds, search and optimisation: their failure is a failure. In the
    outcome a start that was labelled on trial and then became the first frame of its segment
    appears once, as the latter. Raises StopRequested; walking again continues where it stopped.
    """
    source, purse = ReferenceMD(labeler), Purse(allowance or Allowance())
    walked = _Walk(
        plan, system, source, generation, context, on_result, model_forces, purse, is_known
    )
    return walked.run()


class _Walk:
    """One walk down one plan: what was labelled so far, and the rungs as methods."""

    def __init__(
        self,
        plan: LabelPlan,
        system: System,
        source: ReferenceMD,
        generation: int,
        context: Context,
        on_result: OnResult,
        model_forces: ModelForces | None,
        purse: Purse,
        is_known: IsKnown,
    ) -> None:
        self._plan = plan
        self._system = system
        self._source = source
        self._generation = generation
        self._context = context
        self._on_result = on_result
        self._model_forces = model_forces
        self._purse = purse
        self._is_known = is_known
        self._labelled: dict[str, Labelled] = {}
        self._failures: list[LabelFailure] = []
        self._n_results = 0
        self._n_evaluations = 0
        self._trials: dict[int, Result] = {}
        self._notes: list[str] = []

    def run(self) -> PlanOutcome:
        plan = self._plan
        if not plan.starts:
            self._notes.append("the plan has no start")
            return self._outcome(Rung.NONE, None)
        if plan.segment is None and plan.bisect is not None:
            return self._searched()
        if plan.segment is None:
            return self._single_points()
        if takes_first_start(plan):
            return self._segment_from(plan.starts[0], 0, Rung.PREFERRED)
        chosen = self._bisected() if plan.bisect is not None else self._first_accepted()
        if chosen is not None:
            rung = Rung.PREFERRED if chosen == 0 else Rung.FURTHER_BACK
            return self._segment_from(plan.starts[chosen], chosen, rung)
        return self._optimised()

    # ------------------------------------------------------------------ rungs

    def _single_points(self) -> PlanOutcome:
        """Every start, in one task: a labeler may run them side by side."""
        chosen = [(k, start) for k, start in enumerate(self._plan.starts) if self._may_look(start)]
        origins = tuple(self._origin(self._plan.purpose, k, start.time_fs) for k, start in chosen)
        task = SinglePoints(self._system, tuple(start.frame for _, start in chosen), origins)
        for result in self._source.label(task, self._context):
            self._take(finite_or_failure(result), len(chosen), "single points")
            if self._n_results < len(chosen) and self._context.stop():
                raise StopRequested(f"stopped among the single points of plan {self._plan.id}")
        # Known labels come before new ones: put in the plan's order, a resume changes nothing.
        known = sorted(self._labelled.items(), key=lambda item: item[1].origin.index)
        self._labelled = dict(known)
        self._failures.sort(key=lambda item: item.origin.index)
        return self._outcome(Rung.SINGLE_POINTS if self._labelled else Rung.NONE, None)

    def _searched(self) -> PlanOutcome:
        """The search alone: what it labelled, around the last good start, is the data."""
        self._bisected()
        return self._outcome(Rung.SINGLE_POINTS if self._labelled else Rung.NONE, None)

    def _first_accepted(self) -> int | None:
        for index, start in enumerate(self._plan.starts):
            if not self._may_look(start):
                break
            if self._accepted(index, self._try(index)):
                return index
        return None

    def _bisected(self) -> int | None:
        """The newest start whose model force error is within bound; else what bounds accept."""
        bisect = self._plan.bisect
        if bisect is None:
            return None
        errors: dict[int, float] = {}
        while len(errors) < max(bisect.max_evaluations, 1):
            index = next_probe(len(self._plan.starts), errors, bisect.max_relative_error)
            if index is None or not self._may_look(self._plan.starts[index]):
                break
            errors[index] = self._error(index, self._try(index))
        good = [i for i, error in errors.items() if error <= bisect.max_relative_error]
        if good:
            return min(good)
        return self._least_bad(errors, bisect.max_relative_error)

    def _least_bad(self, errors: dict[int, float], limit: float) -> int | None:
        """No start is within the error bound: the best that explicit bounds accept, if any do."""
        best = min(errors.values(), default=float("inf"))
        seen, bound = beside(best, limit)
        self._notes.append(
            f"no start had a relative force error within {bound} "
            f"({len(errors)} looked at, best {seen})"
        )
        fits = [i for i in errors if self._accepted(i, self._trials[i])]
        if not fits or (self._plan.bounds is None and self._plan.optimise is not None):
            return None
        return min(fits, key=lambda index: (errors[index], index))

    def _optimised(self) -> PlanOutcome:
        """The newest start that could be labelled at all, optimised, then the segment."""
        spec = self._plan.optimise
        usable = [i for i in sorted(self._trials) if isinstance(self._trials[i], Labelled)]
        if spec is None or not usable:
            self._notes.append(
                "no start was accepted and no optimisation was asked for"
                if spec is None
                else "no start could be labelled"
            )
            return self._outcome(Rung.NONE, None)
        index = usable[0]
        start = self._plan.starts[index]
        # Its first step is the start, which has its label already.
        steps = 1 + self._purse.most(Purpose.OPTIMISE, spec.max_steps - 1, keep=self._later_frames)
        if steps < spec.max_steps:
            self._notes.append(f"the budget allows {steps} of {spec.max_steps} optimisation steps")
        spec = replace(spec, max_steps=steps)
        task = Optimisation(self._system, start, spec, self._origin(Purpose.OPTIMISE, 0, None))
        last: Result | None = None
        for step, last in enumerate(self._source.label(task, self._context), start=1):
            self._take(last, spec.max_steps, "optimisation", done=step)
            self._purse.spend(Purpose.OPTIMISE, int(not last.cached))
        if not isinstance(last, Labelled) or not self._accepted(index, last):
            self._notes.append(f"start {index} could not be optimised into the bounds")
            return self._outcome(Rung.NONE, None)
        return self._segment_from(Start(last.frame), index, Rung.OPTIMISED)

    def _segment_from(self, start: Start, index: int, rung: Rung) -> PlanOutcome:
        spec = self._plan.segment
        if spec is None:
            raise ValueError("a plan without a segment has no segment to run")
        spec = replace(spec, n_steps=self._affordable_steps(spec, start))
        if spec.n_steps < 1:
            return self._outcome(Rung.NONE, None)
        # Velocities are drawn anew: those at t_next belong to a model that was going wrong.
        velocities = start.velocities if self._plan.continues else None
        task = Segment(
            self._system,
            Start(start.frame, start.time_fs, velocities),
            spec,
            self._origin(self._plan.purpose, 0, 0.0),
        )
        run: list[Labelled] = []
        with closing(self._source.label(task, self._context)) as results:
            for result in results:
                self._take(result, spec.n_steps, "segment", done=len(run) + 1)
                if isinstance(result, LabelFailure):
                    self._notes.append(
                        f"the segment ended at step {len(run)} of {spec.n_steps}: {result.message}"
                    )
                    break
                run.append(result)
                if self._is_right(run):
                    break
        if not run:
            return self._outcome(Rung.NONE, None)
        return self._outcome(rung, index)

    def _is_right(self, run: Sequence[Labelled]) -> bool:
        """Is the model right on the last frames, so that more of them would teach it little?"""
        until = self._plan.until
        if until is None or self._model_forces is None or len(run) < until.window:
            return False
        if (len(run) - until.window) % until.check_every:
            return False
        last = run[-until.window :]
        said = self._model_forces(self._system, [item.frame for item in last])
        error = relative_force_error(said, np.stack([item.label.forces for item in last]))
        if not error <= until.max_relative_error:
            return False
        self._notes.append(
            f"the segment ended at step {len(run)}: the model's relative force error on the last "
            f"{until.window} frames is {error:.3g}, {until.max_relative_error:g} is enough"
        )
        return True

    # ------------------------------------------------------------------ the allowance

    @property
    def _later_frames(self) -> int:
        """Frames of the segment after its first, which is a start and has its label by then."""
        return 0 if self._plan.segment is None else self._plan.segment.n_steps - 1

    def _may_look(self, start: Start) -> bool:
        """Whether a single point there leaves enough for the segment; then it is spent."""
        if self._is_known(self._plan.system, start.frame):
            return True
        purpose = probe_purpose(self._plan)
        if self._purse.most(purpose, 1, keep=self._later_frames) == 0:
            self._notes.append("the budget allows no more single points")
            return False
        self._purse.spend(purpose, 1)
        return True

    def _affordable_steps(self, spec: SegmentSpec, start: Start) -> int:
        """The segment's steps, fewer where the allowance ends before; spent now."""
        known = start.frame.key in {item.frame.key for item in self._labelled.values()}
        first = 0 if known or self._is_known(self._plan.system, start.frame) else 1
        most = self._purse.most(self._plan.purpose, spec.n_steps - 1 + first)
        self._purse.spend(self._plan.purpose, most)
        n_steps = most + 1 - first
        if n_steps < spec.n_steps:
            self._notes.append(f"the budget allows {n_steps} of {spec.n_steps} steps")
        return n_steps

    # ------------------------------------------------------------------ one result

    def _try(self, index: int) -> Result:
        """A single point on a start, on trial."""
        plan = self._plan
        if self._context.stop():
            raise StopRequested(f"stopped in the search for a start of plan {plan.id}")
        start = plan.starts[index]
        origin = self._origin(probe_purpose(plan), index, start.time_fs)
        result = single_point(self._source, self._system, start.frame, origin, self._context)
        self._take(result, len(plan.starts), "choosing a start")
        self._trials[index] = result
        return result

    def _accepted(self, index: int, result: Result) -> bool:
        if isinstance(result, LabelFailure):
            self._notes.append(f"start {index} got no label: {result.message}")
            return False
        reason = refusal(result.label, self._plan.bounds)
        if reason is not None:
            self._notes.append(f"start {index} refused: {reason}")
        return reason is None

    def _error(self, index: int, result: Result) -> float:
        """Relative force error of the model on a start; infinite when it may not be taken."""
        if isinstance(result, LabelFailure) or not self._accepted(index, result):
            return float("inf")
        return relative_force_error(self._plan.starts[index].model_forces, result.label.forces)

    def _take(self, result: Result, total: int, doing: str, done: int | None = None) -> None:
        self._n_results += 1
        facts: dict[str, float] = {}
        if isinstance(result, LabelFailure):
            self._failures.append(result)
            self._n_evaluations += not result.cached
        else:
            # A trial that became a segment's first frame moves to its place in the segment.
            self._labelled.pop(result.key, None)
            self._labelled[result.key] = result
            self._n_evaluations += not result.cached
            facts["energy"] = result.label.energy
            if result.temperature_k is not None:
                facts["temperature_k"] = result.temperature_k
        self._on_result(result)
        self._context.progress(
            self._n_results if done is None else done,
            total,
            f"{doing} of {self._plan.id}",
            evaluations=self._n_evaluations,
            **facts,
        )

    def _origin(self, purpose: Purpose, index: int, time_fs: float | None) -> Origin:
        return Origin(purpose, self._generation, self._system.name, self._plan.id, index, time_fs)

    def _outcome(self, rung: Rung, start_index: int | None) -> PlanOutcome:
        return PlanOutcome(
            plan_id=self._plan.id,
            system=self._plan.system,
            purpose=self._plan.purpose,
            rung=rung,
            start_index=start_index,
            labelled=tuple(self._labelled.values()),
            failures=tuple(self._failures),
            n_evaluations=self._n_evaluations,
            message="; ".join(dict.fromkeys(self._notes)),
        )
