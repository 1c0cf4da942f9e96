"""Configuration of the Quantum ESPRESSO labeler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labelers.mpi_config import MpiProgramConfig
from sis_engine.interfaces import InputPath

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Unknown keys are errors; values are frozen and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Smearing(Section):
    """Fractional occupations, for metals. Energies are then free energies, as forces are.

    kind: Methfessel-Paxton of first order, Gaussian, Marzari-Vanderbilt (cold), Fermi-Dirac
    """

    kind: Literal["methfessel-paxton", "gaussian", "cold", "fermi-dirac"] = "methfessel-paxton"
    width_ev: Positive


class ScfSettings(Section):
    """How the self-consistent field is reached.

    threshold_rydberg: estimated error of the energy (conv_thr); the only one here that is part of
        the level of theory. Forces err by its square root
    mixing_beta: fraction of the new density;  mixing_history: so many densities are looked back on
    mixing_mode: ``local-TF`` for slabs and surfaces
    diagonalisation: Davidson, or conjugate gradients (slower, safer)
    """

    threshold_rydberg: Positive = 1e-9
    max_iterations: Count = 100
    mixing_beta: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    mixing_history: Count = 8
    mixing_mode: Literal["plain", "TF", "local-TF"] = "plain"
    diagonalisation: Literal["david", "cg"] = "david"


class EspressoConfig(MpiProgramConfig):
    """Quantum ESPRESSO's pw.x, run as a program.

    pseudopotentials: file by element, in ``pseudo_dir``; the functional is theirs
    pseudo_dir: relative to the campaign file; ``null``: ``ESPRESSO_PSEUDO``, else Debian's
    functional: in place of that of the pseudopotentials, as QE calls it (``input_dft``)
    cutoff_rydberg: of wavefunctions
    density_cutoff_rydberg: of the density; ``null``: 4 times ``cutoff_rydberg``. Ultrasoft and PAW
        pseudopotentials want 8 to 12 times
    k_spacing_per_angstrom: Gamma-centred grid by spacing, without 2 pi; ``null``: Gamma only
    smearing: ``null``: fixed occupations, for what has a gap
    warm_start: steps of a segment begin from the last step's density and wavefunctions; ``false``
        starts pw.x anew for each, for ``exact`` campaigns
    pools: groups of ranks that share out the k-points; ``null``: as many as there is use for
    virial: stress of each frame
    program: ``null``: ``pw.x`` on PATH
    frame_timeout_s: longest time for one frame
    """

    type: Literal["espresso"] = "espresso"
    pseudopotentials: Annotated[dict[str, str], Field(min_length=1)]
    pseudo_dir: InputPath | None = None
    functional: Annotated[str, Field(pattern=r"^[\w+\-]+$")] | None = None
    cutoff_rydberg: Positive
    density_cutoff_rydberg: Positive | None = None
    k_spacing_per_angstrom: Positive | None = None
    smearing: Smearing | None = None
    scf: ScfSettings = ScfSettings()
    warm_start: bool = True
    pools: Count | None = None
    virial: bool = True
    frame_timeout_s: Positive | None = None

    @model_validator(mode="after")
    def _density_needs_more_than_wavefunctions(self) -> EspressoConfig:
        if self.density_cutoff < 4.0 * self.cutoff_rydberg:
            raise ValueError(
                f"density_cutoff_rydberg {self.density_cutoff:g} is below 4 times "
                f"cutoff_rydberg {self.cutoff_rydberg:g}: the density would be cut short"
            )
        return self

    @property
    def density_cutoff(self) -> float:
        """Rydberg."""
        return self.density_cutoff_rydberg or 4.0 * self.cutoff_rydberg
