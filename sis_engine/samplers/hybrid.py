"""Reference MD in turn with a cheap force field's, which crosses the time between (HAIR).

Liu, Yu, Wu … Goddard, Cheng, J. Phys. Chem. Lett. 12 (2021) 1300: AIMD and ReaxFF MD in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from sis_engine.interfaces import Needs, SamplerInput
from sis_engine.records import (
    AcceptBounds,
    Answer,
    Drifted,
    DriftRequest,
    LabelPlan,
    Purpose,
    SegmentSpec,
    Start,
    System,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.sis_config import OptimiseRule, SegmentRule
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.stopping_config import Positive, Rule, StoppingConfig
from sis_engine.seeds import derive_seed


class CheapMd(Rule):
    """The force field's MD between two segments.

    length_ps: 5, as in HAIR;  timestep_fs: 0.25 is what ReaxFF's charges bear
    backoff_fs: where it breaks off, the segment starts from so long before
    """

    length_ps: Positive = 5.0
    timestep_fs: Positive = 0.25
    thermostat: Literal["csvr", "langevin", "nose-hoover"] = "csvr"
    damping_fs: Positive = 50.0
    backoff_fs: Annotated[float, Field(ge=0.0)] = 100.0

    def spec(self, temperature_k: float, seed: int) -> SegmentSpec:
        return SegmentSpec(
            n_steps=max(1, round(1000.0 * self.length_ps / self.timestep_fs)) + 1,
            timestep_fs=self.timestep_fs,
            temperature_k=temperature_k,
            thermostat=self.thermostat,
            damping_fs=self.damping_fs,
            seed=seed,
        )


class HybridConfig(StoppingConfig):
    """Reference MD in turn with MD of a cheap force field, one turn a generation (HAIR).

    force_field: settings of a labeler: ``{type: teacher, potential: {type: lammps, …}}`` is any
        LAMMPS pair style, ReaxFF included; nothing it says becomes a label
    segment: the reference MD; 0.5 ps, as in HAIR
    cheap: the force field's MD before it
    max_force: eV/Å, of the reference at the first frame; beyond it the structure is optimised
        first: the two disagree on where atoms may be
    optimise: ``None``: such a structure is given up for this generation
    """

    type: Literal["hybrid"] = "hybrid"
    force_field: dict[str, Any]
    segment: SegmentRule = SegmentRule(length_fs=500.0)
    cheap: CheapMd = CheapMd()
    max_force: Positive = 15.0
    optimise: OptimiseRule | None = OptimiseRule()

    @field_validator("force_field")
    @classmethod
    def _names_a_labeler(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "type" not in given:
            raise ValueError("type is missing: which labeler moves the structures?")
        return given


class HybridSampler(StoppingSampler[HybridConfig]):
    """Looks at nothing: the model's MD only says when it is enough, as in ``aimd``."""

    Config: ClassVar[type[HybridConfig]] = HybridConfig

    @property
    def needs(self) -> Needs:
        return Needs(force_field=self.config.force_field)

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Answer:
        return self._turn(given, (), failure_summary(given, verdicts))

    def correct(self, given: SamplerInput, reason: str) -> Answer:
        return self._turn(given, learn_plans(given, self.config.audit), reason)

    def _turn(self, given: SamplerInput, learn: Sequence[LabelPlan], reason: str) -> Answer:
        if not given.drifted:
            return self._drift(given, reason)
        plans = [self._segment(given, item) for item in given.drifted]
        kept = affordable(plans, given, min_steps=self.config.segment.min_steps)
        return self.request(given, plans, [*learn, *kept] if kept else (), reason)

    def _drift(self, given: SamplerInput, reason: str) -> DriftRequest:
        cheap = self.config.cheap
        starts = tuple(
            (
                system.name,
                _end(given, system),
                cheap.spec(_temperature_k(given), self._seed(given, system.name, "cheap")),
            )
            for system in given.systems
        )
        why = f"{reason}; {cheap.length_ps:g} ps of the force field's MD come first"
        return DriftRequest(starts, why, cheap.backoff_fs)

    def _segment(self, given: SamplerInput, came: Drifted) -> LabelPlan:
        config = self.config
        told = f" ({came.message})" if came.message else ""
        return LabelPlan(
            id=f"g{given.generation:04d}-hybrid-{came.system}",
            system=came.system,
            purpose=Purpose.SEGMENT,
            starts=(came.start,),
            segment=config.segment.spec(
                _temperature_k(given), self._seed(given, came.system, "segment")
            ),
            bounds=AcceptBounds(max_force=config.max_force),
            optimise=None if config.optimise is None else config.optimise.spec(),
            continues=True,
            reason=f"after {came.md_ps:.3g} ps of the force field's MD{told}",
        )

    def _seed(self, given: SamplerInput, system: str, what: str) -> int:
        return derive_seed(given.seed, given.generation, "hybrid", what, system)


def _end(given: SamplerInput, system: System) -> Start:
    """Where the system's reference MD stands; its structure where it has none yet."""
    ends = (item.start for item in given.reference_ends if item.system == system.name)
    return next(ends, Start(system.frame, time_fs=0.0))


def _temperature_k(given: SamplerInput) -> float:
    condition = given.conditions[0] if given.conditions else given.explorations[0].replica.condition
    return condition.temperature_k
