"""One engine on one campaign folder: take it, continue it, leave it consistent."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.backoff import with_backoff
from sis_engine.bookkeeping.budget import Limit
from sis_engine.bookkeeping.folder import Accepted
from sis_engine.bookkeeping.live import LiveTraces
from sis_engine.bookkeeping.log import CampaignLog
from sis_engine.bookkeeping.states import State
from sis_engine.bookkeeping.wallclock import WallClock
from sis_engine.campaign.ahead import load_ahead
from sis_engine.campaign.console import CampaignConsole, Facts
from sis_engine.campaign.loop import Campaign, Outcome, is_half_done
from sis_engine.commands.status import pools_of
from sis_engine.commands.validation import validate
from sis_engine.errors import (
    ConfigurationError,
    InfrastructureError,
    NewerFormat,
    SisError,
    StopRequested,
)
from sis_engine.execution.open_pools import open_pools, spool_of
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import LabelFailure, Labelled
from sis_engine.remote.account import Accounts
from sis_engine.remote.pool_facts import POOL_META, PoolFacts
from sis_engine.setup.assembly import Parts, assemble
from sis_engine.setup.label_source import Elsewhere, label_source, pooled_label_source
from sis_engine.setup.pooled_parts import with_pools
from sis_engine.stages.approval import approve_waiting
from sis_engine.storage.atomic import SURROUNDINGS, infrastructure_error, set_unfinished_aside
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger, StageState
from sis_engine.storage.ownership import acquire

_NOT_OURS = SURROUNDINGS | {errno.EACCES, errno.EPERM}
"""System errors that are about the folder, not about what the engine does."""


@dataclass(frozen=True)
class Ended:
    """How a run ended, with a few lines for the person who started it.

    report: the page that was written; ``None``: it could not be, and a line says why
    limit: the key of ``budget`` that ended it, if one did
    """

    state: State
    reason: str
    lines: tuple[str, ...] = ()
    report: Path | None = None
    limit: Limit | None = None


def run_in_folder(
    folder: Path,
    config: Path | None,
    *,
    stop: Callable[[], bool],
    approve: bool = False,
    quiet: bool = False,
    report: bool = True,
) -> Ended:
    """Start or continue the campaign in ``folder``; ``report``: write its page at the end.

    Raises ConfigurationError, CampaignHeld … before anything starts; later troubles are states.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(
            f"{folder} is a file, not a folder", allowed="a new folder, or that of a campaign"
        )
    if config is not None and not campaign_folder.exists(folder):
        validate(assemble(config))  # nothing is created for a campaign that cannot run
    with ExitStack() as open_things:
        open_things.enter_context(_surroundings(folder))
        folder.mkdir(parents=True, exist_ok=True)
        open_things.enter_context(acquire(folder))
        ledger = open_things.enter_context(Ledger(folder))
        _set_unfinished_aside(folder, ledger)
        parts = _first_parts(folder, config, ledger)
        bank = open_things.enter_context(_bank(folder, parts, ledger))
        console = open_things.enter_context(_console(parts, ledger, quiet=quiet))
        clock = WallClock(ledger)
        accepted = _accepted(folder, config, ledger, console)
        known = open_things.enter_context(_known_labels(accepted.parts))
        pools = open_things.enter_context(open_pools(accepted.parts.config.execution, folder))
        accounts = Accounts(partial(_keep_account, ledger, pools_of(ledger)))
        labeler = _labeler(accepted.parts, bank, known, ledger, console, pools, accounts)
        in_pools = partial(
            with_pools,
            pools=pools,
            spool=spool_of(folder),
            note=partial(_note, ledger, console),
            accounts=accounts,
        )
        campaign = Campaign(folder, ledger, labeler, console, stop, clock, in_pools)
        if approve:
            approve_waiting(ledger)
        if report:
            load_ahead()
        try:
            ended = _run(campaign, accepted)
        finally:
            clock.save()
        console.ended(ended.state.value)
        CampaignLog(folder).write("ended", f"{ended.state.value}: {ended.reason}")
        ledger.set_meta("state", ended.state.value)
        ledger.set_meta("reason", ended.reason)
    return _reported(folder, ended) if report else ended


