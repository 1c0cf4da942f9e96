from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sis_engine.errors import ProgramFailed, ProgramHung, ProgramMissing, StopRequested
from sis_engine.execution.worker import Worker, WorkerDied, WorkerSettings
from sis_engine.interfaces import Context

SCRIPT = """
import os, signal, time

class Odd(Exception):
    kind = "odd"

def start():
    if os.environ.get("WORKER_BROKEN"):
        raise ImportError("no such package")

def double(request, watch):
    print("doubling", request["number"], flush=True)
    watch.lap("double")
    return {"number": 2 * request["number"], "pid": os.getpid(), "cwd": os.getcwd()}

def fail(request, watch):
    raise Odd("that was odd")

def leave(request, watch):
    os.kill(os.getpid(), request["signal"])

def sleep(request, watch):
    time.sleep(60)

OPERATIONS = {"double": double, "fail": fail, "leave": leave, "sleep": sleep}
"""


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    script = tmp_path / "operations.py"
    script.write_text(SCRIPT)
    return WorkerSettings(
        name="Doubler",
        python=Path(sys.executable),
        operations=script,
        environment=(),
        start_timeout_s=60.0,
        silence_timeout_s=60.0,
        timeout_s=60.0,
        key="labeler",
        install="pip install doubler",
        log="doubler.log",
    )


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def double(
    worker: Worker, settings: WorkerSettings, folder: Path, number: float
) -> dict[str, object]:
    request = {"operation": "double", "number": number}
    reply = worker.ask(settings, folder, request, Context(folder))
    assert reply.result is not None
    assert set(reply.seconds) == {"double"}
    return reply.result


def test_one_process_answers_many_requests_each_in_its_folder(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    first = double(worker, settings, tmp_path / "a", 0.1)
    second = double(worker, settings, tmp_path / "b", 1e-300)
    assert (first["number"], second["number"]) == (0.2, 2e-300)
    assert first["pid"] == second["pid"] != os.getpid()
    assert Path(str(second["cwd"])) == (tmp_path / "b").resolve()
    assert (tmp_path / "a" / "doubler.log").read_text() == "doubling 0.1\n"


def test_other_settings_are_another_process(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    first = double(worker, settings, tmp_path / "a", 1)
    other = replace(settings, environment=(("OMP_NUM_THREADS", "2"),))
    assert double(worker, other, tmp_path / "b", 1)["pid"] != first["pid"]


def test_an_exception_is_an_answer_and_the_process_goes_on(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    pid = double(worker, settings, tmp_path, 1)["pid"]
    reply = worker.ask(settings, tmp_path, {"operation": "fail"}, Context(tmp_path))
    assert (reply.result, reply.kind, reply.error) == (None, "odd", "that was odd")
    assert "Traceback" in (tmp_path / "doubler.log").read_text()
    assert double(worker, settings, tmp_path, 1)["pid"] == pid


def test_a_death_is_told_with_its_signal_and_the_next_request_starts_anew(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    pid = double(worker, settings, tmp_path, 1)["pid"]
    request = {"operation": "leave", "signal": int(signal.SIGKILL)}
    with pytest.raises(WorkerDied) as died:
        worker.ask(settings, tmp_path, request, Context(tmp_path))
    assert died.value.code == -signal.SIGKILL
    assert double(worker, settings, tmp_path, 1)["pid"] != pid


@pytest.mark.parametrize("limit", ["timeout_s", "silence_timeout_s"])
def test_what_hangs_is_stopped_at_its_limit(
    limit: str, settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    short = replace(settings, **{limit: 0.3})
    pid = int(str(double(worker, replace(settings), tmp_path, 1)["pid"]))
    with pytest.raises(ProgramHung, match="no end after") as hung:
        worker.ask(short, tmp_path, {"operation": "sleep"}, Context(tmp_path))
    assert f"labeler.{limit}" in str(hung.value)
    assert not _alive(pid)


def test_patience_stretches_the_limits(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    short = replace(settings, timeout_s=0.1)
    begun = time.monotonic()
    with pytest.raises(ProgramHung):
        worker.ask(short, tmp_path, {"operation": "sleep"}, Context(tmp_path, patience=10.0))
    assert time.monotonic() - begun > 1.0


def test_a_stop_ends_the_process(settings: WorkerSettings, worker: Worker, tmp_path: Path) -> None:
    pid = int(str(double(worker, settings, tmp_path, 1)["pid"]))
    stop = iter([False, False, True])
    context = Context(tmp_path, stop=lambda: next(stop))
    with pytest.raises(StopRequested, match="Doubler"):
        worker.ask(settings, tmp_path, {"operation": "sleep"}, context)
    assert not _alive(pid)


def test_a_package_that_is_not_there_is_told_with_how_to_get_it(
    settings: WorkerSettings, worker: Worker, tmp_path: Path
) -> None:
    broken = replace(settings, environment=(("WORKER_BROKEN", "1"),))
    with pytest.raises(ProgramFailed, match="no such package") as failed:
        double(worker, broken, tmp_path, 1)
    assert "pip install doubler" in str(failed.value)
    nowhere = replace(settings, python=tmp_path / "python9")
    with pytest.raises(ProgramMissing, match="python9"):
        double(worker, nowhere, tmp_path, 1)


def test_it_dies_with_the_engine(settings: WorkerSettings, tmp_path: Path) -> None:
    """Killed with -9, in the middle of a request."""
    engine = tmp_path / "engine.py"
    engine.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from sis_engine.execution.worker import Worker, WorkerSettings
        from sis_engine.interfaces import Context
        folder = Path({str(tmp_path)!r})
        settings = {settings!r}
        worker, context = Worker(), Context(folder)
        pid = worker.ask(settings, folder, {{"operation": "double", "number": 1}}, context)
        print(pid.result["pid"], flush=True)
        worker.ask(settings, folder, {{"operation": "sleep"}}, context)
        """).replace("PosixPath(", "Path(")
    )
    with subprocess.Popen(
        [sys.executable, str(engine)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert _alive(pid)
        process.kill()
    limit = time.monotonic() + 30.0
    while _alive(pid) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    """A process that is not yet reaped by its new parent counts as dead."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_process_begun_early_answers_the_first_request(
    worker: Worker, settings: WorkerSettings, tmp_path: Path
) -> None:
    worker.begin(settings, tmp_path / "early")
    worker.begin(settings, tmp_path / "again")
    begun = worker._process
    assert begun is not None
    assert double(worker, settings, tmp_path / "a", 2)["pid"] == begun.pid
    assert not (tmp_path / "again").exists()


def test_the_folder_of_an_earlier_request_may_be_gone(
    worker: Worker, settings: WorkerSettings, tmp_path: Path
) -> None:
    brief = replace(settings, start_timeout_s=10.0)
    first = double(worker, brief, tmp_path / "a", 2)["pid"]
    shutil.rmtree(tmp_path / "a")
    assert double(worker, brief, tmp_path / "b", 2)["pid"] == first


def test_what_went_wrong_with_a_process_begun_early_is_said_by_the_first_request(
    worker: Worker, settings: WorkerSettings, tmp_path: Path
) -> None:
    broken = replace(settings, environment=(("WORKER_BROKEN", "1"),))
    worker.begin(broken, tmp_path / "early")
    with pytest.raises(ProgramFailed, match="no such package") as raised:
        double(worker, broken, tmp_path / "a", 2)
    assert raised.value.directory == tmp_path / "early"
