"""``sis label`` and ``sis relabel``: what was asked, checked; progress, signals, and the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from sis_engine.cli.label_progress import LabelProgress
from sis_engine.cli.output import print_json
from sis_engine.cli.signals import stop_on_signals
from sis_engine.commands.label_jobs import Job, claim_folder, make_job, open_bank, selected
from sis_engine.commands.label_runs import JobQuote, JobResult, need_any, quote, run_job
from sis_engine.commands.labelled_files import DataFormat, Written, provenance, write_result
from sis_engine.commands.relabelling import Comparison, compare, read_labelled, refuse_same_level
from sis_engine.config.file import parse_yaml, plain, read_text
from sis_engine.config.settings import apply_settings
from sis_engine.errors import ConfigurationError, StopRequested
from sis_engine.execution.cores import available_cores
from sis_engine.interfaces import Labeler
from sis_engine.plugins import Kind, configure, validated
from sis_engine.report.level_page import told
from sis_engine.report.wording import duration
from sis_engine.storage.atomic import write_text
from sis_engine.storage.bank import BANK_FILE, LabelBank
from sis_engine.storage.gate import GateConfig
from sis_engine.storage.ownership import acquire
from sis_engine.storage.structure_files import Given, read_given


@dataclass(frozen=True)
class Asked:
    """The options that both commands share, as given."""

    labeler: str | None
    settings: Sequence[str]
    config: Path | None
    out: Path | None
    form: str | None
    bank: Path | None
    charge: int | None
    multiplicity: int | None
    cores: int | None
    gate: Sequence[str]
    every: int
    most: int | None
    dry_run: bool
    quiet: bool
    as_json: bool


def run_label(file: Path, input_format: str | None, asked: Asked) -> int:
    """Label a file's structures; the exit code."""
    labeler = labeler_of(asked)
    given = selected(read_given(file, input_format), every=asked.every, most=asked.most)
    return _run(file, given, labeler, asked, again=False)


def run_relabel(
    source: Path, input_format: str | None, purposes: Sequence[str], asked: Asked
) -> int:
    """Move labelled data to another level; the exit code."""
    labeler = labeler_of(asked)
    given = read_labelled(source, input_format, purposes)
    return _run(
        source, selected(given, every=asked.every, most=asked.most), labeler, asked, again=True
    )


def labeler_of(asked: Asked) -> Labeler:
    """The labeler from ``--with``, ``--config`` and ``--set``, later ones over earlier ones."""
    tree: dict[str, Any] = {}
    if asked.config is not None:
        found = plain(parse_yaml(read_text(asked.config), asked.config))
        tree = found["labeler"] if isinstance(found.get("labeler"), dict) else found
    named = tree.get("type")
    if asked.labeler is not None and named not in {None, asked.labeler}:
        raise ConfigurationError(
            f"--with {asked.labeler}, but {asked.config} is for {named!r}", key="--with"
        )
    tree["type"] = asked.labeler or named
    apply_settings(tree, asked.settings, example="method=GFN1-xTB")
    if tree["type"] is None:
        tree.pop("type")
    base = Path.cwd() if asked.config is None else asked.config.parent
    made: Labeler = configure(Kind.LABELER, tree, key="labeler", file=asked.config, base=base)
    return made


def gate_of(asked: Asked) -> GateConfig:
    tree: dict[str, Any] = {}
    apply_settings(tree, asked.gate, example="max_force=100")
    return validated(GateConfig, tree, key="--gate")


def _run(
    source: Path, given: Sequence[Given], labeler: Labeler, asked: Asked, *, again: bool
) -> int:
    out = asked.out or _beside(source, labeler, again=again)
    form = _format_of(asked, out)
    gate = gate_of(asked)
    job = make_job(given, labeler, charge=asked.charge, multiplicity=asked.multiplicity)
    if again:
        refuse_same_level(job)
    cores = min(asked.cores or available_cores(), available_cores())
    work = out.with_name(f"{out.name}.work")
    if asked.dry_run:
        return _say_quote(job, asked.bank or work, cores, as_json=asked.as_json)
    with ExitStack() as held:
        claim_folder(work, out, job)
        held.enter_context(acquire(work))
        bank = held.enter_context(open_bank(asked.bank or work, job))
        result = need_any(_labelled(job, bank, work, cores, gate, asked), bank)
        found = compare(result) if again else None
        extra = {} if found is None else {"difference": asdict(found.shift)}
        written = write_result(result, out, form, extra)
    page = None if found is None else out.with_name(f"{out.stem}.difference.html")
    if found is not None and page is not None:
        write_text(page, found.page(f"{source.name}: {found.old} → {found.new}"))
    if asked.as_json:
        print_json({**_summary(result, written), **extra, "page": page})
    else:
        _say(result, written)
        _say_difference(found, page)
    return 0


