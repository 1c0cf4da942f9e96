"""The label bank between the engine and a labeler: no label is paid for twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sis_engine.interfaces import Capability, Context, LabelTask, SinglePoints
from sis_engine.labelling.in_flight import InFlight
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    System,
    label_key,
)
from sis_engine.reference_md import LabelSource, finite_or_failure

Result = Labelled | LabelFailure

_PASSING = frozenset(
    {Failure.INFRASTRUCTURE, Failure.OUT_OF_TIME, Failure.OUT_OF_MEMORY, Failure.PROGRAM}
)
"""Reasons that lie in the surroundings: mended, the same frame can be labelled."""


class LabelStore(Protocol):
    """What is needed of the label bank (:class:`sis_engine.storage.bank.LabelBank`)."""

    def get(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> Labelled | None:
        """The label of ``frame``, with this ``origin``; ``None`` if it has none.

        ``cached`` is false where this campaign paid for it for this very origin: a walk that is
        taken up after a kill then ends in the same outcome as one that was never killed.
        """
        ...

    def failure(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> LabelFailure | None:
        """The recorded failure of a frame that has no label, ``cached`` as for :meth:`get`."""
        ...

    def iterate(self, level: LevelOfTheory) -> Iterator[Labelled]:
        """Good labels of a level, in the order they came."""
        ...

    def forget_failures(self, keys: Sequence[str]) -> int:
        """These frames may be tried again; how many failures were forgotten. Labels stay."""
        ...

    def put(self, item: Result, *, at_once: bool = True) -> None:
        """Keep it; durable when this returns, or, not ``at_once``, when :meth:`flush` does."""
        ...

    def flush(self) -> None:
        """All that was put is durable when this returns."""
        ...

    def before(self, frame: Frame, level: LevelOfTheory, generation: int) -> Result | None:
        """What it had of ``frame`` before this campaign began ``generation``, or ``None``."""
        ...


@dataclass(frozen=True)
class BankedLabeler:
    """A labeler whose every label goes through the bank. Threads may use it side by side.

    in_flight: labels that a thread is paying for just now; another that wants one waits for it
    at_once: make each durable as it comes; not so where the labeler's own record of it is durable
        until the bank is flushed
    """

    labeler: LabelSource
    bank: LabelStore
    in_flight: InFlight = field(default_factory=InFlight)
    at_once: bool = True

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.labeler.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """Known single points first, then those made now, each kept as it finishes.

        Last come those that another plan was making; one that it could not make is made here.
        """
        if not isinstance(task, SinglePoints):
            yield from self._kept(self.labeler.label(task, context))
            return
        level = self.level_of_theory(task.system)
        keys = [label_key(frame, level) for frame in task.frames]
        left = list(range(len(keys)))
        while left:
            own = [index for index in left if self.in_flight.claim(keys[index])]
            held = {keys[index] for index in own}
            try:
                for result in self._known_or_made(task, own, context):
                    if result.key in held:
                        held.remove(result.key)
                        self.in_flight.give_back(result.key)
                    yield result
            finally:
                for key in held:
                    self.in_flight.give_back(key)
            mine = frozenset(own)
            left = [index for index in left if index not in mine]
            for index in left:
                self.in_flight.wait(keys[index], context.stop)

    def _known_or_made(
        self, task: SinglePoints, own: Sequence[int], context: Context
    ) -> Iterator[Result]:
        """Results of the frames at these places: those in the bank, then those made now."""
        missing: list[int] = []
        for index in own:
            known = self._known(task.system, task.frames[index], task.origins[index])
            if known is None:
                missing.append(index)
            else:
                yield known
        if not missing:
            return
        frames = tuple(task.frames[index] for index in missing)
        origins = tuple(task.origins[index] for index in missing)
        left = SinglePoints(task.system, frames, origins)
        yield from self._kept(self.labeler.label(left, context))

    def _kept(self, results: Iterator[Result]) -> Iterator[Result]:
        for raw in results:
            yield keep(self.bank, raw, at_once=self.at_once)

    def _known(self, system: System, frame: Frame, origin: Origin) -> Result | None:
        """What is banked, unless another try may do better or more is wanted now."""
        level = self.level_of_theory(system)
        known = self.bank.get(frame, level, origin) or self.bank.failure(frame, level, origin)
        return known if known is not None and self._settles(known) else None

    def is_known(self, system: System, frame: Frame, generation: int) -> bool:
        """Whether the label was there before this campaign began ``generation``: it costs nothing.

        What this generation has paid for already is not known in this sense: a generation that is
        taken up after a kill counts its costs as one that was never killed.
        """
        known = self.bank.before(frame, self.level_of_theory(system), generation)
        return known is not None and self._settles(known)

    def _settles(self, known: Result) -> bool:
        """Whether no other calculation is needed: it has all that is wanted, or failed for good."""
        if isinstance(known, LabelFailure):
            return _is_lasting(known)
        wants_charges = Capability.CHARGES in self.capabilities
        wants_virial = Capability.VIRIAL in self.capabilities and all(known.frame.pbc)
        return not (
            (wants_charges and known.label.charges is None)
            or (wants_virial and known.label.virial is None)
        )


def keep(bank: LabelStore, raw: Result, *, at_once: bool = True) -> Result:
    """What is made of a labeler's result, in the bank if it belongs there."""
    result = finite_or_failure(raw)
    if isinstance(result, Labelled) or _is_lasting(result):
        bank.put(result, at_once=at_once)
    return result


def _is_lasting(failure: LabelFailure) -> bool:
    """The frame is to blame, so that the same calculation would fail again."""
    return not failure.retry_can_help and failure.reason not in _PASSING
