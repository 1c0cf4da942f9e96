"""A campaign that never ran: three generations with everything a report must cope with.

Generation 0: both catastrophes, one with a NaN tail, a rejected label and a failed evaluation.
Generation 1: a refused challenger, then one from scratch; survivors whose audit fails; a suspect.
Generation 2: no catastrophe, two audits, the second passed: stable.
"""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

import numpy as np

from sis_engine.records import (
    Admission,
    AuditResult,
    AuditRound,
    BlockErrors,
    Cause,
    Challenger,
    Comparison,
    Condition,
    DatasetPart,
    ElementError,
    Ensemble,
    Errors,
    Exit,
    Exploration,
    Failure,
    Frame,
    FrameSet,
    HaltRule,
    Label,
    LabelFailure,
    Labelled,
    LabelPlan,
    LearningCurve,
    LevelOfTheory,
    Life,
    MdFrame,
    MdRules,
    Model,
    ModelFile,
    ModelForm,
    Origin,
    PlanOutcome,
    Purpose,
    Quantity,
    RejectedFrame,
    Relation,
    Replica,
    Requests,
    Rung,
    SegmentSpec,
    Split,
    Stable,
    Start,
    Support,
    SuspectOutcome,
    System,
    TestResult,
    Trace,
    TrainingResult,
    TrainingSchedule,
    Triage,
    Verdict,
)
from sis_engine.report.facts import CampaignFacts, State, TemperatureWindow
from sis_engine.storage.generation import GenerationRecord
from sis_engine.storage.ledger import EventRow, PurposeCount

ATOMS = (
    ("Li", 0.0, 0.0, 0.0), ("N", 3.35, 0.2, 0.0), ("S", 2.75, 1.65, 0.35), ("S", 2.75, -1.2, -0.4),
    ("O", 1.35, 1.45, 0.45), ("O", 3.45, 2.35, 1.4), ("O", 1.4, -1.3, 0.0), ("O", 3.1, -1.35, -1.8),
    ("F", 3.0, 2.55, -0.95), ("F", 3.55, -2.3, 0.4), ("O", -1.75, 0.3, 0.4),
    ("C", -2.55, -0.85, 0.55), ("O", -3.85, -0.5, 0.15), ("C", -3.8, 0.85, -0.3),
    ("C", -2.35, 1.3, -0.4), ("H", -2.15, -1.6, -0.1), ("H", -2.5, -1.15, 1.6),
    ("H", -4.3, 0.9, -1.28), ("H", -4.35, 1.45, 0.43), ("H", -2.2, 2.25, 0.1),
    ("H", -2.05, 1.4, -1.45),
)  # fmt: skip
SPECIES = tuple(atom[0] for atom in ATOMS)
HOME = np.array([atom[1:] for atom in ATOMS])
HYDROGEN = 16
MEAN_ENERGY = -1234.5
LEVEL = LevelOfTheory("tblite", "0.8", "GFN2-xTB", (("accuracy", 1.0), ("charge", 0)))
SYSTEM = System("lifsi-dol", Frame(SPECIES, HOME))
ELEMENTS = tuple(sorted(set(SPECIES)))
EVIL = "<script>alert('x')</script> & \"quotes\""

SEGMENT = SegmentSpec(n_steps=400, timestep_fs=0.5, temperature_k=300.0, stride=4)


def condition(duration_ps: float) -> Condition:
    return Condition("300K", Ensemble.NVT, 300.0, 0.5, duration_ps)


def shaken(seed: int, sigma: float = 0.05, flight: float = 0.0) -> Frame:
    rng = np.random.default_rng(seed)
    positions = HOME + sigma * rng.standard_normal(HOME.shape)
    positions[HYDROGEN] += flight * np.array([0.3, -0.5, 0.8])
    return Frame(SPECIES, positions)


def labelled(generation: int, plan: str, purpose: Purpose, index: int, **more) -> Labelled:
    seed = 1000 * generation + index + sum(plan.encode())
    rng = np.random.default_rng(seed)
    label = Label(MEAN_ENERGY + 0.3 * rng.standard_normal(), rng.standard_normal(HOME.shape))
    origin = Origin(purpose, generation, SYSTEM.name, plan, index, 0.5 * index)
    return Labelled(shaken(seed), label, LEVEL, origin, "0.8.1", 0.012, **more)


def failure(generation: int, plan: str, purpose: Purpose, index: int) -> LabelFailure:
    origin = Origin(purpose, generation, SYSTEM.name, plan, index)
    directory = Path("work/0000/label/1/quarantine")
    return LabelFailure(
        shaken(index), LEVEL, origin, Failure.NOT_CONVERGED, f"SCF did not converge: {EVIL}",
        directory=directory,
    )  # fmt: skip


