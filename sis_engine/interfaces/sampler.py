"""The border of samplers: what to label next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sis_engine.interfaces.parts import PluginConfig
from sis_engine.records import (
    Allowance,
    Answer,
    AuditResult,
    Condition,
    Drifted,
    Exploration,
    Frame,
    GenerationSummary,
    Inspected,
    Labelled,
    Purpose,
    ReferenceEnd,
    Support,
    System,
    Verdict,
)


@dataclass(frozen=True, eq=False)
class SamplerInput:
    """All that a decision may rest on.

    explorations, verdicts: of this generation; verdicts only of catastrophes that triage calls
        DATA and, for suspects, that the labeler disagreed with
    support: per system;  history: earlier generations, oldest first
    audit: the result of the audit this sampler asked for in this generation, or ``None``
    evaluations_left: in all, ``None`` without a limit;  left_by_purpose: where some are limited
    conditions: that were explored, of all systems together
    reference_ends: where the newest reference MD of each system stands, if it has any
    inspected: what the last inspection that this sampler asked for in this generation found
    drifted: where the force field's MD took the structures that this sampler sent off
    settled: no later generation is watched more strictly than this one
    """

    generation: int
    systems: tuple[System, ...]
    explorations: tuple[Exploration, ...]
    verdicts: tuple[Verdict, ...]
    support: tuple[Support, ...]
    history: tuple[GenerationSummary, ...]
    seed: int
    audit: AuditResult | None = None
    audit_frames: tuple[Labelled, ...] = ()
    evaluations_left: int | None = None
    left_by_purpose: tuple[tuple[Purpose, int], ...] = ()
    conditions: tuple[Condition, ...] = field(default=())
    reference_ends: tuple[ReferenceEnd, ...] = ()
    inspected: tuple[Inspected, ...] = ()
    drifted: tuple[Drifted, ...] = ()
    settled: bool = True

    @property
    def allowance(self) -> Allowance:
        """What may still be spent."""
        return Allowance(self.evaluations_left, self.left_by_purpose)

    def runs_of(self, system: str) -> list[Exploration]:
        """The MD of one system in this generation."""
        return [run for run in self.explorations if run.replica.system.name == system]

    def is_labelled(self, system: str, frame: Frame) -> bool:
        """Whether this generation's audits labelled the frame: its label costs nothing more."""
        return (system, frame.key) in self._labelled

    @cached_property
    def _labelled(self) -> frozenset[tuple[str, str]]:
        return frozenset((item.origin.system, item.frame.key) for item in self.audit_frames)


@dataclass(frozen=True)
class Needs:
    """What a sampler needs of the engine beside the MD of one model.

    members: models of its committee, the one that drives MD included; 1: that one alone
    failures: of the replicas of a system and condition, after which later ones change nothing;
        ``None``: every replica's end counts
    watch: the committee watches all MD; false: it only looks where the sampler asks it to
    descriptors: it may ask what the model sees of a frame (the trainer is a :class:`Describer`)
    force_field: settings of a labeler (any plugin) by whose forces it may move structures; what
        that gives is never a label
    """

    members: int = 1
    failures: int | None = None
    watch: bool = True
    descriptors: bool = False
    force_field: Mapping[str, Any] | None = None


@runtime_checkable
class Sampler(Protocol):
    """Turns traces and verdicts into label requests. Pure and seeded."""

    Config: ClassVar[type[PluginConfig]]

    @property
    def needs(self) -> Needs: ...

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def check(self, replicas: int) -> None:
        """Raise ConfigurationError if it can never be satisfied by so many replicas."""
        ...

    def conditions(
        self, base: Condition, generation: int, system: System | None = None
    ) -> tuple[Condition, ...]:
        """The conditions to explore in this generation; ``None``: of a system that bears any."""
        ...

    def decide(self, given: SamplerInput) -> Answer: ...
