"""Where a campaign stands: from its ledger and the small figures of its generation files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sis_engine.analysis.acceleration import acceleration_ratio, acceleration_ratio_paper
from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.budget import spent_through
from sis_engine.bookkeeping.outlook import Outlook, look_ahead
from sis_engine.bookkeeping.states import State
from sis_engine.bookkeeping.wallclock import WALL_S
from sis_engine.config.campaign import CampaignConfig
from sis_engine.config.file import read_campaign_text
from sis_engine.errors import ConfigurationError
from sis_engine.execution.pools import KINDS
from sis_engine.records import Stable
from sis_engine.remote.pool_facts import POOL_META, PoolFacts
from sis_engine.report.facts import CampaignFacts, TemperatureWindow
from sis_engine.report.limits import temperature_rules
from sis_engine.report.stage_times import add_stage, audits_apart
from sis_engine.report.summary import CampaignSummary, summarise
from sis_engine.setup.versions import machine
from sis_engine.storage.generation import CHEAP_FIELDS, GenerationRecord, GenerationStore
from sis_engine.storage.ledger import REDONE_S, EventRow, Ledger, StageRow, StageState
from sis_engine.storage.ownership import holder


@dataclass(frozen=True)
class Standing:
    """Where a campaign stands.

    now: what the engine said of the stage in hand; ``None``: none runs
    outlook: what is known of the rest; ``None``: it has ended
    """

    facts: CampaignFacts
    summary: CampaignSummary
    now: Mapping[str, Any] | None
    outlook: Outlook | None

    @property
    def pools(self) -> tuple[Mapping[str, Any], ...]:
        """What its pools did, where it has any."""
        return tuple(item.as_dict() for item in self.facts.pools)


def status(folder: Path) -> Standing:
    """Where the campaign in ``folder`` stands; it may be running."""
    with open_ledger(folder) as ledger:
        records, torn = GenerationStore(folder, ledger).load_whole(only=CHEAP_FIELDS)
        return standing(folder, ledger, records, torn)


def standing(
    folder: Path,
    ledger: Ledger,
    records: tuple[GenerationRecord, ...],
    torn: str | None = None,
) -> Standing:
    """The same from records that were read before (:data:`CHEAP_FIELDS` will do)."""
    facts = facts_of(folder, ledger, records, torn)
    text = ledger.meta("now") if facts.state is State.RUNNING else None
    now = None if text is None else json.loads(text)
    goes_on = facts.state in {State.RUNNING, State.PAUSED}
    outlook = _outlook(ledger, records, now) if goes_on else None
    return Standing(facts, summarise(records, facts), now, outlook)


def pools_of(ledger: Ledger) -> tuple[PoolFacts, ...]:
    """What is known of the campaign's pools; empty: it has none."""
    told = [ledger.meta(f"{POOL_META}{kind}") for kind in KINDS]
    return tuple(PoolFacts.from_json(text) for text in told if text is not None)


def _outlook(
    ledger: Ledger, records: tuple[GenerationRecord, ...], now: Mapping[str, Any] | None
) -> Outlook | None:
    config = _config(ledger)
    if config is None:
        return None
    return look_ahead(
        config.budget,
        earlier=[record.stage_seconds for record in records],
        spent=spent_through(ledger, len(records)),
        wall_s=float(ledger.meta(WALL_S) or 0.0),
        in_hand_s=_in_hand_s(ledger.stages(len(records)), now),
    )


def _in_hand_s(stages: Sequence[StageRow], now: Mapping[str, Any] | None) -> float:
    """What the generation in hand has taken, and what is known to be left of it, seconds."""
    gone = sum(row.seconds or 0.0 for row in stages)
    if now is None or not stages:
        return gone
    begun = dt.datetime.fromisoformat(stages[-1].started_at).timestamp()
    running = max(0.0, now["at"] - begun) if stages[-1].state is StageState.STARTED else 0.0
    return gone + running + (now.get("generation_eta_s") or now.get("eta_s") or 0.0)


def open_ledger(folder: Path) -> Ledger:
    """The ledger of a campaign, for reading; a clear error where there is none."""
    if not campaign_folder.exists(folder):
        raise ConfigurationError(
            f"{folder} holds no campaign",
            allowed="the folder of a campaign that `sis run` began",
            hint="`ls runs` shows those begun here",
        )
    return Ledger(folder, read_only=True)


