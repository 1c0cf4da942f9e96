"""The examiner's reference trajectory: one of each system, made once for a whole comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sis_engine.bookkeeping.log import CampaignLog
from sis_engine.campaign.console import CampaignConsole, Facts
from sis_engine.comparison.config import ReferenceConfig
from sis_engine.errors import SisError
from sis_engine.interfaces import Context
from sis_engine.records import (
    Allowance,
    DatasetPart,
    Frame,
    LabelPlan,
    LabelResult,
    PlanOutcome,
    Purpose,
    SegmentSpec,
    Split,
    Start,
)
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts
from sis_engine.setup.label_source import label_source
from sis_engine.stages.context import StageContext
from sis_engine.stages.label import label
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import acquire
from sis_engine.storage.splits import frame_set

REFERENCE_SEED = 0x5EED
"""Of the trajectory: no campaign's, and the same whatever seeds a comparison has."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Kept frames of every examined system, after the burn-in, in time order."""

    outcomes: tuple[PlanOutcome, ...]

    def frames(self, system: str) -> list[Frame]:
        return [item.frame for o in self.outcomes if o.system == system for item in o.labelled]

    def data(self, parts: Parts) -> tuple[DatasetPart, ...]:
        """As training data would look: starts of MD are drawn from it, and monitors' limits."""
        return tuple(
            DatasetPart(
                f"reference.{item.system}",
                Split.TRAINING,
                0,
                frame_set(item.labelled, parts.system(item.system)),
            )
            for item in self.outcomes
        )


def make_reference(
    folder: Path, parts: Parts, config: ReferenceConfig, *, stop: Callable[[], bool]
) -> Reference:
    """Run it, or find it again. Raises SisError when the labeler cannot finish it."""
    with examination(folder / "reference", parts, folder / "labels", stop) as stage:

        def compute(context: Context) -> LabelResult:
            made = label(stage, _plans(parts, config), context, Allowance()).outcomes
            return LabelResult(tuple(thinned(outcome, config) for outcome in made))

        found = stage.once("reference", LabelResult, compute)
    for outcome in found.outcomes:
        if outcome.failures or len(outcome.labelled) < 20:
            told = outcome.failures[-1].message if outcome.failures else outcome.message
            raise SisError(
                f"the reference trajectory of {outcome.system} ended after "
                f"{len(outcome.labelled)} kept frames: {told}",
                hint="a shorter timestep, or a better structure; see examiner.reference",
            )
    return Reference(found.outcomes)


@contextmanager
def examination(
    folder: Path, parts: Parts, bank: Path, stop: Callable[[], bool]
) -> Iterator[StageContext]:
    """A bench like a campaign's, with its own ledger: what happens at it is charged to no arm."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_things:
        open_things.enter_context(acquire(folder))
        ledger = open_things.enter_context(Ledger(folder))
        kept = open_things.enter_context(LabelBank(bank, campaign=folder.name))

        def keep(facts: Facts) -> None:
            ledger.set_meta("now", facts.as_json())

        console = open_things.enter_context(
            CampaignConsole(folder.name, keep=keep, log=CampaignLog(folder), quiet=True)
        )
        yield StageContext(
            parts=parts,
            labeler=label_source(
                parts.labeler,
                kept,
                cores=parts.cores,
                exact=parts.config.exact,
                note=lambda kind, text: ledger.event(kind, text, level="warning"),
                timings=kept,
            ),
            ledger=ledger,
            folder=folder,
            generation=0,
            console=console,
            stop=stop,
        )


def _plans(parts: Parts, config: ReferenceConfig) -> tuple[LabelPlan, ...]:
    temperature_k = config.temperature_k or parts.base_condition.temperature_k
    n_steps = round(config.length_ps * 1000.0 / config.timestep_fs)
    return tuple(
        LabelPlan(
            id=f"reference-{system.name}",
            system=system.name,
            purpose=Purpose.TEST,
            starts=(Start(system.frame),),
            segment=SegmentSpec(
                n_steps=n_steps,
                timestep_fs=config.timestep_fs,
                temperature_k=temperature_k,
                thermostat=config.thermostat,
                damping_fs=config.damping_fs,
                seed=derive_seed(REFERENCE_SEED, "reference", system.name),
            ),
            reason="the examiner's reference trajectory, charged to nobody",
        )
        for system in parts.systems
    )


def thinned(outcome: PlanOutcome, config: ReferenceConfig) -> PlanOutcome:
    """Frames after the burn-in, ``every_steps`` apart."""
    first = int(np.ceil(config.burn_in_ps * 1000.0 / config.timestep_fs))
    kept = tuple(
        item
        for item in outcome.labelled
        if item.origin.index >= first and (item.origin.index - first) % config.every_steps == 0
    )
    return replace(outcome, labelled=kept)
