"""The raw numbers of a comparison as JSON: every run, and the statistics beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sis_engine.comparison.metrics import rdf_floor
from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.plan import Comparison
from sis_engine.comparison.results import ExamResult, RunResult
from sis_engine.report.jsonable import jsonable

FORMAT = 1


def numbers(
    comparison: Comparison, results: Sequence[RunResult], cases: Sequence[CaseOutcome]
) -> dict[str, Any]:
    """``arms``: name to ``runs``, flat and few; ``cases``: outcomes with intervals, by arm."""
    arms = {
        arm: {"runs": [run_numbers(item) for item in results if item.arm == arm]}
        for arm in comparison.config.arms
    }
    found: dict[str, Any] = jsonable(
        {
            "format": FORMAT,
            "comparison": comparison.config.name,
            "baseline": comparison.config.baseline_arm,
            "seeds": comparison.config.seeds,
            "costs": comparison.config.costs,
            "complete": len(results) == len(list(comparison.runs())),
            "arms": arms,
            "cases": [_case(item) for item in cases],
        }
    )
    return found


def run_numbers(run: RunResult) -> dict[str, Any]:
    """One run: how it ended, what it cost, and what the examiner said of its last model."""
    exam = run.last_exam
    return {
        "case": run.case,
        "seed": run.seed,
        "evaluations": run.evaluations,
        "reached": run.reached,
        "passed": run.passed,
        "end": run.end,
        "reason": run.reason,
        "limit": run.limit,
        "survival_ps": None if exam is None else exam.survival_ps,
        "survived": None if exam is None else exam.survived,
        "lives_ps": [] if exam is None else [life.time_ps for life in exam.lives],
        "censored": [] if exam is None else [life.censored for life in exam.lives],
        "force_rmse": None if exam is None else exam.test.force_rmse,
        "relative_force_rmse": None if exam is None else exam.test.relative,
        "rdf_error": None if exam is None else exam.rdf_error,
        "rdf_floor": None if exam is None else rdf_floor(exam),
        "label_s": run.label_s,
        "train_s": run.train_s,
        "md_s": run.md_s,
        "evaluations_by_purpose": run.by_purpose,
        "generations": run.generations,
        "by_cost": [_exam(item) for item in run.exams],
        "models": [
            {
                "generation": item.generation,
                "evaluations": item.evaluations,
                "lives_ps": item.lives_ps,
                "censored": item.censored,
                "decision": item.decision,
            }
            for item in run.models
        ],
    }


def _exam(exam: ExamResult) -> dict[str, Any]:
    """One examination; of every system and pair, what was seen of its structure."""
    return {
        "generation": exam.generation,
        "evaluations": exam.evaluations,
        "passed": exam.passed,
        "stable": exam.stable,
        "right": exam.right,
        "survival_ps": exam.survival_ps,
        "survived": exam.survived,
        "force_rmse": exam.test.force_rmse,
        "relative_force_rmse": exam.test.relative,
        "lives_ps": [life.time_ps for life in exam.lives],
        "censored": [life.censored for life in exam.lives],
        "rdf_error": exam.rdf_error,
        "rdf_floor": rdf_floor(exam),
        "pairs": [
            {
                "system": item.system,
                "pair": item.pair,
                "kind": item.kind,
                "error": item.error,
                "floor": item.floor,
            }
            for item in exam.pairs
        ],
        "bonds": [
            {
                "system": item.system,
                "broken": item.broken,
                "reference_broken": item.reference_broken,
                "order_agreement": item.order_agreement,
            }
            for item in exam.species
        ],
        "reasons": exam.reasons,
        "notes": exam.notes,
    }


def _case(case: CaseOutcome) -> dict[str, Any]:
    return {
        "case": case.case,
        "horizon": case.horizon,
        "arms": {
            arm.arm: {
                "passed": arm.passed,
                "reached": arm.reached,
                "false_stable": arm.false_stable,
                "evaluations": arm.evaluations,
                "evaluations_per_passed_run": arm.price,
                "evaluations_to_pass": {
                    "restricted_mean": arm.reach.restricted_mean,
                    "median": arm.reach.curve.median_ps,
                    "times": arm.reach.times,
                    "censored": arm.reach.censored,
                },
                "first_pass": {
                    "restricted_mean": arm.first_pass.restricted_mean,
                    "times": arm.first_pass.times,
                    "censored": arm.first_pass.censored,
                },
                "acceleration_ratio": arm.acceleration,
                "acceleration_ratio_paper": arm.acceleration_paper,
                "final": arm.final,
                "by_cost": arm.by_cost,
                "seconds": arm.seconds,
            }
            for arm in case.arms
        },
        "versus": case.versus,
    }
