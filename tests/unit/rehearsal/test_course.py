"""Where a campaign is in its course, from the ledger alone."""

from __future__ import annotations

from pathlib import Path

from sis_engine.rehearsal.course import Course, Moment, attempts, reach
from sis_engine.storage.ledger import Ledger

COURSE = Course(((0, "label", 2.0), (0, "train-1", 5.0), (0, "explore", 1.0), (1, "label", 2.0)))


def test_a_time_of_the_whole_course_falls_into_a_stage() -> None:
    assert COURSE.seconds == 10.0
    assert COURSE.at(0.5) == Moment(0, "label", 0.5)
    assert COURSE.at(6.0) == Moment(0, "train-1", 4.0)
    assert COURSE.at(8.5) == Moment(1, "label", 0.5)
    assert str(COURSE.at(6.0)) == "train of generation 0"


def test_only_finished_attempts_are_part_of_the_course(tmp_path: Path) -> None:
    assert attempts(tmp_path) == ()
    with Ledger(tmp_path) as ledger:
        first = ledger.start_stage(0, "label")
        ledger.fail_stage(0, "label", first, seconds=1.0, message="stopped")
        second = ledger.start_stage(0, "label")
        ledger.finish_stage(0, "label", second, result_path=None, sha256=None, seconds=3.0)
        ledger.start_stage(0, "merge")
    assert Course.of(tmp_path) == Course(((0, "label", 3.0),))
    assert attempts(tmp_path) == ((0, "label", 1), (0, "label", 2), (0, "merge", 1))


def test_a_moment_is_reached_by_what_begins_from_now_on(tmp_path: Path) -> None:
    """Here the engine is this test: each wait of ``reach`` begins the next stage."""
    begun: list[str] = []
    stages = iter(["label", "train-1"])
    with Ledger(tmp_path) as ledger:
        ledger.start_stage(0, "explore")  # of an earlier life

        def engine(seconds: float) -> bool:
            stage = next(stages, None)
            if stage is not None:
                ledger.start_stage(0, stage)
                begun.append(stage)
            return stage is None and seconds < 1.0

        assert reach(tmp_path, Moment(0, "train-1", 4.0), COURSE, engine)
        assert begun == ["label", "train-1"]
        assert not reach(tmp_path, Moment(1, "label"), COURSE, engine)  # it ends before
        ledger.start_stage(0, "label")
        stages = iter(["explore"])
        assert reach(tmp_path, Moment(0, "train-1", 4.0), COURSE, engine)  # further already
