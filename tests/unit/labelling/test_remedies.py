from __future__ import annotations

import errno
from collections import Counter

import pytest

from sis_engine.errors import (
    InfrastructureError,
    ProgramFailed,
    ProgramHung,
    ProgramMissing,
    StopRequested,
)
from sis_engine.interfaces import Capability, Context, Segment, SinglePoints
from sis_engine.labelling import remedies
from sis_engine.labelling.doubt import FIRST_IN_A_ROW, LATER_IN_A_ROW
from sis_engine.labelling.remedies import PATIENCE, RESPONSES, Response
from sis_engine.records import Failure, LabelFailure, Labelled, Origin, Purpose, SegmentSpec, Start
from tests.unit.faulty_labelers import DIMER, Bench, FaultyLabeler, dimers


def at(*indices: int, what: Failure | Exception):
    return lambda _labeler, index, _context: what if index in indices else None


def first_time(*indices: int, what: Failure):
    """Fails the first time that a frame is asked for."""

    def answer(labeler: FaultyLabeler, index: int, _context: object) -> Failure | None:
        times = sum(asked == index for asked, _ in labeler.asked)
        return what if index in indices and times == 1 else None

    return answer


def outcome(results) -> dict[int, str]:
    return {
        r.origin.index: r.reason.value if isinstance(r, LabelFailure) else "good" for r in results
    }


def test_every_class_of_failure_has_its_response() -> None:
    assert set(RESPONSES) == set(Failure)


@pytest.mark.parametrize(
    "reason", [f for f, response in RESPONSES.items() if response is Response.QUARANTINE]
)
def test_a_frame_that_is_to_blame_is_quarantined_and_the_others_go_on(reason, tmp_path) -> None:
    bench = Bench(FaultyLabeler(at(1, what=reason)), tmp_path)
    assert outcome(bench.label(dimers(4))) == {0: "good", 1: reason.value, 2: "good", 3: "good"}
    assert len(bench.labeler.asked) == 4
    again = Bench(FaultyLabeler(at(what=reason)), tmp_path)
    again.bank.items.update(bench.bank.items)
    assert again.label(dimers(4))[1].reason is reason  # known to the bank: not paid for again
    del again


@pytest.mark.parametrize("reason", [Failure.OUT_OF_MEMORY, Failure.OUT_OF_TIME])
def test_what_ran_out_of_room_is_tried_once_more_with_more_of_it(reason, tmp_path) -> None:
    labeler = FaultyLabeler(first_time(1, 2, what=reason), retry_can_help=True)
    bench = Bench(labeler, tmp_path)
    results = bench.label(dimers(4))
    assert outcome(results) == dict.fromkeys(range(4), "good")
    assert Counter(index for index, _ in labeler.asked) == {0: 1, 1: 2, 2: 2, 3: 1}
    second = [context for index, context in labeler.asked if index == 1][1]
    assert second.patience == PATIENCE
    assert [r.seconds for r in results if r.origin.index == 1] == [1.0]  # the lost second counts
    assert [kind for kind, _ in bench.notes] == ["label_again"] * 2
    assert len({r.level.fingerprint for r in results}) == 1


def test_the_second_try_runs_alone(tmp_path) -> None:
    beside: list[int] = []

    def answer(labeler: FaultyLabeler, index: int, context) -> Failure | None:
        if context.patience > 1.0:
            beside.append(labeler._at_work)
            return None
        return Failure.OUT_OF_MEMORY if index % 2 else None

    bench = Bench(FaultyLabeler(answer, retry_can_help=True), tmp_path, cores=2)
    assert outcome(bench.label(dimers(12))) == dict.fromkeys(range(12), "good")
    assert beside == [1] * 6


