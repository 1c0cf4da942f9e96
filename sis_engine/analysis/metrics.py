"""Errors of a model on labelled frames, and the audit's upper limits. Pure.

A prediction that is not finite gives an error that is not finite, and every comparison here is
written so that such an error fails it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from sis_engine.records import (
    AuditResult,
    BoolArray,
    ElementError,
    Errors,
    FloatArray,
    FrameSet,
    Prediction,
)

BLOCKS_IN_ONE_REPLICA = 5
"""With a single replica, blocks of time stand for replicas."""


# --------------------------------------------------------------------------- errors


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Of the atoms that count: squared force errors and squared reference forces, (eV/Å)².

    species, force, reference: (n,);  energy: (n_frames,), eV/atom
    """

    species: tuple[str, ...]
    force: FloatArray
    reference: FloatArray
    energy: FloatArray


def errors_of(prediction: Prediction, frames: FrameSet, mask: BoolArray | None = None) -> Errors:
    """Errors on one frame set: overall, per element, 99th percentile.

    mask: (n_atoms,), true for atoms whose forces count; ``None``: those of ``frames.force_mask``
    """
    return _summary([_residuals(prediction, frames, mask)])


def errors_over(pairs: Sequence[tuple[Prediction, FrameSet]]) -> Errors:
    """Errors on several frame sets together: every atom and every frame counts alike."""
    return _summary([_residuals(prediction, frames, None) for prediction, frames in pairs])


def merge_errors(parts: Sequence[Errors]) -> Errors:
    """Errors of several sets as one, exact but for ``force_p99``: the largest of the parts'."""
    if not parts:
        raise ValueError("no errors to merge")
    n_frames = sum(part.n_frames for part in parts)
    symbols = sorted({item.element for part in parts for item in part.elements})
    every = [item for part in parts for item in part.elements]
    return Errors(
        n_frames=n_frames,
        force_rmse=_pooled([(item.n, item.force_rmse) for item in every]),
        reference_rms=_pooled([(item.n, item.reference_rms) for item in every]),
        force_p99=float(np.max([part.force_p99 for part in parts])),
        energy_rmse_per_atom=_pooled([(p.n_frames, p.energy_rmse_per_atom) for p in parts]),
        elements=tuple(
            ElementError(
                symbol,
                _pooled([(item.n, item.force_rmse) for item in every if item.element == symbol]),
                _pooled([(item.n, item.reference_rms) for item in every if item.element == symbol]),
                sum(item.n for item in every if item.element == symbol),
            )
            for symbol in symbols
        ),
    )


def _pooled(parts: Sequence[tuple[int, float]]) -> float:
    """Root of the mean square of parts with these numbers of members."""
    total = sum(n for n, _ in parts)
    return float(np.sqrt(sum(n * value**2 for n, value in parts) / total)) if total else 0.0


def _residuals(prediction: Prediction, frames: FrameSet, mask: BoolArray | None) -> _Residuals:
    counts = np.ones(frames.n_atoms, dtype=bool)
    if mask is not None:
        counts = mask
    elif frames.force_mask is not None:
        counts = frames.force_mask > 0.0
    return _of_arrays(prediction, frames.species, frames.energies, frames.forces, counts)


def _of_arrays(
    prediction: Prediction,
    species: Sequence[str],
    energies: FloatArray,
    forces: FloatArray,
    counts: BoolArray,
) -> _Residuals:
    error = (prediction.forces - forces)[:, counts]
    chosen = [symbol for symbol, kept in zip(species, counts, strict=True) if kept]
    return _Residuals(
        species=tuple(chosen) * len(energies),
        force=np.sum(error**2, axis=2).ravel(),
        reference=np.sum(forces[:, counts] ** 2, axis=2).ravel(),
        energy=(prediction.energies - energies) / len(species),
    )


