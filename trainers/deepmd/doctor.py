"""What ``doctor`` says of DeePMD-kit, torch and the LAMMPS plugin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from sis_engine.interfaces import ProgramReport

MEND = "pip install 'sis-engine[deepmd]' (deepmd-kit 3.2.0, torch 2.11.0, lammps, cudart 12)"
SUPPORTED = "3.2."
PLUGIN = "lmp + deepmd plugin"
PROBE_TIMEOUT_S = 120.0

_PROBE = """
import importlib.metadata as m, json
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
names = ["deepmd-kit", "torch", "lammps", "nvidia-cuda-runtime-cu12"]
print(json.dumps({name: version(name) for name in names}))
"""

_OPS = """
import torch
from deepmd.pt.cxx_op import ENABLE_CUSTOMIZED_OP
name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
print(f"{ENABLE_CUSTOMIZED_OP};{name}")
"""

_LMP = "pair_style deepmd\n"


def versions(python: Path | None) -> dict[str, str | None] | None:
    """Versions of the packages in the trainer's environment; ``None`` if it does not run."""
    done = _run([str(python or sys.executable), "-c", _PROBE])
    if done is None or done.returncode != 0:
        return None
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def named_versions(python: Path | None) -> tuple[tuple[str, str], ...]:
    """(name, version) as :func:`reports` has them; nothing heavy is imported."""
    found = versions(python) or {}
    named = (("deepmd-kit", "deepmd-kit"), ("torch", "torch"), (PLUGIN, "lammps"))
    return tuple((name, text) for name, key in named if (text := found.get(key)) is not None)


def interpreter_problem(python: Path | None) -> str | None:
    """Why this interpreter cannot train, or ``None``. Quick: nothing heavy is imported."""
    found = versions(python)
    if found is None:
        return f"the interpreter {python or sys.executable} does not run"
    version = found["deepmd-kit"]
    if version is None:
        return f"DeePMD-kit is not installed for {python or sys.executable}"
    if not version.startswith(SUPPORTED):
        return f"DeePMD-kit {version} is not {SUPPORTED}x"
    if found["torch"] is None:
        return f"torch is not installed for {python or sys.executable}"
    return None


def reports(python: Path | None) -> tuple[ProgramReport, ...]:
    """DeePMD-kit with its compiled operators and the GPU; LAMMPS with the plugin."""
    found = versions(python) or {}
    program = str(python or sys.executable)
    problem = interpreter_problem(python)
    gpu = None
    if problem is None:
        done = _run([program, "-c", _OPS])
        words = "" if done is None else done.stdout.strip().rpartition("\n")[2]
        loaded, _, gpu = words.partition(";")
        if loaded != "True":
            problem = (
                f"DeePMD-kit's compiled operators do not load with torch {found.get('torch')}: "
                "they accept only the torch they were built for"
            )
    return (
        ProgramReport("deepmd-kit", program, found.get("deepmd-kit"), problem, _mend(problem)),
        ProgramReport("torch", program, found.get("torch")),
        ProgramReport("gpu for training", gpu if gpu != "none" else None, None),
        _lammps(python, found),
    )


def _lammps(python: Path | None, found: dict[str, str | None]) -> ProgramReport:
    """LAMMPS loads the plugin at start; a missing CUDA runtime shows as libcudart.so.12."""
    beside = Path(python or sys.executable).parent / "lmp"
    program = str(beside) if beside.is_file() else shutil.which("lmp")
    if program is None:
        return ProgramReport(PLUGIN, None, None, "there is no lmp", MEND)
    done = _run([program, "-log", "none", "-screen", "none"], _LMP + "quit\n")
    text = "" if done is None else done.stdout + done.stderr
    problem = None
    if "libcudart.so.12" in text:
        problem = "the plugin needs libcudart.so.12, on a CPU too"
    elif "Unrecognized pair style" in text or done is None:
        problem = "the plugin did not load: pair_style deepmd is unknown"
    mend = None
    if problem is not None:
        mend = "pip install nvidia-cuda-runtime-cu12" if "libcudart" in problem else MEND
    return ProgramReport(PLUGIN, program, found.get("lammps"), problem, mend)


def _mend(problem: str | None) -> str | None:
    return None if problem is None else MEND


def _run(command: list[str], given: str = "") -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
