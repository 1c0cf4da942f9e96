"""Whether the pools of a campaign can be had from this machine, found before anything starts."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from importlib.metadata import version

from sis_engine.errors import ConfigurationError
from sis_engine.execution.parsl_pool import INSTALL
from sis_engine.execution.pools import AnyProvider, Execution, LocalExecution
from sis_engine.interfaces import ProgramReport

SUBMITS: dict[str, str] = {"slurm": "sbatch", "pbs": "qsub", "lsf": "bsub"}
"""What a batch system is asked with."""


def pool_reports(execution: Execution) -> Iterator[ProgramReport]:
    """Parsl, and how each pool's blocks are asked for."""
    if isinstance(execution, LocalExecution):
        return
    yield _parsl()
    for provider in dict.fromkeys(pool.provider.type for _, pool in execution.pools.given()):
        if provider in SUBMITS:
            yield _program(provider, SUBMITS[provider])
        elif provider == "kubernetes":
            yield _package("kubernetes")


def check_pools(execution: Execution) -> None:
    """Raise ConfigurationError with the key of what is missing."""
    if isinstance(execution, LocalExecution):
        return
    absent = _parsl()
    if absent.problem is not None:
        raise ConfigurationError(absent.problem, key="execution.type", hint=absent.mend)
    for kind, pool in execution.pools.given():
        problem = _problem_of(pool.provider)
        if problem is not None:
            raise ConfigurationError(
                problem.problem or "",
                key=f"execution.pools.{kind}.provider.type",
                hint=problem.mend,
            )


def _problem_of(provider: AnyProvider) -> ProgramReport | None:
    report = None
    if provider.type in SUBMITS:
        report = _program(provider.type, SUBMITS[provider.type])
    elif provider.type == "kubernetes":
        report = _package("kubernetes")
    return report if report is not None and report.problem is not None else None


def _parsl() -> ProgramReport:
    if importlib.util.find_spec("parsl") is None:
        return ProgramReport("Parsl", None, None, "Parsl is not installed", INSTALL)
    return ProgramReport("Parsl", "parsl", version("parsl"))


def _package(name: str) -> ProgramReport:
    if importlib.util.find_spec(name) is None:
        told = f"the Python package {name} is not installed"
        return ProgramReport(name, None, None, told, f"pip install {name}")
    return ProgramReport(name, name, version(name))


def _program(system: str, name: str) -> ProgramReport:
    found = shutil.which(name)
    if found is None:
        told = f"{name} is not on PATH: {system} jobs cannot be submitted from this machine"
        return ProgramReport(name, None, None, told, "run the engine on a node that submits jobs")
    return ProgramReport(name, found, None)
