"""MD with a model: conditions, replicas, halt rules, traces, and how a run ended."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sis_engine.records.arrays import FloatArray
from sis_engine.records.later import LATER
from sis_engine.records.structures import Frame, System


class Ensemble(enum.Enum):
    """What is held constant beside the number of atoms and the temperature."""

    NVT = "nvt"
    NPT = "npt"


@dataclass(frozen=True)
class Condition:
    """How MD with the model is run.

    thermostat: "nose-hoover", "langevin" or "csvr";  damping in fs
    pressure_gpa: NPT only;  velocity_factor: initial velocities at this times the target
        (2 after a minimisation: equipartition halves it)
    minimise: with etol (relative), ftol (eV/Å), at most max_minimise_steps
    """

    name: str
    ensemble: Ensemble
    temperature_k: float
    timestep_fs: float
    duration_ps: float
    pressure_gpa: float | None = None
    thermostat: str = "nose-hoover"
    damping_fs: float = 50.0
    pressure_damping_fs: float = 500.0
    minimise: bool = True
    etol: float = 1e-4
    ftol: float = 1e-6
    max_minimise_steps: int = 200
    velocity_factor: float = 2.0


@dataclass(frozen=True)
class Sampling:
    """What is kept along a replica: a trace row, and frames dense late, sparse early.

    trace_every_steps: trace rows and the check interval of cheap rules
    ring_every_steps: distance of two frames of the ring, which are dense before the end
    ring_size: frames in it
    sparse_every_ps: frames kept from the whole run
    deviation_every_steps: how often a committee is asked, where one watches; the other intervals
        are multiples of it
    """

    trace_every_steps: int = 20
    ring_every_steps: int = 10
    ring_size: int = 64
    sparse_every_ps: float = 0.1
    deviation_every_steps: int = 10


@dataclass(frozen=True, eq=False)
class Replica:
    """One MD run: one system, one condition, one seed.

    velocities: (n_atoms, 3), Å/fs: continue with these instead of minimising and drawing
    time_offset_fs: MD time already behind it when it continues an earlier run
    """

    id: str
    system: System
    start: Frame
    condition: Condition
    seed: int
    velocities: FloatArray | None = None
    time_offset_fs: float = 0.0


class Quantity(enum.Enum):
    """What can be measured along MD. The closed vocabulary of halt rules and traces."""

    TEMPERATURE = "temperature_k"
    POTENTIAL_ENERGY = "potential_energy"
    ENERGY_JUMP = "energy_jump"
    """|change of potential energy| since the last check, eV"""
    HEAT = "heat"
    """energy taken from the system by the thermostat since the start of dynamics, eV"""
    CONSERVED_DRIFT = "conserved_drift"
    """change of the conserved quantity since the start of dynamics, eV"""
    MAX_KINETIC = "max_kinetic"
    """largest kinetic energy of one atom, eV"""
    MAX_FORCE = "max_force"
    """largest force on one atom, eV/Å"""
    SHORTEST_DISTANCE = "shortest_distance"
    """Å; of one element pair when the rule names it"""
    NEIGHBOURS = "neighbours"
    """largest number of neighbours within the model's cutoff (of one element when named)"""
    VOLUME = "volume"
    MODEL_DEVIATION = "model_deviation"
    """largest standard deviation of a force over committee members, eV/Å"""
    VIRIAL_DEVIATION = "virial_deviation"
    """largest standard deviation of a virial component over committee members, eV/atom"""
    KINETIC_ENERGY = "kinetic_energy"
    """trace only"""

    @property
    def unit(self) -> str:
        return _UNITS.get(self, "eV")


_UNITS = {
    Quantity.TEMPERATURE: "K",
    Quantity.MAX_FORCE: "eV/Å",
    Quantity.MODEL_DEVIATION: "eV/Å",
    Quantity.SHORTEST_DISTANCE: "Å",
    Quantity.NEIGHBOURS: "neighbours",
    Quantity.VOLUME: "Å³",
}
"""Of the quantities that are not energies (eV)."""


