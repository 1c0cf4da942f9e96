"""Which finished runs are used again, and what is said of the others."""

import pytest

from sis_engine.comparison.finished import all_settings, finished_runs
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import RunName, read_comparison
from sis_engine.comparison.results import read_result, write_result
from tests.unit.comparison.samples import exam, run
from tests.unit.comparison.test_plan import ARMS, HEAD

EXAMS = (exam(80, generation=0), exam(400, generation=2))


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "run", tmp_path / "results", "little")


@pytest.fixture
def comparison(tmp_path):
    def read(costs="[100]", text=HEAD + ARMS):
        (tmp_path / "compare.yaml").write_text(text.replace("[100]", costs))
        return read_comparison(tmp_path / "compare.yaml")

    return read


@pytest.fixture
def kept(comparison, places):
    """Four finished runs at [100]: examined in generations 0 (80 evaluations) and 2 (400)."""
    for name, settings in all_settings(comparison()).items():
        models = run(name.arm, name.seed, 400, exams=EXAMS).models
        between = models[0].model_copy(update={"generation": 1, "evaluations": 200})
        write_result(
            places.result(name),
            run(
                name.arm,
                name.seed,
                400,
                exams=EXAMS,
                settings=settings,
                models=(models[0], between, models[1]),
            ),
        )
    return places


def test_what_was_made_with_the_same_settings_is_used(comparison, kept):
    found, told = finished_runs(comparison(), kept)
    assert (len(found), told) == (4, ())


@pytest.mark.parametrize(
    ("costs", "wanted"),
    [("[100, 150]", [80, 400]), ("[80, 199, 1000]", [80, 400]), ("[400]", [400]), ("[]", [400])],
)
def test_other_costs_at_which_the_same_models_were_had_need_nothing_new(
    costs, wanted, comparison, kept
):
    given = comparison(costs)
    found, told = finished_runs(given, kept)
    assert (len(found), told) == (4, ())
    exams = found[RunName("", "sis", 1)].exams
    assert [item.evaluations for item in exams] == wanted
    assert found[RunName("", "sis", 1)].settings == all_settings(given)[RunName("", "sis", 1)]


def test_a_dropped_cost_can_come_back_from_the_same_file(comparison, kept):
    finished_runs(comparison("[400]"), kept)
    assert read_result(kept.result(RunName("", "sis", 1))).exams == EXAMS
    found, _ = finished_runs(comparison(), kept)
    assert found[RunName("", "sis", 1)].exams == EXAMS


def test_a_model_that_was_not_examined_has_to_be(comparison, kept):
    kept.run(RunName("", "sis", 2)).mkdir(parents=True)
    found, (there, gone) = finished_runs(comparison("[100, 200]"), kept)
    assert not found
    assert there == "1 run to be examined at further costs: sis-2"
    assert gone.startswith("3 runs not examined at all costs, campaigns no longer in ")
    assert gone.endswith("computed again: sis-1, short-1, short-2")


def test_runs_in_which_the_same_keys_changed_share_a_line(comparison, kept):
    changed = HEAD + ARMS.replace("50.0", "60.0") + "changes: {training: {batch_size: 2}}\n"
    found, told = finished_runs(comparison(text=changed), kept)
    assert not found
    assert told == (
        "2 runs made with other settings (campaign.training.batch_size: 4 → 2; "
        "examiner.training.batch_size: 4 → 2), computed again: sis-1, sis-2",
        "2 runs made with other settings (campaign.sampler.segment.length_fs: 50.0 → 60.0; "
        "campaign.training.batch_size: 4 → 2; examiner.training.batch_size: 4 → 2), computed "
        "again: short-1, short-2",
    )


def test_a_file_whose_sums_disagree_is_named_and_not_used(comparison, kept):
    path = kept.result(RunName("", "sis", 1))
    broken = read_result(path).model_copy(update={"by_purpose": {"initial": 399}})
    write_result(path, broken)
    found, (told,) = finished_runs(comparison(), kept)
    assert RunName("", "sis", 1) not in found
    assert str(path) in told
    assert "evaluations is 400, those by_purpose are 399 together" in told
    assert "sis-1 is computed again" in told
