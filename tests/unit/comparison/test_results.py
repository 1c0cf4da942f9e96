"""Finished runs on disk."""

import math

import pytest

from sis_engine.comparison.results import read_result, write_result
from sis_engine.errors import NewerFormat, TornFile
from tests.unit.comparison.samples import errors, exam, run


def test_a_result_is_read_as_it_was_written(tmp_path):
    given = run("sis", 3, 1200)
    write_result(tmp_path / "sis-3.json", given)
    assert read_result(tmp_path / "sis-3.json") == given
    first = (tmp_path / "sis-3.json").read_bytes()
    write_result(tmp_path / "sis-3.json", given)
    assert (tmp_path / "sis-3.json").read_bytes() == first


def test_a_result_whose_own_sums_disagree_is_refused_with_both(tmp_path):
    path = tmp_path / "sis-3.json"
    write_result(path, run("sis", 3, 1200, by_purpose={"initial": 300, "segment": 899}))
    with pytest.raises(TornFile) as refused:
        read_result(path)
    told = "sis-3.json is not the result of a run: evaluations is 1200, those by_purpose are 1199"
    assert told in str(refused.value)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.999])
def test_a_torn_result_is_told_and_names_the_file(cut, tmp_path):
    path = tmp_path / "sis-3.json"
    write_result(path, run("sis", 3, 1200))
    text = path.read_text()
    path.write_text(text[: int(cut * len(text))])
    with pytest.raises(TornFile, match=r"sis-3\.json"):
        read_result(path)


def test_a_result_of_a_newer_engine_is_refused_and_not_half_understood(tmp_path):
    path = tmp_path / "sis-3.json"
    write_result(path, run("sis", 3, 1200))
    path.write_text(path.read_text().replace('"format":1', '"format":2'))
    with pytest.raises(NewerFormat):
        read_result(path)
    path.write_text(path.read_text().replace('"format":2', '"format":1,"surprise":1'))
    with pytest.raises(TornFile):
        read_result(path)


def test_what_is_not_finite_is_not_known():
    found = errors().model_validate(errors().model_dump() | {"relative": math.nan})
    assert found.relative is None


def test_the_model_at_a_cost_is_the_last_one_paid_for_by_then():
    item = run("sis", 1, 900, exams=(exam(100), exam(400), exam(900)))
    assert item.exam_at(99) is None
    assert [item.exam_at(c).evaluations for c in (100, 399, 400, 5000)] == [100, 100, 400, 900]