class Relation(enum.Enum):
    """The rule fires when the quantity is … the limit, or is not finite."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class HaltRule:
    """Stop the replica when ``quantity relation limit`` holds, or the quantity is NaN.

    monitor: who asked;  every_steps: check interval
    pair: element pair (SHORTEST_DISTANCE), or (element, element) for one element's quantity
    after_fs: not checked before this MD time (burn-in of a lower bound)
    average_fs: compare the mean over this long a window; ``None`` or 0: instantaneous
    suspect: firing is no verdict yet: one evaluation decides
    """

    monitor: str
    quantity: Quantity
    relation: Relation
    limit: float
    every_steps: int = 20
    pair: tuple[str, str] | None = None
    after_fs: float = 0.0
    average_fs: float | None = None
    suspect: bool = False

    def fires(self, value: float) -> bool:
        """NaN-safe: a value that compares with nothing fires."""
        if self.relation is Relation.ABOVE:
            return not value <= self.limit
        return not value >= self.limit

    @property
    def criterion(self) -> str:
        """The rule in words, with its unit: 'temperature_k above 1000 K'."""
        mean = f" ({self.average_fs:g} fs mean)" if self.average_fs else ""
        pair = "" if self.pair is None else " of " + "-".join(self.pair)
        relation = f"{self.relation.value} {self.limit:.6g} {self.quantity.unit}"
        return f"{self.quantity.value}{pair}{mean} {relation}"


@dataclass(frozen=True)
class MdRules:
    """What all monitors held the MD of one system to when it began.

    Limits that come from labels widen with each suspect that the reference agrees with.
    """

    system: str
    rules: tuple[HaltRule, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """What was measured along a replica.

    time_fs: (n,) MD time from the start of dynamics, including ``time_offset_fs``
    quantities: names of the columns;  values: (n, len(quantities)); NaN where not measured;
        of a committee's deviations ∞ where they were, and are not finite
    """

    replica: str
    time_fs: FloatArray
    quantities: tuple[Quantity, ...]
    values: FloatArray

    def series(self, quantity: Quantity) -> FloatArray | None:
        """(n,) values of one quantity, or ``None`` if it was not measured."""
        if quantity not in self.quantities:
            return None
        column: FloatArray = self.values[:, self.quantities.index(quantity)]
        return column


@dataclass(frozen=True)
class Deviation:
    """How far the members of a committee are apart on a frame: standard deviations over members.

    force: eV/Å, the largest over atoms;  virial: eV/atom, the largest over components, ``None``
        unless all is periodic;  energy: eV/atom, ``None`` where MD did not print it
    """

    force: float
    virial: float | None = None
    energy: float | None = None


@dataclass(frozen=True, eq=False)
class MdFrame:
    """A frame of the model's MD.

    velocities: (n_atoms, 3), Å/fs;  energy: eV;  forces: (n_atoms, 3), eV/Å, by the model
    deviation: of the committee, where there was one
    """

    frame: Frame
    time_fs: float
    velocities: FloatArray | None = None
    energy: float | None = None
    forces: FloatArray | None = None
    deviation: Deviation | None = field(default=None, metadata=LATER)


class Exit(enum.Enum):
    """Why a replica ended."""

    COMPLETED = "completed"
    """reached its duration"""
    HALTED = "halted"
    """a halt rule fired"""
    CRASHED = "crashed"
    """the engine gave up by itself: lost atoms, non-numeric positions"""
    STOPPED = "stopped"
    """at the end of a round, after which its siblings' failures were enough"""


_A_THOUSANDTH_OF_A_FS = 1.0e-6
"""A time in ps is a sum of steps: it may lie that much beside the end of a round."""


@dataclass(frozen=True)
class Rounds:
    """Replicas go side by side in rounds of MD time, however long each takes for one.

    After the round in which so many have failed the others are stopped, at the end of that round.
    length_ps: of a round
    wanted: failures, suspected ones among them: where one turns out to be none, those that were
        stopped go on
    ended: replicas of the same kind that have ended already: MD time (ps), and whether it failed
    """

    length_ps: float
    wanted: int
    ended: tuple[tuple[float, bool], ...] = ()

    def ends(self, replica: Replica) -> tuple[tuple[int, int], ...]:
        """(number of a round, step of a replica at its end), before the replica's own end."""
        timestep_fs, offset_fs = replica.condition.timestep_fs, replica.time_offset_fs
        length_fs, duration_fs = 1000.0 * self.length_ps, 1000.0 * replica.condition.duration_ps
        last = round((duration_fs - offset_fs) / timestep_fs)
        numbers = range(math.floor(offset_fs / length_fs) + 1, math.ceil(duration_fs / length_fs))
        steps = ((k, round((k * length_fs - offset_fs) / timestep_fs)) for k in numbers)
        return tuple((k, step) for k, step in steps if 0 < step < last)

    def is_enough(self, ended: Sequence[tuple[float, bool]], number: int) -> bool:
        """Whether enough of those that have ended failed by the end of this round."""
        end_ps = self.length_ps * number + _A_THOUSANDTH_OF_A_FS
        return sum(failed and time_ps <= end_ps for time_ps, failed in ended) >= self.wanted


@dataclass(frozen=True, eq=False)
class Exploration:
    """One replica, as it ran.

    frames: in time order, sparse early and dense before the end; the last is the end itself
        (where the engine could still write it)
    halted_by: the rule that stopped it;  value: the value it saw
    md_ps: MD time of this replica, including what it continued
    """

    replica: Replica
    trace: Trace
    frames: tuple[MdFrame, ...]
    exit: Exit
    md_ps: float
    seconds: float
    halted_by: HaltRule | None = None
    value: float | None = None
    message: str = ""

    @property
    def has_failed(self) -> bool:
        """It crashed or a rule fired; one that only suspects, too, until that is decided."""
        return self.exit in {Exit.CRASHED, Exit.HALTED}


@dataclass(frozen=True)
class Verdict:
    """A monitor's finding: from ``time_fs`` on this replica is not physical.

    suspect: one evaluation decides whether it is a catastrophe
    atoms: indices of the guilty atoms, where known
    """

    replica: str
    monitor: str
    criterion: str
    time_fs: float
    value: float
    limit: float
    suspect: bool = False
    atoms: tuple[int, ...] = ()


class Cause(enum.Enum):
    """What triage says a catastrophe came from. Only DATA buys labels."""

    DATA = "data"
    SETTINGS = "settings"
    NUMERICS = "numerics"
    START = "start"


@dataclass(frozen=True)
class Triage:
    """Where a catastrophe came from, and the evidence, one line each."""

    replica: str
    cause: Cause
    evidence: tuple[str, ...]
    mend: str | None = None
