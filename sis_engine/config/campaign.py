"""The campaign as a person writes it: ``campaign.yaml``, checked key by key.

Unknown keys are errors with a suggestion; every number carries its unit in its name. Parts that
plug in (labeler, trainer, explorer, monitors, sampler) are mappings with a ``type``; each is
checked by the plugin's own model in :mod:`sis_engine.setup.assembly`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sis_engine.admission import AdmissionLimits
from sis_engine.config.faults import ALLOWED, NAME_PATTERN
from sis_engine.execution.pools import Execution, LocalExecution
from sis_engine.records import Condition, Ensemble, Sampling, SegmentSpec, TrainingSchedule
from sis_engine.storage.gate import GateConfig
from sis_engine.storage.splits import SplitConfig
from sis_engine.triage import TriageConfig

FORMAT = 1
"""Version of the campaign format; a newer one is refused."""

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
PluginSettings = dict[str, Any]


class Strict(BaseModel):
    """Unknown keys are errors; values are frozen and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SystemConfig(Strict):
    """One structure to explore.

    structure: any file ASE reads, relative to the campaign file
    frozen: indices of atoms that never move; their forces are masked in training
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    structure: Path
    charge: int = 0
    multiplicity: Count = 1
    frozen: tuple[Annotated[int, Field(ge=0)], ...] = ()


class SegmentConfig(Strict):
    """A short reference MD.

    stride: every how many steps a frame becomes data; every step is an evaluation
    damping_fs: 50 fs couples within a few vibrations, so that 0.1 ps is at temperature
    """

    length_fs: Positive
    timestep_fs: Positive = 0.5
    temperature_k: Positive = 300.0
    stride: Count = 1
    thermostat: Literal["csvr", "langevin", "nose-hoover", "none"] = "csvr"
    damping_fs: Positive = 50.0

    def spec(self, seed: int) -> SegmentSpec:
        return SegmentSpec(
            n_steps=max(1, round(self.length_fs / self.timestep_fs)),
            timestep_fs=self.timestep_fs,
            temperature_k=self.temperature_k,
            stride=self.stride,
            thermostat=self.thermostat,
            damping_fs=self.damping_fs,
            seed=seed,
        )


class OptimiseFirst(Strict):
    """Optimise the structure before the first segment (as a person would)."""

    max_force_ev_per_angstrom: Positive = 0.5
    max_steps: Count = 50


class InitialConfig(Strict):
    """What generation 0 starts from: a segment per system, imported data, a model, or several.

    lengths_fs: of the segments of single systems, by name; the others have ``segment``'s
    seed: of the segments' velocities and noise; ``None``: the campaign's. Campaigns with the same
        one begin with the same labels, whatever their own seeds
    data: folders or files to import (deepmd/npy, extxyz, H5MD, a campaign)
    model: an existing or pre-trained model (a checkpoint of the trainer) that the first challenger
        of generation 0 is fine-tuned from, its energy bias refitted to the labels. Every later
        model *from scratch* is from scratch. Models are code: give only files you trust
    """

    segment: SegmentConfig | None = SegmentConfig(length_fs=100.0)
    lengths_fs: dict[str, Positive] = {}
    seed: Annotated[int, Field(ge=0)] | None = None
    optimise: OptimiseFirst | None = None
    data: tuple[Path, ...] = ()
    model: Path | None = None

    @model_validator(mode="after")
    def _something(self) -> InitialConfig:
        if self.segment is None and not self.data:
            raise ValueError("give a segment, data to import, or both")
        return self


class TestConfig(Strict):
    """An independent reference trajectory, separately seeded, never trained on.

    Only errors on it are called *test* errors, and they are judged by the limits of ``audit``. Its
    evaluations, those of the equilibration too, are counted as ``test``. A frame that gets no label
    fails the test.

    equilibration_fs: labelled and left out. The trajectory starts at the structure where the first
        segment does: its first frames are training frames, or nearly. After 100 fs velocities have
        been forgotten (they decorrelate within 30 fs) and bonds have vibrated three to ten times
    stride: every how many steps a frame is tested: neighbours in time say nothing new
    min_distance_angstrom: a frame nearer than this (RMS displacement of its atoms) to a frame that
        has been trained on is left out and counted; 0.02 is about 1 fs of thermal motion
    """

    __test__ = False  # pytest: this is not a test class

    segment: SegmentConfig
    equilibration_fs: Annotated[float, Field(ge=0.0)] = 100.0
    stride: Count = 20
    min_distance_angstrom: Annotated[float, Field(ge=0.0)] = 0.02

    @model_validator(mode="after")
    def _something_is_left(self) -> TestConfig:
        left = self.segment.length_fs - self.equilibration_fs
        if left < 2 * self.stride * self.segment.timestep_fs:
            raise ValueError(
                f"segment.length_fs ({self.segment.length_fs:g}) leaves {left:g} fs after "
                f"equilibration_fs ({self.equilibration_fs:g}): fewer than two frames of "
                f"stride {self.stride}"
            )
        return self


class ConditionConfig(Strict):
    """How the model's MD is run. See :class:`sis_engine.records.Condition`."""

    ensemble: Literal["nvt", "npt"] = "nvt"
    temperature_k: Positive = 300.0
    pressure_gpa: float | None = None
    timestep_fs: Positive = 0.5
    duration_ps: Positive
    thermostat: Literal["nose-hoover", "langevin", "csvr"] = "nose-hoover"
    damping_fs: Positive = 50.0
    pressure_damping_fs: Positive = 500.0
    minimise: bool = True
    etol: Annotated[float, Field(ge=0.0)] = 1e-4
    ftol: Annotated[float, Field(ge=0.0)] = 1e-6
    max_minimise_steps: Count = 200
    velocity_factor: Positive = 2.0

    @model_validator(mode="after")
    def _pressure_belongs_to_npt(self) -> ConditionConfig:
        if (self.ensemble == "npt") != (self.pressure_gpa is not None):
            raise ValueError("pressure_gpa is needed for npt, and only for npt")
        return self

    @model_validator(mode="after")
    def _has_a_step(self) -> ConditionConfig:
        if 1000.0 * self.duration_ps < self.timestep_fs:
            raise ValueError(
                f"duration_ps {self.duration_ps:g} is shorter than one timestep of "
                f"{self.timestep_fs:g} fs"
            )
        return self

    def condition(self, name: str) -> Condition:
        return Condition(
            name=name,
            **{**self.model_dump(), "ensemble": Ensemble(self.ensemble)},
        )


