"""Learning curves of every challenger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sis_engine.records import Challenger, FloatArray, LearningCurve
from sis_engine.report.blocks import Figure
from sis_engine.report.downsample import min_max
from sis_engine.report.scale import Axis, spanning
from sis_engine.report.svg import Panel
from sis_engine.report.wording import plural

CURVES = (
    ("training", "c1", "force_rmse_training", "energy_rmse_training"),
    ("validation", "c2", "force_rmse_validation", "energy_rmse_validation"),
)

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord
BUCKETS = 90


def learning_figure(records: Sequence[GenerationRecord]) -> Figure:
    """One force and one energy panel for every generation that trained."""
    panels: list[str] = []
    n = 0
    for record in records:
        trained = [item for item in record.challengers if item.training is not None]
        n += len(trained)
        if trained:
            title = f"Generation {record.generation}: "
            panels.append(_panel(title + "force", "force RMSE / eV/Å", trained, 2, 1.0))
            panels.append(_panel(title + "energy", "energy RMSE / meV/atom", trained, 3, 1000.0))
    if not panels:
        return Figure("learning", "Learning curves", "", note="No training has finished yet.")
    caption = (
        f"Errors on training and validation batches while training, as the trainer printed them "
        f"({plural(n, 'training')}). Solid: first challenger; dashed: second challenger (trained "
        f"from scratch on all data after the first was refused). These are the trainer’s own "
        f"figures on batches; the errors of the deployed model are in the section on errors."
    )
    return Figure("learning", "Learning curves", caption, tuple(panels), layout="pairs")


def _panel(title: str, unit: str, trained: Sequence[Challenger], column: int, factor: float) -> str:
    lines = [
        (index, name, css, *_curve(item.training.curve, (name, css, force, energy)[column], factor))
        for index, item in enumerate(trained)
        if item.training is not None
        for name, css, force, energy in CURVES
    ]
    ys = [float(v) for *_, y in lines for v in y if math.isfinite(v) and v > 0]
    last = max((float(x[-1]) for *_, x, _ in lines if len(x)), default=1.0)
    panel = Panel(
        title,
        Axis("step", 0.0, last * 1.02 or 1.0, ticks=4),
        spanning(unit, ys, log=True),
        width=460,
    )
    for index, name, css, x, y in lines:
        if not np.isfinite(y).any():
            continue
        dash = "dashed " if index else ""
        panel.curve(x.tolist(), y.tolist(), f"{dash}{css}", tip=f"{trained[index].kind}: {name}")
        who = "" if len(trained) == 1 else f", {trained[index].kind}"
        panel.legend(f"{name}{who}", f"{dash}{css}")
    return panel.svg()


def _curve(curve: LearningCurve, name: str, factor: float) -> tuple[FloatArray, FloatArray]:
    values: FloatArray = getattr(curve, name) * factor
    usable = np.where(values > 0, values, np.nan)  # a log axis has no place for 0
    printed = np.isfinite(usable)
    return min_max(curve.step[printed], usable[printed], BUCKETS)
