"""``python -m tests.integration.killed_run POINT CONFIG FOLDER LOG``: a run that dies at POINT.

POINT is ``where:what:count``; SIGKILL comes at the count-th time that point is reached. What the
labeler evaluates is appended to LOG, one key a line, so that repeated work can be counted.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sis_engine.campaign import loop as campaign
from sis_engine.campaign import runner
from sis_engine.campaign.runner import run_in_folder
from sis_engine.stages import context as context_module
from sis_engine.stages import kept as kept_module
from sis_engine.stages.context import StageContext
from sis_engine.storage import generation_file
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger
from sis_engine.testing.fakes import FakeLabeler


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def around(
    owner: Any, name: str, count: int, *, before: bool, when: Callable[..., bool] | None = None
) -> None:
    """Replace ``owner.name`` by one that dies before or after its count-th (matching) call."""
    original = getattr(owner, name)
    numbers = itertools.count(1)  # taken at the start of a call: two may be in progress

    def call(*given: Any, **named: Any) -> Any:
        if when is not None and not when(*given, **named):
            return original(*given, **named)
        number = next(numbers)
        if before and number == count:
            die()
        result = original(*given, **named)
        if number == count:
            die()
        return result

    setattr(owner, name, call)


def set_trap(point: str) -> None:
    where, what, number = point.split(":")
    count = int(number)

    def is_stage(path: Path, *_: Any) -> bool:
        return path.parent.name == what

    def is_named(_: Any, __: int, stage: str, *rest: Any, **named: Any) -> bool:
        return stage == what

    traps: dict[str, Callable[[], None]] = {
        "start": lambda: around(Ledger, "start_stage", count, before=False, when=is_named),
        "unsaved": lambda: around(context_module, "save_record", count, before=True, when=is_stage),
        "saved": lambda: around(context_module, "save_record", count, before=False, when=is_stage),
        "done": lambda: around(Ledger, "finish_stage", count, before=False, when=is_named),
        "banked": lambda: around(LabelBank, "put", count, before=False),
        "unbanked": lambda: around(LabelBank, "put", count, before=True),
        "counted": lambda: around(StageContext, "count", count, before=False),
        "replica": lambda: around(kept_module, "save_record", count, before=what == "before"),
        "renamed": lambda: around(Ledger, "commit", count, before=True),
        "committing": lambda: around(campaign, "commit_generation", count, before=True),
        "committed": lambda: around(Ledger, "commit", count, before=False),
        "extract": lambda: around(generation_file, "write_bytes", count, before=what == "before"),
        "create": lambda: around(Ledger, "set_meta", count, before=True),
    }
    traps[where]()


def log_evaluations(log: Path) -> None:
    original = FakeLabeler.label

    def label(self: FakeLabeler, *given: Any) -> Iterator[Any]:
        for result in original(self, *given):
            with log.open("a") as stream:
                stream.write(f"{result.key}\n")
            yield result

    FakeLabeler.label = label  # type: ignore[method-assign]


def main(point: str, config: str, folder: str, log: str) -> int:
    runner._reported = lambda _, ended: ended
    log_evaluations(Path(log))
    if point:
        set_trap(point)
    ended = run_in_folder(Path(folder), Path(config), stop=lambda: False, quiet=True)
    sys.stdout.write(f"{ended.state.value}: {ended.reason}\n")
    return ended.state.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
