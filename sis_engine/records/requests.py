"""Label requests: plans with starts in order of preference, and what LABEL made of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from sis_engine.records.arrays import FloatArray
from sis_engine.records.labels import LabelFailure, Labelled, Purpose
from sis_engine.records.later import LATER
from sis_engine.records.md import Deviation
from sis_engine.records.structures import Frame


@dataclass(frozen=True, eq=False)
class Start:
    """A frame from which labels may start.

    velocities: (n_atoms, 3), Å/fs, or ``None`` (drawn anew)
    time_fs: when it was, in the replica's MD;  model_*: what the model said there
    deviation: of the committee that watched, where one did
    """

    frame: Frame
    time_fs: float | None = None
    velocities: FloatArray | None = None
    model_energy: float | None = None
    model_forces: FloatArray | None = None
    deviation: Deviation | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class SegmentSpec:
    """A short reference MD: NVT, velocities drawn at ``temperature_k`` with ``seed``.

    Every ``stride``-th frame becomes training data; every step is an evaluation.
    thermostat: "langevin", "csvr", "nose-hoover" or "none" (NVE)
    """

    n_steps: int
    timestep_fs: float
    temperature_k: float
    stride: int = 1
    thermostat: str = "csvr"
    damping_fs: float = 50.0
    seed: int = 0


@dataclass(frozen=True)
class OptimiseSpec:
    """Geometry optimisation: stop at ``max_force`` (eV/Å) or after ``max_steps``."""

    max_force: float = 0.5
    max_steps: int = 50
    max_displacement_angstrom: float = 0.1


@dataclass(frozen=True)
class AcceptBounds:
    """A start is accepted when its label lies within all of these (``None``: not asked).

    max_force: largest force component norm, eV/Å
    max_energy: eV above ``reference_energy``
    """

    max_force: float | None = None
    max_energy_above: float | None = None
    reference_energy: float | None = None


@dataclass(frozen=True)
class BisectSpec:
    """Look backwards over the starts for the last one whose model force error is in bound.

    max_relative_error: force RMSE over RMS reference force, at most
    max_evaluations: single points that may be spent on the search
    """

    max_relative_error: float
    max_evaluations: int


@dataclass(frozen=True)
class UntilSpec:
    """End a segment once the model is right on it.

    max_relative_error: force RMSE over RMS reference force on the last ``window`` frames
    check_every: frames between two looks; the first is at ``window`` frames
    """

    max_relative_error: float
    window: int
    check_every: int


@dataclass(frozen=True)
class Allowance:
    """How many evaluations may still be bought.

    total: in all, ``None``: no limit;  by_purpose: limits that hold beside it, for some purposes
    """

    total: int | None = None
    by_purpose: tuple[tuple[Purpose, int], ...] = ()

    def of(self, purpose: Purpose) -> int | None:
        """Evaluations of this purpose that may be bought; ``None``: no limit."""
        limits = [limit for known, limit in self.by_purpose if known is purpose]
        if self.total is not None:
            limits.append(self.total)
        return min(limits, default=None)

    def holds(self, wanted: Mapping[Purpose, int]) -> bool:
        """Whether all of ``wanted`` may be bought."""
        if self.total is not None and sum(wanted.values()) > self.total:
            return False
        return all(wanted.get(purpose, 0) <= limit for purpose, limit in self.by_purpose)

    def without(self, spent: Mapping[Purpose, int]) -> Allowance:
        """What is left of it, never less than nothing."""
        total = None if self.total is None else max(0, self.total - sum(spent.values()))
        by_purpose = tuple((p, max(0, limit - spent.get(p, 0))) for p, limit in self.by_purpose)
        return Allowance(total, by_purpose)


@dataclass(frozen=True, eq=False)
class LabelPlan:
    """One request: what to label, in order of preference, and what to do when refused.

    With ``segment`` ``None`` each start is a single point of its own; with ``bisect`` as well, only
    the starts that the search looks at are labelled. Otherwise one start is chosen: by ``bisect``
    where given, else the first within ``bounds``; if none is, the first is optimised
    (``optimise``), and the segment is run from there.

    continues: the segment goes on with the velocities of its start, which is a frame of reference
        MD; otherwise they are drawn anew
    until: the segment may end before its length
    """

    id: str
    system: str
    purpose: Purpose
    starts: tuple[Start, ...]
    segment: SegmentSpec | None = None
    bounds: AcceptBounds | None = None
    bisect: BisectSpec | None = None
    optimise: OptimiseSpec | None = None
    reason: str = ""
    continues: bool = field(default=False, metadata=LATER)
    until: UntilSpec | None = field(default=None, metadata=LATER)


class Rung(enum.Enum):
    """Which rung of a plan held."""

    PREFERRED = "preferred"
    """the first start was good"""
    FURTHER_BACK = "further_back"
    """an earlier start was taken"""
    OPTIMISED = "optimised"
    """a start was optimised first"""
    SINGLE_POINTS = "single_points"
    """single points, no segment"""
    NONE = "none"
    """no start could be labelled"""


@dataclass(frozen=True, eq=False)
class PlanOutcome:
    """What LABEL made of a plan.

    start_index: which of the plan's starts; ``None`` when none held
    """

    plan_id: str
    system: str
    purpose: Purpose
    rung: Rung
    start_index: int | None
    labelled: tuple[Labelled, ...]
    failures: tuple[LabelFailure, ...]
    n_evaluations: int
    message: str = ""


@dataclass(frozen=True, eq=False)
class ReferenceEnd:
    """Where the newest reference MD of a system stands.

    plan: that ran it;  start: its last frame, with velocities unless the segment broke off there
    """

    system: str
    plan: str
    start: Start
