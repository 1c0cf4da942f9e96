"""Farthest-point selection: frames that are unlike each other, and unlike what is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sis_engine.records import FloatArray

Indices = npt.NDArray[np.intp]


def farthest(
    features: FloatArray, n: int, *, known: FloatArray | None = None, first: int | None = None
) -> Indices:
    """At most ``n`` indices, in the order chosen: each the farthest from all chosen before.

    features: (m, d);  known: (k, d), counted as chosen already
    first: where to begin without ``known``; ``None``: the point farthest from the mean

    Gonzalez's greedy rule (Theor. Comput. Sci. 38 (1985) 293), within a factor of two of the best
    cover. Equal distances go to the smallest index; points that are already covered (distance 0)
    are not chosen, so that doubles are not paid for.
    """
    n = min(n, len(features))
    if n < 1:
        return np.zeros(0, dtype=np.intp)
    chosen: list[int] = []
    if known is not None and len(known):
        nearest = np.min([distances(features, point) for point in known], axis=0)
    else:
        start = first
        if start is None:
            start = int(np.argmax(distances(features, features.mean(axis=0))))
        chosen.append(start)
        nearest = distances(features, features[start])
    while len(chosen) < n:
        index = int(np.argmax(nearest))
        if not nearest[index] > 0.0:
            break
        chosen.append(index)
        nearest = np.minimum(nearest, distances(features, features[index]))
    return np.array(chosen, dtype=np.intp)


def distances(features: FloatArray, point: FloatArray) -> FloatArray:
    """(m,) Euclidean distances of the rows from a point."""
    found: FloatArray = np.linalg.norm(features - point, axis=1)
    return found
