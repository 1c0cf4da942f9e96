"""Single points that a later attempt at the same work finds again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sis_engine.interfaces import Capability, Context, LabelTask, SinglePoints
from sis_engine.records import Label, LabelFailure, Labelled, LevelOfTheory, System, label_key
from sis_engine.reference_md import LabelSource


@dataclass(frozen=True)
class RememberedPoints:
    """A labeler without MD of its own, whose labels are files in ``folder``.

    The bank keeps every step of a task, but is asked for frames of single points only; so steps
    that are driven from outside within one task are replayed from here, to the last bit.
    """

    labeler: LabelSource
    folder: Path

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.labeler.capabilities - {Capability.SEGMENT, Capability.OPTIMISE}

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        """Single points only."""
        if not isinstance(task, SinglePoints):
            raise TypeError(f"remembered points are asked for {type(task).__name__}")
        level = self.level_of_theory(task.system)
        for frame, origin in zip(task.frames, task.origins, strict=True):
            path = self.folder / "points" / f"{label_key(frame, level)}.npz"
            known = _read(path)
            if known is not None:
                label, version, seconds, handlers = known
                yield Labelled(frame, label, level, origin, version, seconds, handlers=handlers)
                continue
            one = SinglePoints(task.system, (frame,), (origin,))
            for result in self.labeler.label(one, context):
                if isinstance(result, Labelled):
                    _write(path, result)
                yield result


def _read(path: Path) -> tuple[Label, str, float, tuple[str, ...]] | None:
    """``None`` for a file that is not there, or not as written."""
    try:
        with np.load(path, allow_pickle=False) as file:
            virial = file["virial"] if "virial" in file.files else None
            label = Label(float(file["energy"]), file["forces"], virial)
            handlers = tuple(str(one) for one in file["handlers"])
            return label, str(file["version"]), float(file["seconds"]), handlers
    except (OSError, KeyError, ValueError, BadZipFile):
        return None


def _write(path: Path, result: Labelled) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    label = result.label
    arrays: dict[str, Any] = {"energy": label.energy, "forces": label.forces}
    arrays["handlers"] = np.array(result.handlers, dtype=np.str_)
    if label.virial is not None:
        arrays["virial"] = label.virial
    partial = path.with_suffix(".part.npz")
    with partial.open("wb") as file:
        np.savez(file, version=result.program_version, seconds=result.seconds, **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