@contextmanager
def _surroundings(folder: Path) -> Iterator[None]:
    """A full disk or a vanished folder is a fault of the surroundings wherever it is met."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_OURS and folder.is_dir():
            raise
        raise infrastructure_error(error, Path(error.filename or folder), "using") from error


def _set_unfinished_aside(folder: Path, ledger: Ledger) -> None:
    """What a killed engine had begun to write is no file of the campaign."""
    for path in set_unfinished_aside(folder):
        ledger.event("unfinished_file", f"a killed run left it half written; moved to {path}")


def _reported(folder: Path, ended: Ended) -> Ended:
    """Write the report and say where. A report that fails never fails a campaign."""
    from sis_engine.commands.reporting import write_report

    try:
        page, _ = write_report(folder, folder)
    except Exception as error:  # noqa: BLE001 - the campaign is safe on disk whatever happens here
        told = f"no report: {type(error).__name__}: {error}; try: sis report {folder}"
        return replace(ended, lines=(*ended.lines, told))
    return replace(ended, report=page)


def _first_parts(folder: Path, config: Path | None, ledger: Ledger) -> Parts:
    """Set the folder up if it is new; parts as last accepted (from the folder's own copies)."""
    campaign_folder.check_not_emptied(folder, ledger)
    if not campaign_folder.is_created(ledger):
        source = folder / campaign_folder.CONFIG_FILE if config is None else config
        campaign_folder.create(folder, assemble(source), ledger)
    for told in campaign_folder.mend_inputs(folder, ledger):
        ledger.event("torn_input", told, level="error")
    return campaign_folder.parts_of(folder, ledger)


def _bank(folder: Path, parts: Parts, ledger: Ledger) -> LabelBank:
    """The campaign's bank, and a word where labels that were paid for are not in it."""
    bank = campaign_folder.bank_of(folder, parts, ledger)
    try:
        lost = campaign_folder.lost_labels(ledger, bank)
    except BaseException:
        bank.close()
        raise
    if lost:
        told = f"{bank.path} lacks {lost} labels that were paid for: they are labelled again"
        ledger.event("lost_labels", told, level="error")
    return bank


@contextmanager
def _known_labels(parts: Parts) -> Iterator[LabelBank | None]:
    """The labels of other campaigns, where there are some to go by."""
    place = parts.config.known_labels
    if place is None:
        yield None
        return
    with LabelBank(parts.path(place), campaign=parts.config.name) as bank:
        yield bank


def _console(parts: Parts, ledger: Ledger, *, quiet: bool) -> CampaignConsole:
    def keep(facts: Facts) -> None:
        ledger.set_meta("now", facts.as_json())

    console = CampaignConsole(
        parts.config.name,
        keep=keep,
        log=CampaignLog(ledger.folder),
        live=LiveTraces(ledger.folder),
        quiet=quiet,
    )
    console.facts.evaluations = sum(item.paid for item in ledger.counts())
    return console


def _accepted(
    folder: Path, config: Path | None, ledger: Ledger, console: CampaignConsole
) -> Accepted:
    """The configuration to go by, valid and kept; an edit is told, key by key."""
    accepted = campaign_folder.reopen(folder, ledger, config, half_done=is_half_done(ledger))
    for parts in {id(item): item for item in (accepted.next_parts, accepted.parts)}.values():
        validate(parts, given=False)  # looked at when the campaign was new
    for change in accepted.changes:
        told = change.told(accepted.from_generation)
        ledger.event("configuration", told)
        console.event(f"configuration: {told}")
    campaign_folder.adopt(folder, ledger, accepted)
    return accepted


def _labeler(
    parts: Parts,
    bank: LabelBank,
    known: LabelBank | None,
    ledger: Ledger,
    console: CampaignConsole,
    pools: Mapping[str, ParslPool],
    accounts: Accounts,
) -> SideBySide:
    """The labeler with all that the engine puts around it."""
    note = partial(_note, ledger, console)
    count = partial(_count, ledger, console)
    pool = pools.get("label")
    if pool is None:
        return label_source(
            parts.labeler,
            bank,
            cores=parts.cores,
            exact=parts.config.exact,
            note=note,
            count=count,
            known=known,
            timings=bank,
        )
    return pooled_label_source(
        parts.labeler,
        bank,
        Elsewhere(
            pool,
            parts.config.labeler,
            parts.base.parent.absolute(),
            spool_of(ledger.folder),
            accounts.of(pool.name),
        ),
        cores=parts.cores,
        exact=parts.config.exact,
        note=note,
        count=count,
        known=known,
    )


def _count(ledger: Ledger, console: CampaignConsole, item: Labelled | LabelFailure) -> None:
    """Of a label that no stage asked for."""
    if ledger.count_evaluation(item.origin.generation, item):
        console.evaluated()


def _note(ledger: Ledger, console: CampaignConsole, kind: str, text: str) -> None:
    ledger.event(kind, text, level="warning")
    console.event(text.rstrip().rpartition("\n")[2], kind, "warning")


def _keep_account(ledger: Ledger, earlier: Sequence[PoolFacts], facts: PoolFacts) -> None:
    """earlier: what engines before this one had"""
    before = next((item for item in earlier if item.pool == facts.pool), PoolFacts(facts.pool))
    ledger.set_meta(f"{POOL_META}{facts.pool}", facts.after(before).as_json())


def _run(campaign: Campaign, accepted: Accepted) -> Ended:
    """Run with back-off on infrastructure faults; every other trouble is a state with a reason."""
    try:
        outcome = with_backoff(
            lambda: _turn(campaign, accepted),
            stop=campaign.stop,
            tell=lambda error: campaign.note("infrastructure", str(error), level="warning"),
            done=lambda: _reached(campaign.ledger),
        )
        return Ended(outcome.state, outcome.reason, limit=outcome.limit)
    except (InfrastructureError, StopRequested) as error:
        return Ended(State.PAUSED, str(error))
    except NewerFormat:
        raise
    except SisError as error:
        campaign.note(type(error).__name__, str(error), level="error")
        return Ended(State.PAUSED, str(error))
    except Exception as error:  # noqa: BLE001 - the border: a defect of ours or a plugin's
        told = f"{type(error).__name__}: {error}"
        campaign.note("defect", f"{told}\n{traceback.format_exc()}", level="error")
        return Ended(
            State.FAILED,
            told,
            ("the traceback is in the event log: `sis status --events`",),
        )


def _turn(campaign: Campaign, accepted: Accepted) -> Outcome:
    with _surroundings(campaign.folder):
        return campaign.run(campaign.accepted or accepted)


def _reached(ledger: Ledger) -> tuple[int, int, int]:
    """How far a campaign is: generations, finished stages, evaluations."""
    stages = ledger.stages(len(ledger.generations()))
    finished = sum(row.state is StageState.DONE for row in stages)
    return len(ledger.generations()), finished, sum(item.paid for item in ledger.counts())