def outcome(
    generation: int, plan: str, purpose: Purpose, n: int, rung: Rung = Rung.PREFERRED, **more
) -> PlanOutcome:
    labels = tuple(labelled(generation, plan, purpose, i) for i in range(n))
    given = {"failures": (), "n_evaluations": n, "start_index": 0, "message": "", **more}
    return PlanOutcome(plan, SYSTEM.name, purpose, rung, labelled=labels, **given)


# --------------------------------------------------------------------------- models


def errors(force: float, energy: float, n: int) -> Errors:
    rng = np.random.default_rng(int(1e4 * force) + n)
    elements = tuple(
        ElementError(element, force * (0.6 + 0.9 * rng.random()), 1.1 + rng.random(), 40 * n)
        for element in ELEMENTS
    )
    return Errors(n, force, 1.6, 3.2 * force, energy, elements)


def curve(seed: int, floor: float, steps: int = 4000) -> LearningCurve:
    rng = np.random.default_rng(seed)
    step = np.arange(0.0, steps + 1, 100.0)
    noise = np.exp(0.12 * rng.standard_normal((4, len(step))))
    force = floor + 2.0 * np.exp(-step / 500.0)
    energy = floor / 60.0 + 0.5 * np.exp(-step / 300.0)
    validation = 1.15 * force * noise[1]
    validation[1::2] = np.nan  # the trainer does not print validation errors every time
    return LearningCurve(
        step, 1e-3 * 0.01 ** (step / steps), force * noise[0], energy * noise[2], validation,
        1.2 * energy * noise[3],
    )  # fmt: skip


def model(generation: int, kind: str) -> Model:
    path = Path(f"work/{generation:04d}/train/{kind}.pth")
    files = (ModelFile(ModelForm.FROZEN, path, f"{generation}" * 64),)
    return Model(
        f"g{generation}-{kind}", "deepmd", ELEMENTS, files, ModelForm.FROZEN, None, 6.0, (40,)
    )


def challenger(generation: int, kind: str, force: float, *, passed: bool = True) -> Challenger:
    made = model(generation, kind)
    energy = force / 90.0
    result = TrainingResult(made, curve(generation, force), 0.95 * force, energy, 61.5)
    comparisons = (
        Comparison("eager", "frozen", 24, 2.1e-6, 3e-8, 1e-4, 1e-6),
        Comparison("frozen", "lammps", 24, 2.4e-6 if passed else 0.74, 5e-8, 1e-4, 1e-6),
    )
    old = errors(0.9 * force + 0.1, energy, 8)
    blocks = tuple(
        BlockErrors(
            f"g{g}-validation", g, None if g == generation else old,
            errors(force * (1.0 if passed else 2.5), energy, 8),
        )
        for g in range(generation + 1)
    )  # fmt: skip
    reasons = () if passed else ("lammps differs from frozen by 0.74 eV/Å (limit 0.0001)",)
    admission = Admission(
        made.id, passed, comparisons, errors(force, energy, 80 * (generation + 1)),
        errors(1.25 * force, 1.4 * energy, 16 * (generation + 1)), blocks, reasons,
    )  # fmt: skip
    schedule = TrainingSchedule(4000, 1e-3, 1e-5, (0.02, 1.0), (1000.0, 1.0))
    return Challenger(kind, schedule, result, admission)


# --------------------------------------------------------------------------- MD


def exploration(generation: int, index: int, life_ps: float, kind: str) -> Exploration:
    """kind: "lives", "hot" (temperature runs away) or "nan" (and ends in NaN)."""
    name = f"g{generation:04d}-lifsi-dol-300K-r{index:02d}"
    full = {0: 1.0, 1: 5.0, 2: 10.0}[generation]
    replica = Replica(name, SYSTEM, SYSTEM.frame, condition(full), seed=7 * generation + index)
    frames = md_frames(generation, index, life_ps, kind)
    return Exploration(
        replica, trace(name, generation + 10 * index, life_ps, kind), frames,
        Exit.COMPLETED if kind == "lives" else Exit.HALTED, life_ps, 12.0 * life_ps,
    )  # fmt: skip


