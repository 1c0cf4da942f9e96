from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sis_engine.labelling.starts import next_probe, refusal, relative_force_error
from sis_engine.records import AcceptBounds, Label


def _search(errors: list[float], limit: float, budget: int) -> tuple[int | None, int]:
    """What the walk does with ``next_probe``: chosen index and number of evaluations."""
    seen: dict[int, float] = {}
    while len(seen) < budget:
        index = next_probe(len(errors), seen, limit)
        if index is None:
            break
        assert index not in seen
        seen[index] = errors[index]
    good = [i for i, error in seen.items() if error <= limit]
    return (min(good) if good else None), len(seen)


@given(n=st.integers(1, 200), good_from=st.integers(0, 200))
def test_falling_errors_are_bisected_to_the_newest_good_start(n: int, good_from: int) -> None:
    errors = [0.1 if index >= good_from else 1.0 for index in range(n)]
    chosen, evaluations = _search(errors, 0.3, 1000)
    assert chosen == (good_from if good_from < n else None)
    if chosen is not None:
        assert evaluations <= 2 + int(np.ceil(np.log2(n)))


@given(st.lists(st.floats(0.0, 2.0) | st.just(float("nan")) | st.just(float("inf")), min_size=1))
def test_any_errors_end_at_a_good_start_whenever_there_is_one(errors: list[float]) -> None:
    chosen, evaluations = _search(errors, 0.3, 10_000)
    assert evaluations <= len(errors)
    if any(error <= 0.3 for error in errors):
        assert chosen is not None
        assert errors[chosen] <= 0.3
        assert chosen == 0 or not errors[chosen - 1] <= 0.3
    else:
        assert chosen is None


def test_a_bad_oldest_start_does_not_end_the_search() -> None:
    errors = [1.0, 1.0, 1.0, 1.0, 0.1, 1.0, 1.0, 1.0, 1.0]
    assert _search(errors, 0.3, 9)[0] == 4


def test_the_budget_is_kept() -> None:
    assert _search([1.0] * 64, 0.3, 5) == (None, 5)


def test_relative_force_error_is_rmse_over_rms() -> None:
    reference = np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    model = reference + np.array([[0.3, 0.0, 0.0], [0.0, 0.4, 0.0]])
    assert relative_force_error(model, reference) == pytest.approx(0.1)
    assert relative_force_error(None, reference) == np.inf
    assert relative_force_error(model * np.nan, reference) == np.inf
    assert relative_force_error(model, 0.0 * reference) == np.inf


@pytest.mark.parametrize(
    ("bounds", "word"),
    [
        (None, None),
        (AcceptBounds(max_force=5.0), None),
        (AcceptBounds(max_force=4.8), "largest force 5.00 eV/Å"),
        (AcceptBounds(max_energy_above=1.0, reference_energy=-11.0), None),
        (AcceptBounds(max_energy_above=1.0, reference_energy=-11.5), "1.50 eV above"),
        (AcceptBounds(max_energy_above=1.0), None),
    ],
)
def test_bounds_accept_or_say_why_not(bounds: AcceptBounds | None, word: str | None) -> None:
    label = Label(-10.0, [[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    reason = refusal(label, bounds)
    assert (reason is None) if word is None else (reason is not None and word in reason)


def test_bounds_refuse_what_is_not_a_number() -> None:
    forces = [[np.nan, 0.0, 0.0]]
    assert refusal(Label(-1.0, forces), AcceptBounds(max_force=5.0)) is not None
    bounds = AcceptBounds(max_energy_above=1.0, reference_energy=0.0)
    assert refusal(Label(np.nan, [[0.0, 0.0, 0.0]]), bounds) is not None
