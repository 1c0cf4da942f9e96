"""DeePMD's layerwise Kalman optimiser (LKF), made reproducible, mask-aware and twice as fast.

Run inside the worker process. The filter and its measurements are DeePMD's (Hu et al., RLEKF, AAAI
37, 7910 (2023)): a step is one energy of the batch and four groups of six forces, each seen by the
weights that the one before left. What is saved:

- the neighbours of a batch are found once a step, not five times;
- the energy's derivative needs no forces, and no derivative by positions is taken to the weights;
- the covariance is rewritten once in a while: meanwhile it is that and a few columns.

The filter does not settle: its weights go on moving with each batch. So those of the last steps are
averaged (Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992)).

The choice of force atoms, unseeded in DeePMD, is seeded here and leaves out atoms whose forces do
not count.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

MAX_STEP = 0.01
"""RMS change of the weights by one update, at most; they start with an RMS of some 0.3."""

MOST_COLUMNS = 10
"""Updates until the covariance is rewritten: two steps."""

Atoms = Callable[[], tuple[Any, Any]]
"""Indices of the atoms whose forces count in the batch at hand, and their chances."""


def install(
    optimizer: Any, seed: int, atoms: Atoms, covariance: float, averaged: range
) -> Callable[[], None]:
    """Let DeePMD's training take its Kalman steps here; gives back what undoes it.

    covariance: of the weights at the start, DeePMD's is 1; less makes the first steps gentler
    averaged: steps, from 1, whose mean the weights become with the last of them
    """
    from deepmd.pt.train import training

    kalman, random = Filter(optimizer, covariance, averaged), np.random.default_rng([seed, 3])
    original = training.KFOptimizerWrapper

    def measurements(wrapper: Any, _optimizer: Any, selected: int, per_group: int, *_: Any) -> Any:
        def groups() -> Any:
            indices, chances = atoms()
            return random.choice(indices, selected, p=chances).reshape(-1, per_group)

        return Measurements(wrapper.model["Default"], kalman, groups)

    training.KFOptimizerWrapper = measurements
    return lambda: setattr(training, "KFOptimizerWrapper", original)


class Measurements:
    """Of one batch; stands for DeePMD's ``KFOptimizerWrapper``.

    groups: gives the atoms whose forces are looked at together, (groups, atoms in each)
    """

    def __init__(self, model: Any, kalman: "Filter", groups: Callable[[], Any]) -> None:
        self._model = model
        self._kalman = kalman
        self._groups = groups
        self._around: tuple[Any, Any, Any, Any] | None = None

    def update_energy(self, inputs: dict[str, Any], label: Any, prefactor: float = 1.0) -> Any:
        """label: energies, (frames, 1), eV. The energies as they were before, (frames, 1)."""
        energies, n_atoms = self._energies(inputs), inputs["atype"].shape[-1]
        miss = label - energies
        seen = prefactor * torch.where(miss < 0, -energies, energies).sum()
        gradient = self._kalman.gradient(seen, n_atoms)
        error = prefactor * float(miss.detach().abs().mean()) / n_atoms
        self._kalman.update(gradient, error * len(label) ** 0.5)
        return energies.detach()

    def update_force(
        self, inputs: dict[str, Any], label: Any, prefactor: float = 1.0
    ) -> tuple[Any, Any]:
        """label: forces, (frames, atoms, 3), eV/Å. Energies and forces before the last update."""
        n_atoms = inputs["atype"].shape[-1]
        energies = forces = None
        for group in self._groups():
            energies, forces = self._forces(inputs)
            chosen = forces[:, group]
            miss = label[:, group] - chosen
            seen = prefactor * torch.where(miss < 0, -chosen, chosen).sum()
            gradient = self._kalman.gradient(seen, n_atoms * len(group) * 3)
            error = prefactor * float(miss.detach().abs().mean()) / n_atoms
            self._kalman.update(gradient, error * len(label) ** 0.5)
        self._kalman.end_step()
        return energies, None if forces is None else forces.detach()

    def _energies(self, inputs: dict[str, Any], positions: Any = None) -> Any:
        found, types, neighbours, mapping = self._surroundings(inputs)
        given = found if positions is None else positions
        model = self._model.atomic_model
        atomic = model.forward_common_atomic(given, types, neighbours, mapping=mapping)["energy"]
        return atomic.double().sum(dim=1)

    def _forces(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        found, _, neighbours, mapping = self._surroundings(inputs)
        positions = found.clone().requires_grad_(True)
        energies = self._energies(inputs, positions)
        (slope,) = torch.autograd.grad(energies.sum(), positions, create_graph=True)
        n_frames, n_atoms = neighbours.shape[:2]
        forces = slope.new_zeros(n_frames, n_atoms, 3)
        forces = forces.scatter_add(1, mapping[..., None].expand(-1, -1, 3), -slope)
        return energies.detach(), forces

    def _surroundings(self, inputs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
        """Positions and types with those of images, neighbours, and whose images they are."""
        if self._around is None:
            from deepmd.pt.utils.nlist import extend_input_and_build_neighbor_list

            model, kinds = self._model, inputs["atype"]
            positions, types, mapping, neighbours = extend_input_and_build_neighbor_list(
                inputs["coord"].detach(),
                kinds,
                model.get_rcut(),
                model.get_sel(),
                mixed_types=True,
                box=inputs["box"],
            )
            neighbours = model.format_nlist(positions, types, neighbours)
            self._around = positions, types, neighbours, mapping
        return self._around


class Filter:
    """Weights and their mean, their covariance by blocks, the factor by which it forgets."""

    def __init__(self, optimizer: Any, covariance: float, averaged: range = range(0)) -> None:
        self._state = optimizer._state  # noqa: SLF001  DeePMD has no public way to the filter
        self._nue = optimizer.param_groups[0]["kalman_nue"]
        self._parameters = optimizer.param_groups[0]["params"]
        self._sizes = list(self._state["params_packed_index"])
        self._blocks = [Covariance(block.mul_(covariance)) for block in self._state["P"]]
        self._averaged, self._step = averaged, 0
        self._mean = [torch.zeros_like(item) for item in self._parameters]

    def gradient(self, seen: Any, prefactor: int) -> list[Any]:
        """Of what was measured, by the weights, over ``prefactor``; block by block."""
        found = torch.autograd.grad(seen, self._parameters, allow_unused=True)
        pairs = zip(found, self._parameters, strict=True)
        return self._split([torch.zeros_like(w) if g is None else g for g, w in pairs], prefactor)

    def update(self, gradient: Sequence[Any], error: float) -> None:
        """One Kalman step: gain K = P H / sum(lambda + H' P H); P <- (P - A K K')/lambda."""
        forget = self._state["kalman_lambda"]
        gains = [block.gain(column) for block, column in zip(self._blocks, gradient, strict=True)]
        pairs = zip(gradient, gains, strict=True)
        scale = 1.0 / sum(forget + float(torch.dot(h, k)) for h, k in pairs)
        for block, gain in zip(self._blocks, gains, strict=True):
            block.learn(gain, scale, forget)
        self._state["kalman_lambda"] = self._nue * forget + 1.0 - self._nue
        whole = torch.cat(gains)
        self._move(whole, _bounded(scale * error, whole))

    def end_step(self) -> None:
        """The batch has been seen; with the last of ``averaged`` the weights are their mean."""
        self._step += 1
        if self._step not in self._averaged:
            return
        with torch.no_grad():
            for mean, item in zip(self._mean, self._parameters, strict=True):
                mean.add_(item, alpha=1.0 / len(self._averaged))
                if self._step == self._averaged[-1]:
                    item.copy_(mean)

    def _split(self, tensors: Sequence[Any], prefactor: int) -> list[Any]:
        """The filter keeps each matrix transposed, one after another."""
        flat = torch.cat([(item.T if item.ndim > 1 else item).reshape(-1) for item in tensors])
        return list(torch.split(flat / prefactor, self._sizes))

    def _move(self, gains: Any, step: float) -> None:
        begin = 0
        with torch.no_grad():
            for item in self._parameters:
                part = gains[begin : begin + item.nelement()]
                begin += item.nelement()
                moved = part.reshape(item.T.shape).T if item.ndim > 1 else part.reshape(item.shape)
                item.add_(moved, alpha=step)


class Covariance:
    """P = scale * M - U diag(w) U', so that an update writes a column and not a matrix."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self._scale = 1.0
        self._columns = matrix.new_empty(len(matrix), MOST_COLUMNS)
        self._weights: list[float] = []

    def gain(self, gradient: Any) -> Any:
        """P H, (weights,)."""
        found = self._scale * (self._matrix @ gradient)
        if self._weights:
            columns = self._columns[:, : len(self._weights)]
            found -= columns @ (columns.new_tensor(self._weights) * (gradient @ columns))
        return found

    def learn(self, gain: Any, scale: float, forget: float) -> None:
        """P <- (P - scale * gain gain')/forget"""
        self._columns[:, len(self._weights)] = gain
        self._scale /= forget
        self._weights = [weight / forget for weight in self._weights] + [scale / forget]
        if len(self._weights) == MOST_COLUMNS:
            weights = self._columns.new_tensor(self._weights)
            self._matrix.addmm_(
                self._columns * weights, self._columns.T, beta=self._scale, alpha=-1.0
            )
            self._scale, self._weights = 1.0, []


def _bounded(step: float, gains: Any) -> float:
    """``step``, shortened so that no update moves the weights by more than MAX_STEP (RMS).

    The filter trusts its linearisation however far it leads; the first updates of a fresh net then
    drive its tanh into saturation, where every gradient is zero and the net is dead.
    """
    rms = abs(step) * float(torch.mean(gains * gains)) ** 0.5
    return step if rms <= MAX_STEP else step * MAX_STEP / rms
