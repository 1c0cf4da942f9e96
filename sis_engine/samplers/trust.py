"""Trust levels: which frames a committee calls accurate, candidates, or failed."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sis_engine.records import BoolArray, FloatArray, Foreseen


class Trust(enum.IntEnum):
    """What a deviation says of a frame."""

    ACCURATE = 0
    """every deviation is below its lower level"""
    CANDIDATE = 1
    """worth a label"""
    FAILED = 2
    """some deviation is at or above its upper level, or not finite: too far out to teach"""


@dataclass(frozen=True)
class Band:
    """Lower and upper level of one deviation, in its unit."""

    lo: float
    hi: float


@dataclass(frozen=True)
class Levels:
    """force: eV/Å;  virial, energy: eV/atom, ``None`` where it is not asked for"""

    force: Band
    virial: Band | None = None
    energy: Band | None = None


@dataclass(frozen=True, eq=False)
class Looks:
    """Deviations on n frames.

    force: (n,), eV/Å;  virial, energy: (n,), eV/atom, or ``None`` where nobody measured them
    """

    force: FloatArray
    virial: FloatArray | None = None
    energy: FloatArray | None = None


TrustArray = npt.NDArray[np.int8]


def judged(looks: Looks, levels: Levels) -> TrustArray:
    """(n,) :class:`Trust` of each frame, as DP-GEN has it (``model_devi_f_trust_lo`` and so on).

    A level whose deviation nobody measured (the virial of a cluster) is not asked for.
    """
    failed = ~(looks.force < levels.force.hi)
    doubtful = ~(looks.force < levels.force.lo)
    for values, band in ((looks.virial, levels.virial), (looks.energy, levels.energy)):
        if values is not None and band is not None:
            failed |= ~(values < band.hi)
            doubtful |= ~(values < band.lo)
    found = np.where(failed, Trust.FAILED, np.where(doubtful, Trust.CANDIDATE, Trust.ACCURATE))
    return found.astype(np.int8)


def adaptive_candidates(looks: Looks, levels: Levels, n: int, rate: float) -> BoolArray:
    """(n,) the frames with the largest deviations that have not failed.

    Of the force, and of the virial where it is asked for, each the ``max(n, rate * all)`` largest;
    the union of both. This is DP-GEN's ``model_devi_adapt_trust_lo`` (``model_devi_numb_candi_*``,
    ``model_devi_perc_candi_*``): the lower level is wherever so many frames lie above it.
    """
    left = judged(looks, levels) != Trust.FAILED
    wanted = max(n, int(rate * len(left)))
    found = _largest(looks.force, left, wanted)
    if looks.virial is not None and levels.virial is not None:
        found |= _largest(looks.virial, left, wanted)
    return found


def _largest(values: FloatArray, among: BoolArray, n: int) -> BoolArray:
    places = np.flatnonzero(among)
    order = places[np.argsort(-values[places], kind="stable")]
    found = np.zeros(len(values), dtype=np.bool_)
    found[order[:n]] = True
    return found


def calibrated(errors: Band, pairs: Sequence[Foreseen], quantile: float) -> Band:
    """Levels of the force deviation at which the *error* would be within ``errors``, eV/Å.

    pairs: frames on which a committee was looked at before they were labelled, with deviations
    above nought and finite errors. With r the ratio of
    the largest atomic force error to the deviation: ``lo = errors.lo / quantile(r)``, so that of
    frames called accurate only a share 1 - quantile may be worse than that; ``hi = errors.hi /
    median(r)``. Committees are too sure of themselves outside their data, and by how much depends
    on model and data: fixed levels are a guess (dpgen#453).
    """
    ratios = np.array([pair.error / pair.deviation for pair in pairs])
    lo = errors.lo / float(np.quantile(ratios, quantile))
    hi = errors.hi / float(np.median(ratios))
    return Band(lo, max(hi, lo))