def trace(name: str, seed: int, life_ps: float, kind: str) -> Trace:
    rng = np.random.default_rng(seed)
    time_fs = np.arange(0.0, life_ps * 1000.0 + 1.0, 5.0)
    noise = np.zeros((2, len(time_fs)))
    for k in range(1, len(time_fs)):
        noise[:, k] = 0.9 * noise[:, k - 1] + 0.44 * rng.standard_normal(2)
    temperature = 300.0 + 50.0 * noise[0]
    energy = MEAN_ENERGY + 0.25 * noise[1]
    if kind != "lives":
        left = (time_fs[-1] - time_fs) / 30.0
        temperature += 2500.0 * np.exp(-left)
        energy -= 14.0 * np.exp(-left)
    if kind == "nan":
        temperature[-3:] = np.nan
        energy[-3:] = np.nan
    quantities = (Quantity.TEMPERATURE, Quantity.POTENTIAL_ENERGY)
    return Trace(name, time_fs, quantities, np.column_stack([temperature, energy]))


def md_frames(generation: int, index: int, life_ps: float, kind: str) -> tuple[MdFrame, ...]:
    end = life_ps * 1000.0
    sparse = np.linspace(0.0, end * 0.97, 40)
    ring = end - 5.0 * np.arange(11, -1, -1)
    times = sorted({round(float(t), 3) for t in (*sparse, *ring) if t >= 0})
    found = []
    for k, t in enumerate(times):
        flight = 0.0 if kind == "lives" else 6.0 * np.exp(-(end - t) / 15.0)
        frame = shaken(100 * generation + 10 * index + k, 0.06, flight)
        energy = MEAN_ENERGY - flight
        found.append(MdFrame(frame, t, None, energy, None))
    if kind == "nan":
        torn = np.full(HOME.shape, np.nan)
        found.append(MdFrame(Frame(SPECIES, torn), end + 5.0, None, float("nan"), None))
    return tuple(found)


def verdict(run: Exploration, kind: str) -> Verdict:
    value = float("nan") if kind == "nan" else 1832.0
    return Verdict(
        run.replica.id, "temperature", "above T_H", run.md_ps * 1000.0, value, 1000.0,
        atoms=(11, HYDROGEN),
    )  # fmt: skip


def judged(
    generation: int, plan: tuple[tuple[float, str], ...]
) -> tuple[tuple[Exploration, ...], tuple[Life, ...]]:
    runs, lives = [], []
    for index, (life_ps, kind) in enumerate(plan):
        run = exploration(generation, index, life_ps, kind)
        found = None if kind == "lives" else verdict(run, kind)
        runs.append(run)
        lives.append(
            Life(
                generation, run.replica.id, SYSTEM.name, "300K", run.replica.seed, life_ps,
                found is None, found,
            )
        )  # fmt: skip
    return tuple(runs), tuple(lives)


def first_request(run: Exploration) -> LabelPlan:
    segment = SegmentSpec(n_steps=400, timestep_fs=0.625, temperature_k=300.0, stride=2)
    return LabelPlan("initial", SYSTEM.name, Purpose.INITIAL, (Start(run.replica.start),), segment)


def request(generation: int, run: Exploration) -> LabelPlan:
    starts = tuple(Start(item.frame, item.time_fs) for item in reversed(run.frames[-10:-4]))
    return LabelPlan(
        f"g{generation}-seg", SYSTEM.name, Purpose.SEGMENT, starts, SEGMENT,
        reason="earliest t_cp of the generation",
    )  # fmt: skip


# --------------------------------------------------------------------------- audits


def audit(generation: int, number: int, relative: float, *, passed: bool) -> AuditRound:
    plan = f"g{generation}-audit-{number}"
    limit = 0.25
    found = errors(1.6 * relative, relative / 60.0, 30)
    result = AuditResult(
        errors=found,
        relative_upper=1.12 * relative,
        element_upper=tuple((e.element, 1.2 * e.relative) for e in found.elements),
        energy_upper=relative / 50.0,
        n_failed=0 if passed else 1,
        relative_limit=limit,
        energy_limit=0.005,
        min_frames=30,
        passed=passed,
        reasons=() if passed else (f"upper limit {1.12 * relative:.3f} above {limit}",),
    )
    failures = () if passed else (failure(generation, plan, Purpose.AUDIT, 29),)
    made = outcome(
        generation, plan, Purpose.AUDIT, 30 - len(failures), Rung.SINGLE_POINTS,
        failures=failures, n_evaluations=30, start_index=None,
    )  # fmt: skip
    return AuditRound((made,), result, seconds=0.05)


def frame_set(n: int, seed: int) -> FrameSet:
    rng = np.random.default_rng(seed)
    positions = HOME + 0.05 * rng.standard_normal((n, *HOME.shape))
    energies = MEAN_ENERGY + 0.3 * rng.standard_normal(n)
    forces = rng.standard_normal(positions.shape)
    return FrameSet(SYSTEM.name, SPECIES, (False, False, False), positions, None, energies, forces)