def test_a_second_try_that_fails_too_is_quarantine_and_not_kept_as_the_frames_fault(tmp_path):
    labeler = FaultyLabeler(at(1, what=Failure.OUT_OF_TIME), retry_can_help=True)
    bench = Bench(labeler, tmp_path)
    assert outcome(bench.label(dimers(2))) == {0: "good", 1: "out_of_time"}
    assert len(labeler.asked) == 3
    assert len(bench.bank.items) == 1


def test_where_nothing_could_change_there_is_no_second_try(tmp_path) -> None:
    """One frame, alone, and the labeler does not say that another try may help."""
    bench = Bench(FaultyLabeler(at(0, what=Failure.OUT_OF_MEMORY)), tmp_path)
    assert outcome(bench.label(dimers(1))) == {0: "out_of_memory"}
    assert len(bench.labeler.asked) == 1
    assert bench.notes == []


def test_a_program_that_never_works_stops_the_run_before_the_queue_is_burnt(tmp_path) -> None:
    bench = Bench(FaultyLabeler(at(*range(99), what=Failure.PROGRAM)), tmp_path)
    with pytest.raises(ProgramFailed, match=r"3 labels in a row .* 2 of p .*fake program"):
        bench.label(dimers(99))
    assert len(bench.labeler.asked) == FIRST_IN_A_ROW
    assert bench.bank.items == {}  # nothing is held against the frames
    mended = Bench(FaultyLabeler(at(what=Failure.PROGRAM)), tmp_path)
    assert set(outcome(mended.label(dimers(99))).values()) == {"good"}


def test_a_program_that_fails_now_and_then_does_not_stop_the_run(tmp_path) -> None:
    bad = [k for k in range(60) if k % 10]  # nine in a row, again and again, but one works first
    bench = Bench(FaultyLabeler(at(*bad, what=Failure.PROGRAM)), tmp_path)
    assert Counter(outcome(bench.label(dimers(60))).values()) == {"program": 54, "good": 6}
    assert bench.counted == bench.notes == []


class BadFrames(FaultyLabeler):
    """Its program fails at frames ``bad``, whoever asks for them; of all once it is ``broken``."""

    def __init__(self, bad, *, side_by_side: bool = True) -> None:
        super().__init__(at(what=Failure.PROGRAM), side_by_side=side_by_side)
        lengths = {round(2.5 + 0.01 * k, 6) for k in bad}
        self.bad, self.broken = lengths, False

    def _one(self, system, frame, origin, context):
        fails = self.broken or round(float(frame.positions[1, 0]), 6) in self.bad
        self.answer = lambda *_: Failure.PROGRAM if fails else None
        return super()._one(system, frame, origin, context)


@pytest.mark.parametrize("side_by_side", [True, False])
def test_frames_at_which_a_working_program_fails_are_set_aside_and_told(
    tmp_path, side_by_side: bool
) -> None:
    """A bad model's frames: the run does not stop, whose resume would meet the same ones first."""
    bench = Bench(BadFrames(range(1, 35), side_by_side=side_by_side), tmp_path)
    found = outcome(bench.label(dimers(36)))
    assert found == {0: "good", **dict.fromkeys(range(1, 35), "program"), 35: "good"}
    kinds, texts = zip(*bench.notes, strict=True)
    assert kinds == ("program_works",) * 3  # after ten, twenty and thirty
    assert "10 labels in a row failed" in texts[0]
    assert "set aside; the last, 10 of p (dimer): fake program" in texts[0]
    # paid for, and counted as what it is: the frame that has a label, once more
    assert [(type(c), c.origin.purpose, c.origin.index) for c in bench.counted] == [
        (Labelled, Purpose.SINGLE, k) for k in (10, 20, 30)
    ]
    assert {c.frame.key for c in bench.counted} == {dimers(1).frames[0].key}
    assert len(bench.labeler.asked) == 36 + 3
    assert len(bench.bank.items) == 2  # no failure of a program is held against its frame for good


