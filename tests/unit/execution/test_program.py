import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sis_engine.errors import ProgramFailed, ProgramHung, ProgramMissing, StopRequested
from sis_engine.execution.program import ProgramRun, find_program, polled_program, run_program


def python(code: str, directory: Path, **more) -> ProgramRun:
    return ProgramRun((sys.executable, "-c", code), directory, poll_s=0.02, **more)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    for _ in range(1000):
        if not is_alive(pid):
            return True
        time.sleep(0.02)
    return False


def read_pid(path: Path) -> int:
    for _ in range(3000):
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"no pid in {path}")


GRANDCHILD = (
    "import subprocess, sys, time, pathlib\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "pathlib.Path('pid').write_text(f'{child.pid}\\n')\n"
)


def _grandchild(*, own_group: bool) -> str:
    group = ", process_group=0)" if own_group else ")"
    return GRANDCHILD.replace(
        "'import time; time.sleep(60)'])", f"'import time; time.sleep(60)']{group}"
    )


def test_a_program_runs_in_its_directory_with_its_environment(tmp_path):
    code = "import os; print(os.getcwd(), os.environ['SIS_X']); open('made', 'w').close()"
    outcome = run_program(python(code, tmp_path, environment=(("SIS_X", "seven"),)))
    assert outcome.exit_code == 0
    assert outcome.stdout_tail.split() == [str(tmp_path), "seven"]
    assert (tmp_path / "made").exists()


def test_undecodable_output_is_shown_and_not_an_error(tmp_path):
    code = r"import sys; sys.stdout.buffer.write(b'caf\xe9 ok')"
    assert "caf\ufffd ok" in run_program(python(code, tmp_path)).stdout_tail


def test_a_failure_names_exit_code_last_line_and_directory(tmp_path):
    code = "import sys; sys.stderr.write('no more disk\\n'); sys.exit(3)"
    with pytest.raises(ProgramFailed, match=r"exit code 3.*no more disk") as caught:
        run_program(python(code, tmp_path))
    assert caught.value.directory == tmp_path


def test_a_program_killed_by_a_signal_says_which(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    outcome = run_program(python(code, tmp_path, check=False))
    assert outcome.exit_code == -signal.SIGSEGV
    with pytest.raises(ProgramFailed, match="SIGKILL"):
        run_program(python("import os; os.kill(os.getpid(), 9)", tmp_path))


def test_a_silent_program_is_hung_although_it_lives(tmp_path):
    with pytest.raises(ProgramHung, match="wrote nothing"):
        run_program(python("import time; time.sleep(60)", tmp_path, silent_timeout_s=0.2))


@pytest.mark.slow
def test_a_growing_file_counts_as_output(tmp_path):
    code = "import time\nfor _ in range(20):\n    open('log', 'a').write('x'); time.sleep(0.2)\n"
    run_program(python(code, tmp_path, silent_timeout_s=3.0, watch=("log",)))


def test_a_program_that_outlives_its_wall_time_is_stopped(tmp_path):
    code = "import time\nwhile True: print('.', flush=True); time.sleep(0.01)"
    with pytest.raises(ProgramHung, match="longer than its limit"):
        run_program(python(code, tmp_path, wall_timeout_s=0.3))


def test_a_program_that_prints_without_end_is_stopped(tmp_path):
    code = "while True: print('x' * 1000)"
    with pytest.raises(ProgramFailed, match="limit 100000"):
        run_program(python(code, tmp_path, max_output_bytes=100_000))


def test_a_stop_asks_by_term_first(tmp_path):
    code = (
        "import signal, sys, time\n"
        "def end(*_): open('said_goodbye', 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); open('ready', 'w').close(); time.sleep(60)"
    )
    with pytest.raises(StopRequested):
        run_program(python(code, tmp_path), stop=(tmp_path / "ready").exists)
    assert (tmp_path / "said_goodbye").exists()


def test_a_program_that_ignores_term_is_killed_after_the_grace(tmp_path):
    code = (
        "import signal, time, os\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('pid', 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(StopRequested):
        run_program(python(code, tmp_path, grace_s=0.2), stop=(tmp_path / "pid").exists)
    assert time.monotonic() - started < 10
    assert wait_until_gone(read_pid(tmp_path / "pid"))


@pytest.mark.parametrize("own_group", [False, True], ids=["same group", "own group, as mpirun"])
def test_grandchildren_do_not_outlive_a_program_that_ends(own_group, tmp_path):
    run_program(python(_grandchild(own_group=own_group), tmp_path))
    assert wait_until_gone(read_pid(tmp_path / "pid"))


@pytest.mark.parametrize("own_group", [False, True], ids=["same group", "own group, as mpirun"])
def test_nothing_outlives_an_engine_that_is_killed(own_group, tmp_path):
    engine = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sis_engine.execution.program import ProgramRun, run_program\n"
        f"code = {_grandchild(own_group=own_group) + 'time.sleep(60)'!r}\n"
        f"run_program(ProgramRun((sys.executable, '-c', code), Path({str(tmp_path)!r})))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", engine])
    grandchild = read_pid(tmp_path / "pid")
    process.kill()
    process.wait()
    assert wait_until_gone(grandchild)


