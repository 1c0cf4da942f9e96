"""Reading what the columns wrote, through HDF5's own calls.

A generation is two thousand small groups and datasets. h5py's convenient objects spend most of
their time on what nobody asks here (weak references, selections, the file behind each object);
through its low-level calls the five generations of a quickstart are read in half the time.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt


class _Stored:
    """What a group and a dataset share: attributes."""

    __slots__ = ("_id",)

    def __init__(self, identifier: Any) -> None:
        self._id = identifier

    @property
    def name(self) -> str:
        """The path inside the file, for messages."""
        return str(h5py.h5i.get_name(self._id).decode())

    def attribute(self, name: str) -> Any:
        """A scalar attribute, text as ``str``; ``None`` where there is none of that name."""
        key = name.encode()
        if not h5py.h5a.exists(self._id, key):
            return None
        stored = h5py.h5a.open(self._id, key)
        found = np.empty(stored.shape, dtype=stored.dtype)
        stored.read(found)
        value = found[()]
        return value.decode() if isinstance(value, bytes) else value


class StoredArray(_Stored):
    """A dataset."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._id.shape)

    def values(self) -> npt.NDArray[Any]:
        """All of it; variable-length text as an array of ``bytes``."""
        found: npt.NDArray[Any] = np.empty(self._id.shape, dtype=self._id.dtype)
        if found.size:
            self._id.read(h5py.h5s.ALL, h5py.h5s.ALL, found)
        return found

    def column(self, n: int) -> npt.NDArray[Any]:
        """All of it, if it is ``n`` values; ValueError otherwise."""
        if self.shape != (n,):
            raise ValueError(f"{self.name} has shape {self.shape}, expected ({n},)")
        return self.values()


class StoredGroup(_Stored):
    """A group. Keeps the item asked for last: a column asks what it is before it reads it."""

    __slots__ = ("_last",)

    def __init__(self, identifier: h5py.h5g.GroupID) -> None:
        super().__init__(identifier)
        self._last: tuple[str, StoredGroup | StoredArray] | None = None

    @classmethod
    def of(cls, group: h5py.Group) -> StoredGroup:
        return cls(group.id)

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._id

    def item(self, name: str) -> StoredGroup | StoredArray:
        """What lies there; KeyError where nothing does, ValueError for what columns never write."""
        if self._last is None or self._last[0] != name:
            self._last = (name, self._opened(name))
        return self._last[1]

    def group(self, name: str) -> StoredGroup:
        found = self.item(name)
        if isinstance(found, StoredGroup):
            return found
        raise ValueError(f"{found.name} is a dataset, not a group")

    def array(self, name: str) -> StoredArray:
        found = self.item(name)
        if isinstance(found, StoredArray):
            return found
        raise ValueError(f"{found.name} is a group, not a dataset")

    def _opened(self, name: str) -> StoredGroup | StoredArray:
        found = h5py.h5o.open(self._id, name.encode())
        if isinstance(found, h5py.h5g.GroupID):
            return StoredGroup(found)
        if isinstance(found, h5py.h5d.DatasetID):
            return StoredArray(found)
        raise ValueError(f"{self.name}/{name} is neither a group nor a dataset")
