"""What the report needs beside the generation files: the ledger's view of the campaign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sis_engine.bookkeeping.states import State
from sis_engine.remote.pool_facts import PoolFacts
from sis_engine.storage.ledger import EventRow, PurposeCount


@dataclass(frozen=True)
class TemperatureWindow:
    """The limits a temperature monitor used in one generation, K; an absent end is ``None``.

    average_fs: what is held to them is the mean over this long, 0: every value, ``None``: not known
    """

    generation: int
    low_k: float | None
    high_k: float | None
    monitor: str = "temperature"
    average_fs: float | None = None


@dataclass(frozen=True)
class CampaignFacts:
    """The ledger's view of a campaign.

    generation: the one in hand, or the last;  stage: the one in hand, ``None`` between stages
    reason: why it is paused, stable, exhausted or failed
    evaluations: by purpose, of all generations and the one in hand
    evaluations_by_generation: (generation, the same) of each committed one
    stage_seconds: wall time by stage over all generations, in order of first use
    acceleration_ratio: longest audited continuous MD of the final model over all evaluations
        times the reference timestep;  acceleration_ratio_paper: MD length over reference MD length
    reference_ps: reference MD, all segments;  md_ps: MD with the models, all replicas
    versions: (name, version) of engine, programs and packages
    config_text: ``campaign.yaml`` as given
    pools: what was done in pools of workers; empty: all was done where the engine runs
    """

    name: str
    state: State
    generation: int
    stage: str | None = None
    reason: str = ""
    evaluations: tuple[PurposeCount, ...] = ()
    evaluations_by_generation: tuple[tuple[int, tuple[PurposeCount, ...]], ...] = ()
    stage_seconds: tuple[tuple[str, float], ...] = ()
    acceleration_ratio: float | None = None
    acceleration_ratio_paper: float | None = None
    reference_ps: float | None = None
    md_ps: float | None = None
    reference_timestep_fs: float | None = None
    windows: tuple[TemperatureWindow, ...] = ()
    format: int | None = None
    versions: tuple[tuple[str, str], ...] = ()
    machine: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    warnings: tuple[str, ...] = ()
    events: tuple[EventRow, ...] = ()
    config_text: str = ""
    pools: tuple[PoolFacts, ...] = ()


__all__ = ["CampaignFacts", "State", "TemperatureWindow"]
