"""The DeePMD trainer: train, freeze, compress and predict through one worker process."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ase.data import atomic_numbers

from sis_engine.errors import ConfigurationError, ProgramUnsuitable, TrainingDiverged
from sis_engine.execution.worker import Worker, interpreter
from sis_engine.interfaces import Context, PluginConfig, ProgramReport
from sis_engine.records import (
    Dataset,
    FloatArray,
    Frame,
    FrameSet,
    LammpsPair,
    Model,
    ModelForm,
    Prediction,
    Split,
    TrainingResult,
    TrainingSchedule,
)
from trainers.deepmd import data, doctor, files
from trainers.deepmd.config import DeepmdConfig, Kalman
from trainers.deepmd.input import (
    DataFolders,
    Phase,
    check_sel,
    choose_sel,
    differences,
    dp_seed,
    phases,
)
from trainers.deepmd.session import Answer, Settings, ask, worker_settings
from trainers.deepmd.watch import CurveWatch
from trainers.deepmd.zbl import write_table

LAMMPS = LammpsPair(
    style="deepmd {file}", committee="deepmd {files} out_freq {every} out_file {out}"
)


class DeepmdTrainer:
    """DeePMD-kit (PyTorch) as :class:`sis_engine.interfaces.Trainer`."""

    Config: ClassVar[type[PluginConfig]] = DeepmdConfig

    def __init__(self, config: DeepmdConfig) -> None:
        self.config = config
        self._worker = Worker()
        self.timings: tuple[tuple[str, float], ...] = ()
        """seconds by sub-step of the last training"""

    @classmethod
    def from_config(cls, config: DeepmdConfig) -> Self:
        return cls(config)

    def check(self, elements: Sequence[str]) -> None:
        unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
        if unknown:
            raise ConfigurationError(
                f"no such element: {', '.join(unknown)}", key="trainer.elements"
            )
        if self.config.elements is not None:
            data.type_indices(elements, self.config.elements)
        problem = doctor.interpreter_problem(self.config.python)
        if problem is not None:
            raise ProgramUnsuitable(problem, hint=doctor.MEND)

    def check_neighbours(self, frames: Sequence[Frame], elements: Sequence[str]) -> None:
        """Raise ConfigurationError where ``sel`` is below the neighbours of an atom."""
        check_sel(self.config, frames, self.config.elements or tuple(elements))

    # ------------------------------------------------------------------ training

    def train(
        self,
        dataset: Dataset,
        start_from: Model | None,
        schedule: TrainingSchedule,
        context: Context,
    ) -> TrainingResult:
        begun = time.perf_counter()
        if self.config.balance_elements:
            dataset = Dataset(data.balanced(dataset.parts))
        elements = self._elements(dataset, start_from)
        systems = data.systems_of(dataset.of(Split.TRAINING), elements, self.config.cutoff_angstrom)
        if not systems:
            raise ConfigurationError("there are no training frames", key="dataset")
        folder = files.fresh_folder(context.workdir, "training")
        before = None if start_from is None else start_from.sel
        sel = choose_sel(self.config, systems, elements, before)
        folders = self._write_data(folder, dataset, systems, elements, schedule.batch_size)
        planned = phases(self.config, elements, sel, schedule, folders)
        request = self._request(folder, planned, systems, elements, start_from, schedule)
        request["sel"] = list(sel)
        largest = self.config.divergence_ratio * data.rms_force(systems)
        watch = CurveWatch(folder, planned, largest, context)
        answer = self._ask(folder, request, context, watch)
        watch.finish()
        self.timings = tuple(answer.seconds.items())
        force, energy = _claimed(answer, request["claim"], systems)
        return TrainingResult(
            model=self._model(folder, answer, elements, sel),
            curve=watch.curve(),
            claimed_force_rmse=force,
            claimed_energy_rmse_per_atom=energy,
            seconds=time.perf_counter() - begun,
        )

    def _elements(self, dataset: Dataset, start_from: Model | None) -> tuple[str, ...]:
        """Type map: configured, or the earlier model's with new elements after it."""
        if self.config.elements is not None:
            return self.config.elements
        known = () if start_from is None else start_from.elements
        return known + tuple(symbol for symbol in dataset.elements if symbol not in known)

    def _write_data(
        self,
        folder: Path,
        dataset: Dataset,
        systems: Sequence[data.System],
        elements: tuple[str, ...],
        batch_size: int,
    ) -> DataFolders:
        validation = data.systems_of(
            dataset.of(Split.VALIDATION), elements, self.config.cutoff_angstrom
        )
        masked = any(system.force_weights is not None for system in (*systems, *validation))
        return DataFolders(
            training=files.write_systems(systems, folder / "data", elements, masked=masked),
            validation=files.write_systems(
                validation, folder / "validation", elements, masked=masked
            ),
            probabilities=tuple(data.probabilities(systems, batch_size)),
            masked=masked,
        )

    def _request(
        self,
        folder: Path,
        planned: Sequence[Phase],
        systems: Sequence[data.System],
        elements: tuple[str, ...],
        start_from: Model | None,
        schedule: TrainingSchedule,
    ) -> dict[str, Any]:
        """Write the inputs into ``folder``; the request for the worker."""
        for phase in planned:
            (folder / phase.input_file).write_text(json.dumps(phase.input, indent=1))
        start, mode = self._start(start_from, elements, schedule)
        return {
            "operation": "train",
            "backend": self.config.backend,
            "elements": elements,
            "start": None if start is None else str(start),
            "start_mode": mode,
            "phases": [self._phase_request(phase, schedule) for phase in planned],
            "compress": self.config.wants_compression,
            "compress_step": self.config.table_step,
            "claim": files.claim_blocks(systems, folder / "claim", self.config.claim_frames),
        }

    def _phase_request(self, phase: Phase, schedule: TrainingSchedule) -> dict[str, Any]:
        kalman = (
            self.config.optimizer
            if isinstance(self.config.optimizer, Kalman)
            else Kalman(type="lkf")
        )
        return {
            "name": phase.name,
            "input": phase.input_file,
            "checkpoint": phase.checkpoint,
            "seed": dp_seed(schedule),
            "gain": self.config.descriptor_gain,
            "covariance": kalman.covariance,
            "covariance_continued": kalman.covariance_continued,
            "average": kalman.average,
        }

    def _start(
        self, start_from: Model | None, elements: tuple[str, ...], schedule: TrainingSchedule
    ) -> tuple[Path | None, str]:
        """Checkpoint to start from, and how: ``init`` keeps the energy bias, ``finetune`` refits it
        by statistics and can take a new type map; nothing: from scratch.
        """
        if start_from is None:
            return None, "scratch"
        file = start_from.file(ModelForm.EAGER)
        if file is None:
            raise ConfigurationError(
                f"model {start_from.id} has no checkpoint, only frozen files: it cannot be trained",
                hint="give the .pt checkpoint, or start from data",
            )
        changed = schedule.refit_bias or start_from.elements != elements
        return files.verified(file).resolve(), "finetune" if changed else "init"

    def _model(
        self, folder: Path, answer: Answer, elements: tuple[str, ...], sel: tuple[int, ...]
    ) -> Model:
        kept = files.keep(folder, answer.result["files"])
        forms = {file.form for file in kept}
        compressed = ModelForm.COMPRESSED in forms
        return Model(
            id=f"deepmd-{kept[0].sha256[:12]}",
            trainer="deepmd",
            elements=elements,
            files=kept,
            deployed=ModelForm.COMPRESSED if compressed else ModelForm.FROZEN,
            lammps=LAMMPS,
            cutoff_angstrom=self.config.cutoff_angstrom,
            sel=sel,
        )

    # ------------------------------------------------------------------ prediction

    def predict(
        self, model: Model, form: ModelForm, frames: FrameSet, context: Context
    ) -> Prediction:
        file = model.file(form)
        if file is None:
            raise ConfigurationError(f"model {model.id} has no {form.value} file")
        folder = files.fresh_folder(context.workdir, f"predict-{form.value}")
        cutoff = model.cutoff_angstrom or self.config.cutoff_angstrom
        block = files.frame_block(frames, model.elements, cutoff, folder / "frames")
        request = {
            "operation": "predict",
            "form": form.value,
            "elements": model.elements,
            "model": str(files.verified(file).resolve()),
            "blocks": [block],
        }
        answer = self._ask(folder, request, context)
        return files.read_prediction(answer.result["outputs"][0], periodic=all(frames.pbc))

    def describe(self, model: Model, frames: FrameSet, context: Context) -> FloatArray:
        """(n_frames, n_atoms, d): the descriptor of the frozen file, in DeePMD's own scale."""
        file = model.file(ModelForm.FROZEN) or model.deployed_file
        folder = files.fresh_folder(context.workdir, "describe")
        cutoff = model.cutoff_angstrom or self.config.cutoff_angstrom
        block = files.frame_block(frames, model.elements, cutoff, folder / "frames")
        request = {
            "operation": "describe",
            "model": str(files.verified(file).resolve()),
            "block": block,
        }
        found: FloatArray = np.load(
            self._ask(folder, request, context).result["descriptors"], allow_pickle=False
        )
        return found

    def calculator(self, model: Model) -> Any:
        """ASE calculator of the deployed file, in this process (so DeePMD must be importable here).

        Raises TornFile if the file is not the recorded one, ProgramUnsuitable without DeePMD.
        """
        path = files.verified(model.deployed_file)
        try:
            with warnings.catch_warnings():
                # torch announces the end of TorchScript, which DeePMD's files still are
                warnings.simplefilter("ignore", DeprecationWarning)
                from deepmd.calculator import DP

                return DP(model=str(path))
        except ImportError as error:
            raise ProgramUnsuitable(
                f"the ASE explorer needs DeePMD-kit in the engine's own environment: {error}",
                hint="use the lammps explorer, or install sis-engine[deepmd]",
            ) from error

    def adopt(self, path: Path, elements: Sequence[str], context: Context) -> Model:
        """A model around an existing ``.pt`` or ``.pth``, copied so that it stays.

        Only a model that this trainer's configuration describes can be trained further: another
        descriptor, fitting net or cutoff is a ConfigurationError. Elements may be missing: they are
        added when it is first trained.
        """
        if path.suffix not in {".pt", ".pth"} or not path.is_file():
            raise ConfigurationError(
                f"not a DeePMD-kit (PyTorch) model: {path}", allowed="an existing .pt or .pth file"
            )
        folder = files.fresh_folder(context.workdir, "adopt")
        request = {"operation": "adopt", "model": str(path.resolve())}
        found = self._ask(folder, request, context).result
        known = tuple(found["type_map"])
        if not set(known) & set(elements):
            raise ConfigurationError(
                f"{path} knows {', '.join(known)}: none of {', '.join(elements)}",
                allowed="a model of at least some of the elements",
            )
        differ = differences(self.config, found["parameters"])
        if differ:
            raise ConfigurationError(
                f"{path} is built otherwise than the trainer's configuration says: "
                + "; ".join(differ),
                hint="set these keys of the trainer as the model has them",
            )
        kept = files.keep(folder, found["files"])
        return Model(
            id=f"deepmd-{kept[0].sha256[:12]}",
            trainer="deepmd",
            elements=known,
            files=kept,
            deployed=ModelForm.FROZEN,
            lammps=LAMMPS,
            cutoff_angstrom=found["cutoff"],
            sel=tuple(found["sel"]),
        )

    # ------------------------------------------------------------------ the program

    def doctor(self) -> tuple[ProgramReport, ...]:
        return doctor.reports(self.config.python)

    def versions(self) -> tuple[tuple[str, str], ...]:
        return doctor.named_versions(self.config.python)

    def begin(self, context: Context) -> None:
        """Start the worker process, which takes 10 s, beside other work."""
        if self.config.keep_worker:
            self._worker.begin(worker_settings(self._settings()), context.workdir / "trainer")

    def close(self) -> None:
        """Stop the worker process; it starts again when needed."""
        self._worker.close()

    def share_worker(self, other: DeepmdTrainer) -> None:
        """Use the worker process of another trainer: its start-up is paid once."""
        self._worker = other._worker

    def _ask(
        self, folder: Path, request: dict[str, Any], context: Context, watch: Any = lambda: None
    ) -> Answer:
        settings = self._settings()
        if self.config.zbl is not None and "elements" in request:
            write_table(folder / "zbl.table", request["elements"], self.config.cutoff_angstrom)
        try:
            return ask(self._worker, settings, folder, request, context, watch)
        finally:
            if not self.config.keep_worker:
                self.close()

    def _settings(self) -> Settings:
        config = self.config
        return Settings(
            python=interpreter(config.python),
            threads=config.threads,
            cpu_only=config.device == "cpu",
            start_timeout_s=config.start_timeout_s,
            silence_timeout_s=config.silence_timeout_s,
            timeout_s=config.timeout_s,
        )


