"""What a campaign does when labels fail, class by class: go on, pause with the reason, go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sis_engine.bookkeeping import backoff
from sis_engine.bookkeeping.states import State
from sis_engine.campaign import runner
from sis_engine.errors import ConfigurationError
from sis_engine.labelling.doubt import FIRST_IN_A_ROW, LATER_IN_A_ROW
from sis_engine.records import Failure, LabelFailure, Purpose
from sis_engine.storage.ledger import Ledger, Outcome
from sis_engine.testing.fakes import FakeLabeler
from tests.integration.small_campaigns import digest_of, events, paid, records, run, write_campaign
from tests.integration.test_durability import TINY

pytestmark = pytest.mark.slow  # whole campaigns

ONE = {**TINY, "budget.generations": 1}

Answer = Callable[[int, Purpose], Failure | None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Make the fake labeler fail as told by the number of its evaluation and what it is for."""
    done = Counter[str]()
    original = FakeLabeler.label

    def make(answer: Answer) -> None:
        def label(self, task, context):
            for result in original(self, task, context):
                done["n"] += 1
                reason = answer(done["n"], result.origin.purpose)
                if reason is None:
                    yield result
                    continue
                told = f"fake {reason.value}"
                yield LabelFailure(result.frame, result.level, result.origin, reason, told)

        monkeypatch.setattr(FakeLabeler, "label", label)

    return make


