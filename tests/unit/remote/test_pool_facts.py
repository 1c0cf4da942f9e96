"""What pools did over a campaign: engines come and go, their sums stay."""

from __future__ import annotations

from sis_engine.remote.pool_facts import PoolFacts

FIRST = PoolFacts("label", 10, 6, 1, 40, 7, 14.0, 60.0, 54.0, 3.0, (("node lost", 1),))


def test_facts_survive_the_ledger() -> None:
    assert PoolFacts.from_json(FIRST.as_json()) == FIRST


def test_a_later_engine_adds_to_what_an_earlier_one_did() -> None:
    later = PoolFacts("label", 2, 1, 0, 8, 1, 2.0, 10.0, 9.0, 0.0, (("node lost", 1), ("x", 2)))
    both = later.after(FIRST)
    assert (both.ended, both.lost, both.labels) == (7, 1, 48)
    assert both.open == 1  # the three that a killed engine left were its own
    assert both.mean_wait_s == 2.0
    assert both.efficiency == 0.9
    assert both.losses == (("node lost", 2), ("x", 2))


def test_what_was_not_measured_is_not_zero() -> None:
    idle = PoolFacts("train", tasks=1)
    assert idle.efficiency is None
    assert idle.mean_wait_s is None
