"""``python -m tests.integration.killed_label POINT LOG ARGUMENT…``: a `sis` that dies at POINT.

As :mod:`tests.integration.killed_run`, for any command.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sis_engine.cli.main import main
from tests.integration.killed_run import log_evaluations, set_trap

if __name__ == "__main__":
    point, log, *arguments = sys.argv[1:]
    log_evaluations(Path(log))
    if point:
        set_trap(point)
    sys.argv = ["sis", *arguments]
    main()
