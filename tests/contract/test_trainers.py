"""The shipped fake trainer keeps the trainer contract; real ones are tried in tests/external."""

from sis_engine.records import TrainingSchedule
from sis_engine.testing import trainer_contract as contract
from sis_engine.testing.fakes import FakeTrainer

SCHEDULE = TrainingSchedule(10, 1e-3, 1e-4, (0.02, 1.0), (1000.0, 1.0))


def test_the_fake_trainer_keeps_the_parts_of_the_contract_that_are_about_files(tmp_path):
    case = contract.TrainerCase(FakeTrainer(), SCHEDULE, contract.example_dataset(), tmp_path)
    contract.check_identity(case.trainer, case.dataset)
    result = case.trainer.train(case.dataset, None, SCHEDULE, case.context("first"))
    contract.check_result(case, result)
    contract.check_derivatives(case, result.model)
    contract.check_order_of_atoms(case, result.model)
    contract.check_described(case, result.model)
    contract.check_calculator(case, result.model)
    contract.check_reproducible(case, result)
    contract.check_continued(case, result)
    contract.check_adopted(case, result.model)