def test_an_engine_that_goes_on_asks_a_banked_frame_before_it_calls_the_program_broken(tmp_path):
    first = Bench(BadFrames([]), tmp_path)
    first.label(dimers(1))
    bench = Bench(BadFrames(range(1, 20)), tmp_path)
    bench.bank.items.update(first.bank.items)
    assert Counter(outcome(bench.label(dimers(21))).values()) == {"good": 2, "program": 19}
    assert [c.origin.index for c in bench.counted] == [FIRST_IN_A_ROW, FIRST_IN_A_ROW + 10]


@pytest.mark.parametrize("cores", [1, 2])
def test_a_program_that_no_longer_labels_what_it_did_stops_the_run(tmp_path, cores: int) -> None:
    labeler = BadFrames([])
    bench = Bench(labeler, tmp_path, cores=cores)
    bench.label(dimers(1))
    labeler.broken = True
    with pytest.raises(ProgramFailed, match=r"1\d labels .* nor does a frame .* \(fake program\)"):
        bench.label(dimers(60))
    (counted,) = bench.counted
    assert isinstance(counted, LabelFailure)
    assert len(labeler.asked) <= 1 + LATER_IN_A_ROW + 1 + cores
    assert len(bench.bank.items) == 1


def test_doubt_outlasts_a_task_and_is_settled_before_the_next_label(tmp_path) -> None:
    """Probes of a search, segments: one frame a task."""
    bench = Bench(BadFrames(range(1, 99)), tmp_path)
    frames = dimers(FIRST_IN_A_ROW + 2)
    tasks = [
        SinglePoints(frames.system, (frame,), (origin,))
        for frame, origin in zip(frames.frames, frames.origins, strict=True)
    ]
    for task in tasks[1:]:
        if len(bench.labeler.asked) == FIRST_IN_A_ROW:
            with pytest.raises(ProgramFailed, match="3 labels in a row"):
                bench.label(task)
        else:
            next(iter(bench.source.label(task, Context(tmp_path, threads=1))))  # and no more
    assert len(bench.labeler.asked) == FIRST_IN_A_ROW


def test_the_surroundings_of_a_frame_labelled_anew_are_no_breakdown_of_the_program(tmp_path):
    labeler = BadFrames(range(1, 99))
    bench = Bench(labeler, tmp_path)
    bench.label(dimers(1))
    full = OSError(errno.ENOSPC, "No space left on device")
    first = dimers(1).frames[0].key

    def one(system, frame, origin, context):
        if frame.key == first:
            raise full
        return BadFrames._one(labeler, system, frame, origin, context)

    labeler._one = one
    with pytest.raises(InfrastructureError, match="No space left"):
        bench.label(dimers(20))


def test_a_fault_of_the_surroundings_is_raised_and_held_against_no_frame(tmp_path) -> None:
    bench = Bench(FaultyLabeler(at(2, what=Failure.INFRASTRUCTURE)), tmp_path)
    with pytest.raises(InfrastructureError, match=r"label 2 of p \(dimer\): fake infra"):
        bench.label(dimers(5))
    assert len(bench.bank.items) == 2
    assert outcome(Bench(FaultyLabeler(at(what=ValueError())), tmp_path).label(dimers(5)))


def test_a_full_disk_below_a_labeler_is_a_fault_of_the_surroundings(tmp_path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InfrastructureError, match="No space left"):
        Bench(FaultyLabeler(at(0, what=full)), tmp_path).label(dimers(2))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProgramFailed("exit code 1"), Failure.PROGRAM),
        (ProgramHung("silent"), Failure.OUT_OF_TIME),
        (ValueError("a defect of the plugin"), Failure.PROGRAM),
        (MemoryError(), Failure.OUT_OF_MEMORY),
        (FileNotFoundError(errno.ENOENT, "no output"), Failure.PROGRAM),
    ],
)
def test_an_exception_of_a_labeler_is_one_frames_failure(error, reason, tmp_path) -> None:
    bench = Bench(FaultyLabeler(at(1, what=error), side_by_side=False), tmp_path)
    assert outcome(bench.label(dimers(4))) == {0: "good", 1: reason.value, 2: "good", 3: "good"}
    told = [text for kind, text in bench.notes if kind == "labeler_raised"]
    assert len(told) == (not isinstance(error, (ProgramFailed, ProgramHung)))


