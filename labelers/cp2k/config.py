"""Configuration of the CP2K labeler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from labelers.mpi_config import MpiProgramConfig
from sis_engine.interfaces import InputPath

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Unknown keys are errors; values are frozen and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DftMethod(Section):
    """Density functional theory with plane-wave densities (GPW). Defaults: the paper's PBE-D3.

    functional: with the pseudopotentials made for it;  dispersion: Grimme's D3, zero or BJ damping
    basis: name in the data files, for every element that ``basis_by_element`` leaves out
    potential: the same of pseudopotentials, ``potential_by_element``; none named: GTH of the
        functional
    basis_files: of CP2K's data folder
    potential_file: of CP2K's data folder
    cutoff_rydberg: of the finest grid
    relative_cutoff_rydberg: of what is mapped on it (CP2K's REL_CUTOFF)
    smearing_k: Fermi-Dirac electrons at this temperature (metals); energies are then free energies
    empty_orbitals: above the occupied ones, with smearing only
    k_spacing_per_angstrom: Monkhorst-Pack grid by spacing, without 2 pi; ``null``: Gamma only
    """

    type: Literal["dft"] = "dft"
    functional: Literal["PBE", "BLYP"] = "PBE"
    dispersion: Literal["D3", "D3BJ", "none"] = "D3"
    basis: str = "DZVP-MOLOPT-SR-GTH"
    basis_by_element: dict[str, str] = {}
    potential: str | None = None
    potential_by_element: dict[str, str] = {}
    basis_files: Annotated[tuple[str, ...], Field(min_length=1)] = ("BASIS_MOLOPT",)
    potential_file: str = "GTH_POTENTIALS"
    cutoff_rydberg: Positive = 400.0
    relative_cutoff_rydberg: Positive = 60.0
    smearing_k: Positive | None = None
    empty_orbitals: Count = 20
    k_spacing_per_angstrom: Positive | None = None

    def basis_of(self, element: str) -> str:
        return self.basis_by_element.get(element, self.basis)

    def potential_of(self, element: str) -> str:
        default = self.potential or f"GTH-{self.functional}"
        return self.potential_by_element.get(element, default)

    @property
    def name(self) -> str:
        """As a paper calls it: ``PBE-D3/DZVP-MOLOPT-SR-GTH``."""
        dispersion = {"D3": "-D3", "D3BJ": "-D3(BJ)", "none": ""}[self.dispersion]
        return f"{self.functional}{dispersion}/{self.basis}"


class Gfn1Method(Section):
    """CP2K's own GFN1-xTB: the whole labeler at the cost of seconds."""

    type: Literal["gfn1-xtb"] = "gfn1-xtb"


class TemplateMethod(Section):
    """Your own input file. Its FORCE_EVAL is the physics; what the campaign decides is replaced.

    file: an input CP2K reads, relative to the campaign file. Run type, coordinates, cell, MOTION
        and printing are set by the campaign; a ``&KIND`` per element must be there (DFT)
    """

    type: Literal["template"] = "template"
    file: InputPath


Method = DftMethod | Gfn1Method | TemplateMethod


class ScfSettings(Section):
    """How the self-consistent field is reached. A template brings its own.

    solver: orbital transformation (gap needed) or diagonalisation (metals, smearing, k-points)
    eps_scf: convergence; the only one here that is part of the level of theory
    max_iterations: of one inner loop;  outer_loops: so many of them, with a new preconditioner each
        (orbital transformation)
    preconditioner: FULL_ALL is the strongest and dearest, FULL_SINGLE_INVERSE serves large systems
    mixing: of densities (diagonalisation), with fraction ``mixing_alpha`` of the new one
    """

    solver: Literal["ot", "diagonalization"] = "ot"
    eps_scf: Positive = 1e-6
    max_iterations: Count = 40
    outer_loops: Count = 5
    preconditioner: Literal["FULL_ALL", "FULL_SINGLE_INVERSE", "FULL_KINETIC"] = (
        "FULL_SINGLE_INVERSE"
    )
    minimizer: Literal["DIIS", "CG"] = "DIIS"
    mixing: Literal["BROYDEN_MIXING", "PULAY_MIXING", "DIRECT_P_MIXING"] = "BROYDEN_MIXING"
    mixing_alpha: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2


class Cp2kConfig(MpiProgramConfig):
    """CP2K, run as a program.

    dynamics: ``cp2k`` runs MD and optimisations inside CP2K, which carries wavefunctions over from
        step to step; ``engine`` drives single points that start cold, for ``exact`` campaigns
    virial: stress of frames that are periodic in all directions
    vacuum_angstrom: around clusters, whose cubic box no density may leave
    program: ``null``: ``cp2k.psmp`` on PATH
    data_dir: basis sets and potentials; ``null``: ``CP2K_DATA_DIR``, else where CP2K was built for
    wall_timeout_s: of one run; a segment then goes on with another one
    soft_stop_s: how long the step in hand may take to end when a stop is asked for
    """

    type: Literal["cp2k"] = "cp2k"
    method: Annotated[Method, Field(discriminator="type")] = DftMethod()
    scf: ScfSettings = ScfSettings()
    dynamics: Literal["cp2k", "engine"] = "cp2k"
    virial: bool = True
    vacuum_angstrom: Positive = 6.0
    data_dir: Path | None = None
    wall_timeout_s: Positive | None = None
    soft_stop_s: Positive = 60.0

    @field_validator("method", mode="before")
    @classmethod
    def _of_that_type(cls, given: object) -> object:
        """``method: gfn1-xtb`` for ``method: {type: gfn1-xtb}``."""
        return {"type": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _method_and_solver_agree(self) -> Cp2kConfig:
        if isinstance(self.method, TemplateMethod) and "scf" in self.model_fields_set:
            raise ValueError("scf is in the template: leave `scf` out here")
        metallic = isinstance(self.method, DftMethod) and (
            self.method.smearing_k is not None or self.method.k_spacing_per_angstrom is not None
        )
        if metallic and self.scf.solver == "ot":
            raise ValueError(
                "smearing and k-points need `scf: {solver: diagonalization}`; orbital "
                "transformation has a gap and the Gamma point only"
            )
        return self
