"""How often the web server looks: its share of a core is bounded, whatever a look costs."""

from __future__ import annotations

import pytest

from sis_engine.service.web.stream import LOOK_EVERY_S, LOOK_LATER_S, LOOK_SHARE, more_rest


@pytest.mark.parametrize("used_s", [0.0, 0.005, 0.0099])
def test_a_cheap_look_is_taken_as_often_as_can_be(used_s):
    assert more_rest(used_s) == 0.0


@pytest.mark.parametrize("used_s", [0.011, 0.02, 0.07])
def test_a_dear_one_stays_within_the_share(used_s):
    between_s = LOOK_EVERY_S + more_rest(used_s)
    assert used_s / between_s == pytest.approx(LOOK_SHARE)


def test_however_dear_it_is_a_reader_hears_of_a_change():
    assert LOOK_EVERY_S + more_rest(60.0) == LOOK_LATER_S
