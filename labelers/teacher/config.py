"""Configuration of the teacher labeler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sis_engine.interfaces import InputPath, PluginConfig

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar] | dict[str, Scalar]


class AseTeacher(PluginConfig):
    """An ASE calculator.

    calculator: dotted name of its class, e.g. ``ase.calculators.lj.LennardJones``; names outside
        ``ase.calculators`` and ``tblite.ase`` need ``trusted: true``, for importing runs code
    arguments: keyword arguments of the class;  virial: it gives stresses
    """

    type: Literal["ase"] = "ase"
    calculator: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
    arguments: dict[str, Value] = Field(default_factory=dict)
    trusted: bool = False
    virial: bool = True


class LammpsTeacher(PluginConfig):
    """A LAMMPS potential, run by the ``lmp`` program.

    pair_style: as in an input file, without the keyword
    pair_coeff: the same; ``{elements}`` stands for the symbols in type order (alphabetical)
    files: potential files, relative to the campaign file; ``{file:NAME}`` in the lines stands for
        the path of the one so called; their SHA-256 enter the level of theory
    shipped_files: names of files in the ``potentials`` folder that LAMMPS brings, used likewise
    preamble: whole commands before ``pair_style`` (``plugin load …``, ``kspace_style`` goes to
        ``extra``, after it)
    units: in which the commands are; ReaxFF's files know ``real`` only
    """

    type: Literal["lammps"] = "lammps"
    pair_style: str
    pair_coeff: tuple[str, ...] = Field(min_length=1)
    preamble: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    atom_style: Literal["atomic", "charge"] = "atomic"
    units: Literal["metal", "real"] = "metal"
    files: tuple[InputPath, ...] = ()
    shipped_files: tuple[str, ...] = ()
    program: Path | None = None
    virial: bool = True
    silent_timeout_s: float = Field(default=60.0, gt=0.0)


class TeacherConfig(PluginConfig):
    """Which potential teaches. max_force: eV/Å, a larger one is an absurd label"""

    type: Literal["teacher"] = "teacher"
    potential: Annotated[AseTeacher | LammpsTeacher, Field(discriminator="type")]
    max_force: float = Field(default=1000.0, gt=0.0)
    shortest_angstrom: float = Field(default=0.3, ge=0.0)
