"""The tables of a comparison: on the page, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from sis_engine.analysis.clustered import Interval
from sis_engine.comparison.metrics import METRICS, Metric
from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome, Versus
from sis_engine.comparison.results import RunResult
from sis_engine.report.blocks import NOTHING, Table, columns
from sis_engine.report.wording import count, duration, figure, yes_no


def tables(case: CaseOutcome) -> tuple[Table, ...]:
    """All tables of a case, in the order of the page."""
    return (
        arm_table(case),
        versus_table(case),
        final_table(case),
        cost_table(case),
        run_table(case),
    )


def _named(case: CaseOutcome, name: str) -> str:
    return f"{case.case}-{name}" if case.case else name


def spread(found: Interval | None, digits: int = 3) -> str:
    """``0.25 [0.21, 0.30]``; the value alone where there is no interval."""
    if found is None:
        return NOTHING
    value = figure(found.value, digits)
    if found.lower is None or found.upper is None:
        return value
    return f"{value} [{figure(found.lower, digits)}, {figure(found.upper, digits)}]"


def arm_table(case: CaseOutcome) -> Table:
    """The headline of every arm."""
    return Table(
        _named(case, "arms"),
        "Arms",
        "Runs (seeds) of each arm; those that called themselves stable; those whose last model "
        "passed the examiner; of the stable ones, those that did not pass; median and restricted "
        "mean evaluations to stable and passed; evaluations paid for, thrown away or not; "
        "acceleration ratios of the runs that passed (MD that the examiner saw live, over all "
        "evaluations × timestep, and over reference MD). Brackets: 95 % intervals.",
        columns(
            "arm", "#runs", "#said stable", "#passed", "#falsely stable",
            "#median evaluations to pass", "#restricted mean", "#evaluations paid",
            "#AR", "#AR, paper’s form",
        ),
        tuple(_arm_row(arm) for arm in case.arms),
    )  # fmt: skip


def _arm_row(arm: ArmOutcome) -> tuple[str, ...]:
    median = arm.reach.curve.median_ps
    return (
        arm.arm,
        count(len(arm.runs)),
        count(sum(run.reached for run in arm.runs)),
        spread(arm.passed, 2),
        spread(arm.false_stable, 2),
        NOTHING if median is None else figure(median),
        spread(arm.reach.restricted_mean),
        spread(arm.evaluations),
        spread(arm.acceleration, 2),
        spread(arm.acceleration_paper, 2),
    )


def versus_table(case: CaseOutcome) -> Table:
    """Every arm against the baseline."""
    return Table(
        _named(case, "versus"),
        "Against the baseline",
        "Ratio of restricted mean evaluations to stable and passed (below one: cheaper than the "
        "baseline; seeds paired), and two-sided p values of log-rank tests in which the runs, or "
        "the replicas of each run together, are dealt out to the two arms in all possible ways; in "
        "brackets adjusted by Holm’s method for all arms but the baseline, tested or not.",
        columns("arm", "baseline", "#cost ratio", "#p, evaluations", "#p, survival"),
        tuple(_versus_row(item) for item in case.versus),
        note="There is no baseline, or no other arm.",
    )


def _versus_row(item: Versus) -> tuple[str, ...]:
    return (
        item.arm,
        item.baseline,
        spread(item.cost_ratio),
        _p(item.reach_p, item.reach_p_adjusted),
        _p(item.survival_p, item.survival_p_adjusted),
    )


def _p(value: float | None, adjusted: float | None) -> str:
    return NOTHING if value is None else f"{figure(value, 2)} [{figure(adjusted, 2)}]"


def final_table(case: CaseOutcome) -> Table:
    """Figures of the last models, a row each."""
    return Table(
        _named(case, "final"),
        "The last models, examined",
        "Means over seeds with 95 % intervals; shares with exact binomial ones. On the reference "
        "trajectory all arms are asked about the same frames; figures of MD exist only where it "
        "lived long enough.",
        columns("figure", *(f"#{arm.arm}" for arm in case.arms)),
        tuple(
            (_with_unit(metric), *(spread(arm.final[metric.name]) for arm in case.arms))
            for metric in METRICS
        ),
    )


def _with_unit(metric: Metric) -> str:
    return metric.title + (f" / {metric.unit}" if metric.unit not in {"", "share"} else "")


def cost_table(case: CaseOutcome) -> Table:
    """Figures by cost, a row for each arm and cost."""
    rows = [
        (
            arm.arm,
            count(point.cost),
            count(point.n_with_model),
            *(spread(point.values[metric.name]) for metric in METRICS),
        )
        for arm in case.arms
        for point in arm.by_cost
    ]
    return Table(
        _named(case, "costs"),
        "By cost",
        "The same of the model that each arm had for so many evaluations; seeds without a model by "
        "then have no figure.",
        columns("arm", "#evaluations", "#seeds", *(f"#{m.title}" for m in METRICS)),
        tuple(rows),
        note="The comparison names no costs.",
    )


def run_table(case: CaseOutcome) -> Table:
    """Every run, as it ended."""
    return Table(
        _named(case, "runs"),
        "Runs",
        "Every run, none left out. Time: labels, training, MD, at what each took.",
        columns(
            "arm", "#seed", "end", "passed", "#evaluations", "#generations", "#lived on",
            "#force RMSE / (eV/Å)", "#RDF error", "#labels", "#training", "#MD", "why not passed",
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
        figure(None if exam is None else exam.rdf_error),
        duration(run.label_s),
        duration(run.train_s),
        duration(run.md_s),
        "no model" if exam is None else "; ".join(exam.reasons[:2]),
    )


# --------------------------------------------------------------------------- other forms


def as_csv(table: Table) -> str:
    """RFC 4180, one header row."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([[_plain(cell) for cell in row] for row in table.rows])
    return stream.getvalue()


def as_latex(table: Table) -> str:
    """A ``table`` with ``booktabs`` rules, to be put into a paper as it is."""
    form = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        f"\\caption{{{_latex(table.caption)}}}",
        f"\\label{{tab:{table.id}}}",
        f"\\begin{{tabular}}{{{form}}}",
        "\\toprule",
        _latex_row([column.name for column in table.columns]),
        "\\midrule",
        *(_latex_row(row) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    # A cell that begins with a bracket would be taken for the optional argument of the row before.
    return " & ".join("{}" + _latex(c) if c.startswith("[") else _latex(c) for c in cells) + " \\\\"


_LATEX = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "Å": "\\AA{}", "–": "--", "−": "$-$", "×": "$\\times$", "τ": "$\\tau$", "’": "'",
    "→": "$\\to$", "\u00a0": "~", "\u202f": "\\,", "<": "$<$", ">": "$>$",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _plain(text: str) -> str:
    """Numbers as programs read them: no thin spaces, an ASCII minus; a dash for what is missing."""
    if text == NOTHING:
        return ""
    return text.replace("\u202f", "").replace("\u00a0", " ").replace("−", "-")
