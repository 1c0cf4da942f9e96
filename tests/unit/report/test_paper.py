"""What the paper's table and paragraph say of a training."""

import json
from dataclasses import replace

import pytest

from sis_engine.records import TrainingSchedule
from sis_engine.report.paper import optimizer_of, rate_text
from tests.unit.report.synthetic import records

PLAN = TrainingSchedule(4000, 1e-3, 1e-5, (0.02, 1.0), (1000.0, 1.0))


@pytest.mark.parametrize(
    ("trainer", "told"),
    [
        ({"type": "deepmd", "optimizer": {"type": "lkf"}}, "optimizer lkf"),
        ({"type": "deepmd", "optimizer": {"type": "adam"}}, "learning rate 0.001 to 1e-05"),
        ({"type": "fake"}, "learning rate 0.001 to 1e-05"),
    ],
)
def test_a_learning_rate_is_told_only_of_an_optimizer_that_has_one(trainer, told):
    record = replace(records()[0], config_json=json.dumps({"trainer": trainer}))
    assert rate_text(PLAN, optimizer_of(record)) == told


def test_a_file_without_settings_names_no_optimizer():
    assert optimizer_of(replace(records()[0], config_json="")) is None