class SamplingConfig(Strict):
    """What is kept along a replica. See :class:`sis_engine.records.Sampling`."""

    trace_every_steps: Count = 20
    ring_every_steps: Count = 10
    ring_size: Count = 64
    sparse_every_ps: Positive = 0.1
    deviation_every_steps: Count = 10

    def sampling(self) -> Sampling:
        return Sampling(**self.model_dump())


class ExploreConfig(Strict):
    """Replicas of the model's MD.

    replicas: per system and condition, each with a fresh seed
    round_ps: run them side by side in rounds of so much MD time; after the round in which the
        sampler has the failures that it answers (``sis``: ``segments_per_system``), stop the others
        at that round's end, however far a busy machine has let each of them come. All of them are
        in memory at once. ``None``: each runs to its own end
    starts: "structure" (the system's own), "labelled" (replica 0 from the structure, the others
        from frames of reference MD drawn by seed) or "labelled-points" (single points as well,
        those of thermal energy: a sampler that labels nothing else would start from the first
        segment for ever)
    max_suspects: how often one replica may be continued after the labeler agreed with it
    suspect_relative_error: force RMSE over RMS reference force up to which the labeler agrees
    suspect_energy_per_atom: eV/atom up to which it agrees
    """

    condition: ConditionConfig
    replicas: Count = 4
    round_ps: Positive | None = None
    starts: Literal["structure", "labelled", "labelled-points"] = "labelled"
    sampling: SamplingConfig = SamplingConfig()
    max_suspects: Annotated[int, Field(ge=0)] = 3
    suspect_relative_error: Positive = 0.5
    suspect_energy_per_atom: Positive = 0.01


