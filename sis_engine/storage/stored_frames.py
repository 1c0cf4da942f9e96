"""Frames that stay in their generation file until somebody looks at them.

A campaign on 50,000 imported frames must start within a second; training reads them later.
"""

from __future__ import annotations

import typing
from functools import cached_property
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from sis_engine.errors import TornFile
from sis_engine.records import DatasetPart, FloatArray, FrameSet
from sis_engine.storage.codec import READ_ERRORS, open_store, read_value, unreadable
from sis_engine.storage.datasets import sha256_of_array


class StoredFrames(FrameSet):
    """A :class:`FrameSet` whose arrays are read, and proved by their SHA-256, when first used."""

    @classmethod
    def at(cls, path: Path, group: h5py.Group) -> Self:
        """The frame set at ``group`` of the file at ``path``; only what is small is read now."""
        found = cls.__new__(cls)  # not __init__: dataclasses.replace needs that as it is
        found.__dict__.update(
            _path=path,
            _name=group.name,
            _n_frames=group["positions"].shape[0],
            system=read_value(group, "system", str),
            species=read_value(group, "species", tuple[str, ...]),
            pbc=read_value(group, "pbc", tuple[bool, bool, bool]),
        )
        return found

    @cached_property
    def positions(self) -> FloatArray:
        return self._needed("positions")

    @cached_property
    def cells(self) -> FloatArray | None:
        return self._optional("cells")

    @cached_property
    def energies(self) -> FloatArray:
        return self._needed("energies")

    @cached_property
    def forces(self) -> FloatArray:
        return self._needed("forces")

    @cached_property
    def virials(self) -> FloatArray | None:
        return self._optional("virials")

    @cached_property
    def force_mask(self) -> FloatArray | None:
        return self._optional("force_mask")

    @cached_property
    def charges(self) -> FloatArray | None:
        return self._optional("charges", newer=True)

    @property
    def n_frames(self) -> int:
        known = self.__dict__.get("_n_frames")
        return len(self.positions) if known is None else int(known)

    def _needed(self, name: str) -> FloatArray:
        found = self._optional(name)
        if found is None:
            raise TornFile(f"{self._place} has no {name}", path=self.__dict__["_path"])
        return found

    def _optional(self, name: str, *, newer: bool = False) -> FloatArray | None:
        """newer: files of an older engine do not have it"""
        path = self.__dict__["_path"]
        try:
            with open_store(path) as store:
                place = f"{self.__dict__['_name']}/{name}"
                item = store.get(place) if newer else store[place]
                if isinstance(item, h5py.Group):
                    item = item.get("ndarray")
                return None if item is None else self._proved(item)
        except READ_ERRORS as error:
            raise unreadable(path, error) from error

    def _proved(self, dataset: h5py.Dataset) -> FloatArray:
        found: FloatArray = np.asarray(dataset[()], dtype=np.float64)
        recorded = dataset.attrs.get("sha256")
        if recorded is not None and recorded != sha256_of_array(found):
            raise TornFile(
                f"{self._place}: {dataset.name} is torn",
                path=self.__dict__["_path"],
                hint="`sis run` moves a torn file aside and goes on from what is whole",
            )
        found.setflags(write=False)
        return found

    @property
    def _place(self) -> str:
        return f"{self.__dict__['_path']}:{self.__dict__['_name']}"


def stored_part(path: Path, group: h5py.Group) -> DatasetPart:
    """A part of the data whose frames are read when first used."""
    fields = {
        name: read_value(group, name, hint)
        for name, hint in typing.get_type_hints(DatasetPart).items()
        if name != "frames" and name in group
    }
    return DatasetPart(frames=StoredFrames.at(path, group["frames"]), **fields)
