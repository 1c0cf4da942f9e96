"""Labels by CP2K: single points, and MD and optimisations that run inside the program.

Conventions, each checked against finite differences in the tests: CP2K's total energy is the
force-consistent one (under smearing it holds the electronic entropy: a free energy); its stress is
+P without a kinetic part, so that stress times volume is the virial.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np

from labelers.cp2k.checks import check_system
from labelers.cp2k.config import Cp2kConfig, Gfn1Method
from labelers.cp2k.course import Course, MdCourse, OptimiseCourse
from labelers.cp2k.doctor import reports
from labelers.cp2k.handlers import ways
from labelers.cp2k.input import Box, box_of, force_eval
from labelers.cp2k.launch import Launcher
from labelers.cp2k.level import level_of
from labelers.cp2k.motion import with_heavy_kinds
from labelers.cp2k.points import Point, label_point
from labelers.cp2k.results import Results
from labelers.cp2k.stepped import Stepped
from labelers.geometry import absurdity
from labelers.remembered import RememberedPoints
from labelers.tasks import folder_of_task, free_folder, kept_folder
from sis_engine.errors import StopRequested
from sis_engine.interfaces import (
    Capability,
    Context,
    LabelTask,
    Optimisation,
    ProgramReport,
    Segment,
    SinglePoints,
)
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    System,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.reference_md.integrators import draw_velocities, mechanics_of

Result = Labelled | LabelFailure


class Cp2kLabeler:
    """CP2K as a labeler: Quickstep DFT, its GFN1-xTB, or the user's own input."""

    Config: ClassVar[type[Cp2kConfig]] = Cp2kConfig

    def __init__(self, config: Cp2kConfig) -> None:
        self.config = config
        self.launcher = Launcher(config)
        capabilities = {Capability.SINGLE_POINT}
        if config.virial:
            capabilities.add(Capability.VIRIAL)
        if config.side_by_side:
            capabilities.add(Capability.SIDE_BY_SIDE)
        if config.dynamics == "cp2k":
            capabilities |= {Capability.SEGMENT, Capability.OPTIMISE}
        self.capabilities: frozenset[Capability] = frozenset(capabilities)

    @classmethod
    def from_config(cls, config: Cp2kConfig) -> Self:
        return cls(config)

    @property
    def not_exact_because(self) -> str | None:
        """Why a killed and resumed run is not bit by bit one that was never killed."""
        if self.config.dynamics == "cp2k":
            return (
                "CP2K's MD goes on to its SCF's tolerance (labeler.dynamics: engine does exactly)"
            )
        return self.config.adds_up_in_any_order

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return level_of(self.launcher, system)

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        check_system(self.launcher, system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """One result per frame as it is written. Raises StopRequested between and within runs."""
        if isinstance(task, SinglePoints):
            yield from self._points(task, context)
        elif self._wants_the_lift(task):
            points = RememberedPoints(self, kept_folder(context, "cp2k"))
            yield from ReferenceMD(points).label(task, context)
        else:
            yield from self._steps(task, context)

    def _wants_the_lift(self, task: Segment | Optimisation) -> bool:
        """Tasks that are better done step by step from outside.

        CP2K zeroes the forces of fixed atoms; in its MD they are heavy instead, which needs kinds
        that its xTB does not have, and an optimiser knows no inertia.
        """
        frozen = bool(task.system.frozen)
        if isinstance(task, Segment):
            return task.spec.n_steps == 1 or (frozen and isinstance(self.config.method, Gfn1Method))
        return frozen or task.spec.max_steps == 1

    def doctor(self) -> tuple[ProgramReport, ...]:
        return reports(self.launcher)

    # ------------------------------------------------------------------ single points

    def _points(self, task: SinglePoints, context: Context) -> Iterator[Result]:
        level = self.level_of_theory(task.system)
        physics = force_eval(self.config, task.system)
        for frame, origin in zip(task.frames, task.origins, strict=True):
            if context.stop():
                raise StopRequested("stopped between CP2K's single points")
            refused = self._refused(task.system, frame, level, origin)
            if refused is not None:
                yield refused
                continue
            box = box_of(self.config, task.system, frame)
            point = Point(frame, origin, level, box, free_folder(context.workdir, "point"))
            yield label_point(self.launcher, physics, point, context)

    def _refused(
        self, system: System, frame: Frame, level: LevelOfTheory, origin: Origin
    ) -> LabelFailure | None:
        """A geometry that no code should be asked about."""
        reason = absurdity(frame, self.config.shortest_angstrom)
        if reason is None and not all(frame.pbc):
            box = box_of(self.config, system, frame)
            if not box.fits(frame.positions, 0.5 * self.config.vacuum_angstrom):
                edge = float(box.cell[0, 0])
                reason = f"the cluster has grown out of its box of {edge:g} Å"
        if reason is None:
            return None
        return LabelFailure(frame, level, origin, Failure.BAD_GEOMETRY, reason)

    # ------------------------------------------------------------------ MD and optimisations

    def _steps(self, task: Segment | Optimisation, context: Context) -> Iterator[Result]:
        level = self.level_of_theory(task.system)
        refused = self._refused(task.system, task.start.frame, level, task.origin)
        if refused is not None:
            yield refused
            return
        box = box_of(self.config, task.system, task.start.frame)
        folder = folder_of_task(task, level, context, "cp2k")
        course = self._course(task, box)
        stepped = Stepped(
            self.launcher,
            course,
            ways(force_eval(self.config, task.system)["dft"]["scf"]),
            folder,
            context,
        )
        results = Results(task, box, level, self.launcher.build.exact)
        yield from results.of(stepped.results())

    def _course(self, task: Segment | Optimisation, box: Box) -> Course:
        physics, positions = force_eval(self.config, task.system), task.start.frame.positions
        if isinstance(task, Optimisation):
            return OptimiseCourse(task.system, box, physics, task.spec, positions)
        mechanics = mechanics_of(task.system, positions, task.spec.thermostat)
        velocities = task.start.velocities
        if velocities is None:
            spec = task.spec
            velocities = draw_velocities(mechanics, positions, spec.temperature_k, spec.seed)
        if task.system.frozen:
            physics = with_heavy_kinds(physics, task.system)
        moving = np.where(mechanics.moving[:, None], velocities, 0.0)
        return MdCourse(task.system, box, physics, task.spec, positions, moving)