def parts(generation: int) -> tuple[DatasetPart, ...]:
    name = f"g{generation}"
    return (
        DatasetPart(f"{name}-training", Split.TRAINING, generation, frame_set(80, generation)),
        DatasetPart(f"{name}-validation", Split.VALIDATION, generation, frame_set(16, generation)),
    )


def support(n: int) -> Support:
    return Support(SYSTEM.name, n, MEAN_ENERGY - 1.2, MEAN_ENERGY + 1.5, MEAN_ENERGY, 0.35, 6.0)


STAGES = (("label", 5.1), ("train", 62.0), ("admit", 4.0), ("explore", 40.0), ("decide", 0.2))
RULES = (
    HaltRule("temperature", Quantity.TEMPERATURE, Relation.ABOVE, 1000.0),
    HaltRule(
        "temperature", Quantity.TEMPERATURE, Relation.ABOVE, 560.0, after_fs=500.0, average_fs=286.0
    ),
    HaltRule(
        "temperature", Quantity.TEMPERATURE, Relation.BELOW, 120.0, after_fs=500.0, average_fs=286.0
    ),
    HaltRule("energy", Quantity.POTENTIAL_ENERGY, Relation.BELOW, -1450.4634, suspect=True),
    HaltRule("geometry", Quantity.SHORTEST_DISTANCE, Relation.BELOW, 1.97, pair=("Li", "S")),
)
VERSIONS = (
    ("sis-engine", "0.1.0"),
    ("tblite", "0.8.1"),
    ("deepmd-kit", "3.2.0"),
    ("lmp", "22 Jul 2025 - Update 2"),
)


@functools.cache
def generation_zero() -> GenerationRecord:
    runs, lives = judged(0, ((0.08, "hot"), (0.31, "nan")))
    bad = labelled(0, "initial", Purpose.INITIAL, 3)
    return GenerationRecord(
        number=0,
        versions=VERSIONS,
        plans=(first_request(runs[0]),),
        outcomes=(
            outcome(
                0, "initial", Purpose.INITIAL, 100, n_evaluations=401,
                failures=(failure(0, "initial", Purpose.INITIAL, 57),),
            ),
        ),
        test_outcomes=(outcome(0, "test", Purpose.TEST, 40),),
        rejected=(RejectedFrame(bad, f"energy far above the median: {EVIL}", 83.0, 20.0),),
        parts=parts(0),
        support=(support(96),),
        challengers=(challenger(0, "first", 0.46),),
        model=model(0, "first"),
        explorations=runs,
        verdicts=tuple(life.verdict for life in lives if life.verdict is not None),
        triages=(
            Triage(lives[0].replica, Cause.DATA, ("half the timestep: same end at 0.09 ps",)),
        ),
        lives=lives,
        test=TestResult(errors(0.52, 0.009, 40)),
        decision=Requests((request(0, runs[0]),), "two of two replicas died; label from t_next"),
        stage_seconds=STAGES,
    )  # fmt: skip


@functools.cache
def generation_one() -> GenerationRecord:
    runs, lives = judged(1, ((5.0, "lives"), (2.2, "hot"), (5.0, "lives"), (3.9, "hot")))
    doubt = Verdict(
        lives[1].replica,
        "energy",
        "potential_energy below limit",
        1500.0,
        -1236.1,
        -1235.7,
        suspect=True,
    )
    return GenerationRecord(
        number=1,
        versions=VERSIONS,
        plans=(request(0, runs[0]),),
        outcomes=(
            outcome(
                1, "g0-seg", Purpose.SEGMENT, 100, Rung.FURTHER_BACK, n_evaluations=407,
                start_index=2, message="start 0: force 14.2 eV/Å above 8.0; start 2 accepted",
            ),
        ),
        parts=parts(1),
        support=(support(192),),
        challengers=(
            challenger(1, "first", 0.42, passed=False),
            challenger(1, "scratch", 0.31),
        ),
        model=model(1, "scratch"),
        explorations=runs,
        verdicts=tuple(life.verdict for life in lives if life.verdict is not None),
        suspects=(
            SuspectOutcome(doubt, labelled(1, "suspect", Purpose.SUSPECT, 0), True, 0.21, 0.003),
        ),
        triages=(
            Triage(
                lives[1].replica, Cause.NUMERICS, ("gone at half the timestep", "drift 3.1 eV"),
                "use timestep_fs: 0.25",
            ),
        ),
        lives=lives,
        audits=(audit(1, 1, 0.33, passed=False),),
        test=TestResult(errors(0.37, 0.006, 40)),
        decision=Requests((request(1, runs[1]),), "the audit failed and two replicas died"),
        stage_seconds=STAGES,
    )  # fmt: skip


