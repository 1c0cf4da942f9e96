"""A label or its failure as a JSON header and float64 bytes: in the bank, and on its way there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.records import (
    Failure,
    FloatArray,
    Frame,
    Label,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    Purpose,
)


def encode(item: Labelled | LabelFailure) -> tuple[str, bytes]:
    """Header (JSON) and float64 bytes: positions, cell, then energy, forces, virial, charges."""
    frame = item.frame
    header: dict[str, Any] = {
        "species": frame.species,
        "pbc": frame.pbc,
        "origin": [item.origin.purpose.value, *dataclasses.astuple(item.origin)[1:]],
        "seconds": item.seconds,
    }
    if item.handlers:  # absent in older banks, and in most rows
        header["handlers"] = item.handlers
    arrays: dict[str, FloatArray | None] = {"positions": frame.positions, "cell": frame.cell}
    if isinstance(item, Labelled):
        label = item.label
        arrays |= {
            "energy": np.array([label.energy]),
            "forces": label.forces,
            "virial": label.virial,
            "charges": label.charges,
        }
    else:
        header["reason"] = item.reason.value
        header["message"] = item.message
        header["retry_can_help"] = item.retry_can_help
        header["directory"] = None if item.directory is None else str(item.directory)
    present = {name: array for name, array in arrays.items() if array is not None}
    header["arrays"] = [[name, list(array.shape)] for name, array in present.items()]
    payload = b"".join(array.astype("<f8", copy=False).tobytes() for array in present.values())
    return json.dumps(header, separators=(",", ":")), payload


def decode(
    good: bool,  # noqa: FBT001  (a column of the table)
    header: str,
    payload: bytes,
    level: LevelOfTheory,
    version: str | None,
) -> Labelled | LabelFailure:
    facts = json.loads(header)
    arrays: dict[str, FloatArray] = {}
    values = np.frombuffer(payload, dtype="<f8")
    begin = 0
    for name, shape in facts["arrays"]:
        end = begin + int(np.prod(shape, dtype=np.int64))
        arrays[name] = values[begin:end].reshape(shape)
        begin = end
    frame = Frame(facts["species"], arrays["positions"], arrays.get("cell"), tuple(facts["pbc"]))
    purpose, *rest = facts["origin"]
    origin = Origin(Purpose(purpose), *rest)
    handlers = tuple(facts.get("handlers", ()))
    if good:
        label = Label(
            float(arrays["energy"][0]),
            arrays["forces"],
            arrays.get("virial"),
            arrays.get("charges"),
        )
        return Labelled(
            frame, label, level, origin, version or "", facts["seconds"], handlers=handlers
        )
    return LabelFailure(
        frame,
        level,
        origin,
        Failure(facts["reason"]),
        facts["message"],
        facts["retry_can_help"],
        None if facts["directory"] is None else Path(facts["directory"]),
        facts["seconds"],
        handlers=handlers,
    )


def level_from(text: str) -> LevelOfTheory:
    program, version_class, method, settings = json.loads(text)
    return LevelOfTheory(
        program, version_class, method, tuple((name, value) for name, value in settings)
    )
