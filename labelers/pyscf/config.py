"""Configuration of the PySCF labeler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sis_engine.interfaces import PluginConfig

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class PyscfConfig(PluginConfig):
    """Kohn-Sham DFT of clusters. Defaults: wB97X-D3(BJ)/def2-TZVPD.

    functional: PySCF's name, dispersion included. ``wb97x-d3bj`` is wB97X-V with its VV10 part
        left out and D3(BJ) in its place, as Najibi and Goerigk made it (JCTC 2018, 14, 5725)
    basis: PySCF's name, for all elements; def2 bases bring their effective cores beyond Kr
    density_fitting: Coulomb and exchange by an auxiliary basis: faster, 1e-5 Eh an atom off
    grid_level: of the integration of the functional, 0 (coarse) to 9
    grid_response: forces follow the grid that moves with the atoms, and are then the energy's
        derivative on a coarse grid too
    convergence_hartree: of the SCF's energy; its gradient: the square root
    max_cycles: of the SCF, the first way it is solved
    threads: OpenMP threads of one calculation; ``null``: as many as there are cores for it
    side_by_side: several labels may run at a time; ``false`` where one fills the memory
    memory_mb: of one calculation: PySCF keeps integrals on disk above it (a wish, not a limit)
    device: ``auto``: a GPU where gpu4pyscf and one are present, else the processor
    python: interpreter of the environment that PySCF is installed in; ``null``: this one
    silent_timeout_s: without a word (one SCF cycle must fit in);  timeout_s: of one SCF with forces
    shortest_angstrom: closer atoms are a bad geometry and are not calculated
    """

    type: Literal["pyscf"] = "pyscf"
    functional: str = Field(default="wb97x-d3bj", min_length=1)
    basis: str = Field(default="def2-tzvpd", min_length=1)
    density_fitting: bool = False
    grid_level: Annotated[int, Field(ge=0, le=9)] = 3
    grid_response: bool = True
    convergence_hartree: Positive = 1e-9
    max_cycles: Count = 50
    threads: Count | None = None
    side_by_side: bool = True
    memory_mb: Count = 4000
    device: Literal["auto", "cpu", "gpu"] = "auto"
    python: Path | None = None
    start_timeout_s: Positive = 300.0
    silent_timeout_s: Positive = 3600.0
    timeout_s: Positive = 86_400.0
    shortest_angstrom: Annotated[float, Field(ge=0.0)] = 0.4

    @property
    def method(self) -> str:
        """As a paper calls it: ``wb97x-d3bj/def2-tzvpd``."""
        return f"{self.functional.lower()}/{self.basis.lower()}"