def _elsewhere(folder: Path) -> tuple[Path, Path]:
    """A socket and a folder of shared memory, as a program may need outside its directory."""
    socket, shared = folder / "socket", folder / "shared"
    socket.touch()
    shared.mkdir(parents=True)
    (shared / "segment").touch()
    return socket, shared


def test_what_a_program_had_elsewhere_is_removed_when_it_ends(tmp_path):
    socket, shared = _elsewhere(tmp_path)
    absent = tmp_path / "never made"
    run_program(python("", tmp_path, remove=(socket, shared, absent)))
    assert not socket.exists()
    assert not shared.exists()


def test_what_a_program_had_elsewhere_is_removed_when_it_cannot_start(tmp_path):
    socket, _ = _elsewhere(tmp_path)
    with pytest.raises(ProgramMissing):
        run_program(ProgramRun((str(tmp_path / "lmp"),), tmp_path, remove=(socket,)))
    assert not socket.exists()


def test_what_a_program_had_elsewhere_is_removed_when_the_engine_is_killed(tmp_path):
    socket, shared = _elsewhere(tmp_path)
    engine = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sis_engine.execution.program import ProgramRun, run_program\n"
        f"code, folder = {GRANDCHILD + 'time.sleep(60)'!r}, Path({str(tmp_path)!r})\n"
        "remove = (folder / 'socket', folder / 'shared')\n"
        "run_program(ProgramRun((sys.executable, '-c', code), folder, remove=remove))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", engine])
    grandchild = read_pid(tmp_path / "pid")
    process.kill()
    process.wait()
    assert wait_until_gone(grandchild)
    for _ in range(1000):
        if not socket.exists() and not shared.exists():
            return
        time.sleep(0.02)
    raise AssertionError("something was left behind")


def test_a_missing_program_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ProgramMissing, match="nor on PATH") as caught:
        find_program("no-such-program", install="apt install it")
    assert "apt install it" in str(caught.value)
    with pytest.raises(ProgramMissing, match="configured path"):
        find_program("lmp", tmp_path / "lmp")
    with pytest.raises(ProgramMissing):
        run_program(ProgramRun((str(tmp_path / "lmp"),), tmp_path))


def test_the_interpreters_own_folder_comes_before_path(tmp_path, monkeypatch):
    name = Path(sys.executable).name
    fake = tmp_path / name
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_program(name) == Path(sys.executable).parent / name
    assert find_program(name, fake) == fake


def test_a_polled_program_is_read_while_it_runs_and_killed_when_its_reader_leaves(tmp_path):
    code = f"{GRANDCHILD}time.sleep(60)"
    polls = polled_program(python(code, tmp_path))
    for _ in polls:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"):
            break
    polls.close()
    assert wait_until_gone(read_pid(tmp_path / "pid"))


def test_a_program_is_killed_when_what_is_called_at_a_poll_raises(tmp_path):
    def fail() -> None:
        if (tmp_path / "pid").exists():
            raise RuntimeError("the reader is broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_program(python(f"{GRANDCHILD}time.sleep(60)", tmp_path), on_poll=fail)
    assert wait_until_gone(read_pid(tmp_path / "pid"))
