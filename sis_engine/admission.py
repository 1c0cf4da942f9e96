"""The test that a trained model must pass before it is explored.

Three questions: is the deployed file, through the engine that will run it, the model that was
trained? Are its errors on all the data what training claimed? Has it forgotten old data?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from sis_engine.analysis.metrics import errors_of, errors_over
from sis_engine.interfaces import Context, Explorer, Trainer
from sis_engine.records import (
    Admission,
    BlockErrors,
    Comparison,
    Dataset,
    DatasetPart,
    Errors,
    FrameSet,
    Model,
    ModelForm,
    Prediction,
    Split,
    TrainingResult,
)

ENGINE = "engine"
"""Name of the explorer in comparisons."""


class Tolerance(BaseModel):
    """Largest differences between two forms: eV/Å on any force component, eV/atom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    force: NonNegativeFloat
    energy_per_atom: NonNegativeFloat


class AdmissionLimits(BaseModel):
    """Limits of admission. Differences measured on LiFSI/dioxolane with deepmd-kit 3.2:

    frozen: float64 2e-15 eV/Å, float32 1e-6 eV/Å: only rounding, so the limit is tight
    compressed: float64 3e-9 eV/Å (se_e3; 1e-13 else), float32 3e-5: the table's own error
    engine: float32 in LAMMPS 3e-4 eV/Å and 3e-6 eV/atom: another order of summation
    A model whose deployed form takes another code path was 0.5 eV/Å and 0.8 eV/atom off, so
    there is a wide margin on both sides.

    frames_per_system: compared frame by frame in every form, spread over the data
    claim_*: errors on all training frames may be this ratio of what training claimed for its
        sample, plus a floor (a sample of some hundred correlated frames is good to 10-20 %)
    forget_*: a block of an earlier generation may not be worse than before by more than this
        ratio and by more than this floor, eV/Å
    max_force_rmse: absolute limit on training frames, eV/Å; ``None``: not asked
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames_per_system: PositiveInt = 8
    frozen: Tolerance = Tolerance(force=1e-4, energy_per_atom=1e-5)
    compressed: Tolerance = Tolerance(force=2e-3, energy_per_atom=1e-4)
    engine: Tolerance = Tolerance(force=5e-3, energy_per_atom=2e-4)
    claim_ratio: PositiveFloat = 1.3
    claim_force_floor: NonNegativeFloat = 0.02
    claim_energy_floor: NonNegativeFloat = 0.002
    forget_ratio: PositiveFloat = 1.5
    forget_floor: NonNegativeFloat = 0.05
    max_force_rmse: PositiveFloat | None = None


# --------------------------------------------------------------------------- the calls


def admit(
    trainer: Trainer,
    explorer: Explorer,
    result: TrainingResult,
    previous: Model | None,
    dataset: Dataset,
    limits: AdmissionLimits,
    context: Context,
) -> Admission:
    """Put the trained model to the test. A refusal is a value, with its figures.

    previous: the model it was trained from, for the forgetting guard
    """
    model = result.model
    samples = spread_frames(dataset, limits.frames_per_system)
    predict = _predictor(trainer, model, model.deployed, context)
    with ThreadPoolExecutor(1) as beside:  # the engine's program mostly loads the model
        engine = beside.submit(_by_engine, trainer, explorer, model, samples, context)
        said = {
            form: [_ask(trainer, model, form, frames, context) for frames in samples]
            for form in ModelForm
            if model.file(form) is not None
        }
        training = errors_over(_predicted(dataset.of(Split.TRAINING), predict))
        after = _predicted(dataset.of(Split.VALIDATION), predict)
        validation = errors_over(after) if after else None
        before = _before(trainer, previous, dataset.of(Split.VALIDATION), context)
        comparisons = _all_comparisons(said, engine.result(), limits)
    blocks = tuple(
        BlockErrors(part.name, part.generation, old, errors_of(*new))
        for part, old, new in zip(_filled(dataset, Split.VALIDATION), before, after, strict=True)
    )
    reasons = (
        *different(comparisons),
        *unlike_claimed(result, training, limits),
        *forgotten(blocks, limits, newest=max(part.generation for part in dataset.parts)),
        *absurd(training, limits),
    )
    return Admission(
        model_id=model.id,
        passed=not reasons,
        comparisons=comparisons,
        training=training,
        validation=validation,
        blocks=blocks,
        reasons=reasons,
    )


def _all_comparisons(
    said: Mapping[ModelForm, Sequence[Prediction]],
    engine: Sequence[Prediction],
    limits: AdmissionLimits,
) -> tuple[Comparison, ...]:
    """Every form, and the engine, against the most original form, over all systems."""
    reference, *others = said
    tolerances = {ModelForm.FROZEN: limits.frozen, ModelForm.COMPRESSED: limits.compressed}
    found = [
        compare((reference.value, said[reference]), (form.value, said[form]), tolerances[form])
        for form in others
    ]
    found.append(compare((reference.value, said[reference]), (ENGINE, engine), limits.engine))
    return tuple(found)


def _ask(
    trainer: Trainer, model: Model, form: ModelForm, frames: FrameSet, context: Context
) -> Prediction:
    return trainer.predict(model, form, frames, context)


def _by_engine(
    trainer: Trainer,
    explorer: Explorer,
    model: Model,
    samples: Sequence[FrameSet],
    context: Context,
) -> list[Prediction]:
    return [_ask_engine(trainer, explorer, model, frames, context) for frames in samples]


def _ask_engine(
    trainer: Trainer, explorer: Explorer, model: Model, frames: FrameSet, context: Context
) -> Prediction:
    number = 1
    while (context.workdir / f"engine-{number}").exists():
        number += 1
    folder = context.workdir / f"engine-{number}"
    folder.mkdir(parents=True)
    own = replace(context, workdir=folder)
    return explorer.predict(model, frames, own, calculator=trainer.calculator)


def _predictor(
    trainer: Trainer, model: Model, form: ModelForm, context: Context
) -> Callable[[FrameSet], Prediction]:
    return lambda frames: trainer.predict(model, form, frames, context)


def _before(
    trainer: Trainer, previous: Model | None, parts: Sequence[DatasetPart], context: Context
) -> tuple[Errors | None, ...]:
    """Errors of the previous model on each block; ``None`` where it lacks an element."""
    filled = [part for part in parts if part.frames.n_frames]
    if previous is None:
        return (None,) * len(filled)
    known = set(previous.elements)
    able = [part for part in filled if set(part.frames.species) <= known]
    predict = _predictor(trainer, previous, previous.deployed, context)
    found = {
        part.name: errors_of(*pair)
        for part, pair in zip(able, _predicted(able, predict), strict=True)
    }
    return tuple(found.get(part.name) for part in filled)


# --------------------------------------------------------------------------- frames


def spread_frames(dataset: Dataset, most: int) -> tuple[FrameSet, ...]:
    """For every kind of system at most ``most`` frames, spread evenly over all its data."""
    stacks = [stacked(group) for group in _groups(dataset.parts)]
    return tuple(
        chosen(frames, np.linspace(0, frames.n_frames - 1, min(most, frames.n_frames)))
        for frames in stacks
    )


def stacked(parts: Sequence[DatasetPart]) -> FrameSet:
    """Parts of the same kind (species, periodicity) as one frame set, energies and forces only."""
    sets = [part.frames for part in parts]
    cells = [item.cells for item in sets if item.cells is not None]
    return replace(
        sets[0],
        positions=np.concatenate([item.positions for item in sets]),
        cells=np.concatenate(cells) if len(cells) == len(sets) else None,
        energies=np.concatenate([item.energies for item in sets]),
        forces=np.concatenate([item.forces for item in sets]),
        virials=None,
        force_mask=None,
        charges=None,
    )


def chosen(frames: FrameSet, indices: Any) -> FrameSet:
    """Some frames of a set, by (rounded) index, each once."""
    at = np.unique(np.rint(indices).astype(int))
    return replace(
        frames,
        positions=frames.positions[at],
        cells=None if frames.cells is None else frames.cells[at],
        energies=frames.energies[at],
        forces=frames.forces[at],
        virials=None if frames.virials is None else frames.virials[at],
        charges=None if frames.charges is None else frames.charges[at],
    )


def _groups(parts: Sequence[DatasetPart]) -> list[list[DatasetPart]]:
    """Parts of the same kind together, so that a model is loaded once for all of them."""
    groups: dict[tuple[object, ...], list[DatasetPart]] = {}
    for part in parts:
        if part.frames.n_frames:
            key = (part.frames.species, part.frames.pbc, part.frames.cells is None)
            groups.setdefault(key, []).append(part)
    return list(groups.values())


def _filled(dataset: Dataset, split: Split) -> list[DatasetPart]:
    return [part for part in dataset.of(split) if part.frames.n_frames]


def _predicted(
    parts: Sequence[DatasetPart], predict: Callable[[FrameSet], Prediction]
) -> list[tuple[Prediction, FrameSet]]:
    """The prediction for each part that has frames, in the order of the parts."""
    found: dict[int, Prediction] = {}
    for group in _groups(parts):
        whole = predict(stacked(group))
        begin = 0
        for part in group:
            rows = slice(begin, begin + part.frames.n_frames)
            found[id(part)] = Prediction(whole.energies[rows], whole.forces[rows])
            begin = rows.stop
    return [(found[id(part)], part.frames) for part in parts if part.frames.n_frames]


# --------------------------------------------------------------------------- the judgements, pure


def compare(
    reference: tuple[str, Sequence[Prediction]],
    candidate: tuple[str, Sequence[Prediction]],
    tolerance: Tolerance,
) -> Comparison:
    """Largest differences over all frames; not finite where a prediction is not."""
    pairs = list(zip(reference[1], candidate[1], strict=True))
    return Comparison(
        reference=reference[0],
        candidate=candidate[0],
        n_frames=sum(len(one.energies) for one, _ in pairs),
        max_force=_largest([np.abs(a.forces - b.forces) for a, b in pairs]),
        max_energy_per_atom=_largest(
            [np.abs(a.energies - b.energies) / a.forces.shape[1] for a, b in pairs]
        ),
        force_limit=tolerance.force,
        energy_limit=tolerance.energy_per_atom,
    )


def _largest(differences: Sequence[Any]) -> float:
    """The largest value, NaN if any is NaN, 0 if there is none."""
    return float(np.max([np.max(item) for item in differences if item.size], initial=0.0))


def different(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Forms that are not the model that was trained."""
    return tuple(
        f"{item.candidate} is not {item.reference}: forces differ by up to {item.max_force:.3g} "
        f"eV/Å (limit {item.force_limit:g}), energies by {item.max_energy_per_atom * 1e3:.3g} "
        f"meV/atom (limit {item.energy_limit * 1e3:g})"
        for item in comparisons
        if not item.passed
    )


