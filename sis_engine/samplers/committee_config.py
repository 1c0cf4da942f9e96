"""The numbers of the committee sampler, each with the reason for its default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sis_engine.samplers.stopping_config import Count, Positive, Rule, StoppingConfig
from sis_engine.samplers.trust import Band

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class BandRule(Rule):
    """Below ``lo`` a frame is accurate, from ``hi`` on failed, between them a candidate."""

    lo: Positive
    hi: Positive

    @model_validator(mode="after")
    def _in_order(self) -> BandRule:
        if not self.lo < self.hi:
            raise ValueError(f"lo {self.lo:g} must be below hi {self.hi:g}")
        return self

    def band(self) -> Band:
        return Band(self.lo, self.hi)


class Fixed(Rule):
    """Levels given by hand, as in DP-GEN."""

    mode: Literal["fixed"] = "fixed"


class Adaptive(Rule):
    """Candidates are the frames of largest deviation below ``hi``, wherever that is (DP-GEN's
    ``model_devi_adapt_trust_lo``). ``lo`` still says which are accurate.

    n: at least so many frames
    rate: at least this share of all; DP-GEN2's is 0.01
    """

    mode: Literal["adaptive"] = "adaptive"
    n: Annotated[int, Field(ge=0)] = 100
    rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01


class Calibrated(Rule):
    """Levels of the force at which the error would be ``error``, from frames that were looked at
    before they were labelled. Until there are ``min_pairs`` of them, the fixed levels hold.

    error: largest error of an atom's force, eV/Å. 0.3 is what a production model has at worst on
        thermal frames (force RMSE 0.05); beyond 3 the frame is the model's invention
    quantile: of frames called accurate, this share is as right as that. 0.9: one in ten is not
    min_pairs: twenty bound a 0.9 quantile to about 0.7-0.98 (binomial, 95 %)
    """

    mode: Literal["calibrated"] = "calibrated"
    error: BandRule = BandRule(lo=0.3, hi=3.0)
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    min_pairs: Count = 20


Trusting = Annotated[Fixed | Adaptive | Calibrated, Field(discriminator="mode")]


class Grid(Rule):
    """Conditions to explore: every temperature with every pressure.

    pressures_gpa: NPT at each; empty: the base condition's ensemble. A system in which NPT has no
        meaning (a cluster, a slab with vacuum, frozen atoms) is run at constant volume, once a
        temperature
    per_generation: so many conditions a generation, in turn; ``None``: all in each
    """

    temperatures_k: Annotated[tuple[Positive, ...], Field(min_length=1)]
    pressures_gpa: tuple[float, ...] = ()
    per_generation: Count | None = None


class CommitteeConfig(StoppingConfig):
    """Query by committee (DP-GEN).

    members: models that differ in seed; four as in DP-GEN
    trust: how the levels are found
    force: levels of the force deviation, eV/Å: 0.15 and 0.35 as in DP-GEN's examples
    virial: levels of the virial deviation, eV/atom; ``None``: not asked
    energy: levels of the energy deviation, eV/atom; ``None``: not asked. LAMMPS does not print it,
        so kept frames are evaluated again by the members
    choice: which candidates are labelled. ``farthest``: unlike each other and unlike labelled
        frames, by the model's own descriptor; ``mrmr``: large deviations, little repetition;
        ``random``, as in DP-GEN
    labels_per_system: most single points a generation (``fp_task_max``), audited frames included
    accuracy: share of accurate looks at which exploration has converged
    confirm: then MD has to survive and pass an audit, as in ``sis``; false: converged is the end,
        as in DP-GEN
    rescue: where everything has failed, frames of the smallest deviation are labelled all the
        same; 0: the campaign is exhausted, as in DP-GEN nothing would be labelled
    spacing_fs: two candidates of one replica are at least so far apart
    n_known: see ``sis-lean``
    max_pool: see ``sis-lean``
    grid: temperatures and pressures; ``None``: the base condition
    """

    type: Literal["committee"] = "committee"
    members: Annotated[int, Field(ge=2)] = 4
    trust: Trusting = Fixed()
    force: BandRule = BandRule(lo=0.15, hi=0.35)
    virial: BandRule | None = None
    energy: BandRule | None = None
    choice: Literal["farthest", "mrmr", "random"] = "farthest"
    labels_per_system: Count = 100
    accuracy: Share = 0.97
    confirm: bool = True
    rescue: Annotated[int, Field(ge=0)] = 20
    spacing_fs: Annotated[float, Field(ge=0.0)] = 20.0
    n_known: Annotated[int, Field(ge=0)] = 200
    max_pool: Count = 400
    grid: Grid | None = None

    @property
    def audits(self) -> bool:
        return self.confirm