def facts_of(
    folder: Path,
    ledger: Ledger,
    records: tuple[GenerationRecord, ...],
    torn: str | None = None,
) -> CampaignFacts:
    """The ledger's view, with both acceleration ratios.

    The ratio counts what the data cost, whoever paid: labels of the shared bank as well.
    torn: what is wrong with the first generation that cannot be read; ``records`` end before it
    """
    state, reason = state_of(folder, ledger)
    counts, shared = ledger.counts(), ledger.paid_by_others()
    reference = _total(record.reference_ps for record in records)
    stages = ledger.stages()
    events = ledger.events(limit=200)
    running = stages[-1] if stages and stages[-1].state.value == "started" else None
    timestep_fs = _reference_timestep_fs(ledger)
    longest = _longest_stable_ps(records)
    audited = longest if _is_audited(records) else None
    return CampaignFacts(
        name=ledger.meta("name") or folder.name,
        state=state,
        generation=running.generation if running else max(0, len(records) - 1),
        stage=running.stage if running is not None and state is State.RUNNING else None,
        reason=reason,
        evaluations=counts,
        evaluations_by_generation=tuple(
            (record.number, ledger.counts(record.number)) for record in records
        ),
        stage_seconds=_seconds(ledger, records),
        acceleration_ratio=(
            None
            if timestep_fs is None
            else acceleration_ratio(
                audited, sum(item.paid for item in counts) + shared, timestep_fs
            )
        ),
        acceleration_ratio_paper=None
        if reference is None
        else acceleration_ratio_paper(longest, reference),
        reference_ps=reference,
        md_ps=_total(record.md_ps for record in records),
        reference_timestep_fs=timestep_fs,
        windows=tuple(_windows(records)),
        format=1,
        versions=_versions(records),
        machine=machine(),
        started=_time(stages[0].started_at if stages else None),
        finished=_time(stages[-1].ended_at if stages else None),
        warnings=(*(e.text for e in events if e.level != "info"), *_torn(torn), *_shared(shared)),
        events=events,
        pools=pools_of(ledger),
        config_text=ledger.meta("config_text") or "",
    )


def _windows(records: Iterable[GenerationRecord]) -> Iterator[TemperatureWindow]:
    for record in records:
        if record.window_k is not None:
            rules = temperature_rules(record.rules[0].rules) if record.rules else ()
            means = [rule.average_fs or 0.0 for rule in rules if rule.limit in record.window_k]
            yield TemperatureWindow(
                record.number, *record.window_k, average_fs=max(means, default=None)
            )


def state_of(folder: Path, ledger: Ledger) -> tuple[State, str]:
    """The state, seen from outside: a running engine holds the lock; without one it is paused."""
    owner = holder(folder)
    if owner is not None:
        return State.RUNNING, f"process {owner.pid} on {owner.host} since {owner.started_at}"
    known = State(ledger.meta("state") or State.PAUSED.value)
    if known is State.RUNNING:
        return State.PAUSED, f"no engine holds it (killed?); continue: sis run {folder}"
    return known, ledger.meta("reason") or ""


def _shared(n: int) -> tuple[str, ...]:
    """Why the acceleration ratio is lower than the evaluations that are told would make it."""
    told = (
        f"the acceleration ratio counts {n} more labels than were paid for here: they came from "
        "the shared bank, where another campaign had paid for them"
    )
    return (told,) if n else ()


def _torn(message: str | None) -> tuple[str, ...]:
    if message is None:
        return ()
    return (f"{message}; only what lies before it is shown; `sis run` moves it aside and mends it",)


def _total(lengths_ps: Iterable[float | None]) -> float | None:
    """Their sum; ``None`` when none is known."""
    known = [length for length in lengths_ps if length is not None]
    return sum(known) if known else None


def _longest_stable_ps(records: tuple[GenerationRecord, ...]) -> float | None:
    """Longest life of the final model, once the campaign is stable by its own rules."""
    if not records or not isinstance(records[-1].decision, Stable):
        return None
    return max((life.time_ps for life in records[-1].lives), default=None)


def _is_audited(records: tuple[GenerationRecord, ...]) -> bool:
    """``published: true`` ends without an audit, and then has the paper's ratio only."""
    audits = records[-1].audits if records else ()
    return bool(audits) and audits[-1].result.passed


def _config(ledger: Ledger) -> CampaignConfig | None:
    """What holds now; ``None`` before the campaign is set up."""
    text = ledger.meta("config_text")
    return None if text is None else _parsed(text)


@lru_cache(maxsize=64)
def _parsed(text: str) -> CampaignConfig:
    """Reading YAML takes longer than all else here, and a watcher asks again and again."""
    return read_campaign_text(text, Path(campaign_folder.CONFIG_FILE))


def _reference_timestep_fs(ledger: Ledger) -> float | None:
    config = _config(ledger)
    if config is None or config.initial.segment is None:
        return None
    return config.initial.segment.timestep_fs


def timestep_of(ledger: Ledger) -> float | None:
    """Of the model's MD, fs; ``None`` before the campaign is set up."""
    config = _config(ledger)
    return None if config is None else config.explore.condition.timestep_fs


def _seconds(
    ledger: Ledger, records: tuple[GenerationRecord, ...]
) -> tuple[tuple[str, float], ...]:
    """By stage; those of generations that a fork shares come from their files.

    *engine*: what the runs of this folder took beyond their stages
    """
    seconds: dict[str, float] = {}
    rows = ledger.stages()
    for row in rows:
        add_stage(seconds, row.stage, row.seconds or 0.0)
    redone = float(ledger.meta(REDONE_S) or 0.0)
    if redone:
        seconds["redone"] = redone
    own = sum(seconds.values())
    here = {row.generation for row in rows}
    for record in records:
        if record.number not in here:
            for stage, spent in record.stage_seconds:
                add_stage(seconds, stage, spent)
    seconds = audits_apart(seconds, records)
    wall = ledger.meta(WALL_S)
    if wall is not None:
        seconds["engine"] = max(0.0, float(wall) - own)
    return tuple(seconds.items())


def _versions(records: tuple[GenerationRecord, ...]) -> tuple[tuple[str, str], ...]:
    return records[-1].versions if records else ()


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def event_log(folder: Path) -> tuple[EventRow, ...]:
    """Every event, oldest first."""
    with open_ledger(folder) as ledger:
        return ledger.events()
