"""The part of a trajectory whose labels are in the bank: run here at no cost, up to where it was.

What follows is run where the labels are made, step after step in one task: there its head is
replayed from the labels found here, bit by bit, since a trajectory is a function of them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sis_engine.errors import SisError
from sis_engine.interfaces import Capability, Context, LabelTask, SinglePoints
from sis_engine.labelling.banked import BankedLabeler, LabelStore
from sis_engine.records import Labelled, LevelOfTheory, System, label_key
from sis_engine.reference_md import LabelSource, ReferenceMD
from sis_engine.storage.label_stream import Result


class _Unknown(SisError):
    """The bank has no label of the frame that is wanted next."""


@dataclass(frozen=True)
class _OnlyWhatIsKnown:
    """A labeler that can make nothing: before it lies the bank."""

    source: LabelSource

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.source.capabilities - {Capability.SEGMENT, Capability.OPTIMISE}

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.source.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        del context
        raise _Unknown(f"a frame of {task.system.name} has no label yet")
        yield  # a generator, as every labeler's


def known_head(
    source: LabelSource, bank: LabelStore, task: LabelTask, context: Context
) -> tuple[list[Result], bool]:
    """Its steps that need no calculation, and whether that is all of it."""
    steps: list[Result] = []
    replay = ReferenceMD(BankedLabeler(_OnlyWhatIsKnown(source), bank))
    try:
        for step in replay.label(task, context):
            steps.append(step)  # noqa: PERF402 - kept when the next one raises
    except _Unknown:
        return steps, False
    return steps, True


@dataclass(frozen=True)
class Replayed:
    """A labeler that is asked only for what is not known: on the worker.

    known: by key, what :func:`known_head` found
    """

    source: LabelSource
    known: Mapping[str, Labelled]

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.source.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.source.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        if isinstance(task, SinglePoints) and len(task.frames) == 1:
            level = self.level_of_theory(task.system)
            found = self.known.get(label_key(task.frames[0], level))
            if found is not None:
                yield found
                return
        yield from self.source.label(task, context)
