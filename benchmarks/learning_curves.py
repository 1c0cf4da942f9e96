"""How many labels does a choice of frames save? Learning curves on one pool, without a model's MD.

    python benchmarks/learning_curves.py [--seeds 1 2 3] [--rounds 6] [--n 12]

System, teacher and net are those of `configs/teacher.yaml`: liquid ethane under AIREBO, here at
600 K. Two trajectories of the teacher: frames are chosen from the first, errors are of the second.
Every choice begins with the same 20 labels and the same model; in each round it takes `--n` frames
more, and the model is fine-tuned on all of them, with the same steps. `lot`: at random; the others
take a quarter at random, as `sis-lean` does. The seed is that of training and of the lot. The last
line is JSON: name, value (labels that `unlike-atoms` needs for the error that `lot` ends with, over
those that `lot` has then; geometric mean over seeds; by interpolation, 1 where it ends above),
interval (Student's t on logarithms; none of one seed), goal, unit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from ase.io import read
from scipy import stats

from labelers.teacher.config import TeacherConfig
from labelers.teacher.labeler import TeacherLabeler
from sis_engine.admission import chosen
from sis_engine.analysis.metrics import errors_of
from sis_engine.analysis.surroundings import most_unlike
from sis_engine.interfaces import Context, Segment
from sis_engine.records import (
    Dataset,
    DatasetPart,
    Errors,
    Frame,
    FrameSet,
    Labelled,
    Model,
    Origin,
    Purpose,
    SegmentSpec,
    Split,
    Start,
    System,
    TrainingSchedule,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.samplers.farthest import farthest
from sis_engine.setup.versions import machine
from sis_engine.stages.inspect import by_element
from sis_engine.storage.splits import frame_set
from trainers.deepmd.config import DeepmdConfig
from trainers.deepmd.trainer import DeepmdTrainer

CONFIGS = Path(__file__).parents[1] / "configs"
RANDOM_SHARE = 0.25
FIRST = 20
BURN_IN_STEPS, STEPS, EVERY = 1000, 5000, 10
CHOICES = ("lot", "farthest", "unlike-atoms")


@dataclass
class Bench:
    """The trainer, two trajectories, and where files go."""

    trainer: DeepmdTrainer
    pool: FrameSet
    test: FrameSet
    work: Path
    n_tasks: int = 0

    def context(self) -> Context:
        self.n_tasks += 1
        folder = self.work / f"{self.n_tasks:04d}"
        folder.mkdir(parents=True)
        return Context(folder, threads=1)

    def trained(self, batches: list[list[int]], before: Model | None, seed: int) -> Model:
        """On all batches; like a campaign's first model, or like its fine-tunings."""
        parts = [
            DatasetPart(f"b{k}", Split.TRAINING, k, chosen(self.pool, rows))
            for k, rows in enumerate(batches)
        ]
        parts.append(DatasetPart("v", Split.VALIDATION, 0, chosen(self.pool, batches[0][:2])))
        rate = 1e-3 * 0.7 ** (len(batches) - 1)
        schedule = TrainingSchedule(
            400 if before is None else 200,
            rate,
            0.01 * rate,
            energy_prefactor=(1.0, 10.0),
            force_prefactor=(1.0, 1.0),
            batch_size=4,
            seed=seed,
        )
        return self.trainer.train(Dataset(tuple(parts)), before, schedule, self.context()).model

    def errors(self, model: Model) -> Errors:
        said = self.trainer.predict(model, model.deployed, self.test, self.context())
        return errors_of(said, self.test)


def reference(labeler: TeacherLabeler, seed: int) -> FrameSet:
    """Every tenth frame of 2 ps of the teacher's own MD at 600 K, half a picosecond left out."""
    atoms = read(CONFIGS / "structures" / "ethane-liquid.extxyz")
    species = tuple(atoms.get_chemical_symbols())
    frame = Frame(species, atoms.get_positions(), atoms.cell.array, (True, True, True))
    system = System("ethane", frame)
    spec = SegmentSpec(STEPS, 0.5, 600.0, damping_fs=50.0, thermostat="langevin", seed=seed)
    origin = Origin(Purpose.INITIAL, 0, system.name, f"seed-{seed}", 0)
    task = Segment(system, Start(frame), spec, origin)
    results = list(ReferenceMD(labeler).label(task, Context(Path())))
    kept = [item for item in results if isinstance(item, Labelled)][BURN_IN_STEPS::EVERY]
    if len(kept) < (STEPS - BURN_IN_STEPS) // EVERY:
        raise SystemExit(f"the trajectory of seed {seed} ended early")
    return frame_set(kept, system)


