from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.rehearsal.order import PARTS, Order, parts_of
from sis_engine.rehearsal.rehearse import JOURNAL, Journal, write_table
from sis_engine.rehearsal.trial import Tally, Trial, tally

GOOD = Trial("a", "SIGKILL", "went on", kills=7)
BAD = Trial("b", "write: torn", "went on", 1, 0, ("another digest", "hung"), 2, ("x is left",))


def test_a_trial_is_the_same_after_a_line_of_the_journal() -> None:
    assert Trial.from_line(BAD.as_line()) == BAD


def test_several_differences_of_one_trial_count_once() -> None:
    found = tally([GOOD, BAD])
    assert found == Tally(faults_injected=1, kills=7, differences=1, labels_recomputed=2, orphans=1)
    assert tally([GOOD]).is_clean
    assert not found.is_clean


def test_a_journal_with_a_torn_last_line_goes_on_from_the_line_before(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text(f"{GOOD.as_line()}\n{BAD.as_line()[:30]}")
    journal = Journal.of(tmp_path)
    assert journal.trials == [GOOD]
    journal.add(BAD)
    assert Journal.of(tmp_path).trials == [GOOD, BAD]


def test_the_table_has_a_row_for_each_fault_and_outcome(tmp_path: Path) -> None:
    text = write_table(tmp_path, [GOOD, GOOD, BAD]).read_text()
    assert "| SIGKILL | 14 | went on | 0 |" in text
    assert "| write: torn | 1 | went on | 1 |" in text
    assert "kills 14" in text


def test_an_order_travels_as_text_and_an_unknown_part_is_named() -> None:
    order = Order("/a", parts_of(["kills", "damage"]), seed=1, kills=3, jobs=2)
    assert Order.from_text(order.as_text()) == order
    assert order.parts == ("damage", "kills")
    assert parts_of(None) == PARTS
    with pytest.raises(ConfigurationError, match="no part 'sabotage'"):
        parts_of(["sabotage"])
