"""Sample records for the storage tests, and a disk that fails at its k-th operation."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import numpy as np

from sis_engine.records import (
    Condition,
    DatasetPart,
    Ensemble,
    Exit,
    Exploration,
    Failure,
    Frame,
    FrameSet,
    Label,
    LabelFailure,
    Labelled,
    LabelPlan,
    LevelOfTheory,
    Life,
    MdFrame,
    Model,
    ModelFile,
    ModelForm,
    Origin,
    PlanOutcome,
    Purpose,
    Quantity,
    Replica,
    Requests,
    Rung,
    Split,
    Start,
    System,
    Trace,
    Verdict,
)
from sis_engine.storage.atomic import Disk
from sis_engine.storage.generation import GenerationRecord, images_of

SPECIES = ("Li", "F", "S", "O", "O", "H")
LEVEL = LevelOfTheory(
    "tblite", "0.8", "GFN2-xTB", (("accuracy", 1.0), ("charges", True), ("n", 1), ("s", None))
)


def symmetric(matrix: np.ndarray) -> np.ndarray:
    return matrix + matrix.T


def without_net_force(forces: np.ndarray) -> np.ndarray:
    return forces - forces.mean(axis=0)


def make_labelled(
    n: int, *, seed: int = 0, plan: str = "p0", periodic: bool = False
) -> tuple[Labelled, ...]:
    rng = np.random.default_rng(seed)
    base = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 0], [2, 2, 2.0]])
    cell = np.diag([6.0, 6.0, 6.0]) if periodic else None
    return tuple(
        Labelled(
            frame=Frame(SPECIES, base + 0.1 * rng.normal(size=(6, 3)), cell, (periodic,) * 3),
            label=Label(
                float(-100.0 + 0.1 * rng.normal()),
                without_net_force(rng.normal(size=(6, 3))),
                virial=symmetric(rng.normal(size=(3, 3))) if periodic else None,
                charges=rng.normal(size=6),
            ),
            level=LEVEL,
            origin=Origin(Purpose.SEGMENT, 0, "cluster", plan, k, 0.5 * k),
            program_version="0.8.1",
            seconds=0.01,
            handlers=("mixing: broyden → kerker", "β: 0.7 → 0.3") if k % 5 == 1 else (),
        )
        for k in range(n)
    )


def make_failure() -> LabelFailure:
    item = make_labelled(1, seed=99)[0]
    return LabelFailure(
        item.frame, LEVEL, item.origin, Failure.NOT_CONVERGED, "no\0luck", directory=Path("work/x"),
        handlers=("mixing: broyden → kerker",),
    )  # fmt: skip


def make_outcome(n: int = 30, *, seed: int = 0) -> PlanOutcome:
    return PlanOutcome(
        "p0", "cluster", Purpose.SEGMENT, Rung.PREFERRED, 0, make_labelled(n, seed=seed),
        (make_failure(),), n + 1,
    )  # fmt: skip


def make_frame_set(n: int, *, seed: int = 0, periodic: bool = False) -> FrameSet:
    items = make_labelled(n, seed=seed, periodic=periodic)
    return FrameSet(
        system="cluster",
        species=SPECIES,
        pbc=(periodic,) * 3,
        positions=np.stack([item.frame.positions for item in items]),
        cells=np.stack([item.frame.cell for item in items]) if periodic else None,
        energies=np.array([item.label.energy for item in items]),
        forces=np.stack([item.label.forces for item in items]),
        virials=np.stack([item.label.virial for item in items]) if periodic else None,
    )


def make_exploration(n: int = 12) -> Exploration:
    items = make_labelled(n, seed=5)
    condition = Condition("300K", Ensemble.NVT, 300.0, 0.5, 5.0)
    values = np.array([[300.0, -1.0], [np.nan, -2.0]])
    return Exploration(
        replica=Replica("r/0", System("cluster", items[0].frame), items[0].frame, condition, 3),
        trace=Trace("r/0", np.array([0.0, 10.0]), (Quantity.TEMPERATURE, Quantity.HEAT), values),
        frames=tuple(
            MdFrame(item.frame, 2.0 * k, item.label.forces, -1.0, item.label.forces)
            for k, item in enumerate(items)
        ),
        exit=Exit.HALTED,
        md_ps=0.02,
        seconds=1.5,
        value=float("nan"),
    )


def make_model(folder: Path) -> Model:
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for form in (ModelForm.EAGER, ModelForm.FROZEN):
        path = folder / f"{form.value}.pth"
        path.write_bytes(form.value.encode() * 5000)
        files.append(ModelFile(form, path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return Model("m0", "deepmd", ("F", "H", "Li", "O", "S"), tuple(files), ModelForm.FROZEN)


def make_generation(
    folder: Path, number: int = 0, *, parent: str | None = None
) -> GenerationRecord:
    model = make_model(folder)
    frames = make_frame_set(30, seed=number)
    verdict = Verdict("r/0", "temperature", "T < 1000 K", 20.0, float("nan"), 1000.0, atoms=(2,))
    plan = LabelPlan("p1", "cluster", Purpose.SEGMENT, (Start(make_labelled(1)[0].frame),))
    return GenerationRecord(
        number=number,
        parent_sha256=parent,
        created="2026-11-20T12:00:00+00:00",
        config_text="name: test\n# ü\n",
        versions=(("dp", "3.2.0"),),
        outcomes=(make_outcome(seed=number),),
        parts=(DatasetPart("0.p0.training", Split.TRAINING, number, frames),),
        model=model,
        model_images=images_of(model),
        explorations=(make_exploration(),),
        verdicts=(verdict,),
        lives=(Life(number, "r/0", "cluster", "300K", 3, 0.02, False, verdict),),
        decision=Requests((plan,), "t_cp at 20 fs"),
        stage_seconds=(("train", 10.0),),
    )  # fmt: skip


class FailingDisk(Disk):
    """Raises ``code`` at its k-th call (from 1), counting those that can fail."""

    def __init__(self, k: int, code: int = errno.ENOSPC) -> None:
        self.left = k
        self.code = code

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, "injected")

    def open(self, path: Path, flags: int) -> int:
        self._tick()
        return super().open(path, flags)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        self._tick()
        return super().write(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self._tick()
        super().truncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        self._tick()
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._tick()
        super().rename(source, target)
