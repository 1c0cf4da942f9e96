"""The acceleration ratio in both forms."""

import pytest

from sis_engine.analysis.acceleration import acceleration_ratio, acceleration_ratio_paper


def test_the_headline_of_the_paper():
    # 1 M bulk: 17.5 ps of AIMD, stable for 1 ns: "AR > 57"
    assert acceleration_ratio_paper(1000.0, 17.5) == pytest.approx(57.1, abs=0.05)
    # 1 M interface: 16.5 ps, 10 ns: "AR > 606"
    assert acceleration_ratio_paper(10_000.0, 16.5) == pytest.approx(606.0, abs=0.1)


def test_every_evaluation_counts_as_one_reference_step():
    # 17,500 frames of 1 fs is the same as 17.5 ps; 500 single points more make it worse
    assert acceleration_ratio(1000.0, 17_500, 1.0) == pytest.approx(57.1, abs=0.05)
    assert acceleration_ratio(1000.0, 18_000, 1.0) == pytest.approx(55.6, abs=0.05)


def test_without_an_audited_survivor_there_is_no_ratio():
    assert acceleration_ratio(None, 100, 0.5) is None
    assert acceleration_ratio(5.0, 0, 0.5) is None
    assert acceleration_ratio_paper(5.0, 0.0) is None