def taken(
    bench: Bench, choice: str, model: Model, known: list[int], n: int, rng: np.random.Generator
) -> list[int]:
    """Rows of the pool that one choice takes next."""
    left = np.setdiff1d(np.arange(bench.pool.n_frames), known)
    n_lot = n if choice == "lot" else round(RANDOM_SHARE * n)
    lot = rng.choice(len(left), n_lot, replace=False)
    if choice == "lot":
        return [int(row) for row in left[lot]]
    atoms = bench.trainer.describe(model, chosen(bench.pool, left), bench.context())
    labelled = bench.trainer.describe(model, chosen(bench.pool, known), bench.context())
    species = bench.pool.species
    if choice == "unlike-atoms":
        rows = np.array(most_unlike(atoms, labelled, species, n - n_lot, lot.tolist()), dtype=int)
    else:
        means, known_means = by_element(atoms, species), by_element(labelled, species)
        rest = np.setdiff1d(np.arange(len(left)), lot)
        so_far = np.concatenate([means[lot], known_means])
        rows = rest[farthest(means[rest], n - n_lot, known=so_far)]
    return [int(row) for row in left[np.concatenate([lot, rows])]]


def curve(bench: Bench, choice: str, first: Model, seed: int, rounds: int, n: int) -> np.ndarray:
    """(rounds + 1, 3): labels, relative force error, energy error in meV/atom."""
    rng = np.random.default_rng(seed)
    batches, model, points = [list(range(FIRST))], first, []
    for number in range(rounds + 1):
        found = bench.errors(model)
        labels = sum(len(batch) for batch in batches)
        points.append((labels, found.relative_force_rmse, 1e3 * found.energy_rmse_per_atom))
        if number < rounds:
            known = [row for batch in batches for row in batch]
            batches.append(taken(bench, choice, model, known, n, rng))
            model = bench.trained(batches, model, seed)
    return np.array(points)


def share_of_labels(own: np.ndarray, lot: np.ndarray) -> float:
    """Labels with which ``own`` has the last error of ``lot``, over those that ``lot`` has then."""
    falling = np.minimum.accumulate(own[:, 1])
    if falling[-1] > lot[-1, 1]:
        return 1.0
    labels = np.interp(-lot[-1, 1], -falling, own[:, 0])
    return float(labels / lot[-1, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--n", type=int, default=12)
    options = parser.parse_args()
    print(machine(), flush=True)
    settings = yaml.safe_load((CONFIGS / "teacher.yaml").read_text())
    labeler = TeacherLabeler(TeacherConfig(**settings["labeler"]))
    trainer = DeepmdTrainer(DeepmdConfig(**settings["trainer"], threads=1, device="cpu"))
    shares: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(trainer, reference(labeler, 1), reference(labeler, 2), Path(folder))
        for seed in options.seeds:
            first = bench.trained([list(range(FIRST))], None, seed)
            curves = {}
            for choice in CHOICES:
                curves[choice] = curve(bench, choice, first, seed, options.rounds, options.n)
                shares[choice].append(share_of_labels(curves[choice], curves["lot"]))
                told = "  ".join(f"{int(k)}: {f:.3f} {e:.1f}" for k, f, e in curves[choice])
                print(f"seed {seed}  {choice:12}  {told}", flush=True)
        trainer.close()
    print(
        "labels: relative force error, energy error in meV/atom; labels needed, of those of a lot:"
    )
    for choice in CHOICES:
        print(f"  {choice:12}  " + "  ".join(f"{share:.2f}" for share in shares[choice]))
    logs = np.log(shares["unlike-atoms"])
    bounds = None
    if len(logs) > 1:
        bounds = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    answer = {
        "name": "labels that unlike-atoms needs, of those of a lot",
        "value": round(float(np.exp(logs.mean())), 3),
        "interval": bounds and [round(float(np.exp(bound)), 3) for bound in bounds],
        "goal": 1.0,
        "unit": "ratio",
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
