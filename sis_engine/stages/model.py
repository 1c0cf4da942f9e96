"""TRAIN and ADMIT: the challenger that continues, then the one from scratch, or a pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.admission import admit
from sis_engine.errors import ModelRefused, TrainingDiverged
from sis_engine.interfaces import Context, Trainer
from sis_engine.records import (
    Admission,
    Challenger,
    Dataset,
    DatasetPart,
    Model,
    ModelResult,
    TrainingResult,
    TrainingSchedule,
)
from sis_engine.stages.context import StageContext
from sis_engine.storage.atomic import sha256_of, sync_file


def training_data(
    stage: StageContext, earlier: Sequence[DatasetPart], new: Sequence[DatasetPart]
) -> Dataset:
    """All data, with the frames of earlier generations drawn ``replay_weight`` times as often."""
    weight = stage.parts.config.training.replay_weight
    return Dataset((*(replace(part, weight=weight) for part in earlier), *new))


@dataclass(frozen=True)
class Seat:
    """Where one model of a generation is made, and by whom. Seat 0 drives the MD.

    previous: what this seat held before; ``None``: it is trained from scratch
    """

    number: int
    trainer: Trainer
    previous: Model | None

    def stage_name(self, work: str, challenger: int) -> str:
        """``train-1``; of the other seats ``train-1-m2``."""
        name = f"{work}-{challenger}"
        return name if self.number == 0 else f"{name}-m{self.number}"

    def seed(self, stage: StageContext, challenger: int) -> int:
        """Of seat 0 as if there were no others, so that a committee changes no model."""
        if self.number == 0:
            return stage.seed("train", challenger)
        return stage.seed("train", challenger, "member", self.number)


def make_model(
    stage: StageContext, dataset: Dataset, previous: Model | None, *, refit_bias: bool
) -> ModelResult:
    """The one model of a generation. Raises ModelRefused, with the figures, if none is admitted."""
    seat = Seat(0, stage.parts.trainer, previous)
    return ModelResult(needed(challengers_of(stage, dataset, seat, refit_bias=refit_bias)))


def challengers_of(
    stage: StageContext, dataset: Dataset, seat: Seat, *, refit_bias: bool
) -> tuple[Challenger, ...]:
    """Challengers for a seat until one is admitted: the last one, if any is."""
    challengers: list[Challenger] = []
    for number, start_from in enumerate((seat.previous, None), start=1):
        challenger = _challenge(stage, dataset, seat, start_from, number, refit_bias)
        challengers.append(challenger)
        if challenger.admission is not None and challenger.admission.passed:
            break
        whose = f" of member {seat.number}" if seat.number else ""
        stage.console.event(
            f"challenger {number}{whose} ({challenger.kind}) refused: {why(challenger)}"
        )
    return tuple(challengers)


def needed(challengers: tuple[Challenger, ...]) -> tuple[Challenger, ...]:
    """The challengers, if the last one was admitted; else ModelRefused, with the figures."""
    last = challengers[-1].admission
    if last is not None and last.passed:
        return challengers
    raise ModelRefused(
        "both challengers were refused:\n"
        + "\n".join(f"  {item.kind}: {why(item)}" for item in challengers),
        hint="`sis report` shows the figures; see admission in the campaign file",
    )


def why(challenger: Challenger) -> str:
    """Why a challenger was refused, with figures."""
    if challenger.problem is not None:
        return challenger.problem
    admission = challenger.admission
    return "not tested" if admission is None else "; ".join(admission.reasons)


def _challenge(
    stage: StageContext,
    dataset: Dataset,
    seat: Seat,
    start_from: Model | None,
    number: int,
    refit_bias: bool,  # noqa: FBT001
) -> Challenger:
    kind = "from scratch" if start_from is None else "fine-tuned"
    schedule = stage.parts.config.training.schedule(
        stage.generation,
        seed=seat.seed(stage, number),
        scratch=start_from is None,
        refit_bias=refit_bias and start_from is not None,
    )
    try:
        training = stage.once(
            seat.stage_name("train", number),
            TrainingResult,
            lambda context: _train(stage, seat, dataset, start_from, schedule, context),
            lambda found: _with_files(stage, found),
        )
    except TrainingDiverged as error:
        return Challenger(kind, schedule, None, None, problem=str(error))
    admission = stage.once(
        seat.stage_name("admit", number),
        Admission,
        lambda context: admit(
            seat.trainer,
            stage.parts.explorer,
            training,
            seat.previous,
            dataset,
            stage.parts.config.admission,
            context,
        ),
    )
    return Challenger(kind, schedule, training, admission)


def _train(
    stage: StageContext,
    seat: Seat,
    dataset: Dataset,
    start_from: Model | None,
    schedule: TrainingSchedule,
    context: Context,
) -> TrainingResult:
    result = seat.trainer.train(dataset, start_from, schedule, context)
    for file in result.model.files:
        sync_file(file.path)
    model_id = f"g{stage.generation:04d}-{result.model.id}"
    return replace(result, model=replace(result.model, id=model_id))


def _with_files(stage: StageContext, found: TrainingResult) -> TrainingResult | None:
    """The result with its model files where they are now; ``None`` if one is not as recorded."""
    files = []
    for file in found.model.files:
        path = _here(stage.folder, file.path)
        if not path.is_file() or sha256_of(path) != file.sha256:
            return None
        files.append(replace(file, path=path))
    return replace(found, model=replace(found.model, files=tuple(files)))


def _here(folder: Path, recorded: Path) -> Path:
    """The file in this campaign's own scratch, if it is there: the folder may have been moved, or
    copied from one that still stands, whose files are not this one's to read.
    """
    if "work" not in recorded.parts:
        return recorded
    inside = recorded.parts[len(recorded.parts) - recorded.parts[::-1].index("work") :]
    own = folder.joinpath("work", *inside)
    return own if own.is_file() else recorded
