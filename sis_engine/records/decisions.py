"""Decisions of a sampler, audits, lives, and the history they rest on."""

from __future__ import annotations

from dataclasses import dataclass, field

from sis_engine.records.arrays import FloatArray
from sis_engine.records.md import Deviation, MdFrame, Verdict
from sis_engine.records.models import Errors
from sis_engine.records.requests import LabelPlan, SegmentSpec, Start


@dataclass(frozen=True, eq=False)
class Requests:
    """Label these, then train again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class AuditRequest:
    """Label these frames of the survivors, then decide again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True)
class UnlikeFrames:
    """``n`` frames of one system are wanted with atoms in surroundings that no labelled frame has.

    besides: rows of frames that are chosen already, and count as labelled
    """

    system: str
    n: int
    besides: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class InspectRequest:
    """Look at these frames with the models at hand, then decide again. It buys no label.

    frames: (system, its frames), each system once
    descriptors: say what the model sees of each frame
    members: say how far the committee's members are apart, energies included
    n_known: of so many labelled frames of each system, spread over all there are, the descriptors
        are wanted too, or are what ``unlike`` counts as known
    unlike: frames to choose, at most one entry a system
    """

    frames: tuple[tuple[str, tuple[MdFrame, ...]], ...]
    reason: str
    descriptors: bool = True
    members: bool = False
    n_known: int = 0
    unlike: tuple[UnlikeFrames, ...] = ()


@dataclass(frozen=True, eq=False)
class Inspected:
    """What the models say of frames of one system; rows in the order of ``frames``.

    descriptors: (n, d), means over the atoms of each element, one element after the other
    known: (m, d), the same of labelled frames;  deviations: (n,)
    unlike: rows of the frames that answer ``InspectRequest.unlike``, the most unlike first
    Each is ``None`` if not asked for.
    """

    system: str
    frames: tuple[MdFrame, ...]
    descriptors: FloatArray | None = None
    known: FloatArray | None = None
    deviations: tuple[Deviation, ...] | None = None
    unlike: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class DriftRequest:
    """Move these structures on by MD of the sampler's own force field (``Needs.force_field``), then
    decide again. It buys no label.

    starts: (system, from where, the MD), each system once
    backoff_fs: where the MD breaks off, the structure so long before that is taken
    """

    starts: tuple[tuple[str, Start, SegmentSpec], ...]
    reason: str
    backoff_fs: float = 100.0


@dataclass(frozen=True, eq=False)
class Drifted:
    """Where MD of a sampler's own force field took a system.

    start: its last frame, with velocities;  md_ps: how far it came from where it was sent from
    message: why it is less than was asked for, or empty
    """

    system: str
    start: Start
    md_ps: float
    message: str = ""


@dataclass(frozen=True)
class Stable:
    """The MD is stable, and right as far as the audit says."""

    reason: str


@dataclass(frozen=True)
class Exhausted:
    """No more can be done within the rules; the reason says why."""

    reason: str


Decision = Requests | AuditRequest | Stable | Exhausted
"""What ends a generation, or asks for an audit before it does."""

Answer = Decision | InspectRequest | DriftRequest
"""What a sampler may say when it is asked."""


@dataclass(frozen=True)
class AuditResult:
    """Errors on frames of surviving MD, with one-sided bootstrap upper limits (over replicas).

    relative_upper: upper 95 % limit of force RMSE / RMS reference force
    element_upper: the same for each element, as (element, limit)
    energy_upper: upper 95 % limit of the energy RMSE, eV/atom
    n_failed: audit frames that got no label (any one fails the audit)
    reasons: why it failed, empty where it passed;  notes: how far to trust it, either way
    within_limits: the errors themselves are, in every system, however few the frames were
    """

    errors: Errors
    relative_upper: float
    element_upper: tuple[tuple[str, float], ...]
    energy_upper: float
    n_failed: int
    relative_limit: float
    energy_limit: float
    min_frames: int
    passed: bool
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    within_limits: bool = False


@dataclass(frozen=True)
class Life:
    """How long one replica lived: an entry of the survival statistics."""

    generation: int
    replica: str
    system: str
    condition: str
    seed: int
    time_ps: float
    censored: bool
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Foreseen:
    """A frame on which a committee was looked at before its label was bought.

    deviation: of the force, eV/Å;  error: largest error of an atom's force by the model that drove
        the MD, eV/Å
    """

    system: str
    deviation: float
    error: float


@dataclass(frozen=True, eq=False)
class GenerationSummary:
    """What a sampler may know of one committed or current generation.

    asked: label plans that its decision asked for;  foreseen: of the frames labelled in it
    """

    generation: int
    lives: tuple[Life, ...]
    model_id: str
    n_evaluations: int
    audit: AuditResult | None = None
    stage_seconds: tuple[tuple[str, float], ...] = field(default=())
    asked: int = 0
    foreseen: tuple[Foreseen, ...] = ()
