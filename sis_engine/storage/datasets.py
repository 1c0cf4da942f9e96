"""Arrays as HDF5 datasets: chunked, shuffled, deflated, checksummed, proved by a SHA-256 each."""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

COMPRESS_FROM_BYTES = 4096
"""Smaller datasets cost more in chunk overhead than compression saves."""

JOIN_FROM_BYTES = 64 << 20
FILTERS: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
    "fletcher32": True,
}
"""Level 1: positions and forces of MD are noise in their low bytes, so that level 4 makes a
generation 3 % smaller, and takes twice the time for large arrays."""

CHUNK_BYTES = 512 << 10


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunks of about CHUNK_BYTES that are contiguous in the last axes."""
    chunks = list(shape)
    for axis in range(len(shape)):
        row = itemsize * int(np.prod(shape[axis + 1 :], dtype=np.int64))
        if row < CHUNK_BYTES:
            chunks[axis] = min(shape[axis], CHUNK_BYTES // row)
            break
        chunks[axis] = 1
    return tuple(chunks)


def write_array(group: h5py.Group, name: str, array: npt.NDArray[Any]) -> h5py.Dataset:
    """A dataset; when large enough chunked, shuffled, deflated, with Fletcher32 and a SHA-256."""
    if array.nbytes < COMPRESS_FROM_BYTES:
        return group.create_dataset(name, data=array)
    dataset = group.create_dataset(
        name,
        data=array,
        chunks=chunk_shape(array.shape, array.itemsize),
        **FILTERS,
    )
    dataset.attrs["sha256"] = sha256_of_array(array)
    return dataset


def sha256_of_array(array: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def write_joined(group: h5py.Group, name: str, arrays: Sequence[npt.NDArray[Any]]) -> None:
    """One-dimensional arrays end to end, as :func:`write_array` would, without joining them first.

    A data set of many parts must not be copied whole in memory.
    """
    total = sum(len(array) for array in arrays)
    if total * arrays[0].itemsize < JOIN_FROM_BYTES:
        write_array(group, name, np.concatenate(arrays))
        return
    dataset = group.create_dataset(
        name,
        shape=(total,),
        dtype=arrays[0].dtype,
        chunks=chunk_shape((total,), arrays[0].itemsize),
        **FILTERS,
    )
    digest, begin = hashlib.sha256(), 0
    for array in arrays:
        dataset[begin : begin + len(array)] = array
        digest.update(np.ascontiguousarray(array).data)
        begin += len(array)
    dataset.attrs["sha256"] = digest.hexdigest()


def verify_datasets(group: h5py.Group) -> str | None:
    """Open every dataset; the first that is not as written, or ``None``.

    Those with filters are read, in bounded memory: filters check Fletcher32 as they read, and a
    recorded SHA-256 is compared with what comes back. Small ones have only the file's seal.
    """

    def look(name: bytes, info: Any) -> str | None:
        if info.type != h5py.h5o.TYPE_DATASET:
            return None
        dataset = h5py.h5d.open(group.id, name)
        if dataset.get_create_plist().get_layout() != h5py.h5d.CHUNKED:
            return None
        return _fault(name.decode(), h5py.Dataset(dataset))

    # Not visititems: it makes two Python objects of each of a thousand small datasets.
    return typing.cast("str | None", h5py.h5o.visit(group.id, look, info=True))


def _fault(name: str, item: h5py.Dataset) -> str | None:
    digest = hashlib.sha256()
    try:
        for block in blocks_of(item):
            digest.update(np.ascontiguousarray(block).data if block.dtype != object else b"")
    except OSError as error:
        return f"{name}: {error}"
    recorded = item.attrs.get("sha256")
    return None if recorded in {None, digest.hexdigest()} else f"{name}: wrong SHA-256"


def blocks_of(dataset: h5py.Dataset) -> Iterator[npt.NDArray[Any]]:
    """A dataset in blocks along its first axis, a few MiB each, in order."""
    row = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64))
    step = max(1, (4 << 20) // max(row, 1))
    if dataset.chunks is not None:
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]
    for start in range(0, dataset.shape[0], step):
        yield dataset[start : start + step]