def _summary(parts: Sequence[_Residuals]) -> Errors:
    if not parts:
        raise ValueError("errors of no frames at all")
    species = np.concatenate([np.array(part.species, dtype=str) for part in parts])
    force = np.concatenate([part.force for part in parts])
    reference = np.concatenate([part.reference for part in parts])
    energy = np.concatenate([part.energy for part in parts])
    return Errors(
        n_frames=len(energy),
        force_rmse=_rms(force),
        reference_rms=_rms(reference),
        force_p99=float(np.sqrt(np.percentile(force, 99.0))) if len(force) else 0.0,
        energy_rmse_per_atom=float(np.sqrt(np.mean(energy**2))),
        elements=tuple(
            _element(str(symbol), force[species == symbol], reference[species == symbol])
            for symbol in sorted(set(species.tolist()))
        ),
    )


def _element(symbol: str, force: FloatArray, reference: FloatArray) -> ElementError:
    return ElementError(symbol, _rms(force), _rms(reference), len(force))


def _rms(squared_norms: FloatArray) -> float:
    """RMS component from squared norms of vectors."""
    return float(np.sqrt(np.mean(squared_norms) / 3.0)) if len(squared_norms) else 0.0


# --------------------------------------------------------------------------- audit


@dataclass(frozen=True, eq=False)
class AuditCluster:
    """Audited frames of one replica, in time order: the model's word on them, and the labels."""

    replica: str
    prediction: Prediction
    frames: FrameSet


@dataclass(frozen=True)
class AuditLimits:
    """relative: of force RMSE over RMS reference force, overall and for every element.

    energy: of the energy RMSE, eV/atom, not re-centred;  min_frames: fewer decide nothing
    confidence: of the one-sided upper limits;  n_bootstrap: resamplings
    """

    relative: float
    energy: float
    min_frames: int = 30
    confidence: float = 0.95
    n_bootstrap: int = 2000


def audit_result(
    clusters: Sequence[AuditCluster],
    limits: AuditLimits,
    *,
    n_failed: int = 0,
    seed: int = 0,
    what: str = "audit",
) -> AuditResult:
    """Is the survivor right? Upper limits of its errors decide, not the errors themselves.

    Frames of one replica are alike, so whole replicas are resampled. The percentile bootstrap is
    too narrow for few clusters (Cameron, Gelbach, Miller, Rev. Econ. Stat. 90, 414 (2008)): its
    excess over the value is widened by sqrt(G/(G-1)) and by the ratio of Student's to the normal
    quantile at G-1 degrees of freedom: 1.65 for 4 replicas, 1.23 for 8. A single replica is cut
    into blocks of time; that says nothing of other replicas, and is noted.
    what: the frames are called so in the reasons
    """
    residuals = [_residuals(item.prediction, item.frames, None) for item in clusters]
    if not residuals:
        return _no_audit(limits, n_failed, what)
    errors = _summary(residuals)
    units = residuals if len(residuals) > 1 else _blocks_of_time(clusters[0])
    limit = _UpperLimit(len(units), limits, seed)
    relative = limit(*_force_sums(units, None))
    energy = limit(
        np.array([float(np.sum(item.energy**2)) for item in units]),
        np.array([float(len(item.energy)) for item in units]),
    )
    elements = tuple(
        (item.element, limit(*_force_sums(units, item.element)))
        for item in errors.elements
        if item.reference_rms > 0.0
    )
    missing = _missing(limits, n_failed, errors.n_frames, what)
    reasons = (*_broken(limits, relative, energy, elements), *missing)
    return AuditResult(
        errors=errors,
        relative_upper=relative,
        element_upper=elements,
        energy_upper=energy,
        n_failed=n_failed,
        relative_limit=limits.relative,
        energy_limit=limits.energy,
        min_frames=limits.min_frames,
        passed=not reasons,
        reasons=reasons,
        notes=() if len(residuals) > 1 else ("one replica only: limits are over blocks of time",),
        within_limits=_within(limits, errors),
    )


