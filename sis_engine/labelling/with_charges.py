"""Charges by one labeler on the labels of another: GFN2-xTB charges beside DFT energies.

The two stay two levels of theory. A label keeps the base's (``level``, by which it is banked, so
that a base label is never paid for again because charges were wanted or changed) and names that of
its charges (``charges_level``). Charges that cannot be had stay ``None``: they leave a loss, they
never become zero, and they never cost the label that was paid for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import PrivateAttr, ValidationInfo, model_validator

from sis_engine.errors import ConfigurationError, InfrastructureError, StopRequested
from sis_engine.interfaces import (
    Capability,
    Context,
    Labeler,
    LabelTask,
    PluginConfig,
    ProgramReport,
    SinglePoints,
    never_stop,
)
from sis_engine.plugins import Kind, configure, load
from sis_engine.records import Frame, LabelFailure, Labelled, LevelOfTheory, System
from sis_engine.reference_md import LabelSource

_log = logging.getLogger(__name__)


class WithChargesConfig(PluginConfig):
    """Two labelers, each with its own ``type`` and settings.

    base: gives energies, forces and virials, MD segments and optimisations where it has its own
    charges: gives partial charges of the base's frames, e.g. ``{type: xtb, method: GFN2-xTB}``;
        where it cannot, a label has none
    """

    type: Literal["with-charges"] = "with-charges"
    base: dict[str, Any]
    charges: dict[str, Any]
    _folder: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _remember_the_folder(self, info: ValidationInfo) -> Self:
        """The two are configured later: their paths start at the campaign file, too."""
        self._folder = (info.context or {}).get("base")
        return self

    @property
    def folder(self) -> Path | None:
        """What relative paths in ``base`` and ``charges`` start from."""
        return self._folder


class WithCharges:
    """The base's labels, each with the charges that another labeler gives its frame.

    It can what the base can. An evaluation of the charges is not counted as one: budgets are of
    the base's; its seconds are.
    """

    Config: ClassVar[type[WithChargesConfig]] = WithChargesConfig

    def __init__(self, base: Labeler, charges: Labeler) -> None:
        self.base = base
        self.charges = charges
        apart = {Capability.SIDE_BY_SIDE} - charges.capabilities
        self.capabilities = (base.capabilities | {Capability.CHARGES}) - apart
        self.turn: AbstractContextManager[Any] = threading.Lock() if apart else nullcontext()
        self._refusals: dict[tuple[str, tuple[bool, bool, bool]], str | None] = {}

    @classmethod
    def from_config(cls, config: WithChargesConfig) -> Self:
        base = _part("base", config.base, config.folder)
        charges = _part("charges", _asking_for_charges(config.charges), config.folder)
        if Capability.CHARGES in base.capabilities:
            raise ConfigurationError(
                "the base labeler gives charges of its own",
                key="labeler.base.charges",
                allowed="one of the two: charges of the base, or those of labeler.charges",
            )
        if Capability.CHARGES not in charges.capabilities:
            raise ConfigurationError(
                f"labeler {config.charges['type']!r} gives no charges with these settings",
                key="labeler.charges",
            )
        return cls(base, charges)

    @classmethod
    def example(cls, frame: Frame) -> dict[str, Any]:
        """For ``sis init``: charges of xTB on energies of CP2K's DFT."""
        method = "GFN1-xTB" if any(frame.pbc) else "GFN2-xTB"
        return {"base": {"type": "cp2k"}, "charges": {"type": "xtb", "method": method}}

    def level_of_theory(self, system: System) -> LevelOfTheory:
        """The base's: that of energies, forces and virials."""
        return self.base.level_of_theory(system)

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if the base cannot label this system.

        A system whose charges are refused is labelled without: :meth:`notes` says so.
        """
        self.base.check(system)
        self.refusal(system)

    def notes(self, system: System) -> tuple[str, ...]:
        """What ``sis validate`` tells of a system that passes its check."""
        refused = self.refusal(system)
        if refused is None:
            return ()
        return (f"labels of {system.name} will have no charges: {refused}",)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        return self.over(self.base, self.charges).label(task, context)

    def over(self, base: LabelSource, charges: LabelSource) -> LabelSource:
        """The same from ``base`` and ``charges``: its two labelers with something around them.

        The bank goes around each of the two, so that either may be known without the other.
        """
        return _Joined(self, base, charges)

    def doctor(self) -> tuple[ProgramReport, ...]:
        return tuple(dict.fromkeys((*self.base.doctor(), *self.charges.doctor())))

    def refusal(self, system: System) -> str | None:
        """Why the charges of this system are not asked for, or ``None``."""
        key = (system.name, system.frame.pbc)
        if key not in self._refusals:
            try:
                self.charges.check(system)
            except ConfigurationError as error:
                self._refusals[key] = error.message
            else:
                self._refusals[key] = None
        return self._refusals[key]


@dataclass(frozen=True)
class _Joined:
    """Labels of ``base`` with the charges that ``charges`` gives their frames."""

    labeler: WithCharges
    base: LabelSource
    charges: LabelSource

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.labeler.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        system = task.system
        level = self.charges.level_of_theory(system)
        refused = self.labeler.refusal(system) is not None
        # a label that is paid for gets its charges although a stop is asked for: they are cheap
        apart = replace(context, workdir=context.workdir / "charges", threads=1, stop=never_stop)
        for result in self.base.label(task, context):
            if isinstance(result, LabelFailure):
                yield result
                continue
            found = None if refused else self._charged(system, result, apart)
            extra = 0.0 if found is None or found.cached else found.seconds
            charges = None if found is None else found.label.charges
            yield replace(
                result,
                label=replace(result.label, charges=charges),
                charges_level=level,
                seconds=result.seconds + extra,
            )

    def _charged(self, system: System, result: Labelled, context: Context) -> Labelled | None:
        """The label with this frame's charges; ``None``, and a warning, if it cannot be had."""
        context.workdir.mkdir(parents=True, exist_ok=True)
        task = SinglePoints(system, (result.frame,), (result.origin,))
        try:
            with self.labeler.turn:
                (found,) = self.charges.label(task, context)
        except (InfrastructureError, StopRequested):
            raise
        except Exception as error:  # noqa: BLE001 - a plugin's call: it may not cost the label
            reason = f"{type(error).__name__}: {error}"
        else:
            if isinstance(found, Labelled) and found.label.charges is not None:
                return found
            reason = found.message if isinstance(found, LabelFailure) else "the labeler gave none"
        origin = result.origin
        _log.warning("%s, number %d: no charges: %s", origin.plan, origin.index, reason)
        return None


def levels_of(labeler: Labeler, system: System) -> tuple[LevelOfTheory, ...]:
    """Of energies and forces and, where charges are of another level, that of the charges."""
    if isinstance(labeler, WithCharges):
        return labeler.level_of_theory(system), labeler.charges.level_of_theory(system)
    return (labeler.level_of_theory(system),)


def _part(name: str, given: dict[str, Any], folder: Path | None) -> Labeler:
    labeler: Labeler = configure(Kind.LABELER, given, key=f"labeler.{name}", base=folder)
    return labeler


def _asking_for_charges(given: dict[str, Any]) -> dict[str, Any]:
    """A labeler that gives charges only when told to (``charges: true``) is told to."""
    if not given.get("type"):
        return given
    fields = load(Kind.LABELER, str(given["type"]), key="labeler.charges.type").Config.model_fields
    return {"charges": True} | given if "charges" in fields else given
