"""Results of runs that never ran: what the statistics and the page are asked about."""

from __future__ import annotations

from typing import Any

from sis_engine.comparison.results import (
    ErrorResult,
    ExamResult,
    LifeResult,
    ModelResult,
    PairResult,
    RunResult,
    SpeciesResult,
)


def errors(relative: float = 0.1) -> ErrorResult:
    return ErrorResult(
        n_frames=40,
        force_rmse=0.8 * relative,
        relative=relative,
        force_p99=2.0 * relative,
        energy_rmse_per_atom=0.002,
        relative_upper=1.2 * relative,
        elements={"Ar": relative},
    )


def exam(
    evaluations: int,
    *,
    lives: tuple[float, ...] = (20.0, 20.0, 20.0, 20.0),
    relative: float = 0.1,
    right: bool = True,
    generation: int = 0,
    duration_ps: float = 20.0,
) -> ExamResult:
    """Lives at the duration are censored; stable where all are."""
    censored = [life >= duration_ps for life in lives]
    r = tuple(0.05 * k for k in range(20))
    return ExamResult(
        generation=generation,
        evaluations=evaluations,
        duration_ps=duration_ps,
        lives=tuple(
            LifeResult(system="cluster", time_ps=t, censored=c)
            for t, c in zip(lives, censored, strict=True)
        ),
        survival_ps=sum(lives) / len(lives),
        survived=sum(censored) / len(censored),
        audit=errors(relative) if any(censored) else None,
        test=errors(relative),
        rdf_error=0.2 * relative,
        pairs=(
            PairResult(
                system="cluster",
                pair=("Ar", "Ar"),
                kind="g(r)",
                error=0.2 * relative,
                floor=0.01,
                r_angstrom=r,
                model=tuple(relative + x for x in r),
                reference=r,
            ),
        ),
        species=(
            SpeciesResult(
                system="cluster",
                error=0.0,
                counts={"Ar": 13.0},
                reference={"Ar": 13.0},
                broken=(("C-O", 0.5), ("C-H", 0.25)),
                reference_broken=(("C-O", 1.0), ("C-H", 1.0)),
                order_agreement=1.0,
            ),
        ),
        stable=all(censored),
        right=right,
        reasons=() if all(censored) and right else ("it did not pass",),
        seconds=10.0,
    )


def run(arm: str, seed: int, evaluations: int, **changes: Any) -> RunResult:
    """A run that said stable and passed, unless changed. exams: of its models"""
    exams = changes.pop("exams", (exam(evaluations // 2, right=False), exam(evaluations)))
    given: dict[str, Any] = {
        "comparison": "sample",
        "case": "",
        "arm": arm,
        "seed": seed,
        "settings": {"seed": seed, "campaign.budget.evaluations": 4000, "campaign.sampler": arm},
        "made": {"sis-engine": "0.1.0", "code": "abc", "machine": "a machine", "date": "today"},
        "end": "stable",
        "reason": "all lived",
        "evaluations": evaluations,
        "by_purpose": {"initial": evaluations // 4, "segment": evaluations - evaluations // 4},
        "generations": 3,
        "label_s": 30.0,
        "train_s": 60.0,
        "md_s": 120.0,
        "wall_s": 300.0,
        "reference_timestep_fs": 0.5,
        "reference_md_ps": evaluations * 0.0005,
        "models": tuple(
            ModelResult(
                generation=item.generation,
                evaluations=item.evaluations,
                label_s=1.0,
                train_s=2.0,
                md_s=3.0,
                lives_ps=(1.0, 5.0),
                decision="requests",
            )
            for item in exams
        ),
        "exams": exams,
    }
    return RunResult.model_validate(given | changes)
