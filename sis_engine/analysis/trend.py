"""Does a quantity that fluctuates also drift? A straight line through means of blocks."""

from __future__ import annotations

import numpy as np

from sis_engine.records import FloatArray

BLOCKS = 8
"""Six degrees of freedom are left for the scatter around a line: Student's t is 2.4, not 12.7."""


def trend(times: FloatArray, values: FloatArray, confidence: float = 0.95) -> tuple[float, float]:
    """Slope of a straight line, and how far it may be off at this confidence (two-sided).

    Neighbours in time fluctuate together, so the line goes through the means of BLOCKS blocks and
    their scatter around it bounds the slope, with Student's t (Flyvbjerg and Petersen, J. Chem.
    Phys. 91, 461 (1989), for blocks). times, values: (n,), n at least BLOCKS
    """
    from scipy.stats import linregress, t

    means = [[part.mean() for part in np.array_split(of, BLOCKS)] for of in (times, values)]
    line = linregress(*means)
    return float(line.slope), float(line.stderr * t.ppf(0.5 + 0.5 * confidence, BLOCKS - 2))
