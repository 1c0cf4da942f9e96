"""How fast replicas run side by side: real ones, watched for some seconds, then stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from sis_engine.errors import ProgramHung, StopRequested
from sis_engine.execution.program import ProgramOutcome, failure, run_program, tail
from sis_engine.explorers.lammps.launch import Ready
from sis_engine.explorers.lammps.output import last_row
from sis_engine.records import Replica

WARM_STEPS = 200
"""Models are compiled and caches filled in the first steps."""
WINDOW_S = 5.0
LEAST_STEPS = 200
"""Of each replica in the window, or it is made longer: the log tells of every 20th."""
LONG_PS = 1.0e6
COLD_K = 20.0
"""Cold MD stays where it is, whatever the model is worth; its steps cost the same."""
START_S = 300.0
_LOOK_S = 0.02


def cold(replica: Replica) -> Replica:
    """The same atoms and timestep, for as long as anybody looks."""
    condition = replace(
        replica.condition, temperature_k=COLD_K, velocity_factor=1.0, duration_ps=LONG_PS
    )
    return replace(replica, condition=condition, velocities=None, time_offset_fs=0.0)


def steps_per_s(
    probes: Sequence[Ready], stop: Callable[[], bool], window_s: float = WINDOW_S
) -> float:
    """Of all together, between two instants at which all of them run.

    Raises ProgramFailed when one of them ends, StopRequested.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(len(probes)) as threads:
        runs = [threads.submit(run_program, item.run, stop=ended.is_set) for item in probes]
        try:
            begun, first = _when(probes, runs, stop, [WARM_STEPS] * len(probes), START_S, 0.0)
            wanted = [step + LEAST_STEPS for step in first]
            over, last = _when(probes, runs, stop, wanted, START_S, begun + window_s)
        finally:
            ended.set()
    return (sum(last) - sum(first)) / (over - begun)


def _when(
    probes: Sequence[Ready],
    runs: Sequence[Future[ProgramOutcome]],
    stop: Callable[[], bool],
    wanted: Sequence[int],
    limit_s: float,
    not_before: float,
) -> tuple[float, list[int]]:
    """The instant at which every replica has done its steps, and how many each has done then."""
    began = time.monotonic()
    while True:
        now, steps = time.monotonic(), [_step(item) for item in probes]
        if now >= not_before and all(s >= w for s, w in zip(steps, wanted, strict=True)):
            return now, steps
        if stop():
            raise StopRequested("stopped while the speed of replicas was measured")
        for probe, run in zip(probes, runs, strict=True):
            if run.done():
                raise failure(probe.run, run.result())
        if now - began > limit_s:
            raise ProgramHung(
                f"a replica did not come to step {max(wanted)} within {limit_s:g} s",
                directory=probes[0].run.directory,
            )
        time.sleep(_LOOK_S)


def _step(probe: Ready) -> int:
    """The last step that its log tells of; -1: none yet."""
    row = last_row(tail(probe.log, 4096), probe.n_columns)
    return -1 if row is None else int(row[0])
