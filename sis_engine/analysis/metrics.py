"""Errors of a model on labelled frames, and the audit's upper limits. Pure.

A prediction that is not finite gives an error that is not finite, and every comparison here is
written so that such an error fails it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from sis_engine.records import (
    AuditResult,
    BoolArray,
    ElementError,
    Errors,
    FloatArray,
    FrameSet,
    Labelled,
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


def audit_result(
    clusters: Sequence[tuple[Sequence[Labelled], Prediction]],
    *,
    relative_limit: float,
    energy_limit: float,
    min_frames: int,
    n_failed: int = 0,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
    masks: Sequence[BoolArray | None] | None = None,
) -> AuditResult:
    """Is the survivor right? Upper limits of its errors decide, not the errors themselves.

    clusters: for each replica its labelled frames, in time order, and the model's word on them
    relative_limit: of force RMSE over RMS reference force, overall and for every element
    energy_limit: of the energy RMSE, eV/atom, not re-centred
    masks: for each replica, (n_atoms,), true for atoms whose forces count; ``None``: all

    Frames of one replica are alike, so whole replicas are resampled. The percentile bootstrap is
    too narrow for few clusters (Cameron, Gelbach, Miller, Rev. Econ. Stat. 90, 414 (2008)): its
    excess over the value is widened by sqrt(G/(G-1)) and by the ratio of Student's to the normal
    quantile at G-1 degrees of freedom: 1.65 for 4 replicas, 1.23 for 8. A single replica is cut
    into blocks of time; that says nothing of other replicas, and is noted.
    """
    rule = _Rule(relative_limit, energy_limit, min_frames, n_failed)
    residuals = _cluster_residuals(clusters, masks)
    if not residuals:
        return _no_audit(rule)
    errors = _summary(residuals)
    units = residuals if len(residuals) > 1 else _blocks_of_time(clusters[0], masks)
    limit = _UpperLimit(len(units), confidence, n_bootstrap, seed)
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
    reasons = rule.broken(errors.n_frames, relative, energy, elements)
    notes = () if len(residuals) > 1 else ("one replica only: limits are over blocks of time",)
    return AuditResult(
        errors=errors,
        relative_upper=relative,
        element_upper=elements,
        energy_upper=energy,
        n_failed=n_failed,
        relative_limit=relative_limit,
        energy_limit=energy_limit,
        min_frames=min_frames,
        passed=not reasons,
        reasons=reasons + notes,
    )


def _cluster_residuals(
    clusters: Sequence[tuple[Sequence[Labelled], Prediction]],
    masks: Sequence[BoolArray | None] | None,
) -> list[_Residuals]:
    given = [None] * len(clusters) if masks is None else masks
    return [
        _labelled_residuals(labelled, prediction, mask)
        for (labelled, prediction), mask in zip(clusters, given, strict=True)
        if labelled
    ]


def _labelled_residuals(
    labelled: Sequence[Labelled], prediction: Prediction, mask: BoolArray | None
) -> _Residuals:
    species = labelled[0].frame.species
    return _of_arrays(
        prediction,
        species,
        np.array([item.label.energy for item in labelled]),
        np.stack([item.label.forces for item in labelled]),
        np.ones(len(species), dtype=bool) if mask is None else mask,
    )


def _blocks_of_time(
    cluster: tuple[Sequence[Labelled], Prediction], masks: Sequence[BoolArray | None] | None
) -> list[_Residuals]:
    labelled, said = cluster
    n_blocks = min(BLOCKS_IN_ONE_REPLICA, len(labelled))
    edges = [round(i * len(labelled) / n_blocks) for i in range(n_blocks + 1)]
    mask = None if masks is None else masks[0]
    return [
        _labelled_residuals(
            labelled[low:high], Prediction(said.energies[low:high], said.forces[low:high]), mask
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

    def __init__(self, n_clusters: int, confidence: float, draws: int, seed: int) -> None:
        self._n = n_clusters
        self._confidence = confidence
        even = np.full(n_clusters, 1.0 / n_clusters)
        self._counts = np.random.default_rng(seed).multinomial(n_clusters, even, size=draws)

    def __call__(self, above: FloatArray, below: FloatArray) -> float:
        if self._n < 2 or not np.isfinite(above).all() or not np.sum(below) > 0.0:
            return float("inf")  # one frame, or no number: nothing bounds it
        value = float(np.sqrt(np.sum(above) / np.sum(below)))
        totals = self._counts @ below
        drawn = totals > 0.0
        ratios = np.sqrt((self._counts @ above)[drawn] / totals[drawn])
        excess = max(0.0, float(np.quantile(ratios, self._confidence)) - value)
        student = t.ppf(self._confidence, self._n - 1) / norm.ppf(self._confidence)
        return value + excess * float(np.sqrt(self._n / (self._n - 1.0)) * student)


@dataclass(frozen=True)
class _Rule:
    relative: float
    energy: float
    min_frames: int
    n_failed: int

    def broken(
        self,
        n_frames: int,
        relative: float,
        energy: float,
        elements: Sequence[tuple[str, float]],
    ) -> tuple[str, ...]:
        """What the audit failed by; a limit that is not finite fails."""
        found = []
        if self.n_failed:
            found.append(f"{self.n_failed} audit frames got no label")
        if n_frames < self.min_frames:
            found.append(f"{n_frames} audited frames, {self.min_frames} are needed")
        for what, value in (("", relative), *((f" of {symbol}", v) for symbol, v in elements)):
            if not value <= self.relative:
                found.append(
                    f"relative force RMSE{what} may be {value:.3f} (limit {self.relative:g})"
                )
        if not energy <= self.energy:
            found.append(
                f"energy RMSE may be {energy * 1e3:.1f} meV/atom (limit {self.energy * 1e3:g})"
            )
        return tuple(found)


def _no_audit(rule: _Rule) -> AuditResult:
    """No frame could be labelled: nothing is known, so nothing passes."""
    nan = float("nan")
    return AuditResult(
        errors=Errors(0, nan, nan, nan, nan),
        relative_upper=nan,
        element_upper=(),
        energy_upper=nan,
        n_failed=rule.n_failed,
        relative_limit=rule.relative,
        energy_limit=rule.energy,
        min_frames=rule.min_frames,
        passed=False,
        reasons=rule.broken(0, nan, nan, ()),
    )
