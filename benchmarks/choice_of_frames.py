"""Do the ways of choosing frames find those on which a model errs?

    python benchmarks/choice_of_frames.py runs/quickstart [--n 24] [--most 400]

For every generation of a finished campaign its model is asked about frames that were labelled later
(`--most` of a system, evenly spread; segments, points and audits together; at least three times
`--n`), of which `--n` are chosen as `sis-lean` does: `unlike-atoms` by single atoms, `farthest` by
mean descriptors. Known are all frames that the model was trained on. A choice's ratio is the mean
force RMSE of what it took over that of all frames: 1 by lot. The rank correlation is that of a
frame's force RMSE with its distance from what is known. Labels are the campaign's own: nothing is
bought. The last line is JSON: name, value (geometric mean over generations of the ratio of
`unlike-atoms` over that of `farthest`), interval (Student's t on logarithms), goal, unit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from sis_engine.admission import chosen as rows_of
from sis_engine.admission import stacked
from sis_engine.analysis.surroundings import most_unlike, unlikeness
from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.status import open_ledger
from sis_engine.comparison.reference import examination
from sis_engine.interfaces import Describer, never_stop
from sis_engine.records import DatasetPart, FloatArray, FrameSet, Split
from sis_engine.samplers.farthest import distances, farthest
from sis_engine.setup.versions import machine
from sis_engine.stages.context import StageContext
from sis_engine.stages.inspect import by_element
from sis_engine.storage.generation import GenerationRecord, GenerationStore, extract_from


@dataclass(frozen=True)
class Found:
    """What two choices found with one model.

    ratios, correlations: of `unlike-atoms` and `farthest`;  best: the largest ratio there could be
    """

    generation: int
    system: str
    n_known: int
    n_frames: int
    relative_error: float
    ratios: tuple[float, float]
    correlations: tuple[float, float]
    best: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--n", type=int, default=24)
    parser.add_argument("--most", type=int, default=400)
    options = parser.parse_args()
    print(machine())
    print("generation  system  known  frames  error   unlike-atoms        farthest            best")
    found = []
    for item in measured(options.campaign, options.n, options.most):
        found.append(item)
        by_atoms, by_means = (
            f"{ratio:.2f} (rank {rank:+.2f})"
            for ratio, rank in zip(item.ratios, item.correlations, strict=True)
        )
        print(
            f"{item.generation:<10}  {item.system}  {item.n_known:>5}  {item.n_frames:>6}  "
            f"{item.relative_error:.3f}   {by_atoms:18}  {by_means:18}  {item.best:.2f}"
        )
    gains = np.log([item.ratios[0] / item.ratios[1] for item in found])
    low, high = stats.t.interval(0.95, len(gains) - 1, gains.mean(), stats.sem(gains))
    answer = {
        "name": "frames on which the model errs, chosen by atoms over by means",
        "value": round(float(np.exp(gains.mean())), 3),
        "interval": [round(float(np.exp(low)), 3), round(float(np.exp(high)), 3)],
        "goal": 1.0,
        "unit": "mean force RMSE of the chosen frames, ratio",
    }
    print(json.dumps(answer))


def measured(folder: Path, n: int, most: int) -> Iterator[Found]:
    """Every generation that has a model and frames labelled after it, system by system."""
    with open_ledger(folder) as ledger, tempfile.TemporaryDirectory() as scratch:
        parts = campaign_folder.parts_of(folder, ledger)
        store = GenerationStore(folder, ledger)
        records = [store.load(row) for row in store.committed()]
        with examination(Path(scratch) / "bench", parts, Path(scratch), never_stop) as stage:
            for k, record in enumerate(records):
                before = [part for item in records[: k + 1] for part in item.parts]
                after = [part for item in records[k + 1 :] for part in item.parts]
                for system in parts.systems:
                    known = of_system(before, system.name)
                    later = of_system(after, system.name)
                    if record.model is None or known is None or later is None:
                        continue
                    if later.n_frames < 3 * n:  # any choice takes much of what there is
                        continue
                    some = np.linspace(0, later.n_frames - 1, min(most, later.n_frames))
                    yield compared(stage, record, known, rows_of(later, some), n)


def of_system(parts: Sequence[DatasetPart], system: str) -> FrameSet | None:
    own = [p for p in parts if p.split is Split.TRAINING and p.frames.system == system]
    return stacked(own) if own else None


def compared(
    stage: StageContext, record: GenerationRecord, known: FrameSet, frames: FrameSet, n: int
) -> Found:
    trainer = stage.parts.trainer
    if record.model is None or not isinstance(trainer, Describer):
        raise SystemExit("the trainer of this campaign does not describe frames")
    model = extract_from(record.model, record.model_images, stage.folder / record.model.id)
    context = stage.context(f"choice-{record.number}", 1)
    said = trainer.predict(model, model.deployed, frames, context)
    squares = ((said.forces - frames.forces) ** 2).mean(axis=(1, 2))
    error = np.sqrt(squares)
    atoms = trainer.describe(model, frames, context)
    labelled = trainer.describe(model, known, context)
    means, known_means = (by_element(item, frames.species) for item in (atoms, labelled))
    far = np.min([distances(means, point) for point in known_means], axis=0)
    n = min(n, frames.n_frames)
    choices: tuple[Sequence[int] | FloatArray, ...] = (
        most_unlike(atoms, labelled, frames.species, n),
        farthest(means, n, known=known_means),
    )
    ranks = (unlikeness(atoms, labelled, frames.species), far)
    return Found(
        record.number,
        frames.system,
        known.n_frames,
        frames.n_frames,
        float(np.sqrt(squares.mean() / (frames.forces**2).mean())),
        tuple(float(error[list(rows)].mean() / error.mean()) for rows in choices),  # type: ignore[arg-type]
        tuple(float(stats.spearmanr(item, error).statistic) for item in ranks),  # type: ignore[arg-type]
        float(np.sort(error)[::-1][:n].mean() / error.mean()),
    )


if __name__ == "__main__":
    main()
