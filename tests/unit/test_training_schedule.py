"""How long each generation trains."""

import pytest
from pydantic import ValidationError

from sis_engine.config.campaign import TrainingConfig


def steps(config: TrainingConfig, generation: int, *, scratch: bool = False) -> int:
    return config.schedule(generation, seed=1, scratch=scratch, refit_bias=False).steps


def test_steps_by_generation_go_on_with_the_last_entry() -> None:
    config = TrainingConfig(steps_first=9, steps=(10, 20, 30))
    assert [steps(config, generation) for generation in range(6)] == [9, 10, 20, 30, 30, 30]


def test_from_scratch_a_generation_trains_as_long_as_the_first_and_its_own() -> None:
    config = TrainingConfig(steps_first=9, steps=(10, 20))
    assert steps(config, 0, scratch=True) == 9
    assert steps(config, 2, scratch=True) == 29
    assert steps(TrainingConfig(steps_first=9, steps=10, steps_scratch=7), 2, scratch=True) == 7


def test_an_empty_list_of_steps_is_refused() -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(steps_first=9, steps=())
