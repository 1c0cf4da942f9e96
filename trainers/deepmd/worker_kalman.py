"""DeePMD's layerwise Kalman optimiser (LKF), made reproducible, mask-aware and twice as fast.

Run inside the worker process. The filter is DeePMD's (Hu et al., RLEKF, AAAI 37, 7910 (2023)):
the same gain and covariance, but the covariance is updated in place. Its choice of force atoms,
unseeded there, is seeded here and leaves out atoms whose forces do not count.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

MAX_STEP = 0.01
"""RMS change of the weights by one update, at most; they start with an RMS of some 0.3."""


def install(
    optimizer: Any, seed: int, atoms: Callable[[], tuple[Any, Any]], covariance: float
) -> Callable[[], None]:
    """Change ``optimizer`` and the choice of atoms; gives back what undoes the latter.

    atoms: indices of the atoms whose forces count in the batch at hand, and their chances
    covariance: of the weights at the start, DeePMD's is 1; less makes the first steps gentler
    """
    from deepmd.pt.optimizer.KFWrapper import KFOptimizerWrapper

    state = optimizer._state  # noqa: SLF001  DeePMD has no public way to the filter
    for block in state["P"]:
        block.mul_(covariance)

    def step(gradient: Any, error: Any, weights: Any) -> None:
        update(optimizer, gradient, error, weights)

    name_of_update = "_LKFOptimizer__update"
    setattr(optimizer, name_of_update, step)
    random = np.random.default_rng([seed, 3])
    name = "_KFOptimizerWrapper__sample"
    original = getattr(KFOptimizerWrapper, name)

    def sample(_self: Any, selected: int, per_group: int, _n_atoms: int) -> Any:
        indices, chances = atoms()
        return random.choice(indices, selected, p=chances).reshape(-1, per_group)

    setattr(KFOptimizerWrapper, name, sample)
    return lambda: setattr(KFOptimizerWrapper, name, original)


def update(optimizer: Any, gradient: Any, error: Any, weights: Any) -> None:
    """One Kalman step: gain K = P H / sum(lambda + H' P H); P <- (P - A K K')/lambda."""
    state, settings = optimizer._state, optimizer.param_groups[0]  # noqa: SLF001
    forget, covariances = state["kalman_lambda"], state["P"]
    gains = [block @ column for block, column in zip(covariances, gradient, strict=True)]
    pairs = zip(gradient, gains, strict=True)
    scale = 1.0 / float(sum(forget + float(torch.sum(h * k)) for h, k in pairs))
    moved = _bounded(scale * float(error), gains)
    for block, gain, i in zip(covariances, gains, range(len(gains)), strict=True):
        weights[i] = weights[i] + moved * gain
        flat = gain.reshape(-1)
        block.addr_(flat, flat, beta=1.0 / forget, alpha=-scale / forget)
    nue = settings["kalman_nue"]
    state["kalman_lambda"] = nue * forget + 1.0 - nue
    _put_back(settings["params"], torch.cat([block.reshape(-1) for block in weights]))


def _bounded(step: float, gains: Any) -> float:
    """``step``, shortened so that no update moves the weights by more than MAX_STEP (RMS).

    The filter trusts its linearisation however far it leads; the first updates of a fresh net then
    drive its tanh into saturation, where every gradient is zero and the net is dead.
    """
    squares = sum(float(torch.sum(gain * gain)) for gain in gains)
    count = sum(gain.numel() for gain in gains)
    rms = abs(step) * (squares / count) ** 0.5
    return step if rms <= MAX_STEP else step * MAX_STEP / rms


def _put_back(parameters: Any, flat: Any) -> None:
    """The filter keeps each matrix transposed, one after another."""
    begin = 0
    for parameter in parameters:
        part = flat[begin : begin + parameter.nelement()]
        begin += parameter.nelement()
        if parameter.ndim > 1:
            parameter.data = part.reshape(parameter.data.T.shape).T.contiguous()
        else:
            parameter.data = part.reshape(parameter.data.shape)
