import math

import pytest

from sis_engine.numerals import beside, figure
from sis_engine.report.wording import count, duration, listed, ordinal, percent, picoseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "not finite"), (0.0, "0"), (0.25049, "0.250"), (1234.5, "1234"),
        (-0.5, "−0.500"), (1e-4, "1.00e−4"), (3e9, "3.00e9"),
    ],
)  # fmt: skip
def test_a_number_has_three_figures_and_missing_is_a_dash(value, text):
    assert figure(value) == text


def test_a_value_and_its_limit_can_be_told_apart():
    assert beside(-1236.1, -1235.7) == ("−1236.10", "−1235.70")
    assert beside(-1450.757, -1450.463) == ("−1450.76", "−1450.46")  # not −1451 and −1450
    assert beside(-1450.46401, -1450.46341) == ("−1450.46401", "−1450.46341")
    assert beside(1832.0, 1000.0) == ("1832", "1000")
    assert beside(0.65065, 0.63) == ("0.651", "0.630")
    assert beside(2.0, 2.0) == ("2.00", "2.00")
    assert beside(math.nan, 1000.0) == ("not finite", "1000")
    assert beside(None, 1000.0) == ("–", "1000")


def test_ordinals():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th")
    ]


def test_times_change_their_unit():
    assert picoseconds(0.08) == "80.0\u00a0fs"
    assert picoseconds(10.0) == "10.0\u00a0ps"
    assert picoseconds(2500.0) == "2.50\u00a0ns"
    assert picoseconds(None) == "–"
    assert duration(41.0) == "41.0\u00a0s"
    assert duration(725.0) == "12 min 5 s"
    assert duration(12000.0) == "3 h 20 min"


def test_counts_and_shares():
    assert count(3442) == "3\u202f442"
    assert percent(0.25) == "25.0\u00a0%"
    assert percent(None) == "–"


def test_a_list_is_read_as_one():
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
