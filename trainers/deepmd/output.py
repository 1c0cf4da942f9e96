"""What DeePMD-kit writes while it trains: the learning curve."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sis_engine.records import FloatArray, LearningCurve


def read_curves(paths: Sequence[Path], steps: Sequence[int]) -> LearningCurve:
    """The curves of phases that followed each other, as one; ``steps``: of each phase."""
    curves = [read_curve(path) for path in paths]
    offsets = itertools.accumulate(steps, initial=0)
    return LearningCurve(
        step=np.concatenate([c.step + o for c, o in zip(curves, offsets, strict=False)]),
        learning_rate=np.concatenate([c.learning_rate for c in curves]),
        force_rmse_training=np.concatenate([c.force_rmse_training for c in curves]),
        energy_rmse_training=np.concatenate([c.energy_rmse_training for c in curves]),
        force_rmse_validation=np.concatenate([c.force_rmse_validation for c in curves]),
        energy_rmse_validation=np.concatenate([c.energy_rmse_validation for c in curves]),
    )


def read_curve(path: Path) -> LearningCurve:
    """``lcurve.out`` as a record; columns that were not printed are NaN, torn lines left out.

    With per-atom force prefactors the force column is ``rmse_pf``, scaled to the atoms that count.
    """
    names: list[str] = []
    rows: list[list[float]] = []
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for line in text.splitlines():
        words = line.lstrip("#").split()
        if line.startswith("#") and words[:1] == ["step"]:
            names = words
        elif line.strip() and not line.startswith("#"):
            row = _numbers(line)
            if row is not None and len(row) == len(names):
                rows.append(row)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return LearningCurve(
        step=_column(table, names, "step"),
        learning_rate=_column(table, names, "lr"),
        force_rmse_training=_column(table, names, "rmse_f_trn", "rmse_pf_trn"),
        energy_rmse_training=_column(table, names, "rmse_e_trn"),
        force_rmse_validation=_column(table, names, "rmse_f_val", "rmse_pf_val"),
        energy_rmse_validation=_column(table, names, "rmse_e_val"),
    )


def _numbers(line: str) -> list[float] | None:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return None


def _column(table: FloatArray, names: list[str], *wanted: str) -> FloatArray:
    """The first wanted column that was printed with any number, else NaN."""
    fallback = np.full(len(table), np.nan)
    for name in wanted:
        if name in names:
            values = np.array(table[:, names.index(name)])
            if np.isfinite(values).any() or len(wanted) == 1:
                return values
            fallback = values
    return fallback


def diverged(curve: LearningCurve, largest_force_rmse: float, settle_steps: int = 0) -> str | None:
    """Why the training has diverged, or ``None``: the loss is not finite, or exploded.

    settle_steps: a large error is not judged before: an optimiser may overshoot at first
    """
    for name, values in (
        ("force", curve.force_rmse_training),
        ("energy", curve.energy_rmse_training),
    ):
        if len(values) and not np.isfinite(values[-1]):
            return f"the {name} RMSE is {values[-1]} at step {int(curve.step[-1])}"
    if len(curve.step) < 2 or curve.step[-1] < settle_steps:
        return None
    if not curve.force_rmse_training[-1] <= largest_force_rmse:
        return (
            f"the force RMSE is {curve.force_rmse_training[-1]:.3g} eV/Å at step "
            f"{int(curve.step[-1])}, above {largest_force_rmse:.3g}"
        )
    return None