@pytest.mark.parametrize("error", [ProgramMissing("no such program"), StopRequested("stop")])
def test_what_concerns_all_frames_goes_through(error, tmp_path) -> None:
    with pytest.raises(type(error)):
        Bench(FaultyLabeler(at(1, what=error)), tmp_path).label(dimers(4))


# --------------------------------------------------------------------------- own trajectories


class OwnSegments(FaultyLabeler):
    """Drives its own segment; goes on where it was when it is asked again."""

    def __init__(self, fails_at: int, what: Failure | Exception, *, retry_can_help: bool) -> None:
        super().__init__(at(what=ValueError()), retry_can_help=retry_can_help)
        self.capabilities = self.capabilities | {Capability.SEGMENT}
        self.fails_at, self.what = fails_at, what
        self.begun: list[float] = []
        self.steps: list[int] = []

    def label(self, task, context):
        if not isinstance(task, Segment):
            yield from super().label(task, context)
            return
        self.begun.append(context.patience)
        first = len(self.steps)
        for step in range(first, task.spec.n_steps):
            origin = Origin(Purpose.SEGMENT, 0, "dimer", "p", step)
            if step == self.fails_at and len(self.begun) == 1:
                if isinstance(self.what, Exception):
                    raise self.what
                level = self.level_of_theory(task.system)
                yield LabelFailure(
                    task.start.frame, level, origin, self.what, "fake", self.retry_can_help
                )
                return
            self.steps.append(step)
            yield next(iter(super().label(_one(task, step), context)))


def _one(task: Segment, step: int):
    given = dimers(step + 1, task.system)
    return type(given)(given.system, given.frames[-1:], given.origins[-1:])


def segment(n: int) -> Segment:
    spec = SegmentSpec(n, 1.0, 300.0)
    return Segment(DIMER, Start(DIMER.frame), spec, Origin(Purpose.SEGMENT, 0, "dimer", "p", 0))


def test_a_segment_that_ran_out_of_time_goes_on_with_more_and_yields_each_step_once(tmp_path):
    labeler = OwnSegments(3, Failure.OUT_OF_TIME, retry_can_help=True)
    results = Bench(labeler, tmp_path).label(segment(6))
    assert [r.origin.index for r in results] == list(range(6))
    assert all(isinstance(r, Labelled) for r in results)
    assert (labeler.begun, labeler.steps) == ([1.0, PATIENCE], list(range(6)))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (Failure.OUT_OF_TIME, Failure.OUT_OF_TIME),
        (Failure.NOT_CONVERGED, Failure.NOT_CONVERGED),
        (ProgramFailed("exit code 1"), Failure.PROGRAM),
    ],
)
def test_a_segment_that_fails_for_good_ends_in_its_failure(what, reason, tmp_path) -> None:
    labeler = OwnSegments(3, what, retry_can_help=False)
    results = Bench(labeler, tmp_path).label(segment(6))
    assert [r.origin.index for r in results] == list(range(4))
    assert results[-1].reason is reason
    assert labeler.begun == [1.0]


def test_results_may_come_in_any_order_and_twice_the_same_origin(tmp_path) -> None:
    given = dimers(3)
    twins = SinglePoints(
        given.system, (*given.frames, given.frames[0]), (*given.origins, given.origins[0])
    )
    left = remedies._Left(twins)
    for origin in (given.origins[2], given.origins[0], given.origins[0]):
        left.take(origin)
    assert left.as_task().origins == (given.origins[1],)
    left.take(given.origins[2])  # one that is not asked for any more: the first of all
    assert not left
    with pytest.raises(LookupError, match="more results than there were frames"):
        left.take_first()
