"""The mean over the last stretch of a series: what rules with an averaging time judge."""

from __future__ import annotations

import numpy as np

from sis_engine.records import BoolArray, FloatArray


def running_mean(
    series: FloatArray,
    measured: BoolArray,
    time_fs: FloatArray,
    *,
    average_fs: float,
    after_fs: float,
) -> tuple[FloatArray, BoolArray]:
    """(n,) means over the last ``average_fs``, and (n,) where that is wholly after ``after_fs``.

    series: (n,) values;  measured: (n,) rows that count;  time_fs: (n,) ascending
    """
    usable = measured & np.isfinite(series)
    total = np.concatenate([[0.0], np.cumsum(np.where(usable, series, 0.0))])
    count = np.concatenate([[0], np.cumsum(usable)])
    end = np.arange(1, series.size + 1)
    begin = np.searchsorted(time_fs, time_fs - average_fs + 1e-9, side="left")
    n = count[end] - count[begin]
    means: FloatArray = (total[end] - total[begin]) / np.maximum(n, 1)
    full_from = max(after_fs, *time_fs[:1]) + average_fs
    ready: BoolArray = (n > 0) & (time_fs >= full_from - 1e-9)
    return means, ready
