"""Frozen, typed data that crosses the borders between rooms.

Conventions
-----------
* Units: eV, Å, fs, K, e, amu; virials eV. See :mod:`sis_engine.units`.
* Energy is the *force-consistent* one (the free energy under smearing).
* Virial is ``-dE/d(strain)``, shape (3, 3), eV, no kinetic part; positive for a compressed cell.
* Cell rows are lattice vectors.
* Arrays are float64, C-contiguous and read-only once in a record.
* Missing data is ``None``, never zero.
"""

from __future__ import annotations

from sis_engine.records.arrays import BoolArray, FloatArray, frozen_array
from sis_engine.records.datasets import Dataset, DatasetPart, FrameSet, Split
from sis_engine.records.decisions import (
    AuditRequest,
    AuditResult,
    Decision,
    Exhausted,
    GenerationSummary,
    Life,
    Requests,
    Stable,
)
from sis_engine.records.labels import (
    Failure,
    Label,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    Purpose,
    label_key,
)
from sis_engine.records.md import (
    Cause,
    Condition,
    Ensemble,
    Exit,
    Exploration,
    HaltRule,
    MdFrame,
    Quantity,
    Relation,
    Replica,
    Sampling,
    Trace,
    Triage,
    Verdict,
)
from sis_engine.records.models import (
    Admission,
    BlockErrors,
    Comparison,
    ElementError,
    Errors,
    LammpsPair,
    LearningCurve,
    Model,
    ModelFile,
    ModelForm,
    Prediction,
    TrainingResult,
    TrainingSchedule,
)
from sis_engine.records.requests import (
    AcceptBounds,
    BisectSpec,
    LabelPlan,
    OptimiseSpec,
    PlanOutcome,
    ReferenceEnd,
    Rung,
    SegmentSpec,
    Start,
)
from sis_engine.records.results import (
    AuditRound,
    Challenger,
    DecideResult,
    ExploreResult,
    LabelResult,
    MergeResult,
    ModelResult,
    RejectedFrame,
    SuspectOutcome,
    TestResult,
)
from sis_engine.records.structures import Frame, System
from sis_engine.records.support import PairDistance, Support

__all__ = [
    "AcceptBounds",
    "Admission",
    "AuditRequest",
    "AuditResult",
    "AuditRound",
    "BisectSpec",
    "BlockErrors",
    "BoolArray",
    "Cause",
    "Challenger",
    "Comparison",
    "Condition",
    "Dataset",
    "DatasetPart",
    "DecideResult",
    "Decision",
    "ElementError",
    "Ensemble",
    "Errors",
    "Exhausted",
    "Exit",
    "Exploration",
    "ExploreResult",
    "Failure",
    "FloatArray",
    "Frame",
    "FrameSet",
    "GenerationSummary",
    "HaltRule",
    "Label",
    "LabelFailure",
    "LabelPlan",
    "LabelResult",
    "Labelled",
    "LammpsPair",
    "LearningCurve",
    "LevelOfTheory",
    "Life",
    "MdFrame",
    "MergeResult",
    "Model",
    "ModelFile",
    "ModelForm",
    "ModelResult",
    "OptimiseSpec",
    "Origin",
    "PairDistance",
    "PlanOutcome",
    "Prediction",
    "Purpose",
    "Quantity",
    "ReferenceEnd",
    "RejectedFrame",
    "Relation",
    "Replica",
    "Requests",
    "Rung",
    "Sampling",
    "SegmentSpec",
    "Split",
    "Stable",
    "Start",
    "Support",
    "SuspectOutcome",
    "System",
    "TestResult",
    "Trace",
    "TrainingResult",
    "TrainingSchedule",
    "Triage",
    "Verdict",
    "frozen_array",
    "label_key",
]