def _labelled(
    job: Job, bank: LabelBank, work: Path, cores: int, gate: GateConfig, asked: Asked
) -> JobResult:
    """Run the job, watched; StopRequested says what is kept and how to go on."""
    price = quote(job, bank, cores=cores)
    silent = asked.quiet or asked.as_json
    if not silent:
        typer.echo(told_quote(price), err=True)
    with (
        stop_on_signals() as stop,
        LabelProgress(price.structures, price.known, quiet=silent) as watched,
    ):
        try:
            return run_job(
                job,
                bank,
                work,
                cores=cores,
                gate=gate,
                stop=stop,
                progress=watched,
                note=watched.note,
            )
        except StopRequested as error:
            left = quote(job, bank, cores=cores)
            raise StopRequested(
                f"stopped: {left.known} of {left.structures} are done and kept in {bank.path}",
                hint="the same command goes on from there",
            ) from error


def _beside(source: Path, labeler: Labeler, *, again: bool) -> Path:
    """Where the result goes when nothing is said: here, named after source and labeler."""
    stem = source.absolute().name if source.is_dir() else source.stem
    name = labeler.Config.model_fields["type"].default
    return Path(f"{stem}.{'to-' if again else ''}{name}.extxyz")


def _format_of(asked: Asked, out: Path) -> DataFormat:
    if asked.form is None:
        return DataFormat.of(out)
    try:
        return DataFormat(asked.form)
    except ValueError as error:
        raise ConfigurationError(
            f"no format is called {asked.form!r}",
            key="--format",
            allowed=", ".join(item.value for item in DataFormat),
        ) from error


# --------------------------------------------------------------------------- telling


def told_quote(price: JobQuote) -> str:
    """One line: what there is, what is known, what it will take."""
    time = "time unknown before the first" if price.seconds is None else "no time"
    if price.seconds:
        time = f"about {duration(price.seconds)}, as labels took before"
    return (
        f"structures: {price.structures} ({price.systems} by composition); labels known: "
        f"{price.known}, to be made: {price.new} on up to {price.cores} cores ({time})"
    )


def _say_quote(job: Job, place: Path, cores: int, *, as_json: bool) -> int:
    """The quote, and nothing is made: not even the bank's folder, where there is none."""
    if (place / BANK_FILE).is_file():
        with open_bank(place, job) as bank:
            price = quote(job, bank, cores=cores)
    else:
        price = quote(job, None, cores=cores)
    if as_json:
        print_json(asdict(price))
    else:
        typer.echo(told_quote(price))
    return 0


def _summary(result: JobResult, written: Written) -> dict[str, Any]:
    found = provenance(result)
    return {
        "out": written.out,
        "provenance": written.provenance,
        "rejected_file": written.rejected,
        **{key: found[key] for key in ("structures", "labelled", "rejected", "failed", "cost")},
    }


def _say(result: JobResult, written: Written) -> None:
    kept_out = len(result.rejected) + len(result.failures)
    typer.echo(
        f"{len(result.accepted)} of {len(result.results)} structures labelled → {written.out}"
    )
    reasons = Counter([item.reason for item in result.rejected])
    reasons.update(item.reason.value.replace("_", " ") for item in result.failures)
    for reason, n in reasons.most_common():
        typer.echo(f"  {n} kept out: {reason}")
    if kept_out:
        typer.echo(f"  each with its reason → {written.rejected}")
    made = len(result.results) - result.known
    typer.echo(f"  {made} made in {duration(result.wall_s)}, {result.known} were known")
    typer.echo(f"  levels of theory, versions, costs → {written.provenance}")


def _say_difference(found: Comparison | None, page: Path | None) -> None:
    if found is None:
        return
    typer.echo(f"difference, {found.old} → {found.new}:")
    for name, value in told(found.shift):
        typer.echo(f"  {name:<44} {value}")
    typer.echo(f"  by element, and as a picture → {page}")
