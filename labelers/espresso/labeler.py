"""Labels by Quantum ESPRESSO's pw.x: single points, and segments through a pw.x kept alive.

Conventions, each checked against finite differences in the tests: pw.x's total energy is the free
energy under smearing, to which its forces belong; the virial over its socket is -dE/d(strain) at a
fixed *number* of plane waves (docs/labelers/espresso.md tells what that means for another cell).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from labelers.espresso.checks import check_system
from labelers.espresso.config import EspressoConfig
from labelers.espresso.doctor import reports
from labelers.espresso.launch import Launcher
from labelers.espresso.level import level_of
from labelers.espresso.pseudopotentials import example_files
from labelers.espresso.session import Session
from labelers.remembered import RememberedPoints
from labelers.single_points import points_of
from labelers.tasks import folder_of_task
from sis_engine.interfaces import Capability, Context, LabelTask, ProgramReport, SinglePoints
from sis_engine.records import Frame, LabelFailure, Labelled, LevelOfTheory, System
from sis_engine.reference_md import ReferenceMD


class EspressoLabeler:
    """pw.x as a labeler. The engine moves the atoms, pw.x is asked for each step."""

    Config: ClassVar[type[EspressoConfig]] = EspressoConfig
    needs_cell: ClassVar[bool] = True

    def __init__(self, config: EspressoConfig) -> None:
        self.config = config
        self.launcher = Launcher(config)
        capabilities = {Capability.SINGLE_POINT, Capability.SEGMENT, Capability.OPTIMISE}
        if config.virial:
            capabilities.add(Capability.VIRIAL)
        if config.side_by_side:
            capabilities.add(Capability.SIDE_BY_SIDE)
        self.capabilities: frozenset[Capability] = frozenset(capabilities)

    @classmethod
    def from_config(cls, config: EspressoConfig) -> Self:
        return cls(config)

    @classmethod
    def example(cls, frame: Frame) -> dict[str, Any]:
        """For ``sis init``: what Debian has of the elements, and a smearing that also metals bear.

        An element that is not there has a file of its name, which ``sis validate`` misses.
        """
        return {
            "pseudopotentials": example_files(tuple(sorted(set(frame.species)))),
            "cutoff_rydberg": 40.0,
            "density_cutoff_rydberg": 320.0,
            "k_spacing_per_angstrom": 0.15,
            "smearing": {"kind": "gaussian", "width_ev": 0.1},
        }

    @property
    def not_exact_because(self) -> str | None:
        """Why a killed and resumed run is not bit by bit one that was never killed."""
        if self.config.warm_start:
            return (
                "a segment that goes on starts its SCF cold, and agrees to its threshold only "
                "(labeler.warm_start: false)"
            )
        return self.config.adds_up_in_any_order

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return level_of(self.launcher, system)

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        check_system(self.launcher, system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        """One result per frame as it finishes. Raises StopRequested between and within frames."""
        level = self.level_of_theory(task.system)
        alone = isinstance(task, SinglePoints)
        warm = self.config.warm_start and not alone
        session = Session(self.launcher, task.system, level, context, warm=warm)
        points = _Points(self, session)
        with contextlib.closing(session):
            if isinstance(task, SinglePoints):
                yield from points.label(task, context)
            else:
                folder = folder_of_task(task, level, context, "espresso")
                yield from ReferenceMD(RememberedPoints(points, folder)).label(task, context)

    def doctor(self) -> tuple[ProgramReport, ...]:
        return reports(self.launcher)


@dataclass(frozen=True)
class _Points:
    """The frames of one task, through one session."""

    labeler: EspressoLabeler
    session: Session

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.labeler.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        for frame, origin in points_of(task, context, "the espresso labeler"):
            yield self.session.label(frame, origin)
