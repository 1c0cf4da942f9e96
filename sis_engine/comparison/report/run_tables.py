"""Tables of every run, and of every model that each run had."""

from __future__ import annotations

from sis_engine.comparison.metrics import RDF_ERROR, order_agreement
from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.report.cells import breaks, lives, rdf_cells, titled
from sis_engine.comparison.results import ModelResult, RunResult
from sis_engine.numerals import NOTHING, figure
from sis_engine.report.blocks import Table, columns
from sis_engine.report.wording import count, duration, yes_no


def run_table(case: CaseOutcome) -> Table:
    """Every run, as it ended."""
    return Table(
        case.named("runs"),
        "Runs",
        "Every run, none left out. Time: labels, training, MD, at what each took.",
        columns(
            "arm", "#seed", "end", "passed", "#evaluations", "#generations", "#lived on",
            "#force RMSE / (eV/Å)", f"#{titled(RDF_ERROR, case)}", "#RDF floor", "#labels",
            "#training", "#MD", "why not passed",
        ),
        tuple(_run_row(run) for arm in case.arms for run in arm.runs),
    )  # fmt: skip


def _run_row(run: RunResult) -> tuple[str, ...]:
    exam = run.last_exam
    return (
        run.arm,
        str(run.seed),
        run.end.replace("_", " ") + ("" if run.limit is None else f" ({run.limit})"),
        yes_no(run.passed),
        count(run.evaluations),
        count(run.generations),
        figure(None if exam is None else exam.survived, 2),
        figure(None if exam is None else exam.test.force_rmse),
        *rdf_cells(exam),
        duration(run.label_s),
        duration(run.train_s),
        duration(run.md_s),
        "no model" if exam is None else "; ".join(exam.reasons[:2]),
    )


def model_table(case: CaseOutcome) -> Table:
    """Every model of every run: when its MD failed, and which bonds broke first."""
    return Table(
        case.named("models"),
        "Every model: t_cp and bonds that break",
        "A row for each model of each run, seeds apart. Lives: of each replica, t_cp where it "
        "failed, + where it lived to the end; in the run’s own MD, and in the examiner’s where "
        "the model was examined. Bonds: kinds in the order of their mean first breaking in the "
        "examiner’s MD, with the share of replicas that broke them, and in the reference "
        "trajectory; τ: Kendall’s, of the two orders.",
        columns(
            "arm", "#seed", "#generation", "#evaluations", "own lives / ps",
            "examined lives / ps", f"#{titled(RDF_ERROR, case)}", "#RDF floor", "bonds, model",
            "bonds, reference", "#τ",
        ),
        tuple(
            _model_row(run, model) for arm in case.arms for run in arm.runs
            for model in run.models
        ),
    )  # fmt: skip


def _model_row(run: RunResult, model: ModelResult) -> tuple[str, ...]:
    exam = next((item for item in run.exams if item.generation == model.generation), None)
    examined = () if exam is None else exam.lives
    species = () if exam is None else exam.species
    agreement = None if exam is None else order_agreement(exam)
    return (
        run.arm,
        str(run.seed),
        str(model.generation),
        count(model.evaluations),
        lives(model.lives_ps, model.censored),
        lives([life.time_ps for life in examined], [life.censored for life in examined]),
        *rdf_cells(exam),
        "; ".join(breaks(item.broken) for item in species) or NOTHING,
        "; ".join(breaks(item.reference_broken) for item in species) or NOTHING,
        figure(agreement, 2),
    )
