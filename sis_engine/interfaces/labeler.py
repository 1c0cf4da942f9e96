"""The border of labelers: reference calculations."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sis_engine.interfaces.parts import Context, PluginConfig, ProgramReport
from sis_engine.records import (
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    OptimiseSpec,
    Origin,
    SegmentSpec,
    Start,
    System,
)


class Capability(enum.Enum):
    """What a labeler can do."""

    SINGLE_POINT = "single_point"
    SEGMENT = "segment"
    OPTIMISE = "optimise"
    VIRIAL = "virial"
    CHARGES = "charges"
    SIDE_BY_SIDE = "side_by_side"
    """``label`` may be called from several threads at once, each with a ``workdir`` of its own
    (``kept`` is shared); a task of one frame then costs no more than its share of a task of many.
    Without it the engine asks for one task at a time."""


@dataclass(frozen=True, eq=False)
class SinglePoints:
    """Label these frames, each on its own. ``origins`` go with ``frames``."""

    system: System
    frames: tuple[Frame, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, eq=False)
class Segment:
    """Run reference MD from ``start``; one result per step, the first is ``start`` itself.

    origin: of the first frame; ``index`` counts on from it
    """

    system: System
    start: Start
    spec: SegmentSpec
    origin: Origin


@dataclass(frozen=True, eq=False)
class Optimisation:
    """Optimise ``start``; one result per step, the last is the optimised structure."""

    system: System
    start: Start
    spec: OptimiseSpec
    origin: Origin


LabelTask = SinglePoints | Segment | Optimisation


@runtime_checkable
class Labeler(Protocol):
    """Reference calculations at one level of theory.

    ``label`` yields one result per frame *as it finishes*; a failure is a value. It must accept
    ``SinglePoints``; ``Segment`` and ``Optimisation`` only if its capabilities say so, otherwise
    :class:`sis_engine.reference_md.ReferenceMD` lifts it. Given the same frame it gives the same
    label, to the code's own tolerance.

    Three members are optional. ``not_exact_because: str | None``: why a run that was killed and
    goes on is not bit by bit one that was never killed; ``exact: true`` is then refused.
    ``needs_cell``: it labels periodic frames only, of which ``sis init`` then writes one.
    ``quick``: a label of a small system starts no program and takes no time, so that ``sis plan``
    may try one.
    """

    Config: ClassVar[type[PluginConfig]]
    capabilities: frozenset[Capability]

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def level_of_theory(self, system: System) -> LevelOfTheory: ...

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        ...

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]: ...

    def doctor(self) -> tuple[ProgramReport, ...]: ...
