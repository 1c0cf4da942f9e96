"""Our Kalman steps beside DeePMD-kit's own, on the same model, batches and groups of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.external.conftest import require_module
from trainers.deepmd import worker_kalman

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # DeePMD-kit's own
]
N_FRAMES, N_ATOMS, SELECTED, PER_GROUP = 3, 7, 4, 2
STEPS = 4  # twenty updates: the covariance is rewritten in the middle and at the end


@pytest.fixture
def batches() -> list[tuple[dict[str, Any], Any, Any]]:
    """Inputs, energies and forces, for each step."""
    require_module("deepmd")
    import torch

    random = np.random.default_rng(5)
    box = torch.tensor(np.tile(8.0 * np.eye(3).reshape(9), (N_FRAMES, 1)))
    found = []
    for periodic in (False, True, False, True):
        shape = (N_FRAMES, N_ATOMS, 3)
        inputs = {
            "coord": torch.tensor(random.uniform(0.0, 6.0, shape)),
            "atype": torch.tensor(np.tile(random.integers(0, 2, N_ATOMS), (N_FRAMES, 1))),
            "box": box if periodic else None,
        }
        energies = torch.tensor(random.normal(size=(N_FRAMES, 1)) - 2.0)
        found.append((inputs, energies, torch.tensor(random.normal(size=shape))))
    return found


def wrapper() -> Any:
    """A small model, the same each time, with its optimiser."""
    from deepmd.pt.model.model import get_model
    from deepmd.pt.optimizer.LKF import LKFOptimizer
    from deepmd.pt.train.wrapper import ModelWrapper

    both = {"precision": "float64", "seed": 1, "activation_function": "silu"}
    descriptor = {"type": "dpa1", "rcut": 4.0, "rcut_smth": 0.5, "sel": 12, "attn_layer": 0}
    model = get_model(
        {
            "type_map": ["H", "O"],
            "descriptor": {**descriptor, **both, "neuron": [4, 8], "axis_neuron": 4},
            "fitting_net": {**both, "neuron": [8, 8]},
        }
    )
    made = ModelWrapper(model, loss={})
    made.train()
    return made, LKFOptimizer(made.parameters(), block_size=100)


def groups() -> Iterator[Any]:
    """The same for both."""
    random = np.random.default_rng(7)
    while True:
        yield random.choice(N_ATOMS, SELECTED).reshape(-1, PER_GROUP)


def weights(made: Any) -> np.ndarray:
    return np.concatenate([item.detach().numpy().ravel() for item in made.parameters()])


def test_a_step_is_deepmds_own(
    batches: list[tuple[dict[str, Any], Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepmd.pt.optimizer.KFWrapper import KFOptimizerWrapper

    monkeypatch.setattr(worker_kalman, "MAX_STEP", np.inf)
    theirs, optimizer = wrapper()
    ours, other = wrapper()
    np.testing.assert_array_equal(weights(theirs), weights(ours))
    kalman = worker_kalman.Filter(other, 1.0)
    one, another = groups(), groups()
    monkeypatch.setattr(
        KFOptimizerWrapper, "_KFOptimizerWrapper__sample", lambda *_: next(one), raising=True
    )
    begin = weights(ours)
    for inputs, energies, forces in batches:
        deepmd = KFOptimizerWrapper(theirs, optimizer, SELECTED, PER_GROUP)
        own = worker_kalman.Measurements(ours.model["Default"], kalman, lambda: next(another))
        expected = deepmd.update_energy(inputs, energies, 2.0).detach().abs() / 2.0
        np.testing.assert_allclose(own.update_energy(inputs, energies, 2.0).abs(), expected)
        (_, expected), (_, found) = (
            side.update_force(inputs, forces, 0.5) for side in (deepmd, own)
        )
        np.testing.assert_allclose(found, expected.detach(), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(weights(ours), weights(theirs), rtol=1e-8, atol=1e-10)
    assert np.abs(weights(ours) - begin).max() > 1e-3


def test_training_gets_our_measurements_and_its_own_again() -> None:
    require_module("deepmd")
    from deepmd.pt.train import training

    original = training.KFOptimizerWrapper
    made, optimizer = wrapper()
    atoms = (np.array([1, 3]), np.array([0.5, 0.5]))
    undo = worker_kalman.install(optimizer, 1, lambda: atoms, 1.0, range(1, 2))
    own = training.KFOptimizerWrapper(made, optimizer, SELECTED, PER_GROUP, False)
    assert isinstance(own, worker_kalman.Measurements)
    chosen = own._groups()
    assert chosen.shape == (SELECTED // PER_GROUP, PER_GROUP)
    assert set(chosen.ravel()) <= {1, 3}
    undo()
    assert training.KFOptimizerWrapper is original


def test_the_weights_become_the_mean_of_the_last_steps() -> None:
    require_module("deepmd")
    made, optimizer = wrapper()
    kalman = worker_kalman.Filter(optimizer, 1.0, range(2, 5))
    seen = []
    for step in range(1, 6):
        for item in made.parameters():
            item.data.fill_(float(step))
        kalman.end_step()
        seen.append(set(weights(made)))
    assert seen == [{1.0}, {2.0}, {3.0}, {3.0}, {5.0}]  # (2 + 3 + 4) / 3