def _claimed(
    answer: Answer, blocks: list[dict[str, Any]], systems: Sequence[data.System]
) -> tuple[float, float]:
    """Force RMSE (eV/Å, atoms that count) and energy RMSE (eV/atom) by the training code path."""
    force_sum = force_n = energy_sum = energy_n = 0.0
    outputs, alive = answer.result["claimed"], False
    for output, block, system in zip(outputs, blocks, systems, strict=True):
        said = files.read_prediction(output, periodic=False)
        chosen = np.array(block["frames"])
        weights = system.force_weights
        counts = np.ones(len(system.types)) if weights is None else weights > 0.0
        alive = alive or bool(np.any(said.forces != 0.0))
        squares = np.sum((said.forces - system.forces[chosen]) ** 2, axis=2) @ counts
        force_sum += float(squares.sum())
        force_n += 3.0 * len(chosen) * float(np.sum(counts))
        errors = (said.energies - system.energies[chosen]) / len(system.types)
        energy_sum += float(np.sum(errors**2))
        energy_n += len(chosen)
    if not alive:
        raise TrainingDiverged(
            "training diverged: the net is dead, all its forces are exactly zero",
            hint="a shorter cutoff_angstrom, optimizer.covariance 0.05, or optimizer adam",
        )
    return float(np.sqrt(force_sum / force_n)), float(np.sqrt(energy_sum / energy_n))
