"""One life of an engine: a forked process that runs the campaign until it ends, fails or is killed.

Forked, not started anew: the imports, which touch no campaign, are paid for once. The process is a
real one, its kills are real kills, and it dies with all that it holds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sis_engine.bookkeeping import backoff
from sis_engine.campaign.runner import run_in_folder
from sis_engine.errors import SisError
from sis_engine.rehearsal import interposer, statements
from sis_engine.rehearsal.interposer import Fault
from sis_engine.testing.fakes import FakeLabeler

UNEXPECTED = 70
"""Exit code of a life that ended with an exception that is not one of ours."""
ENDED = frozenset({0, 4})
"""Exit codes of a campaign that came to its end."""
LONGEST_S = 1800.0
"""A life that takes longer hangs: it is killed, and that is a difference."""
EVALUATIONS = "evaluations.txt"
"""Keys of the evaluations that all lives finished, among our notes."""
MODULES = "modules.json"
"""What a life imported that its parent had not, among our notes."""
_SHORTEST_S = 0.001
First = Callable[[], None]
"""What is done in a life before its campaign."""
_ASKED_BEFORE_JUMP = 60
"""The clock is asked some 200 times in the campaign."""


@dataclass(frozen=True)
class End:
    """How a life ended.

    code: exit code; negative: killed by that signal
    said: what it wrote on its streams;  fired: faults it met;  seen: operations by kind
    cpu_s: CPU time that it used, its programs' not counted
    hung: it was killed for taking too long
    """

    code: int
    said: str
    cpu_s: float
    fired: int = 0
    seen: tuple[tuple[str, int], ...] = ()
    hung: bool = False

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def last_line(self) -> str:
        lines = [line for line in self.said.strip().splitlines() if not line.startswith("  ")]
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class Stage:
    """Where lives are led.

    folder: the campaign's;  config: its file, ``None``: the folder's own;  notes: files of ours
    """

    folder: Path
    config: Path | None
    notes: Path


def nothing() -> None:
    """Nothing is done before the campaign."""


def live(
    stage: Stage,
    *,
    kill_after_s: float | None = None,
    meanwhile: Callable[[Life], None] | None = None,
    **how: Any,
) -> End:
    """Lead one life.

    kill_after_s: SIGKILL comes after so much CPU time of it, unless it has ended
    meanwhile: done as soon as it has begun;  how: see Life
    """
    life = Life(stage, **how)
    if meanwhile is not None:
        meanwhile(life)
    return life.end(kill_after_s)


class Life:
    """A life that has begun.

    fault: lies in wait for it;  clock_jump_s: so far the clock of the day jumps in the middle
    stop_after_s: after so much CPU time it is asked to stop;  first: done in it before the campaign
    tag: tells it from others led at the same time
    """

    def __init__(
        self,
        stage: Stage,
        *,
        fault: Fault | None = None,
        clock_jump_s: int = 0,
        stop_after_s: float = float("inf"),
        first: First = nothing,
        tag: str = "",
    ) -> None:
        stage.notes.mkdir(parents=True, exist_ok=True)
        self._streams = stage.notes / f"said{tag}.txt"
        self._report = stage.notes / f"faults{tag}.json"
        self._report.unlink(missing_ok=True)
        self.pid = os.fork()
        if self.pid == 0:
            if clock_jump_s:
                interposer.jump_clock(_ASKED_BEFORE_JUMP, clock_jump_s)
            _be_an_engine(
                lambda: _run(stage, fault, stop_after_s, first),
                stage,
                self._streams,
                self._report,
            )

    def ends_within(self, cpu_s: float) -> bool:
        """Wait until it has used so much CPU time, and say whether it ended before.

        On a loaded machine the clock on the wall tells nothing of how far it is.
        """
        latest = time.monotonic() + LONGEST_S
        while (left := cpu_s - time.clock_gettime(_cpu_clock(self.pid))) > 0.0:
            if _wait(self.pid, max(left, _SHORTEST_S)):
                return True
            if time.monotonic() > latest:
                break
        return False

    def end(self, kill_after_s: float | None = None) -> End:
        """Wait for its end, or bring it."""
        ended = (
            _wait(self.pid, LONGEST_S) if kill_after_s is None else self.ends_within(kill_after_s)
        )
        if not ended:
            os.kill(self.pid, signal.SIGKILL)
        _, status, used = os.wait4(self.pid, 0)
        facts: dict[str, Any] = {"fired": 0, "seen": {}}
        if self._report.exists():
            facts = json.loads(self._report.read_text())
        return End(
            code=os.waitstatus_to_exitcode(status),
            said=self._streams.read_text(errors="replace"),
            cpu_s=used.ru_utime + used.ru_stime,
            fired=facts["fired"],
            seen=tuple(facts["seen"].items()),
            hung=not ended and kill_after_s is None,
        )


def import_what_a_life_imports(stage: Stage) -> None:
    """After a life has ended by itself: what it imported is there for those that come after it."""
    for name in json.loads((stage.notes / MODULES).read_text()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _cpu_clock(child: int) -> int:
    """The clock of a process's CPU time, as clock_getcpuclockid() makes it on Linux."""
    return (~child << 3) | 2


def _wait(child: int, seconds: float) -> bool:
    """Whether it ended within so many seconds."""
    handle = os.pidfd_open(child)
    try:
        return bool(select.select([handle], [], [], max(seconds, 0.0))[0])
    finally:
        os.close(handle)


def _be_an_engine(run: Callable[[], int], stage: Stage, streams: Path, report: Path) -> None:
    """What the child does; it never returns."""
    code, known = UNEXPECTED, set(sys.modules)
    try:
        os.setsid()
        descriptor = os.open(streams, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        backoff.RETRY_AFTER_S = (0.0, 0.0, 0.0)
        FakeLabeler.evaluation_log = stage.notes / EVALUATIONS
        code = run()
        if interposer.is_loaded():
            _write_report(report)
        (stage.notes / MODULES).write_text(json.dumps(sorted(set(sys.modules) - known)))
    finally:
        os._exit(code)


def _run(stage: Stage, fault: Fault | None, stop_after_s: float, first: First) -> int:
    first()
    end = time.process_time() + stop_after_s
    if fault is not None:
        interposer.arm(fault, stage.folder)
        statements.arm(fault)
    return said(lambda: _campaign(stage, lambda: time.process_time() > end))


def _campaign(stage: Stage, stop: Callable[[], bool]) -> tuple[str, int]:
    ended = run_in_folder(stage.folder, stage.config, stop=stop, quiet=True, report=False)
    return f"{ended.state.value}: {ended.reason}", ended.state.exit_code


def said(work: Callable[[], tuple[str, int]]) -> int:
    """The border of ``sis``: an error of ours is a message and its exit code."""
    try:
        text, code = work()
    except SisError as error:
        text, code = f"{type(error).__name__}: {error}", error.exit_code
    except Exception:  # noqa: BLE001 - what reaches this is a finding of the rehearsal
        text, code = traceback.format_exc(), UNEXPECTED
    with contextlib.suppress(OSError):
        os.write(1, f"{text}\n".encode(errors="replace"))
    return code


def _write_report(report: Path) -> None:
    seen = {item.value: number for item, number in interposer.seen().items()}
    seen |= statements.seen()
    facts = {"fired": interposer.fired() + statements.fired(), "seen": seen}
    report.write_text(json.dumps(facts))
