"""A comparison as a person writes it: ``compare-….yaml``, checked key by key.

A base campaign, what each arm changes of it, the seeds, the costs at which models are judged, and
the examiner who judges them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from sis_engine.config.campaign import Count, Positive, Strict
from sis_engine.config.faults import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Of a comparison, an arm, a case: it becomes part of file names."""

Changes = dict[str, Any]
Nothing: Any = Field(default_factory=dict)
Seed = Annotated[int, Field(ge=0)]


def _are_mappings(items: Iterable[object]) -> bool:
    return all(isinstance(item, dict) for item in items)


class ReferenceConfig(Strict):
    """The examiner's reference trajectory: one of each system, shared by all arms and seeds.

    length_ps: of reference MD
    burn_in_ps: how much of its beginning is left out
    temperature_k: ``None``: that of the campaign's MD
    every_steps: which frames are kept; every step is an evaluation, charged to nobody
    """

    length_ps: Positive
    burn_in_ps: Annotated[float, Field(ge=0.0)] = 0.1
    timestep_fs: Positive = 0.5
    temperature_k: Positive | None = None
    thermostat: Literal["csvr", "langevin", "nose-hoover"] = "csvr"
    damping_fs: Positive = 50.0
    every_steps: Count = 20

    @model_validator(mode="after")
    def _something_is_left(self) -> ReferenceConfig:
        kept = (self.length_ps - self.burn_in_ps) * 1000.0 / (self.timestep_fs * self.every_steps)
        if kept < 20:
            raise ValueError(f"{max(0, int(kept))} frames are kept after burn_in_ps; 20 are needed")
        return self


class ExaminerConfig(Strict):
    """Judges all models alike; neither charged nor fed back.

    reference: an independent reference trajectory: true errors, structure, and fresh starts
    replicas: of fresh MD, with the same new seeds and starts for every arm
    duration_ps: of each; ``None``: as the campaign's own
    min_survival: share of the replicas that have to live to the end
    frames: of survivors to label, over all replicas of a system; ``None``: ten times the audit's
    decorrelation_fs: least distance of two such frames of one replica
    burn_in_ps: how much of a survivor's beginning is left out
    max_suspects: how often MD is continued where a label agreed: its limits come from a short
        trajectory, and a right model must not die of them
    systems: which of the campaign's are examined; ``None``: all
    changes: any key of the campaign, as the examiner has it (monitors, audit, …)
    """

    reference: ReferenceConfig
    replicas: Annotated[int, Field(ge=2)] = 8
    duration_ps: Positive | None = None
    min_survival: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    frames: Annotated[int, Field(ge=2)] | None = None
    decorrelation_fs: Positive = 100.0
    burn_in_ps: Annotated[float, Field(ge=0.0)] = 0.25
    max_suspects: Annotated[int, Field(ge=0)] = 20
    systems: tuple[str, ...] | None = None
    changes: Changes = Nothing


class ComparisonExecution(Strict):
    """How the runs are computed. None of this changes a result.

    parallel: runs at a time, each a process of its own;  cores: of each run
    """

    parallel: Count = 1
    cores: Count = 1


class Expected(Strict):
    """What one run took when its author tried it, for ``--dry-run`` before any has finished."""

    evaluations: Count
    minutes: Positive


class CaseChanges(NamedTuple):
    """What one case changes. campaign: of the base;  arms, examiner: laid over that, of each"""

    campaign: Changes
    arms: dict[str, Changes]
    examiner: Changes


class ComparisonConfig(Strict):
    """A whole comparison.

    campaign: the base campaign file, relative to this one
    changes: of the base, for every arm;  cases: of that, for every case (systems, labelers); each
        case is a comparison of its own on the same page. ``{}``: one case. ``arms`` in a case:
        what single arms change further there (a force field for its elements); ``examiner``: what
        the examiner's campaign changes further there (another limit of errors)
    arms: name: what it changes of the base, any key of a campaign. Mappings are merged; a plugin
        of another ``type`` replaces the base's. ``then``: a list of further changes, each taken up
        when the campaign before it is exhausted (one sampler's data, then another's)
    baseline: the arm that the others are tested against; ``None``: the first
    seeds: of the campaigns: initial velocities, data order, model initialisation. The unit of
        statistics
    costs: numbers of evaluations at which the model that an arm has then is examined; its last
        model is examined in any case
    results: where finished runs and the report are kept, relative to this file: ``NAME.json`` and
        ``NAME/``. Finished runs found there are not computed again. ``None``: the comparison folder
    expected: of one run
    """

    format: Literal[1] = 1
    name: Name
    campaign: Path
    changes: Changes = Nothing
    cases: dict[Name, Changes] = Nothing
    arms: Annotated[dict[Name, Changes], Field(min_length=1)]
    baseline: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    costs: tuple[Count, ...] = ()
    examiner: ExaminerConfig
    execution: ComparisonExecution = ComparisonExecution()
    results: Path | None = None
    expected: Expected | None = None

    @property
    def case_names(self) -> tuple[str, ...]:
        """Their names; one without a name where there are none."""
        return tuple(self.cases) or ("",)

    def of_case(self, case: str) -> CaseChanges:
        """What a case changes: of the base, and further of single arms and the examiner."""
        given = dict(self.cases.get(case, {}))
        arms, examiner = given.pop("arms", {}), given.pop("examiner", {})
        return CaseChanges(given, arms, examiner)

    @property
    def baseline_arm(self) -> str:
        return self.baseline or next(iter(self.arms))

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is given twice: the same run would count twice")
        return seeds

    @field_validator("costs")
    @classmethod
    def _costs_rise(cls, costs: tuple[int, ...]) -> tuple[int, ...]:
        if list(costs) != sorted(set(costs)):
            raise ValueError("costs must rise")
        return costs

    @model_validator(mode="after")
    def _baseline_is_an_arm(self) -> ComparisonConfig:
        if self.baseline_arm not in self.arms:
            raise ValueError(f"baseline {self.baseline!r} is not one of the arms")
        return self

    @model_validator(mode="after")
    def _cases_change_arms_that_exist(self) -> ComparisonConfig:
        for case in self.cases:
            arms, examiner = self.of_case(case)[1:]
            if not _are_mappings([examiner]):
                raise ValueError(f"cases.{case}.examiner must give changes of a campaign")
            if not _are_mappings([arms]) or not _are_mappings(arms.values()):
                raise ValueError(f"cases.{case}.arms must give changes by the name of an arm")
            unknown = [name for name in arms if name not in self.arms]
            if unknown:
                raise ValueError(
                    f"cases.{case}.arms: {unknown[0]!r} is not one of the arms: "
                    f"{', '.join(self.arms)}"
                )
        return self

    @model_validator(mode="after")
    def _file_names_differ(self) -> ComparisonConfig:
        names = [f"{case}-{arm}" for case in self.case_names for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two pairs of case and arm give the same file name: rename one")
        return self
