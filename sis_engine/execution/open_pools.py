"""The pools of a campaign while an engine runs it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import Execution, LocalExecution


def spool_of(folder: Path) -> Path:
    """Where the work of pools lies, in a campaign's folder."""
    return folder.absolute() / "spool"


@contextmanager
def open_pools(execution: Execution, folder: Path) -> Iterator[Mapping[str, ParslPool]]:
    """Pools by kind of work; none where all is done here. Nothing starts before it is needed."""
    if isinstance(execution, LocalExecution):
        yield {}
        return
    place = spool_of(folder) / "parsl" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    pools = {
        kind: ParslPool(kind, pool, place / kind, execution.bound_to)
        for kind, pool in execution.pools.given()
    }
    try:
        yield pools
    finally:
        for pool in pools.values():
            pool.shutdown()
