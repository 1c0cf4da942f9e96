"""Do charge and multiplicity go with the electrons that there are?"""

from __future__ import annotations

from ase.data import atomic_numbers

from sis_engine.errors import ConfigurationError
from sis_engine.records import System


def check_electrons(system: System) -> None:
    """Raise ConfigurationError if they do not.

    Pseudopotentials take electrons away in pairs, so that all of them tell the parity.
    """
    unpaired = system.multiplicity - 1
    electrons = sum(atomic_numbers[one] for one in system.frame.species) - system.charge
    if unpaired < 0 or unpaired > electrons or (electrons - unpaired) % 2:
        parity = "odd" if electrons % 2 == 0 else "even"
        raise ConfigurationError(
            f"charge {system.charge} and multiplicity {system.multiplicity} do not go with "
            f"{electrons} electrons",
            key=f"systems.{system.name}.multiplicity",
            allowed=f"an {parity} multiplicity of at least 1, or another charge",
        )
