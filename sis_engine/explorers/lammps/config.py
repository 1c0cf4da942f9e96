"""Configuration of the LAMMPS explorer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sis_engine.interfaces import PluginConfig


class LammpsConfig(PluginConfig):
    """How LAMMPS is run.

    program: the ``lmp`` executable; default: beside this interpreter, then on PATH
    launcher: put before it (``[mpirun.openmpi, -np, "4"]``)
    threads_per_replica: cores of one replica; the others run replicas side by side. Small systems
        gain nothing from a second thread (measured: 407 against 389 steps/s). "auto": as measured;
        their number changes the last bits of a run, so that ``exact`` campaigns need a fixed one
    replicas_at_once: "auto": as many as there are cores for, or, where they share a GPU, as was
        measured to be best (see `sis doctor --bench`); no result depends on it
    skin_angstrom: neighbour skin: small cells pay more for longer lists than for more rebuilds
    pressure_coupling: NPT cell changes: one length, three lengths, or the whole cell
    chain_length: of Nose-Hoover
    silent_timeout_s: a run that writes nothing for so long is hung
    environment: variables the process gets besides
    """

    type: Literal["lammps"] = "lammps"
    program: Path | None = None
    launcher: tuple[str, ...] = ()
    threads_per_replica: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    replicas_at_once: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    skin_angstrom: float = Field(default=1.0, gt=0.0)
    pressure_coupling: Literal["iso", "aniso", "tri"] = "iso"
    chain_length: int = Field(default=3, ge=1)
    silent_timeout_s: float = Field(default=600.0, gt=0.0)
    wall_timeout_s: float | None = Field(default=None, gt=0.0)
    environment: dict[str, str] = Field(default_factory=dict)