def unlike_claimed(
    result: TrainingResult, training: Errors, limits: AdmissionLimits
) -> tuple[str, ...]:
    """Errors on all training frames that are not what training claimed."""
    figures = (
        ("force RMSE", "eV/Å", result.claimed_force_rmse, training.force_rmse),
        (
            "energy RMSE",
            "eV/atom",
            result.claimed_energy_rmse_per_atom,
            training.energy_rmse_per_atom,
        ),
    )
    floors = (limits.claim_force_floor, limits.claim_energy_floor)
    return tuple(
        f"{name} on the training frames is {seen:.4g} {unit}, training claimed {claimed:.4g}"
        for (name, unit, claimed, seen), floor in zip(figures, floors, strict=True)
        if claimed is not None and not seen <= limits.claim_ratio * claimed + floor
    )


def forgotten(
    blocks: Sequence[BlockErrors], limits: AdmissionLimits, *, newest: int
) -> tuple[str, ...]:
    """Validation blocks of earlier generations that have become worse.

    newest: the generation of the newest data; its blocks are not guarded, for the previous model
        never saw that region
    """
    return tuple(
        f"forgot block {block.part}: force RMSE {block.after.force_rmse:.3g} eV/Å, was "
        f"{block.before.force_rmse:.3g}"
        for block in blocks
        if block.before is not None
        and block.generation < newest
        and not _holds(block.before.force_rmse, block.after.force_rmse, limits)
    )


def _holds(before: float, after: float, limits: AdmissionLimits) -> bool:
    return after <= before * limits.forget_ratio or after <= before + limits.forget_floor


def absurd(training: Errors, limits: AdmissionLimits) -> tuple[str, ...]:
    """Errors beyond any use."""
    limit = limits.max_force_rmse
    if limit is None or training.force_rmse <= limit:
        return ()
    return (
        f"force RMSE on the training frames is {training.force_rmse:.3g} eV/Å (limit {limit:g})",
    )
