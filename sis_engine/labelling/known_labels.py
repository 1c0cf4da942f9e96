"""Labels that other campaigns made, at the price they cost: what a comparison charges its arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sis_engine.interfaces import Capability, Context, LabelTask
from sis_engine.labelling.banked import BankedLabeler, Result
from sis_engine.records import LevelOfTheory, System


@dataclass(frozen=True)
class ChargedLabeler:
    """A labeler behind a bank of other campaigns' labels, each handed on as if made just now.

    known: the labeler with that bank before it. What the bank has comes at its recorded seconds
    and counts as an evaluation of the campaign that asks: a sampler is not cheaper for coming
    second. Within one campaign its own bank, in front of this, still pays for a label once.
    """

    known: BankedLabeler

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.known.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.known.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """As the labeler itself would yield them."""
        for result in self.known.label(task, context):
            yield replace(result, cached=False)
