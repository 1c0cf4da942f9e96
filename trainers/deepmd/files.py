"""Files that pass between engine and worker, and the model files that are kept."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.errors import TornFile
from sis_engine.records import FloatArray, FrameSet, ModelFile, ModelForm, Prediction
from trainers.deepmd.data import System, boxes_of, spread, type_indices, write_system

KEPT_NAMES = {
    ModelForm.EAGER: "checkpoint.pt",
    ModelForm.FROZEN: "frozen.pth",
    ModelForm.COMPRESSED: "compressed.pth",
}


def fresh_folder(parent: Path, name: str) -> Path:
    """A new folder ``name``, or ``name-2``, …: nothing of an earlier attempt is mixed in."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verified(file: ModelFile) -> Path:
    """The path of a model file whose hash is the recorded one; TornFile otherwise."""
    seen = sha256_of(file.path) if file.path.is_file() else "no file"
    if seen != file.sha256:
        raise TornFile(
            f"model file {file.path} is not the recorded one (sha256 {seen[:12]}, recorded "
            f"{file.sha256[:12]}); it is not loaded, for models are code",
            path=file.path,
            hint="restore the file from its generation, or train again",
        )
    return file.path


def keep(folder: Path, names: Mapping[str, str]) -> tuple[ModelFile, ...]:
    """Copies of the worker's files in ``folder/model``, synced and hashed; checkpoint first."""
    target = folder / "model"
    target.mkdir()
    kept = []
    for form in ModelForm:
        if form.value in names:
            path = target / KEPT_NAMES[form]
            shutil.copyfile(folder / names[form.value], path)
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            kept.append(ModelFile(form=form, path=path, sha256=sha256_of(path)))
    return tuple(kept)


def write_systems(
    systems: Sequence[System], parent: Path, elements: Sequence[str], *, masked: bool
) -> tuple[Path, ...]:
    """deepmd/npy folders ``0000``, ``0001``, …"""
    paths = tuple((parent / f"{index:04d}").resolve() for index in range(len(systems)))
    for system, path in zip(systems, paths, strict=True):
        write_system(system, path, elements, masked=masked)
    return paths


def claim_blocks(systems: Sequence[System], parent: Path, most: int) -> list[dict[str, Any]]:
    """Blocks of training frames on which the worker states its errors: spread over all systems."""
    total = sum(system.n_frames for system in systems)
    blocks = []
    for index, system in enumerate(systems):
        share = max(1, round(most * system.n_frames / total))
        frames = spread(system.n_frames, share)
        boxes = None if system.boxes is None else system.boxes[frames]
        block = _block(system.positions[frames], boxes, system.types, parent / f"{index:04d}")
        blocks.append({**block, "frames": [int(i) for i in frames]})
    return blocks


def frame_block(
    frames: FrameSet, elements: Sequence[str], cutoff_angstrom: float, stem: Path
) -> dict[str, Any]:
    """All of a frame set as one block."""
    types = type_indices(frames.species, elements)
    return _block(frames.positions, boxes_of(frames, cutoff_angstrom), types, stem)


def _block(
    positions: FloatArray, boxes: FloatArray | None, types: tuple[int, ...], stem: Path
) -> dict[str, Any]:
    stem.parent.mkdir(parents=True, exist_ok=True)
    coord = stem.with_name(f"{stem.name}.coord.npy").resolve()
    np.save(coord, positions, allow_pickle=False)
    box = None
    if boxes is not None:
        box = stem.with_name(f"{stem.name}.box.npy").resolve()
        np.save(box, boxes, allow_pickle=False)
    return {
        "coord": str(coord),
        "box": None if box is None else str(box),
        "types": list(types),
        "out": str(stem.resolve()),
    }


def read_prediction(output: Mapping[str, str], *, periodic: bool) -> Prediction:
    """What the worker predicted; a virial means something only in a periodic cell."""
    arrays = {name: np.load(path, allow_pickle=False) for name, path in output.items()}
    return Prediction(
        energies=arrays["energy"],
        forces=arrays["force"],
        virials=arrays["virial"] if periodic else None,
    )
