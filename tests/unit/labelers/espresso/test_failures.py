"""Recorded failures of the real pw.x, classed by what to do next; and what is done then."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from labelers.espresso import process
from labelers.espresso.config import ScfSettings
from labelers.espresso.failures import ending_of
from labelers.espresso.handlers import ways
from labelers.espresso.launch import OUTPUT
from labelers.espresso.output import error_message, ranks_of, unconverged_message, version_of
from sis_engine.errors import StopRequested
from sis_engine.execution.program import ProgramOutcome
from sis_engine.interfaces import Context, Segment, SinglePoints
from sis_engine.records import Failure, LabelFailure, Labelled, SegmentSpec, Start
from tests.unit.labelers.espresso.recordings import (
    DATA,
    FRAME,
    GOOD_ENERGY_EV,
    ORIGIN,
    SYSTEM,
    playing,
)

POINT = SinglePoints(SYSTEM, (FRAME,), (ORIGIN,))


def only(results):
    (result,) = results
    return result


@pytest.mark.parametrize(
    ("name", "code", "reason", "words"),
    [
        ("scf-out-of-cycles", 139, Failure.NOT_CONVERGED, "convergence NOT achieved after 3"),
        ("atoms-on-top", 1, Failure.BAD_GEOMETRY, "atoms # 1 and # 2 overlap"),
        ("killed-mid-step", -9, Failure.OUT_OF_MEMORY, "killed from outside"),
        ("killed-mid-step", 0, Failure.PROGRAM, "cut short"),
        ("missing-pseudopotential", 1, Failure.PROGRAM, "Al.gone.UPF not found"),
        ("without-a-word", 1, Failure.PROGRAM, "exit code 1"),
        ("unknown-keyword", 1, Failure.PROGRAM, "bad line in namelist"),
        ("odd-electrons", 1, Failure.PROGRAM, "smearing is needed"),
        ("out-of-memory", 1, Failure.OUT_OF_MEMORY, "Error allocating 46656000 bytes"),
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
    tries = 3 if reason is Failure.NOT_CONVERGED else 1
    assert len(list((tmp_path / "plays").iterdir())) == tries


@pytest.mark.parametrize("name", ["mpi-mix-up", "mpi-mix-up-one-pool"])
def test_two_copies_of_a_one_rank_job_are_found_out(name: str, tmp_path: Path) -> None:
    given = playing(tmp_path, (name, 1), ranks=2, mpirun=through(tmp_path))
    result = only(given.label(POINT, Context(tmp_path, threads=2)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.PROGRAM
    assert "started with 2 ranks and runs with 1" in result.message


def test_a_label_from_a_mixed_up_run_is_not_taken(tmp_path: Path) -> None:
    given = playing(tmp_path, ("good", 0, 1), ranks=2, mpirun=through(tmp_path))
    result = only(given.label(POINT, Context(tmp_path, threads=2)))
    assert isinstance(result, LabelFailure)
    assert "belongs to another MPI" in result.message


def test_a_label_of_ranks_that_tell_nothing_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LAST_WORDS_S", 0.1)
    given = playing(tmp_path, ("without-a-word", 0, 1), ranks=2, mpirun=through(tmp_path))
    result = only(given.label(POINT, Context(tmp_path, threads=2)))
    assert isinstance(result, LabelFailure)
    assert "tells no ranks" in result.message


def through(folder: Path) -> Path:
    """An mpirun that runs the program once and pays no attention to anything."""
    path = folder / "mpirun"
    path.write_text('#!/bin/sh\nwhile [ "${1##*/}" != pw.x ]; do shift; done\nexec "$@"\n')
    path.chmod(0o755)
    return path


def test_a_full_disk_is_the_surroundings_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *data: object, **how: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    given = playing(tmp_path, ("good", 0, 1))
    monkeypatch.setattr(Path, "write_bytes", full)
    ending = ending_of(tmp_path, ProgramOutcome(0, 1.0, tmp_path, "", ""))
    assert ending.reason is Failure.INFRASTRUCTURE
    monkeypatch.setattr(Path, "write_text", full)
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.INFRASTRUCTURE
    assert "No space left" in result.message
    assert not list(tmp_path.glob("**/*sis-*"))


def test_a_silent_program_is_out_of_time_and_patience_gives_it_more(tmp_path: Path) -> None:
    given = playing(tmp_path, ("killed-mid-step", "hang"), silent_timeout_s=0.5)
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_TIME
    assert result.retry_can_help
    run = given.launcher.run(tmp_path, 1, 2.0, tmp_path / "ipi_x", 1)
    assert run.silent_timeout_s == 1.0


def test_a_frame_has_its_own_time_limit(tmp_path: Path) -> None:
    given = playing(tmp_path, ("killed-mid-step", "hang"), frame_timeout_s=0.3)
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.OUT_OF_TIME
    assert "frame_timeout_s" in result.message


def test_a_stop_is_heard_while_it_runs(tmp_path: Path) -> None:
    given = playing(tmp_path, ("killed-mid-step", "hang"))
    asked = iter([False, False, True])
    with pytest.raises(StopRequested):
        list(given.label(POINT, Context(tmp_path, stop=lambda: next(asked, True))))


def test_the_next_way_is_tried_and_told_with_the_label(tmp_path: Path) -> None:
    given = playing(tmp_path, ("scf-out-of-cycles", 139), ("good", 0, 1))
    result = only(given.label(POINT, Context(tmp_path)))
    assert isinstance(result, Labelled)
    assert result.handlers == (
        "max_iterations: 100 → 300",
        "mixing_beta: 0.7 → 0.3",
        "mixing_history: 8 → 12",
    )
    assert not list(tmp_path.glob("pw-*"))
    inputs = [file.read_text() for file in sorted((tmp_path / "plays").iterdir())]
    differing = {
        line.split("=")[0].strip()
        for line in set(inputs[0].splitlines()) ^ set(inputs[1].splitlines())
    }
    assert differing == {"electron_maxstep", "mixing_beta", "mixing_ndim"}


def test_handlers_change_the_solver_and_nothing_else() -> None:
    first, *others = ways(ScfSettings(threshold_rydberg=1e-7))
    assert first.changes == ()
    assert len(others) == 2
    for way in others:
        assert way.changes
        assert way.scf.threshold_rydberg == 1e-7


def test_a_segment_keeps_one_program_and_a_step_that_fails_warm_is_tried_cold(
    tmp_path: Path,
) -> None:
    """The first answers three frames and dies of its SCF; the second, cold, answers the rest."""
    given = playing(tmp_path, ("scf-out-of-cycles", 139, 3), ("good", 0, 9), force=0.001)
    task = Segment(SYSTEM, Start(FRAME), SegmentSpec(5, 0.5, 300.0), ORIGIN)
    results = list(given.label(task, Context(tmp_path)))
    assert all(isinstance(result, Labelled) for result in results)
    assert [result.origin.index for result in results] == [0, 1, 2, 3, 4]
    assert [result.handlers for result in results] == [()] * 5
    assert len(list((tmp_path / "plays").iterdir())) == 2


def test_a_segment_taken_up_again_asks_for_no_step_twice(tmp_path: Path) -> None:
    given = playing(tmp_path, ("good", 0, 3), ("good", 0, 9), force=0.001)
    task = Segment(SYSTEM, Start(FRAME), SegmentSpec(6, 0.5, 300.0), ORIGIN)
    kept = tmp_path / "kept"
    first = given.label(task, Context(tmp_path, kept=kept))
    before = [next(first) for _ in range(3)]
    first.close()
    again = list(given.label(task, Context(tmp_path, kept=kept)))
    assert [r.frame.key for r in again[:3]] == [r.frame.key for r in before]
    assert len(again) == 6
    turns = sorted((tmp_path / "plays").iterdir())
    assert len(turns) == 2
    assert again[3].frame.key not in {r.frame.key for r in before}


def test_a_step_taken_up_again_still_says_how_it_was_solved(tmp_path: Path) -> None:
    given = playing(tmp_path, ("scf-out-of-cycles", 139), ("good", 0, 9), force=0.001)
    task = Segment(SYSTEM, Start(FRAME), SegmentSpec(2, 0.5, 300.0), ORIGIN)
    first, again = (list(given.label(task, Context(tmp_path))) for _ in range(2))
    assert first[0].handlers == again[0].handlers != ()
    assert len(list((tmp_path / "plays").iterdir())) == 2


def test_another_cell_gets_a_program_of_its_own(tmp_path: Path) -> None:
    """One kept alive would keep the plane waves of the old cell."""
    from labelers.espresso.session import Session
    from sis_engine.records import Frame

    given = playing(tmp_path, ("good", 0, 9))
    level = given.level_of_theory(SYSTEM)
    session = Session(given.launcher, SYSTEM, level, Context(tmp_path), warm=True)
    wider = Frame(FRAME.species, 1.01 * FRAME.positions, 1.01 * FRAME.cell, FRAME.pbc)
    for frame in (FRAME, FRAME, wider, wider, FRAME):
        assert isinstance(session.label(frame, ORIGIN), Labelled)
    session.close()
    assert len(list((tmp_path / "plays").iterdir())) == 3
    assert not list(tmp_path.glob("pw-*"))


def test_what_pw_prints_is_read(tmp_path: Path) -> None:
    good = (DATA / "good" / OUTPUT).read_text()
    assert version_of(good) == "6.7MaX"
    assert ranks_of(good) == 1
    assert error_message(good) is None
    assert unconverged_message(good) is None
    assert ranks_of("nothing yet") is None
    box = (DATA / "atoms-on-top" / "CRASH").read_text()
    assert error_message(box) == "check_atoms: atoms # 1 and # 2 overlap! (1)"
    assert error_message((DATA / "atoms-on-top" / OUTPUT).read_text()) == error_message(box)


RECORDED = sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())
WITH_LABEL = ("good", "mpi-mix-up-one-pool")
"""A copy with one rank ends well by itself: that it was to have two, ASE cannot know."""


@pytest.mark.parametrize("name", RECORDED)
def test_ase_reads_energies_from_the_same_outputs_and_none_where_there_is_no_label(
    name: str,
) -> None:
    """A second reader, of the text and with CODATA 2006. It tells frames apart by positions, which
    pw.x prints of the first frame only.
    """
    from ase.io import read

    try:
        seen = read(DATA / name / OUTPUT, index=":", format="espresso-out")
        energies = [atoms.get_potential_energy(force_consistent=True) for atoms in seen]
    except Exception:  # noqa: BLE001 - of any kind: ASE found no label in there
        energies = []
    if name in WITH_LABEL:
        assert energies == [pytest.approx(GOOD_ENERGY_EV, rel=1.5e-7)]
    else:
        assert energies == []
