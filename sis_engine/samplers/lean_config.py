"""The numbers of the lean SIS sampler: every idea is a switch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sis_engine.records import UntilSpec
from sis_engine.samplers.sis_config import AuditRule, BisectRule, SegmentRule, SegmentSettings
from sis_engine.samplers.stopping_config import Count, Positive, Rule

Choice = Literal["unlike-atoms", "farthest", "mrmr", "random", "stride"]


class UntilRule(Rule):
    """When a segment may end before its length: the model is right on its last frames.

    max_relative_error: 0.2 is below the bisection's 0.5, which let the segment begin, and near what
        an audit asks
    window_fs: 10 fs, one period of the fastest bond, so that no single easy frame decides
    check_every_fs: a look costs one prediction of the window
    """

    max_relative_error: Positive = 0.2
    window_fs: Positive = 10.0
    check_every_fs: Positive = 10.0

    def spec(self, timestep_fs: float) -> UntilSpec:
        return UntilSpec(
            self.max_relative_error,
            max(1, round(self.window_fs / timestep_fs)),
            max(1, round(self.check_every_fs / timestep_fs)),
        )


class LeanAudit(AuditRule):
    """Which frames of survivors are labelled, and what a failed audit leads to.

    early: off: the points of a generation are drawn from survivors as well
    segments_per_system: off: the audited frames are themselves decorrelated data
    first_look: nine, three of each of three survivors; what they cost is learnt
    """

    early: bool = False
    first_look: Annotated[int, Field(ge=2)] | None = 9
    segments_per_system: Annotated[int, Field(ge=0)] = 0


class LeanConfig(SegmentSettings):
    """SIS's indicator with fewer label evaluations: points instead of segments.

    points_per_system: single points a generation on the model's MD, audited frames included. 24:
        neighbours in a segment say nearly the same (energies decorrelate over 5-320 frames in the
        authors' released data), so that a segment of 400 holds no more news than so many points
    choice: how they are chosen. ``unlike-atoms``: with an atom in surroundings, as the model's own
        descriptor has them, that no labelled or chosen frame has; ``farthest``: unlike these in the
        mean over the atoms of each element, in which an odd contact is lost; ``mrmr``: large
        deviation of the members, little repetition (needs ``members``); ``random`` and ``stride``:
        by time alone
    random_share: of the points, drawn at random in MD time whatever ``choice`` says: the far ones
        alone are outliers
    merged: choose from all replicas together; false: only from the one that failed first
    window_fs: only frames at most so long before a t_cp (survivors have none); ``None``: all
    spacing_fs: two frames of one replica are at least so far apart; a bond's period is 10-20
    n_known: labelled frames that count as chosen already
    max_pool: frames looked at, per system; more are thinned evenly in time
    edges_per_system: earliest failures of which the last good and the first bad frame are searched
        by bisection and labelled
    edge: that search; seven reach neighbours in a ring of 64
    members: models of a committee that says how far they are apart on the pool; MD is not watched
        by it
    learn_passed: the frames of a passed audit of a shortened run, or of survivors beside a failure,
        are data too
    segments_per_system: reference MD as in ``sis``, in addition
    until: ends such segments early; ``None``: they run to their length
    """

    type: Literal["sis-lean"] = "sis-lean"
    points_per_system: Annotated[int, Field(ge=0)] = 24
    choice: Choice = "unlike-atoms"
    random_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    merged: bool = True
    window_fs: Positive | None = None
    spacing_fs: Annotated[float, Field(ge=0.0)] = 20.0
    n_known: Annotated[int, Field(ge=0)] = 1000
    max_pool: Count = 400
    edges_per_system: Annotated[int, Field(ge=0)] = 1
    edge: BisectRule = BisectRule(max_evaluations=7)
    members: Count = 1
    learn_passed: bool = True
    segments_per_system: Annotated[int, Field(ge=0)] = 0
    segment: SegmentRule | None = None
    until: UntilRule | None = UntilRule()
    audit: LeanAudit = LeanAudit()

    @model_validator(mode="after")
    def _something_is_labelled(self) -> LeanConfig:
        if not (self.points_per_system or self.edges_per_system or self.segments_per_system):
            raise ValueError(
                "points_per_system, edges_per_system and segments_per_system are all 0: nothing "
                "would ever be labelled"
            )
        if self.choice == "mrmr" and self.members < 2:
            raise ValueError("choice mrmr needs members: 2 or more (relevance is their deviation)")
        return self

    @property
    def describes(self) -> bool:
        """Whether frames have to be described for the choice."""
        return self.choice in {"unlike-atoms", "farthest", "mrmr"} and self.random_share < 1.0
