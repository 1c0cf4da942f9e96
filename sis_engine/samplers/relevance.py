"""MRMR: frames that matter much and repeat little."""

from __future__ import annotations

import numpy as np

from sis_engine.records import FloatArray
from sis_engine.samplers.farthest import Indices, distances, finite_rows


def mrmr(relevance: FloatArray, features: FloatArray, n: int) -> Indices:
    """At most ``n`` indices, in the order chosen, by maximum relevance and minimum redundancy.

    relevance: (m,), not negative;  features: (m, d)

    Each is the one with the largest difference of its relevance (over the largest there is) and its
    mean similarity to those chosen before: the MID rule of Peng, Long and Ding (IEEE Trans.
    Pattern Anal. Mach. Intell. 27 (2005) 1226), with samples in place of their variables and
    :func:`similarities` in place of mutual information. Equal scores go to the smallest index; rows
    of ``features`` that are not finite are not chosen.
    """
    sound = finite_rows(features)
    n, relevance = min(n, len(sound)), relevance[sound]
    if n < 1:
        return np.zeros(0, dtype=np.intp)
    largest = float(np.max(relevance))
    worth = relevance / largest if largest > 0.0 else np.zeros(len(relevance))
    alike = similarities(features[sound])
    redundancy = np.zeros(len(relevance))
    chosen: list[int] = []
    for count in range(n):
        score = worth - redundancy / max(count, 1)
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score)))
        redundancy += alike[chosen[-1]]
    return sound[chosen]


def similarities(features: FloatArray) -> FloatArray:
    """(m, m) exp(-d^2 / (2 l^2)), l the median distance of two different rows: 1 for the same."""
    gaps = np.stack([distances(features, row) for row in features])
    apart = gaps[gaps > 0.0]
    length = float(np.median(apart)) if apart.size else 1.0
    alike: FloatArray = np.exp(-0.5 * (gaps / length) ** 2)
    return alike
