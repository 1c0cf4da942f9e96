"""Exact versions of everything that had a part in a result."""

from __future__ import annotations

import functools
import platform

from sis_engine import __version__
from sis_engine.setup.assembly import Parts


def versions_of(parts: Parts) -> tuple[tuple[str, str], ...]:
    """(name, version) of the engine, Python, and what the parts report of their programs."""
    found = {"sis-engine": __version__, "python": platform.python_version()}
    for name, version in parts.versions:
        found.setdefault(name, version)
    return tuple(found.items())


def machine() -> str:
    """One line: processor, cores, system."""
    from sis_engine.execution.cores import available_cores

    return f"{_processor()}, {available_cores()} cores, {platform.system()} {platform.release()}"


@functools.cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a kernel file
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