def test_a_disk_that_fills_up_is_waited_for_and_then_the_end_is_the_same(
    tmp_path: Path, failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_campaign(tmp_path / "given", ONE)
    run(tmp_path / "undisturbed", config)
    failing(lambda n, _purpose: Failure.INFRASTRUCTURE if n in {5, 6, 30} else None)
    waits: list[float] = []
    run_here = tmp_path / "run"
    monkeypatch.setattr(backoff, "waited", lambda seconds, _stop: waits.append(seconds) or True)
    monkeypatch.setattr(runner, "_reported", lambda _, ended: ended)
    ended = runner.run_in_folder(run_here, config, stop=lambda: False, quiet=True)
    assert ended.state is State.EXHAUSTED
    assert waits == [5.0, 30.0, 5.0]  # the third fault came after progress
    assert digest_of(run_here) == digest_of(tmp_path / "undisturbed")
    assert paid(run_here) == paid(tmp_path / "undisturbed")


def test_a_fault_that_stays_pauses_with_its_reason_and_goes_on_when_it_is_mended(
    tmp_path: Path, failing
) -> None:
    config, place = write_campaign(tmp_path / "given", ONE), tmp_path / "run"
    failing(lambda n, _purpose: Failure.INFRASTRUCTURE if n >= 8 else None)
    ended = run(place, config)
    assert ended.state is State.PAUSED
    assert ended.state.exit_code == 3
    assert "fake infrastructure" in ended.reason
    failing(lambda _n, _purpose: None)
    assert run(place).state is State.EXHAUSTED
    with Ledger(place, read_only=True) as ledger:
        assert Outcome.FAILED not in {row.outcome for row in ledger.evaluations()}


def test_a_program_that_never_works_pauses_before_the_queue_is_burnt(
    tmp_path: Path, failing
) -> None:
    asked: list[int] = []

    def broken(n: int, _purpose: Purpose) -> Failure:
        asked.append(n)
        return Failure.PROGRAM

    config, place = write_campaign(tmp_path / "given", ONE), tmp_path / "run"
    failing(broken)
    ended = run(place, config)
    assert ended.state is State.PAUSED
    assert "not one frame of the first round got a label: program: fake program" in ended.reason
    assert len(asked) == 1
    failing(lambda _n, _purpose: None)
    assert run(place).state is State.EXHAUSTED


def test_a_program_that_breaks_in_the_middle_pauses_too(tmp_path: Path, failing) -> None:
    """In a round of many single points: the audit of the survivors."""
    two = {**TINY, "execution.cores": 2}
    config, place = write_campaign(tmp_path / "given", two), tmp_path / "run"
    run(tmp_path / "undisturbed", config)
    audits = [
        row.key
        for record in records(tmp_path / "undisturbed")
        for audit in record.audits
        for outcome in audit.outcomes
        for row in outcome.labelled
    ]
    assert len(audits) >= LATER_IN_A_ROW
    broken: list[int] = []

    def breaks(n: int, purpose: Purpose) -> Failure | None:
        if broken or purpose is Purpose.AUDIT:
            broken.append(n)
        return Failure.PROGRAM if broken else None

    failing(breaks)
    ended = run(place, config)
    assert ended.state is State.PAUSED, ended
    assert "labels in a row failed because their program did" in ended.reason
    assert "nor does a frame come out any more that has a label" in ended.reason
    assert len(broken) <= LATER_IN_A_ROW + 4  # one that has a label, and what was in hand
    before = len(broken)
    assert run(place).state is State.PAUSED  # not mended: sooner, for nothing has worked yet
    assert len(broken) - before <= FIRST_IN_A_ROW + 4
    failing(lambda _n, _purpose: None)
    run(place)
    assert digest_of(place) == digest_of(tmp_path / "undisturbed")


def test_a_program_that_fails_at_a_bad_models_frames_only_does_not_pause_the_campaign(
    tmp_path: Path, failing
) -> None:
    """Run again, it would meet the same frames first, and pause for ever."""
    audits: list[int] = []

    def crashes(n: int, purpose: Purpose) -> Failure | None:
        if purpose is Purpose.AUDIT and len(audits) < 2 * LATER_IN_A_ROW:
            audits.append(n)
            return Failure.PROGRAM
        return None

    failing(crashes)
    place = tmp_path / "run"
    ended = run(place, write_campaign(tmp_path / "given", TINY))
    assert ended.state is not State.PAUSED, ended
    told = events(place).count("a frame that has a label was labelled anew and came out")
    assert told >= 1
    with Ledger(place, read_only=True) as ledger:
        rows = ledger.evaluations()
    assert sum(row.reason == "program" for row in rows) == len(audits) == 20
    anew = [row for row in rows if row.purpose is Purpose.SINGLE and "-audit-" in row.plan]
    assert [row.outcome for row in anew] == [Outcome.GOOD] * told  # paid for, so counted


@pytest.mark.parametrize("reason", [Failure.NOT_CONVERGED, Failure.SOLVER, Failure.BAD_GEOMETRY])
def test_a_frame_that_fails_is_recorded_with_its_reason_and_the_campaign_goes_on(
    reason: Failure, tmp_path: Path, failing
) -> None:
    failing(lambda n, _purpose: reason if n == 15 else None)
    place = tmp_path / "run"
    assert run(place, write_campaign(tmp_path / "given", ONE)).state is State.EXHAUSTED
    (record,) = records(place)
    failures = [f for o in (*record.outcomes, *record.test_outcomes) for f in o.failures]
    assert [(f.reason, f.message) for f in failures] == [(reason, f"fake {reason.value}")]
    with Ledger(place, read_only=True) as ledger:
        kept = [row.reason for row in ledger.evaluations() if row.outcome is Outcome.FAILED]
    assert kept == [reason.value]


def test_a_first_round_without_a_label_pauses_with_the_reasons(tmp_path: Path, failing) -> None:
    failing(lambda _n, _purpose: Failure.NOT_CONVERGED)
    place = tmp_path / "run"
    ended = run(place, write_campaign(tmp_path / "given", ONE))
    assert ended.state is State.PAUSED
    assert "not converged: fake not_converged (1 times)" in ended.reason
    assert "NothingLabelled" in events(place)
    again = run(place)  # not mended: it is asked once more, and pauses again
    assert again.reason == ended.reason


def test_a_gate_that_keeps_every_label_out_pauses_and_a_mended_one_lets_the_same_labels_in(
    tmp_path: Path,
) -> None:
    place, given = tmp_path / "run", tmp_path / "given"
    ended = run(place, write_campaign(given, {**ONE, "gate.max_force": 1e-9}))
    assert ended.state is State.PAUSED
    assert "the gate kept out all" in ended.reason
    assert "force too large" in ended.reason
    assert "the limit 1.00e−9" in ended.reason
    before = paid(place)
    assert run(place).reason == ended.reason  # not mended
    run(tmp_path / "undisturbed", write_campaign(given, ONE))
    assert run(place, write_campaign(given, ONE)).state is State.EXHAUSTED
    assert paid(place) == paid(tmp_path / "undisturbed") > before
    assert [row.key for o in records(place)[0].outcomes for row in o.labelled] == [
        row.key for o in records(tmp_path / "undisturbed")[0].outcomes for row in o.labelled
    ]


@pytest.mark.parametrize("reason", [Failure.NOT_CONVERGED, Failure.BAD_GEOMETRY])
def test_a_labeler_that_is_mended_is_asked_again_where_nothing_had_shown_that_it_works(
    reason: Failure, tmp_path: Path, failing
) -> None:
    """Its settings (cycles of the SCF, say) may change nothing of the level of theory."""
    config, place = write_campaign(tmp_path / "given", ONE), tmp_path / "run"
    run(tmp_path / "undisturbed", config)
    failing(lambda _n, _purpose: reason)
    assert run(place, config).state is State.PAUSED
    failing(lambda _n, _purpose: None)
    run(place)
    assert digest_of(place) == digest_of(tmp_path / "undisturbed")
    with Ledger(place, read_only=True) as ledger:
        rows = ledger.evaluations()
    lost, made = rows[0], rows[1]
    assert (lost.outcome, made.outcome) == (Outcome.FAILED, Outcome.GOOD)
    assert lost.key == made.key  # both were paid for
    assert all(row.outcome is not Outcome.FAILED for row in rows[1:])


def test_threads_that_change_last_bits_are_refused_where_bits_are_promised(tmp_path: Path) -> None:
    labeler = {"type": "xtb", "threads": 2}
    with pytest.raises(ConfigurationError, match="differ in their last bits") as refused:
        run(tmp_path / "run", write_campaign(tmp_path / "exact", {"labeler": labeler}))
    assert refused.value.key == "labeler.threads"
    loose = {"labeler": labeler, "exact": False, "pause_before": ["label"]}
    assert run(tmp_path / "run", write_campaign(tmp_path / "loose", loose)).state is State.PAUSED
