"""What a campaign finds of its own in its folder, and what it says when that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sis_engine.bookkeeping.folder import INPUTS, check_not_emptied, lost_labels, mend_inputs
from sis_engine.errors import TornFile
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger
from tests.unit.storage.storage_samples import make_labelled


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path) as found:
        yield found


@pytest.mark.parametrize("damage", ["garbled", "removed"])
def test_a_copy_of_a_structure_that_is_not_as_written_is_written_again(
    tmp_path: Path, ledger: Ledger, damage: str
) -> None:
    text = "1\n\nAr 0.0 0.0 0.0\n"
    ledger.set_meta(INPUTS, json.dumps({"a.extxyz": text}))
    path = tmp_path / INPUTS / "a.extxyz"
    path.parent.mkdir()
    path.write_text(text)
    assert mend_inputs(tmp_path, ledger) == ()
    if damage == "garbled":
        path.write_text(text.replace("0.0", "0.1", 1))
    else:
        path.unlink()
    (told,) = mend_inputs(tmp_path, ledger)
    assert str(path) in told
    assert path.read_text() == text
    assert len(list((path.parent / "aside").glob("*"))) == (damage == "garbled")


def test_an_older_campaign_without_a_record_of_its_inputs_is_left_alone(
    tmp_path: Path, ledger: Ledger
) -> None:
    assert mend_inputs(tmp_path, ledger) == ()


def test_an_empty_ledger_in_a_folder_with_work_is_not_a_new_campaign(
    tmp_path: Path, ledger: Ledger
) -> None:
    check_not_emptied(tmp_path, ledger)
    (tmp_path / "work" / "0000").mkdir(parents=True)
    with pytest.raises(TornFile, match=r"ledger\.sqlite is empty"):
        check_not_emptied(tmp_path, ledger)
    ledger.set_meta("config_text", "name: a")
    check_not_emptied(tmp_path, ledger)


def test_labels_that_were_paid_for_and_are_gone_are_counted_or_the_bank_is_refused(
    tmp_path: Path, ledger: Ledger
) -> None:
    first, second = make_labelled(2)
    for item in (first, second):
        ledger.count_evaluation(0, item)
    with LabelBank(tmp_path / "labels") as bank:
        with pytest.raises(TornFile, match="none of the 2 labels"):
            lost_labels(ledger, bank)
        bank.put(first)
        assert lost_labels(ledger, bank) == 1
        bank.put(second)
        assert lost_labels(ledger, bank) == 0
