"""Batches straight from the arrays on disk, in DeePMD's own form; run inside the worker process.

DeePMD's loader reads frame by frame through a thread pool: 4-5 ms a frame, half of a training
step of a small system. Here a batch is a few rows of memory-mapped arrays, with the keys, types
and order of atoms of a batch of DeePMD's own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

ARRAYS = ("coord", "box", "energy", "force", "virial", "atom_pref")
PER_ATOM = ("coord", "force", "atom_pref")
INPUTS = ("coord", "atype", "spin", "box", "fparam", "aparam", "charge_spin")


class SystemBatches:
    """Batches of one system: every frame once, in random order, then again.

    movable, chances: indices of the atoms whose forces count, in DeePMD's order, and their
        weights as chances to be looked at
    """

    def __init__(self, loader: Any, index: int, seed: list[int]) -> None:
        self._template = loader[index]
        system = loader.systems[index]
        self._size = int(loader.batch_sizes[index])
        self._order = np.asarray(system.data_system.idx_map)
        self._arrays = self._open(Path(system.system) / "set.000")
        self._random = np.random.default_rng(seed)
        self._n_frames = len(self._arrays["coord"])
        self._queue = np.empty(0, dtype=int)
        self.movable = np.arange(len(self._order))
        self.chances = np.full(len(self._order), 1.0 / len(self._order))
        if "atom_pref" in self._arrays:
            weights = np.asarray(self._arrays["atom_pref"][0]).reshape(-1)[self._order]
            self.movable = np.flatnonzero(weights > 0.0)
            self.chances = weights[self.movable] / np.sum(weights[self.movable])

    def _open(self, folder: Path) -> dict[str, Any]:
        found = {}
        for name in ARRAYS:
            path = folder / f"{name}.npy"
            if path.is_file() and torch.is_tensor(self._template.get(name)):
                found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found

    def next(self, device: Any) -> dict[str, Any]:
        """A batch on ``device``; the last of a round is smaller, as DeePMD's is."""
        if not len(self._queue):
            self._queue = self._random.permutation(self._n_frames)
        rows, self._queue = np.sort(self._queue[: self._size]), self._queue[self._size :]
        batch = {key: self._value(key, value, rows) for key, value in self._template.items()}
        return {
            key: value.to(device) if torch.is_tensor(value) and "find_" not in key else value
            for key, value in batch.items()
        }

    def _value(self, key: str, value: Any, rows: Any) -> Any:
        if key in self._arrays:
            block = np.asarray(self._arrays[key][rows])
            if key in PER_ATOM:
                block = block.reshape(len(rows), len(self._order), -1)[:, self._order]
            if key == "atom_pref":
                # the loss wants it once per component; DeePMD 3.2's own loader forgets that
                return torch.as_tensor(np.repeat(block, 3, axis=2)).to(value.dtype)
            return torch.as_tensor(block).to(value.dtype).reshape(len(rows), *value.shape[1:])
        if torch.is_tensor(value) and value.ndim and key in ("atype", "natoms"):
            return value[:1].repeat(len(rows), *([1] * (value.ndim - 1)))
        return value


class Batches:
    """Stands for ``Trainer.get_data``: training and validation batches of all systems."""

    def __init__(self, trainer: Any, device: Any, seed: int) -> None:
        self._device = device
        self._random = np.random.default_rng([seed, 0])
        self._sets = {
            True: self._systems(trainer.training_dataloader, seed, 1),
            False: self._systems(trainer.validation_dataloader, seed, 2),
        }
        weights = np.array(trainer.training_dataloader.sampler.weights, dtype=float)
        self._weights = weights / weights.sum()
        self.movable, self.chances = np.empty(0, dtype=int), np.empty(0)

    @staticmethod
    def _systems(loader: Any, seed: int, stream: int) -> list[SystemBatches]:
        if loader is None:
            return []
        data = loader.dataset
        return [SystemBatches(data, i, [seed, stream, i]) for i in range(len(data.systems))]

    def get_data(self, is_train: bool = True, task_key: str = "Default") -> Any:  # noqa: FBT001
        """(inputs, labels, log) as DeePMD's own; empty without validation data."""
        del task_key
        systems = self._sets[is_train]
        if not systems:
            return {}, {}, {}
        if is_train:
            index = int(self._random.choice(len(systems), p=self._weights))
        else:
            index = int(self._random.integers(len(systems)))
        batch = systems[index].next(self._device)
        self.movable, self.chances = systems[index].movable, systems[index].chances
        inputs = dict.fromkeys(INPUTS)
        inputs.update({key: value for key, value in batch.items() if key in INPUTS})
        left_out = (*INPUTS, "sid", "fid")
        labels = {key: value for key, value in batch.items() if key not in left_out}
        return inputs, labels, {"sid": index}


def install(trainer: Any, device: Any, seed: int) -> Batches:
    """Let ``trainer`` take its batches from memory."""
    batches = Batches(trainer, device, seed)
    trainer.get_data = batches.get_data
    return batches
