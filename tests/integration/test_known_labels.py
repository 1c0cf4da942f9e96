"""Labels of other campaigns at their recorded price: a sampler is not cheaper for coming second."""

import pytest

from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger
from tests.integration.small_campaigns import digest_of, paid, run, write_campaign

pytestmark = pytest.mark.slow  # whole campaigns


def _seconds(folder):
    with Ledger(folder, read_only=True) as ledger:
        return sum(item.seconds for item in ledger.counts())


def test_a_second_campaign_pays_the_same_for_labels_that_are_known(tmp_path, monkeypatch):
    changes = {
        "known_labels": str(tmp_path / "known"),
        "labeler.seconds_per_label": 0.001,
        "budget.generations": 2,
    }
    config = write_campaign(tmp_path / "given", changes)
    run(tmp_path / "first", config)
    with LabelBank(tmp_path / "known") as bank:
        n_known = bank.count() + bank.count(good=False)
    made = []
    monkeypatch.setattr("sis_engine.testing.fakes.time.sleep", made.append)
    run(tmp_path / "second", config)
    assert not made  # nothing was evaluated again
    assert paid(tmp_path / "second") == paid(tmp_path / "first") == n_known > 0
    assert _seconds(tmp_path / "second") == _seconds(tmp_path / "first") > 0.0
    assert digest_of(tmp_path / "second") == digest_of(tmp_path / "first")


def test_within_one_campaign_a_label_is_still_paid_for_once(tmp_path):
    known = {"known_labels": str(tmp_path / "known")}
    run(tmp_path / "alone", write_campaign(tmp_path / "a"))
    run(tmp_path / "lent", write_campaign(tmp_path / "b", known))
    assert paid(tmp_path / "lent") == paid(tmp_path / "alone")
    with Ledger(tmp_path / "lent", read_only=True) as ledger:
        lent = {item.purpose: item.cached for item in ledger.counts()}
    with Ledger(tmp_path / "alone", read_only=True) as ledger:
        assert lent == {item.purpose: item.cached for item in ledger.counts()}
