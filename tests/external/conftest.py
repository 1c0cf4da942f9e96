"""Tests with the real programs: absent on a user's machine they skip, in CI they fail."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest


def require_program(name: str) -> Path:
    """Path of a program beside this interpreter or on PATH; else skip, or fail where CI=true."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        _absent(f"the program {name} is not installed")
    return Path(str(found))


def require_module(name: str) -> None:
    """Skip, or fail where CI=true, when a Python package is not installed."""
    if importlib.util.find_spec(name) is None:
        _absent(f"the Python package {name} is not installed")


def foreign_mpirun() -> Path:
    """The mpich wheel's, which no program of Debian's was built for; skips where there is none."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        pytest.skip("the mpich wheel, whose mpirun is the wrong one, is not installed")
    return next(Path(str(file.locate())).resolve() for file in files if file.name == "mpirun")


def _absent(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