class TrainingConfig(Strict):
    """Training by generation: learning without forgetting.

    steps_first: optimiser steps of generation 0
    steps: of the later ones; a list is for generations 1, 2, …, the last entry holds: a young
        model, whose data are few, needs no long training
    start_lr: of generation 0; generation g starts at start_lr * lr_decay**g, not below lr_floor
    stop_lr_ratio: final over initial learning rate
    energy_prefactor: (start, end) of the loss prefactor of energies
    force_prefactor: (start, end) of that of forces
    virial_prefactor: (start, end) of that of virials
    fine_tune_energy_prefactor: (start, end) in the later generations, where a model that already
        has the forces needs its energies; ``None``: ``energy_prefactor``
    fine_tune_force_prefactor: the same of forces; ``None``: ``force_prefactor``
    replay_weight: how often a frame of an earlier generation is drawn, relative to a new one
    steps_scratch: of the second challenger, trained from scratch on all data
    """

    steps_first: Count
    steps: Count | Annotated[tuple[Count, ...], Field(min_length=1)]
    steps_scratch: Count | None = None
    start_lr: Positive = 1e-3
    lr_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    lr_floor: Positive = 1e-4
    stop_lr_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    batch_size: Count = 4
    energy_prefactor: tuple[float, float] = (0.02, 1.0)
    force_prefactor: tuple[float, float] = (1000.0, 1.0)
    virial_prefactor: tuple[float, float] = (0.0, 0.0)
    fine_tune_energy_prefactor: tuple[float, float] | None = None
    fine_tune_force_prefactor: tuple[float, float] | None = None
    replay_weight: Positive = 1.0

    @model_validator(mode="after")
    def _the_floor_is_below(self) -> TrainingConfig:
        if self.lr_floor > self.start_lr:
            raise ValueError(f"lr_floor {self.lr_floor:g} is above start_lr {self.start_lr:g}")
        return self

    def schedule(
        self, generation: int, *, seed: int, scratch: bool, refit_bias: bool
    ) -> TrainingSchedule:
        """The schedule of one generation; ``scratch``: the model is new."""
        start_lr = self.start_lr if scratch else self.learning_rate(generation)
        fine = not scratch
        energy = self.fine_tune_energy_prefactor if fine else None
        force = self.fine_tune_force_prefactor if fine else None
        return TrainingSchedule(
            steps=self._steps(generation, scratch=scratch),
            start_lr=start_lr,
            stop_lr=start_lr * self.stop_lr_ratio,
            energy_prefactor=energy or self.energy_prefactor,
            force_prefactor=force or self.force_prefactor,
            virial_prefactor=self.virial_prefactor,
            batch_size=self.batch_size,
            seed=seed,
            refit_bias=refit_bias,
        )

    def learning_rate(self, generation: int) -> float:
        """Initial learning rate of a generation: decayed, with a floor."""
        return max(self.start_lr * self.lr_decay**generation, self.lr_floor)

    def _steps(self, generation: int, *, scratch: bool) -> int:
        if generation == 0:
            return self.steps_first
        steps = self.steps
        if isinstance(steps, tuple):
            steps = steps[min(generation, len(steps)) - 1]
        if scratch:
            return self.steps_scratch or self.steps_first + steps
        return steps


class AuditConfig(Strict):
    """When a survivor is right (docs/concepts.md#stable); absolute, so no bad exam can be passed.

    max_relative_force_rmse: 0.25 for a quickstart, 0.1 for production
    max_energy_rmse_per_atom: eV/atom, not re-centred
    min_frames: decorrelated frames, fresh each time
    """

    max_relative_force_rmse: Positive = 0.1
    max_energy_rmse_per_atom: Positive = 0.005
    min_frames: Annotated[int, Field(ge=2)] = 30


class BudgetConfig(Strict):
    """What may be spent. ``None``: no limit. evaluations_by_purpose: e.g. ``{audit: 500}``"""

    generations: Count | None = None
    evaluations: Count | None = None
    evaluations_by_purpose: dict[
        Literal["initial", "segment", "optimise", "bisect", "suspect", "single", "audit", "test"],
        Count,
    ] = {}
    wall_hours: Positive | None = None


class CampaignConfig(Strict):
    """A whole campaign.

    exact: the *exact* promise (CPU, fixed threads and seeds): an interrupted campaign has the
        digest of an uninterrupted one. False: the *production* promise.
    label_bank: a folder shared with other campaigns; ``None``: the campaign's own ``labels/``
    known_labels: a bank of other campaigns whose labels are taken at their recorded cost and
        counted as evaluations of this one (comparisons); what is new is put there as well
    pause_before: stages that wait for a person's approval
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    seed: Annotated[int, Field(ge=0)] = 1
    exact: bool = True
    systems: Annotated[tuple[SystemConfig, ...], Field(min_length=1)]
    labeler: PluginSettings
    trainer: PluginSettings
    explorer: PluginSettings = {"type": "lammps"}
    explore: ExploreConfig
    monitors: Annotated[tuple[PluginSettings, ...], Field(min_length=1)]
    sampler: PluginSettings
    initial: InitialConfig = InitialConfig()
    test: TestConfig | None = None
    gate: GateConfig = GateConfig()
    splits: SplitConfig = SplitConfig()
    training: TrainingConfig
    admission: AdmissionLimits = AdmissionLimits()
    audit: AuditConfig = AuditConfig()
    triage: TriageConfig = TriageConfig()
    budget: BudgetConfig = BudgetConfig()
    execution: Execution = LocalExecution()
    label_bank: Path | None = None
    known_labels: Path | None = None
    pause_before: tuple[Literal["label", "train", "explore"], ...] = ()

    @field_validator("systems")
    @classmethod
    def _names_are_unique(cls, systems: tuple[SystemConfig, ...]) -> tuple[SystemConfig, ...]:
        names = [system.name for system in systems]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PydanticCustomError(
                "one_name_twice",
                "two systems are called '{name}'",
                {"name": twice[0], ALLOWED: "for each system a name of its own"},
            )
        return systems

    @model_validator(mode="after")
    def _lengths_are_of_systems(self) -> CampaignConfig:
        names = [system.name for system in self.systems]
        lost = [name for name in self.initial.lengths_fs if name not in names]
        if lost:
            raise ValueError(
                f"initial.lengths_fs names {lost[0]!r}, but the systems are {', '.join(names)}"
            )
        return self
