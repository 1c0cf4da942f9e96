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
    are not chosen, so that doubles are not paid for, nor are points that are not finite.
    """
    sound = finite_rows(features)
    n = min(n, len(sound))
    if n < 1:
        return np.zeros(0, dtype=np.intp)
    points = features[sound]
    seen = None if known is None else known[finite_rows(known)]
    chosen: list[int] = []
    if seen is not None and len(seen):
        nearest = np.min([distances(points, point) for point in seen], axis=0)
    else:
        begin = [] if first is None else np.flatnonzero(sound == first).tolist()
        from_mean = distances(points, points.mean(axis=0))
        chosen.append(begin[0] if begin else int(np.argmax(from_mean)))
        nearest = distances(points, points[chosen[0]])
    while len(chosen) < n:
        index = int(np.argmax(nearest))
        if not nearest[index] > 0.0:
            break
        chosen.append(index)
        nearest = np.minimum(nearest, distances(points, points[index]))
    return sound[np.array(chosen, dtype=np.intp)]


def finite_rows(features: FloatArray) -> Indices:
    """Indices of the rows without NaN or infinity."""
    return np.flatnonzero(np.all(np.isfinite(features), axis=1))


def distances(features: FloatArray, point: FloatArray) -> FloatArray:
    """(m,) Euclidean distances of the rows from a point."""
    found: FloatArray = np.linalg.norm(features - point, axis=1)
    return found
