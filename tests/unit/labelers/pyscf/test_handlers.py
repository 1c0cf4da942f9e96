"""Other ways to solve PySCF's SCF, and what its process said when it failed."""

from pathlib import Path

import pytest

from labelers.pyscf.config import PyscfConfig
from labelers.pyscf.doctor import installed, reports
from labelers.pyscf.handlers import MOST_CYCLES, ways
from labelers.pyscf.labeler import PyscfLabeler
from labelers.pyscf.session import ending_of, failure_of_death, worker_settings
from sis_engine.errors import ProgramMissing
from sis_engine.execution.worker import Reply, WorkerDied
from sis_engine.records import Failure


def test_the_configured_way_comes_first_and_changes_nothing():
    first, *others = ways(50)
    assert first.changes == ()
    assert first.solver.max_cycles == 50
    assert all(other.changes for other in others)


def test_every_other_way_says_what_it_changes():
    _, shifted, newton = ways(50)
    assert set(shifted.changes) == {
        f"max_cycles: 50 → {MOST_CYCLES}",
        "level_shift: 0.0 → 0.3",
        "damping: 0.0 → 0.3",
    }
    assert "second_order: False → True" in newton.changes


def test_more_cycles_that_were_asked_for_are_never_made_fewer():
    assert {way.solver.max_cycles for way in ways(1000)} == {1000}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not_converged", Failure.NOT_CONVERGED),
        ("LinAlgError", Failure.SOLVER),
        ("MemoryError", Failure.OUT_OF_MEMORY),
        ("OSError", Failure.INFRASTRUCTURE),
        ("KeyError", Failure.PROGRAM),
    ],
)
def test_an_exception_in_the_worker_is_classed_by_what_to_do_next(kind: str, reason: Failure):
    seen = ending_of(Reply(None, {}, kind, "its words"))
    assert seen.reason is reason
    assert "its words" in seen.message


@pytest.mark.parametrize(("code", "reason"), [(-9, Failure.OUT_OF_MEMORY), (-11, Failure.PROGRAM)])
def test_a_dead_worker_was_killed_for_memory_or_crashed(code: int, reason: Failure):
    died = WorkerDied("gone", code, directory=Path(), hint="")
    assert failure_of_death(died) is reason


def test_the_processor_alone_is_used_where_that_is_asked_for():
    hidden = ("CUDA_VISIBLE_DEVICES", "")
    assert hidden in worker_settings(PyscfConfig(device="cpu")).environment
    assert hidden not in worker_settings(PyscfConfig()).environment


def test_only_one_thread_on_the_processor_is_exact():
    assert PyscfLabeler(PyscfConfig(threads=1, device="cpu")).not_exact_because is None
    assert "threads" in str(PyscfLabeler(PyscfConfig(device="cpu")).not_exact_because)
    assert "GPU" in str(PyscfLabeler(PyscfConfig(threads=1)).not_exact_because)


def test_what_is_missing_is_told_with_the_way_to_get_it():
    answer = {"versions": {"pyscf": "2.14.0", "pyscf-dispersion": None}, "gpu": None}
    found = installed(answer, "gpu")
    told = {report.name: report for report in reports(found, PyscfConfig(device="gpu"), "python")}
    assert told["pyscf"].problem is None
    assert "pyscf-dispersion" in str(told["pyscf-dispersion"].problem)
    assert "no GPU" in str(told["gpu4pyscf"].problem)
    assert all(report.mend for report in told.values() if report.problem)
    with pytest.raises(ProgramMissing):
        installed({"versions": {"pyscf": None}}, "cpu")


def test_a_gpu_is_used_where_one_is_unless_the_processor_is_asked_for():
    versions = {"pyscf": "2.14.0", "pyscf-dispersion": "1.7.0", "gpu4pyscf-cuda12x": "1.5.0"}
    answer = {"versions": versions, "gpu": "Some GPU"}
    assert "gpu4pyscf 1.5.0 on Some GPU" in installed(answer, "auto").exact
    assert installed(answer, "cpu").gpu is None