@functools.cache
def generation_two() -> GenerationRecord:
    runs, lives = judged(2, tuple((10.0, "lives") for _ in range(4)))
    return GenerationRecord(
        number=2,
        versions=VERSIONS,
        plans=(request(1, runs[0]),),
        outcomes=(
            outcome(2, "g1-seg", Purpose.SEGMENT, 90, Rung.OPTIMISED, n_evaluations=401),
            outcome(2, "g1-opt", Purpose.OPTIMISE, 12, n_evaluations=12),
        ),
        parts=parts(2),
        support=(support(288),),
        challengers=(challenger(2, "first", 0.2),),
        model=model(2, "first"),
        explorations=runs,
        lives=lives,
        audits=(audit(2, 1, 0.24, passed=False), audit(2, 2, 0.16, passed=True)),
        test=TestResult(errors(0.24, 0.004, 40)),
        decision=Stable("four of four replicas lived 10 ps and the audit passed"),
        stage_seconds=STAGES,
        rules=(MdRules(SYSTEM.name, RULES),),
    )


def records() -> tuple[GenerationRecord, ...]:
    return generation_zero(), generation_one(), generation_two()


CONFIG = f"""# {EVIL}
name: quickstart
systems:
  - name: lifsi-dol
    structure: structures/lifsi-dol.xyz
sampler: {{type: sis}}
"""


def facts(**changes) -> CampaignFacts:
    given = {
        "name": "quickstart",
        "state": State.STABLE,
        "generation": 2,
        "reason": "four of four replicas lived 10 ps and the audit passed",
        "evaluations": (
            PurposeCount(Purpose.INITIAL, 400, 1, 0, 4.9),
            PurposeCount(Purpose.SEGMENT, 802, 0, 0, 9.6),
            PurposeCount(Purpose.OPTIMISE, 12, 0, 0, 0.2),
            PurposeCount(Purpose.BISECT, 6, 0, 0, 0.1),
            PurposeCount(Purpose.SUSPECT, 1, 0, 0, 0.01),
            PurposeCount(Purpose.AUDIT, 88, 2, 3, 1.1),
            PurposeCount(Purpose.TEST, 40, 0, 0, 0.5),
        ),
        "evaluations_by_generation": (
            (
                0,
                (
                    PurposeCount(Purpose.INITIAL, 400, 1, 0, 4.9),
                    PurposeCount(Purpose.TEST, 40, 0, 0, 0.5),
                ),
            ),
            (
                1,
                (
                    PurposeCount(Purpose.SEGMENT, 401, 0, 0, 4.8),
                    PurposeCount(Purpose.BISECT, 6, 0, 0, 0.1),
                    PurposeCount(Purpose.SUSPECT, 1, 0, 0, 0.01),
                    PurposeCount(Purpose.AUDIT, 29, 1, 0, 0.4),
                ),
            ),
            (
                2,
                (
                    PurposeCount(Purpose.SEGMENT, 401, 0, 0, 4.8),
                    PurposeCount(Purpose.OPTIMISE, 12, 0, 0, 0.2),
                    PurposeCount(Purpose.AUDIT, 59, 1, 3, 0.7),
                ),
            ),
        ),
        "stage_seconds": tuple((name, 3.0 * s) for name, s in STAGES),
        "acceleration_ratio": 14.79,
        "acceleration_ratio_paper": 16.63,
        "reference_ps": 0.6015,
        "md_ps": 56.5,
        "reference_timestep_fs": 0.5,
        "windows": (
            TemperatureWindow(0, 5.0, 1000.0),
            TemperatureWindow(1, 5.0, 1000.0),
            TemperatureWindow(2, 120.0, 560.0, average_fs=286.0),
        ),
        "format": 1,
        "versions": VERSIONS,
        "machine": "2 cores, Linux 6.1, x86_64",
        "started": dt.datetime(2026, 11, 20, 9, 0, tzinfo=dt.UTC),
        "finished": dt.datetime(2026, 11, 20, 9, 12, tzinfo=dt.UTC),
        "warnings": (f"the machine was busy: {EVIL}",),
        "events": (EventRow(1, "2026-11-20T09:00:00+00:00", "info", "start", "started", "{}"),),
        "config_text": CONFIG,
        **changes,
    }
    return CampaignFacts(**given)