def _blocks_of_time(cluster: AuditCluster) -> list[_Residuals]:
    said, frames = cluster.prediction, cluster.frames
    counts = np.ones(frames.n_atoms, dtype=bool)
    if frames.force_mask is not None:
        counts = frames.force_mask > 0.0
    n_blocks = min(BLOCKS_IN_ONE_REPLICA, frames.n_frames)
    edges = [round(i * frames.n_frames / n_blocks) for i in range(n_blocks + 1)]
    return [
        _of_arrays(
            Prediction(said.energies[low:high], said.forces[low:high]),
            frames.species,
            frames.energies[low:high],
            frames.forces[low:high],
            counts,
        )
        for low, high in itertools.pairwise(edges)
    ]


def _force_sums(
    residuals: Sequence[_Residuals], element: str | None
) -> tuple[FloatArray, FloatArray]:
    """Sums over each cluster of squared force errors and squared reference forces."""
    above, below = [], []
    for item in residuals:
        chosen = slice(None) if element is None else np.array(item.species) == element
        above.append(float(np.sum(item.force[chosen])))
        below.append(float(np.sum(item.reference[chosen])))
    return np.array(above), np.array(below)


class _UpperLimit:
    """One-sided upper limit of sqrt(sum(above)/sum(below)) over resampled clusters."""

    def __init__(self, n_clusters: int, limits: AuditLimits, seed: int) -> None:
        self._n = n_clusters
        self._confidence = limits.confidence
        even = np.full(n_clusters, 1.0 / n_clusters)
        random = np.random.default_rng(seed)
        self._counts = random.multinomial(n_clusters, even, size=limits.n_bootstrap)

    def __call__(self, above: FloatArray, below: FloatArray) -> float:
        if self._n < 2 or not np.isfinite(above).all() or not np.sum(below) > 0.0:
            return float("inf")  # one frame, or no number: nothing bounds it
        value = float(np.sqrt(np.sum(above) / np.sum(below)))
        totals = self._counts @ below
        drawn = totals > 0.0
        ratios = np.sqrt((self._counts @ above)[drawn] / totals[drawn])
        excess = max(0.0, float(np.quantile(ratios, self._confidence)) - value)
        student = stdtrit(self._n - 1.0, self._confidence) / ndtri(self._confidence)
        return value + excess * float(np.sqrt(self._n / (self._n - 1.0)) * student)


def _missing(limits: AuditLimits, n_failed: int, n_frames: int, what: str) -> tuple[str, ...]:
    """What is not known, which fails as well as what is wrong."""
    found = []
    if n_failed:
        found.append(f"{n_failed} {what} frames got no label")
    if n_frames < limits.min_frames:
        found.append(f"{n_frames} {what} frames, {limits.min_frames} are needed")
    return tuple(found)


def _broken(
    limits: AuditLimits, relative: float, energy: float, elements: Sequence[tuple[str, float]]
) -> tuple[str, ...]:
    """The limits it failed by; a value that is not finite fails."""
    found = []
    for name, value in (("", relative), *((f" of {symbol}", v) for symbol, v in elements)):
        if not value <= limits.relative:
            found.append(
                f"relative force RMSE{name} may be {value:.3f} (limit {limits.relative:g})"
            )
    if not energy <= limits.energy:
        found.append(
            f"energy RMSE may be {energy * 1e3:.1f} meV/atom (limit {limits.energy * 1e3:g})"
        )
    return tuple(found)


def _within(limits: AuditLimits, errors: Errors) -> bool:
    """The errors themselves, which a bound from few frames says little about."""
    relative = (errors.relative_force_rmse, *(e.relative for e in errors.elements))
    return errors.energy_rmse_per_atom <= limits.energy and all(
        value is None or value <= limits.relative for value in relative
    )


def _no_audit(limits: AuditLimits, n_failed: int, what: str) -> AuditResult:
    """No frame could be labelled: nothing is known, so nothing passes."""
    nan = float("nan")
    return AuditResult(
        errors=Errors(0, nan, nan, nan, nan),
        relative_upper=nan,
        element_upper=(),
        energy_upper=nan,
        n_failed=n_failed,
        relative_limit=limits.relative,
        energy_limit=limits.energy,
        min_frames=limits.min_frames,
        passed=False,
        reasons=_missing(limits, n_failed, 0, what),
    )
