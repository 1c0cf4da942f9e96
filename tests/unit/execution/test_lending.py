from __future__ import annotations

import threading

from sis_engine.execution.lending import Lender


def test_callers_one_after_another_share_one_thing_and_callers_at_once_do_not() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    lender = Lender(make, lambda thing: None)
    for _ in range(3):
        with lender.lent() as thing:
            assert thing is made[0]
    with lender.lent() as one, lender.lent() as other:
        assert one is not other
    assert len(made) == 2


def test_a_thing_that_is_there_already_is_lent_first() -> None:
    first = object()
    with Lender(object, lambda thing: None, first).lent() as thing:
        assert thing is first


def test_a_failed_caller_gives_its_thing_back() -> None:
    lender = Lender(threading.Event, lambda thing: None)
    try:
        with lender.lent() as before:
            raise ValueError
    except ValueError:
        pass
    with lender.lent() as after:
        assert after is before


def test_closing_ends_all_that_were_made_and_what_comes_later_is_new() -> None:
    ended: list[object] = []
    lender = Lender(object, ended.append)
    with lender.lent() as one, lender.lent() as other:
        pass
    lender.close()
    assert set(ended) == {one, other}
    with lender.lent() as new:
        assert new not in ended
