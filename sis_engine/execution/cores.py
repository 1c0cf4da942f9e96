"""How many cores this process may use, and how many of them others keep busy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

FIRST_SAMPLE_S = 0.1
"""How long the first look at the load takes: ten ticks of the kernel's clock."""
SAMPLE_EVERY_S = 2.0
"""How often it is looked at again; shorter times say little about a neighbour."""
ROUND_UP = 0.3
"""A core that is free for so much less than all the time still counts as free."""

_STAT = Path("/proc/stat")
_CGROUPS = Path("/proc/self/cgroup")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_IDLE_COLUMNS = (3, 4)  # idle, iowait: of user nice system idle iowait irq softirq steal …
_NICED_COLUMN = 1


def available_cores() -> int:
    """Cores this process may use: its affinity and its control group's quota, not the machine's."""
    cores = len(os.sched_getaffinity(0))
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota + 1e-6)))


def cgroup_quota(groups: Path = _CGROUPS, root: Path = _CGROUP_ROOT) -> float | None:
    """Cores that the control groups of this process allow (the tightest), ``None``: no limit.

    Containers and batch systems limit by quota and leave the affinity as it is.
    """
    limits = []
    for line in _text(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += _quotas(root, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            limits += _quotas(root / controllers, path, _quota_v1)
            limits += _quotas(root / "cpu", path, _quota_v1)
    return min(limits, default=None)


def _quotas(root: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """Quotas of the group at ``path`` and of all above it."""
    folder = root / path.strip("/")
    found = []
    while folder.is_relative_to(root):
        quota = read(folder)
        if quota is not None:
            found.append(quota)
        folder = folder.parent
    return found


def _quota_v2(folder: Path) -> float | None:
    words = _text(folder / "cpu.max").split()
    return None if not words or words[0] == "max" else float(words[0]) / float(words[1])


def _quota_v1(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    if not quota or not period or int(quota) <= 0:
        return None
    return float(quota) / float(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def busy_seconds() -> float | None:
    """Core seconds in which the cores of this process's affinity were not idle, since boot.

    What others do at low priority does not count when this process has a higher one: they give
    way. ``None`` where the kernel does not say (not Linux).
    """
    free: tuple[int, ...] = _IDLE_COLUMNS
    if os.getpriority(os.PRIO_PROCESS, 0) <= 0:
        free = (*_IDLE_COLUMNS, _NICED_COLUMN)
    mine = os.sched_getaffinity(0)
    ticks = 0
    found = 0
    for line in _text(_STAT).splitlines():
        name, *columns = line.split()
        if name[:3] == "cpu" and name[3:].isdecimal() and int(name[3:]) in mine:
            counts = [int(word) for word in columns[:8]]
            ticks += sum(counts) - sum(counts[k] for k in free)
            found += 1
    return ticks / os.sysconf("SC_CLK_TCK") if found else None


class FreeCores:
    """Cores that others leave free, seen in the kernel's counters since it last looked.

    What this engine holds itself is told by the caller and does not count as others' load. Where
    the kernel has no counters, the load average of the last minute stands in.
    """

    def __init__(
        self,
        cores: int,
        *,
        busy: Callable[[], float | None] = busy_seconds,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cores = cores
        self._all = available_cores()
        self._busy, self._clock, self._sleep = busy, clock, sleep
        self._last: tuple[float, float | None, float] | None = None
        self._held_seconds = 0.0
        self._told: tuple[float, int] | None = None
        self._free = cores

    def hold(self, held: int) -> None:
        """From now on the engine itself uses ``held`` cores."""
        now = self._clock()
        if self._told is not None:
            self._held_seconds += (now - self._told[0]) * self._told[1]
        self._told = (now, held)

    def __call__(self) -> int:
        """At least one, at most ``cores``. The first call takes FIRST_SAMPLE_S."""
        self.hold(0 if self._told is None else self._told[1])
        if self._last is None:
            self._last = (self._clock(), self._busy(), self._held_seconds)
            self._sleep(FIRST_SAMPLE_S)
            self.hold(0 if self._told is None else self._told[1])
        elif self._clock() - self._last[0] < SAMPLE_EVERY_S:
            return self._free
        now, busy = self._clock(), self._busy()
        before, was_busy, was_held = self._last
        elapsed = max(now - before, 1e-9)
        own = (self._held_seconds - was_held) / elapsed
        if busy is None or was_busy is None:
            others = max(0.0, os.getloadavg()[0] - own)
        else:
            others = max(0.0, (busy - was_busy) / elapsed - own)
        self._free = max(1, min(self._cores, int(self._all - others + ROUND_UP)))
        self._last = (now, busy, self._held_seconds)
        return self._free
