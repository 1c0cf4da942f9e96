"""The border of monitors: what must not happen in MD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sis_engine.interfaces.parts import PluginConfig
from sis_engine.records import Condition, HaltRule, MdFrame, Support, System, Trace, Verdict


@dataclass(frozen=True)
class MonitorContext:
    """What a monitor may derive its limits from.

    support: what the labels of this system cover;  sel, cutoff: of the model, where it has them
    generation: number of the current one (windows go from coarse to fine)
    """

    system: System
    condition: Condition
    support: Support | None
    generation: int
    model_elements: tuple[str, ...] = ()
    model_sel: tuple[int, ...] | None = None
    model_cutoff_angstrom: float | None = None


@runtime_checkable
class Monitor(Protocol):
    """Judges MD: is this still physical? Pure: no files, no clock, no randomness."""

    Config: ClassVar[type[PluginConfig]]
    name: str

    @classmethod
    def from_config(cls, config: Any) -> Self: ...

    def check(self, context: MonitorContext) -> None:
        """Raise ConfigurationError if its settings cannot work for this system and condition."""
        ...

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        """Rules for the explorer to stop by."""
        ...

    def judge(
        self, trace: Trace, frames: Sequence[MdFrame], context: MonitorContext
    ) -> tuple[Verdict, ...]:
        """Findings in time order; empty when all is well."""
        ...
