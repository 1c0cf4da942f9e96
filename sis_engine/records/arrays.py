"""Arrays in records: float64, C-contiguous, read-only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def frozen_array(values: npt.ArrayLike, shape: tuple[int | None, ...], name: str) -> FloatArray:
    """A read-only float64 copy of ``values``; ``None`` in ``shape`` allows any length there."""
    array = np.array(values, dtype=np.float64, order="C")
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    array.setflags(write=False)
    return array
