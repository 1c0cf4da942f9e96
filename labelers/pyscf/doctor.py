"""What ``doctor`` says of PySCF, its dispersion package and a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelers.pyscf.config import PyscfConfig
from sis_engine.errors import ProgramMissing
from sis_engine.interfaces import ProgramReport

INSTALL = "pip install 'sis-engine[pyscf]'"


@dataclass(frozen=True)
class Installed:
    """What the worker's environment has. gpu: name of the device that is used, if any"""

    pyscf: str
    dispersion: str | None
    gpu4pyscf: str | None
    gpu: str | None

    @property
    def exact(self) -> str:
        parts = [f"pyscf {self.pyscf}"]
        if self.dispersion is not None:
            parts.append(f"pyscf-dispersion {self.dispersion}")
        if self.gpu is not None:
            parts.append(f"gpu4pyscf {self.gpu4pyscf} on {self.gpu}")
        return ", ".join(parts)


def installed(answer: Mapping[str, Any], device: str) -> Installed:
    """From the worker's own words. Raises ProgramMissing without PySCF."""
    versions: dict[str, str | None] = answer.get("versions", {})
    pyscf = versions.get("pyscf")
    if pyscf is None:
        raise ProgramMissing("PySCF is not installed", hint=INSTALL)
    gpu = [version for name, version in versions.items() if "gpu4pyscf" in name and version]
    return Installed(
        pyscf,
        versions.get("pyscf-dispersion"),
        gpu[0] if gpu else None,
        None if device == "cpu" else answer.get("gpu"),
    )


def reports(found: Installed, config: PyscfConfig, place: str) -> tuple[ProgramReport, ...]:
    """PySCF, and what the configuration needs beside it. place: the interpreter"""
    told = [ProgramReport("pyscf", place, found.pyscf)]
    functional = config.functional.lower()
    if "-d3" in functional or "-d4" in functional:
        problem = mend = None
        if found.dispersion is None:
            problem, mend = f"{functional} needs the package pyscf-dispersion", INSTALL
        told.append(ProgramReport("pyscf-dispersion", place, found.dispersion, problem, mend))
    if found.gpu is not None or config.device == "gpu":
        problem = mend = None
        if found.gpu is None:
            problem = "there is no GPU that gpu4pyscf can use"
            mend = "pip install gpu4pyscf-cuda12x, or labeler.device: cpu"
        told.append(ProgramReport("gpu4pyscf", found.gpu, found.gpu4pyscf, problem, mend))
    return tuple(told)


def version_class(version: str | None) -> str | None:
    """Versions of one class give the same labels."""
    return None if version is None else ".".join(version.split(".")[:2])
