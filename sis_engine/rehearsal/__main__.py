"""``python -m sis_engine.rehearsal ORDER``: what ``sis rehearse`` starts, the library in front."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

from sis_engine.errors import SisError, StopRequested
from sis_engine.rehearsal.interposer import is_loaded
from sis_engine.rehearsal.order import STOPPED, Order
from sis_engine.rehearsal.programme import Wanted
from sis_engine.rehearsal.rehearse import Bench, rehearse, scratch_folder
from sis_engine.rehearsal.trial import tally


def main(text: str) -> int:
    """Trials go to the journal, progress to standard error, the tally to standard output."""
    asked: list[int] = []
    # Not an exception: raised where Python ignores those (in what a fork calls), it would be lost.
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    os.environ.pop("LD_PRELOAD", None)  # armed in this process and its forks, not in programs
    order = Order.from_text(text)

    def tell(line: str) -> None:
        if not order.quiet:
            sys.stderr.write(f"{line}\n")

    wanted = Wanted(
        seed=order.seed,
        kills=order.kills,
        stride=order.stride,
        sample=order.sample,
        with_library=is_loaded(),
    )
    folder = Path(order.folder)
    bench = Bench(folder, scratch_folder(folder), order.jobs, tell, lambda: bool(asked))
    try:
        trials = rehearse(bench, wanted, order.parts)
    except StopRequested:
        return STOPPED
    except SisError as error:
        sys.stderr.write(f"sis: {error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(dataclasses.asdict(tally(trials))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
