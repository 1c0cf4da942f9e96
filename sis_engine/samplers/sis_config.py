"""The numbers of the SIS samplers, each with the reason for its default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sis_engine.records import BisectSpec, OptimiseSpec, SegmentSpec
from sis_engine.samplers.stopping_config import (
    AuditFrames,
    Count,
    Positive,
    Rule,
    StoppingConfig,
)


class SegmentRule(Rule):
    """The reference MD that is run from t_next.

    length_fs: 200 fs cross the region in which the model failed (it lived that long there) and
        cost 400 evaluations; a probe by hand reached 20 ps of life with such segments
    timestep_fs: 0.5 integrates C-H and O-H bonds
    stride: every frame is paid for, so every frame is kept
    thermostat: as in the initial segment
    damping_fs: of the thermostat, as in the initial segment
    min_length_fs: a budget that allows less than this is exhausted
    """

    length_fs: Positive = 200.0
    timestep_fs: Positive = 0.5
    stride: Count = 1
    thermostat: Literal["csvr", "langevin", "nose-hoover", "none"] = "csvr"
    damping_fs: Positive = 50.0
    min_length_fs: Positive = 25.0

    @property
    def min_steps(self) -> int:
        return max(1, round(self.min_length_fs / self.timestep_fs))

    def spec(self, temperature_k: float, seed: int) -> SegmentSpec:
        return SegmentSpec(
            n_steps=max(1, round(self.length_fs / self.timestep_fs)),
            timestep_fs=self.timestep_fs,
            temperature_k=temperature_k,
            stride=self.stride,
            thermostat=self.thermostat,
            damping_fs=self.damping_fs,
            seed=seed,
        )


PUBLISHED_SEGMENT = SegmentRule(length_fs=2500.0, timestep_fs=1.0)
"""Xu et al. 2023: AIMD of 2.5 ps (bulk; 4.5 ps at an interface), every 1 fs frame a label."""


class InnerBand(Rule):
    """Where a start may lie, seen in the trace: cheap, before any label is bought.

    temperature_factors: of the target. [0.5, 2] is six widths of 20 atoms wide: a runaway is
        outside, a fluctuation is not
    energy_above_sigma: potential energy at most the labelled maximum and this many thermal widths
    energy_below_sigma: and at least the labelled minimum less this many; tight, for there is a
        floor (see the energy monitor)
    """

    temperature_factors: tuple[Positive, Positive] = (0.5, 2.0)
    energy_above_sigma: Annotated[float, Field(ge=0.0)] = 4.0
    energy_below_sigma: Annotated[float, Field(ge=0.0)] = 0.5

    @model_validator(mode="after")
    def _around_one(self) -> InnerBand:
        lower, upper = self.temperature_factors
        if not lower < 1.0 < upper:
            raise ValueError(f"temperature_factors {lower:g}, {upper:g} must enclose 1")
        return self


class BisectRule(Rule):
    """How the last good frame before t_cp is looked for.

    max_relative_error: force RMSE over RMS reference force. 0.5: the model still knows the
        direction of most forces; beyond it the frame is the model's invention
    max_evaluations: eight find one frame in a ring of 64, ends included; the labels are kept
    """

    max_relative_error: Positive = 0.5
    max_evaluations: Count = 8

    def spec(self) -> BisectSpec:
        return BisectSpec(self.max_relative_error, self.max_evaluations)


class AcceptRule(Rule):
    """Labels that a start may have.

    max_force: eV/Å: thermal MD reached 6-8 (300-590 K) and 13 (830 K) on 21 atoms by GFN2
    energy_above: eV above the labelled range (and ``energy_sigma`` widths): about one broken
        bond. The authors' released segments begin 17-83 eV above: such starts teach little
    """

    max_force: Positive = 15.0
    energy_above: Positive = 3.0
    energy_sigma: Positive = 6.0


class OptimiseRule(Rule):
    """Optimisation of a start that the bounds refused: until ``max_force`` (eV/Å) or max_steps.

    Loose on purpose: it has to leave the wall, not reach the minimum.
    """

    max_force: Positive = 0.5
    max_steps: Count = 50
    max_displacement_angstrom: Positive = 0.1

    def spec(self) -> OptimiseSpec:
        return OptimiseSpec(self.max_force, self.max_steps, self.max_displacement_angstrom)


class AuditRule(AuditFrames):
    """Which frames of survivors are labelled, and what a failed audit leads to.

    segments_per_system: reference MD from where the audit found the model worst
    early: survivors beside a failure are audited as well. A model that lives in a place of its own
        invention fails no monitor there; a few single points show it generations earlier
    """

    segments_per_system: Annotated[int, Field(ge=0)] = 1
    early: bool = True


class SegmentSettings(StoppingConfig):
    """Numbers of segments that answer a catastrophe.

    segment: ``None``: :class:`SegmentRule`'s defaults
    segments_per_system: one, from the earliest t_cp: what fails first hides what fails later
    min_backoff_fs: the newest start lies at least this before t_cp: one check interval
    max_starts: frames offered to the search; the ring and some of the sparse ones
    bisect: search of the last good frame; ``None`` switches the rung off
    optimise: of a start that was refused; ``None`` switches the rung off
    """

    segment: SegmentRule | None = None
    segments_per_system: Annotated[int, Field(ge=0)] = 1
    min_backoff_fs: Annotated[float, Field(ge=0.0)] = 10.0
    max_starts: Count = 96
    inner_band: InnerBand = InnerBand()
    bisect: BisectRule | None = BisectRule()
    accept: AcceptRule = AcceptRule()
    optimise: OptimiseRule | None = OptimiseRule()
    audit: AuditRule = AuditRule()

    @property
    def segment_rule(self) -> SegmentRule:
        return self.segment or SegmentRule()


class SisSettings(SegmentSettings):
    """Numbers of stability-indicated sampling.

    published: exactly the paper (see ``published_*``): temperature verdicts only, t_next a fixed
        time before t_cp, every frame kept, optimise when refused, no bisection, no audit
    segment: ``None``: :class:`SegmentRule`'s defaults, or the paper's 2.5 ps when published
    single_points: extra labels of the last frames up to t_cp. 0: the bisection labels such frames
        already
    published_backoff_fs: the paper keeps coordinates every 1 ps and does not give its t_next rule:
        one kept frame before t_cp
    """

    published: bool = False
    segments_per_system: Count = 1
    single_points: Annotated[int, Field(ge=0)] = 0
    published_backoff_fs: Positive = 1000.0

    @property
    def audits(self) -> bool:
        return not self.published

    @property
    def segment_rule(self) -> SegmentRule:
        if self.published and self.segment is None:
            return PUBLISHED_SEGMENT
        return super().segment_rule


class SisConfig(SisSettings):
    """Stability-indicated sampling."""

    type: Literal["sis"] = "sis"


class SisPaperConfig(SisSettings):
    """Stability-indicated sampling as Xu et al. 2023 published it: ``published`` is set."""

    type: Literal["sis-paper"] = "sis-paper"
    published: Literal[True] = True
