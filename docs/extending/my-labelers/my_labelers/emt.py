"""Effective-medium theory for Ni, Cu, Pd, Ag, Pt and Au clusters, through ASE."""

import time

import ase
import numpy as np
from ase.calculators.emt import EMT, parameters
from scipy.spatial.distance import pdist

from sis_engine import interfaces as api
from sis_engine import records as rec
from sis_engine.errors import ConfigurationError, StopRequested


class EmtConfig(api.PluginConfig):
    """shortest_angstrom: closer atoms are a bad geometry"""

    type: str = "emt"
    shortest_angstrom: float = 1.0


class EmtLabeler:
    """Single points; the engine makes segments and optimisations of them."""

    Config = EmtConfig
    capabilities = frozenset({api.Capability.SINGLE_POINT, api.Capability.SIDE_BY_SIDE})

    def __init__(self, config):
        self.config = config

    @classmethod
    def from_config(cls, config):
        return cls(config)

    def level_of_theory(self, system):
        return rec.LevelOfTheory("ase-emt", ase.__version__, "EMT", (("charge", system.charge),))

    def check(self, system):
        unknown = sorted(set(system.frame.species) - set(parameters))
        if unknown or any(system.frame.pbc):
            message = f"EMT cannot label {system.name!r} ({unknown or 'periodic'})"
            raise ConfigurationError(message, allowed=f"clusters of {', '.join(parameters)}")

    def label(self, task, context):
        level = self.level_of_theory(task.system)
        for frame, origin in zip(task.frames, task.origins, strict=True):
            if context.stop():
                raise StopRequested("stopped between EMT single points")
            yield self._point(frame, level, origin)

    def doctor(self):
        return (api.ProgramReport("ase EMT", "in process", ase.__version__),)

    def _point(self, frame, level, origin):
        began = time.perf_counter()
        if np.min(pdist(frame.positions)) < self.config.shortest_angstrom:
            reason = rec.Failure.BAD_GEOMETRY
            return rec.LabelFailure(frame, level, origin, reason, "two atoms overlap")
        atoms = ase.Atoms(frame.species, frame.positions, calculator=EMT())
        label = rec.Label(atoms.get_potential_energy(), atoms.get_forces())
        seconds = time.perf_counter() - began
        return rec.Labelled(frame, label, level, origin, ase.__version__, seconds)
