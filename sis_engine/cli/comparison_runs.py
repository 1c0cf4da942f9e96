"""What ``sis compare`` does, and how its end is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from sis_engine.cli.output import print_json
from sis_engine.cli.signals import stop_on_signals
from sis_engine.comparison import folder as comparison_folder
from sis_engine.comparison.compare import check, compare
from sis_engine.comparison.finished import finished_runs
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison, RunName, read_comparison
from sis_engine.comparison.quote import ComparisonQuote, quote
from sis_engine.comparison.replay import ReplayedGeneration, Selection, case_of, replay
from sis_engine.comparison.report.writing import Written, write_comparison
from sis_engine.errors import ConfigurationError


@dataclass(frozen=True)
class Given:
    """What the command line named. places: where all of it is, begun or not"""

    comparison: Comparison
    folder: Path
    places: Places
    results: Path | None


def given(named: Path, folder: Path | None, results: Path | None) -> Given:
    """A comparison from its file, or from the folder where it was begun."""
    if named.is_dir():
        if folder is not None:
            raise ConfigurationError(f"{named} is a comparison's folder; a second is one too many")
        comparison, places = comparison_folder.reopen(named)
        kept = results or places.results
        return Given(
            comparison, named, Places(named.absolute(), kept.absolute(), places.name), kept
        )
    comparison = read_comparison(named)
    place = folder or Path("runs") / comparison.config.name
    kept = (results or comparison.results_folder(place)).absolute()
    return Given(comparison, place, Places(place.absolute(), kept, comparison.config.name), results)


def run(asked: Given, *, quiet: bool, as_json: bool) -> int:
    """Compute what is left, then the report. 0 complete, 1 a run failed, 3 stopped: resumable."""

    def write(text: str) -> None:
        if not quiet and not as_json:
            typer.echo(text)

    with stop_on_signals() as stop:
        done = compare(
            asked.comparison, asked.folder, results=asked.results, stop=stop, write=write
        )
    written = (
        write_comparison(asked.comparison, done.finished, asked.places) if done.finished else None
    )
    code = 0 if done.complete else 1 if done.failed else 3
    if as_json:
        print_json(
            {
                "finished": len(done.finished),
                "runs": done.n_runs,
                "failed": done.failed,
                "exit_code": code,
                "folder": asked.folder,
                "report": None if written is None else written.page,
                "numbers": None if written is None else written.numbers,
            }
        )
        return code
    typer.echo(f"{len(done.finished)} of {done.n_runs} runs finished")
    for job, message in done.failed.items():
        typer.echo(f"  failed: {job}: {message}")
    _tell_written(written)
    if not done.complete:
        typer.echo(f"  continue: sis compare {asked.folder}")
    return code


def write_report(asked: Given, *, as_json: bool) -> int:
    """The report of the runs that are finished."""
    finished, messages = finished_runs(asked.comparison, asked.places)
    if not finished:
        raise ConfigurationError(
            f"no run of {asked.comparison.config.name} is finished in {asked.places.results}",
            hint=f"sis compare {asked.comparison.file}",
        )
    ordered = tuple(finished[name] for name in asked.comparison.runs() if name in finished)
    written = write_comparison(asked.comparison, ordered, asked.places)
    if as_json:
        print_json({"finished": len(ordered), "messages": messages, **asdict(written)})
        return 0
    for message in messages:
        typer.echo(message)
    _tell_written(written)
    return 0


def _tell_written(written: Written | None) -> None:
    if written is not None:
        typer.echo(f"  report: {written.page}")
        typer.echo(f"  numbers: {written.numbers}")
        typer.echo(f"  figures and tables: {written.page.parent}")


# --------------------------------------------------------------------------- quote


def show_quote(asked: Given, *, as_json: bool) -> int:
    """Everything that can be wrong, and what is left."""
    notes = check(asked.comparison)
    finished, messages = finished_runs(asked.comparison, asked.places)
    found = quote(asked.comparison, finished)
    if as_json:
        print_json({**asdict(found), "notes": (*notes, *messages)})
        return 0
    for text in (*notes, *messages):
        typer.echo(f"note: {text}")
    Console().print(_quote_table(found))
    for line in _quote_lines(found):
        typer.echo(line)
    return 0


def _quote_table(found: ComparisonQuote) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("arm", "finished", "left", "first labels", "budget", "expected", "hours a run")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for item in found.arms:
        table.add_row(
            f"{item.case} {item.arm}".strip(),
            str(item.n_finished),
            str(item.n_left),
            str(item.start),
            _number(item.budget),
            _number(item.expected),
            _number(item.hours, 2),
        )
    return table


def _quote_lines(found: ComparisonQuote) -> list[str]:
    source = "as the finished runs" if found.measured else "as the file's author expects"
    unknown = "unknown: no run is finished, and the file expects nothing"
    lines = [f"runs left             {found.n_left}, {found.parallel} at a time"]
    told = unknown if found.evaluations is None else f"{found.evaluations:.0f}, {source}"
    lines.append(f"evaluations left      {told}")
    told = unknown if found.hours is None else f"{found.hours:.1f}, {source}"
    lines.append(f"hours left            {told}")
    lines.append(f"reference trajectory  {found.reference} evaluations, charged to nobody")
    return lines


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


# --------------------------------------------------------------------------- replay


def replay_samplers(asked: Given, campaign: Path, case: str | None, *, as_json: bool) -> int:
    """What the sampler of each arm would have asked of a finished campaign.

    case: whose samplers; ``None``: of the one that has the campaign's systems
    """
    config = asked.comparison.config
    if case is None:
        case = case_of(asked.comparison, campaign)
    elif case not in config.cases:
        raise ConfigurationError(
            f"there is no case {case!r}",
            file=asked.comparison.file,
            key="cases",
            allowed=", ".join(config.cases) or "none: leave --case out",
        )
    seed = config.seeds[0]
    samplers = {
        arm: asked.comparison.parts(RunName(case, arm, seed)).sampler for arm in config.arms
    }
    found = replay(campaign, samplers)
    if as_json:
        generations = [asdict(item) for item in found]
        print_json({"campaign": campaign, "case": case, "generations": generations})
        return 0
    if case:
        typer.echo(f"samplers of case {case}")
    for item in found:
        _show_generation(item)
    return 0


def _show_generation(item: ReplayedGeneration) -> None:
    typer.echo(f"generation {item.generation}")
    _show_selection("as it was", item.own)
    for name, selection in item.others:
        _show_selection(name, selection)


def _show_selection(name: str, selection: Selection) -> None:
    plans = (*selection.audits, *selection.asked)
    asked = f", {selection.evaluations} evaluations" if plans else ""
    typer.echo(f"  {name}: {selection.word}{asked}: {selection.reason}")
    for plan in plans:
        typer.echo(f"    {plan.purpose} of {plan.system}: {_extent(plan.least, plan.most, plan)}")


def _extent(least: int, most: int, plan: Any) -> str:
    cost = str(least) if least == most else f"{least} to {most}"
    times = plan.times_ps
    span = f", MD times {min(times):.3g} to {max(times):.3g} ps" if times else ""
    return f"{cost} evaluations from {len(times)} frames{span}; {plan.known} labelled already"
