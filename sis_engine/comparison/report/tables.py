"""The tables of a comparison: on the page, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence

from sis_engine.analysis.clustered import MOST_ARRANGEMENTS
from sis_engine.comparison.metrics import METRICS, Metric, floor_in, mean_interval
from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome, Versus
from sis_engine.comparison.report.cells import (
    FLOOR,
    MARKS,
    POINTS,
    above,
    footed,
    measured,
    spread,
    titled,
)
from sis_engine.comparison.report.run_tables import model_table, run_table
from sis_engine.numerals import NOTHING, figure
from sis_engine.records import Purpose
from sis_engine.report.blocks import Table, columns
from sis_engine.report.wording import count


def tables(case: CaseOutcome) -> tuple[Table, ...]:
    """All tables of a case, in the order of the page."""
    found = (
        arm_table(case),
        versus_table(case),
        final_table(case),
        pair_table(case),
        cost_table(case),
        run_table(case),
        model_table(case),
    )
    return tuple(footed(table) for table in found)


def arm_table(case: CaseOutcome) -> Table:
    """The headline of every arm."""
    return Table(
        case.named("arms"),
        "Arms",
        "Runs (seeds) of each arm; those that called themselves stable; those whose last model "
        "passed the examiner; of the stable ones, those that did not pass; median and restricted "
        "mean evaluations to stable and passed (– where no run passed; one that never got there "
        f"counts {count(round(case.horizon))}, the largest budget); evaluations of all runs for "
        "each that got there, which knows no such bound; evaluations paid for a run, thrown away "
        "or not; acceleration ratios of the runs that passed (MD that the examiner saw live, over "
        "all evaluations × timestep, and over reference MD alone, as in the paper). "
        "Brackets: 95 % intervals.",
        columns(
            "arm", "#runs", "#said stable", "#passed", "#falsely stable",
            "#median evaluations to pass", "#restricted mean", "#for each that passed",
            "#evaluations paid",
            "#AR", "#AR, paper’s form",
        ),
        tuple(_arm_row(arm) for arm in case.arms),
    )  # fmt: skip


def _arm_row(arm: ArmOutcome) -> tuple[str, ...]:
    median = arm.reach.curve.median_ps
    single = any(run.by_purpose.get(Purpose.SINGLE.value) for run in arm.runs)
    paper = spread(arm.acceleration_paper, 2)
    return (
        arm.arm,
        count(len(arm.runs)),
        count(sum(run.reached for run in arm.runs)),
        spread(arm.passed, 2),
        spread(arm.false_stable, 2),
        NOTHING if median is None else figure(median),
        spread(arm.reach.restricted_mean),
        spread(arm.price),
        spread(arm.evaluations),
        spread(arm.acceleration, 2),
        paper + POINTS * (single and arm.acceleration_paper is not None),
    )


def versus_table(case: CaseOutcome) -> Table:
    """Every arm against the baseline."""
    return Table(
        case.named("versus"),
        "Against the baseline",
        "Ratio of restricted mean evaluations to stable and passed (below one: cheaper than the "
        "baseline; seeds paired), and two-sided p values of log-rank tests in which the runs, or "
        "the replicas of each run together, are dealt out to the two arms in all possible ways, "
        f"or in {count(MOST_ARRANGEMENTS // 2)} drawn ones where there are more than "
        f"{count(MOST_ARRANGEMENTS)}; in brackets adjusted by Holm’s method for all arms but the "
        "baseline, tested or not.",
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


# --------------------------------------------------------------------------- the last models


def final_table(case: CaseOutcome) -> Table:
    """Figures of the last models, a row each, and a floor below the one that has one."""
    return Table(
        case.named("final"),
        "The last models, examined",
        "Means over seeds with 95 % intervals; shares with exact binomial ones. On the reference "
        "trajectory all arms are asked about the same frames; figures of MD exist only where it "
        f"lived long enough. {FLOOR}",
        columns("figure", *(f"#{arm.arm}" for arm in case.arms)),
        tuple(row for metric in METRICS for row in _final_rows(case, metric)),
    )


def _final_rows(case: CaseOutcome, metric: Metric) -> Iterator[tuple[str, ...]]:
    found = [arm.final[metric.name] for arm in case.arms]
    yield (titled(metric, case), *(measured(case, metric, item) for item in found))
    if metric.floor is not None:
        floor = figure(floor_in(metric, case.last_exams))
        yield (f"{metric.title}, floor", *(floor for _ in case.arms))


def pair_table(case: CaseOutcome) -> Table:
    """RDF errors of the last models pair by pair, beside what the reference itself leaves open."""
    exams = case.last_exams
    names = dict.fromkeys((pair.system, pair.pair) for exam in exams for pair in exam.pairs)
    return Table(
        case.named("pairs"),
        "RDF errors by pair",
        f"Of the last models, means over seeds with 95 % intervals. {FLOOR}",
        columns("system", "pair", "of", "#floor", *(f"#{arm.arm}" for arm in case.arms)),
        tuple(_pair_row(case, system, pair) for system, pair in names),
        note="No MD lived long enough to compare structures.",
    )


def _pair_row(case: CaseOutcome, system: str, pair: tuple[str, str]) -> tuple[str, ...]:
    by_arm = [
        [
            item
            for run in arm.runs
            if run.last_exam is not None
            for item in run.last_exam.pairs
            if (item.system, item.pair) == (system, pair)
        ]
        for arm in case.arms
    ]
    every = [item for own in by_arm for item in own]
    floor = math.fsum(item.floor for item in every) / len(every)
    found = [mean_interval([item.error for item in own], positive=True) for own in by_arm]
    return (
        system,
        "-".join(pair),
        every[0].kind,
        figure(floor),
        *(above(None if item is None else item.value, floor, spread(item)) for item in found),
    )


# --------------------------------------------------------------------------- by cost


def cost_table(case: CaseOutcome) -> Table:
    """Figures by cost, a row for each arm and cost."""
    rows = [
        (
            arm.arm,
            count(point.cost),
            count(point.n_with_model),
            *(measured(case, metric, point.values[metric.name]) for metric in METRICS),
        )
        for arm in case.arms
        for point in arm.by_cost
    ]
    return Table(
        case.named("costs"),
        "By cost",
        "The same of the model that each arm had for so many evaluations; seeds without a model by "
        "then have no figure.",
        columns("arm", "#evaluations", "#seeds", *(f"#{titled(m, case)}" for m in METRICS)),
        tuple(rows),
        note="The comparison names no costs.",
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
    "†": "$^\\dagger$", "‡": "$^\\ddagger$", "§": "$^\\S$",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


_PLAIN = str.maketrans({"\u202f": "", "\u00a0": " ", "−": "-", **dict.fromkeys(MARKS, "")})


def _plain(text: str) -> str:
    """Numbers as programs read them: no thin spaces, no marks of footnotes, an ASCII minus.

    What is missing is an empty cell.
    """
    if text == NOTHING:
        return ""
    return text.translate(_PLAIN)
