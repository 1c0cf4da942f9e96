"""Which start of a plan may be taken: pure judgements on labels, no labeler.

Starts are listed newest first (``starts[0]`` is t_next, later ones lie further back), so the
model's force error is expected, but not guaranteed, to fall with the index.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from sis_engine.numerals import beside
from sis_engine.records import AcceptBounds, FloatArray, Label


def relative_force_error(model_forces: FloatArray | None, forces: FloatArray) -> float:
    """Force RMSE over RMS reference force; infinite where the model said nothing finite."""
    if model_forces is None or model_forces.shape != forces.shape:
        return float("inf")
    rms = float(np.sqrt((forces**2).mean()))
    rmse = float(np.sqrt(((model_forces - forces) ** 2).mean()))
    if not np.isfinite(rmse) or not rms > 0.0:
        return float("inf")
    return rmse / rms


def refusal(label: Label, bounds: AcceptBounds | None) -> str | None:
    """Why bounds refuse a label, or ``None``. NaN-safe: what compares with nothing is refused."""
    if bounds is None:
        return None
    largest = float(np.sqrt((label.forces**2).sum(axis=1).max()))
    if bounds.max_force is not None and not largest <= bounds.max_force:
        seen, limit = beside(largest, bounds.max_force)
        return f"largest force {seen} eV/Å, at most {limit} allowed"
    if bounds.max_energy_above is not None and bounds.reference_energy is not None:
        above = label.energy - bounds.reference_energy
        if not above <= bounds.max_energy_above:
            seen, limit = beside(above, bounds.max_energy_above)
            return f"energy {seen} eV above the reference, at most {limit} allowed"
    return None


def next_probe(n_starts: int, errors: Mapping[int, float], limit: float) -> int | None:
    """The start to label next in the search for the newest one within ``limit``; ``None``: done.

    errors: relative force error by index of the starts labelled so far (infinite: no label)

    The newest first, then the oldest, then bisection between a good start and the bad one next
    to it on the newer side. As errors need not be monotonic, a bad oldest start ends nothing: the
    widest unseen gap is halved until a good start turns up (the caller holds the budget).
    """
    if 0 not in errors:
        return 0
    good = [index for index, error in errors.items() if error <= limit]
    if good:
        newest_good = min(good)
        newer = [index for index in errors if index < newest_good]
        gap = newest_good - max(newer) if newer else 0
        return newest_good - gap // 2 if gap > 1 else None
    if n_starts - 1 not in errors:
        return n_starts - 1
    seen = sorted(errors)
    gaps = [(after - before, before) for before, after in pairwise(seen)]
    widest, before = max(gaps, key=lambda gap: (gap[0], gap[1]), default=(0, 0))
    return before + widest // 2 if widest > 1 else None
