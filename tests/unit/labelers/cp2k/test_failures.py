"""Recorded failures of the real CP2K, classed by what to do next; and what is done then."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from labelers.cp2k import handlers
from labelers.cp2k.failures import abort_message, ending_of
from labelers.cp2k.launch import OUTPUT
from labelers.endings import has_room
from sis_engine.errors import StopRequested
from sis_engine.execution.program import ProgramOutcome
from sis_engine.interfaces import Context, Segment, SinglePoints
from sis_engine.records import Failure, LabelFailure, Labelled, SegmentSpec, Start
from tests.unit.labelers.cp2k.recordings import DATA, ORIGIN, SYSTEM, WATER, playing, recorded

POINT = SinglePoints(SYSTEM, (WATER,), (ORIGIN,))
SEGMENT = Segment(SYSTEM, Start(WATER), SegmentSpec(5, 0.5, 300.0), ORIGIN)


@pytest.mark.parametrize(
    ("name", "code", "reason", "words"),
    [
        ("outer-loops-exhausted", 0, Failure.NOT_CONVERGED, "SCF run NOT converged"),
        ("atoms-on-top", 1, Failure.BAD_GEOMETRY, "GEOMETRY wrong"),
        ("killed-mid-step", -9, Failure.OUT_OF_MEMORY, "killed from outside"),
        ("killed-mid-step", 0, Failure.PROGRAM, "cut short"),
        ("disk-full", -15, Failure.PROGRAM, "signal 15"),
        ("wrong-basis", 1, Failure.PROGRAM, "DZVP-MOLOPT-XX-GTH"),
        ("wrong-pseudopotential", 1, Failure.PROGRAM, "GTH-PBE-q9"),
        ("charges-out-of-range", 1, Failure.SOLVER, "CHECK_ATOMIC_CHARGES F in &XTB"),
        ("odd-electrons", 1, Failure.PROGRAM, "odd number of electrons"),
        ("unknown-keyword", 1, Failure.PROGRAM, "unknown keyword GFN_TYPE"),
        ("out-of-memory", 1, Failure.OUT_OF_MEMORY, "Cannot allocate memory"),
    ],
)
def test_a_recorded_failure_is_classed_and_says_why(
    name: str, code: int, reason: Failure, words: str, tmp_path: Path
) -> None:
    result = only(playing(tmp_path, (name, code)).label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is reason
    assert words in result.message
    assert "\n" not in result.message
    assert result.directory is not None
    assert (result.directory / OUTPUT).exists()
    assert result.retry_can_help is (reason is Failure.OUT_OF_MEMORY)


def only(results):
    (result,) = results
    return result


def test_a_full_disk_is_the_surroundings_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded("disk-full", tmp_path)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    ending = ending_of(folder, ProgramOutcome(0, 1.0, folder, "", ""), unconverged=False)
    assert ending.reason is Failure.INFRASTRUCTURE
    assert "no room left" in ending.message


def test_two_copies_of_a_one_rank_job_are_found_out(tmp_path: Path) -> None:
    given = playing(tmp_path, ("mpi-mix-up", 0), ranks=2, mpirun=through(tmp_path))
    result = only(given.label(POINT, Context(tmp_path, threads=2)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.PROGRAM
    assert "started with 2 ranks and runs with 1" in result.message


def through(folder: Path) -> Path:
    """An mpirun that runs the program once and pays no attention to anything."""
    path = folder / "mpirun"
    path.write_text('#!/bin/sh\nwhile [ "${1##*/}" != cp2k.psmp ]; do shift; done\nexec "$@"\n')
    path.chmod(0o755)
    return path


def test_a_silent_program_is_out_of_time_and_patience_gives_it_more(tmp_path: Path) -> None:
    given = playing(tmp_path, ("killed-mid-step", "hang"), silent_timeout_s=0.5)
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_TIME
    assert result.retry_can_help
    run = given.launcher.run(tmp_path, 1, 2.0)
    assert run.silent_timeout_s == 1.0


def test_the_next_way_is_tried_and_told_with_the_label(tmp_path: Path) -> None:
    given = playing(tmp_path, ("outer-loops-exhausted", 0), ("good-point", 0))
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, Labelled)
    assert "SCF/OT/MINIMIZER: DIIS → CG" in result.handlers
    assert not list(tmp_path.glob("point-*"))


def test_a_bad_geometry_is_not_tried_another_way(tmp_path: Path) -> None:
    given = playing(tmp_path, ("atoms-on-top", 1))
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.handlers == ()
    assert len(list((tmp_path / "plays").iterdir())) == 1


def test_handlers_change_the_solver_and_nothing_else() -> None:
    physics = {"eps_scf": 1e-6, "smear": {"_": "ON"}, "added_mos": 20}
    for solver in (
        {"ot": {"minimizer": "DIIS", "preconditioner": "FULL_SINGLE_INVERSE"}, "max_scf": 40},
        {"diagonalization": {}, "mixing": {"method": "BROYDEN_MIXING", "alpha": 0.2}},
    ):
        first, *others = handlers.ways(physics | solver)
        assert first.changes == ()
        assert len(others) == 2
        for way in others:
            assert way.changes
            assert all(" → " in change for change in way.changes)
            assert {key: way.scf[key] for key in physics} == physics


def test_a_killed_run_is_followed_by_another_as_long_as_they_get_on(tmp_path: Path) -> None:
    """Five steps, then killed; the next run comes no further, and what is known is kept."""
    given = playing(tmp_path, ("good-md", -9))
    task = Segment(SYSTEM, Start(WATER), SegmentSpec(7, 0.5, 300.0), ORIGIN)
    *labels, last = given.label(task, Context(tmp_path))
    assert [result.origin.index for result in labels] == [0, 1, 2, 3, 4]
    assert isinstance(last, LabelFailure)
    assert (last.origin.index, last.reason) == (5, Failure.OUT_OF_MEMORY)
    assert "extrapolated" in last.message
    assert len(list((tmp_path / "plays").iterdir())) == 2


def test_a_segment_whose_program_dies_at_once_is_one_failure(tmp_path: Path) -> None:
    given = playing(tmp_path, ("out-of-memory", 1))
    result = only(given.label(SEGMENT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_MEMORY
    assert result.frame.key == WATER.key
    assert result.retry_can_help


def test_an_unconverged_step_of_a_segment_is_no_label_by_any_way(tmp_path: Path) -> None:
    given = playing(tmp_path, ("scf-out-of-cycles", 0))
    result = only(given.label(SEGMENT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.NOT_CONVERGED
    assert len(list((tmp_path / "plays").iterdir())) == 3
    assert result.handlers


def test_a_stop_is_heard_at_once_where_there_is_nothing_to_save(tmp_path: Path) -> None:
    given = playing(tmp_path, ("killed-mid-step", "hang"))
    asked = iter([False, False, True])
    context = Context(tmp_path, stop=lambda: next(asked, True))
    with pytest.raises(StopRequested):
        list(given.label(POINT, context))


def test_the_words_in_the_abort_box_are_one_line() -> None:
    text = (DATA / "wrong-basis" / OUTPUT).read_text()
    assert abort_message(text) == (
        "The requested basis set <DZVP-MOLOPT-XX-GTH> for element <O> was not found in the basis "
        "set files <BASIS_MOLOPT> (aobasis/basis_set_types.F:1509)"
    )
    assert abort_message("all is well") is None


def test_signals_are_told_from_exit_codes(tmp_path: Path) -> None:
    for code in (-signal.SIGSEGV, 139):
        ending = ending_of(tmp_path, ProgramOutcome(code, 1.0, tmp_path, "", ""), unconverged=False)
        assert ending.reason is Failure.PROGRAM
        assert has_room(tmp_path)
