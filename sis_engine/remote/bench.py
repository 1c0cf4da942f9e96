"""What of a context goes to the worker."""

from __future__ import annotations

from pathlib import Path

from sis_engine.execution.job_records import Bench
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.interfaces import Context


def bench_of(context: Context, base: Path, pool: ParslPool) -> Bench:
    """Absolute paths: a node starts where it likes. Threads are those that the pool gives each."""
    return Bench(
        base=base,
        workdir=context.workdir.absolute(),
        kept=None if context.kept is None else context.kept.absolute(),
        threads=pool.config.cores_per_worker,
        patience=context.patience,
    )
