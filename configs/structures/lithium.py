"""Seed structures of lithium: the bulk, point defects, clean surfaces and adatoms, built by ASE.

After Phuthi et al., ACS Omega 2024, 9, 10904. Nothing is relaxed: the campaign does that.
"""

from __future__ import annotations

from ase import Atom, Atoms
from ase.build import add_adsorbate, bcc100, bcc110
from boxes import LITHIUM_ANGSTROM, bulk_lithium

VACUUM_ANGSTROM = 6.0
"""On either side of a slab: 12 Å between the two surfaces."""
ADATOM_HEIGHT_ANGSTROM = 1.7


def vacancy(repeat: int) -> Atoms:
    """The bulk without one atom."""
    atoms = bulk_lithium(repeat, repeat, repeat)
    del atoms[0]
    atoms.info["defect"] = "vacancy"
    return atoms


def interstitial(repeat: int) -> Atoms:
    """The bulk with one atom more, on a tetrahedral site, 1.92 Å from its four neighbours."""
    atoms = bulk_lithium(repeat, repeat, repeat)
    site = [0.5 * LITHIUM_ANGSTROM, 0.25 * LITHIUM_ANGSTROM, 0.0]
    atoms.append(Atom("Li", site))
    atoms.info["defect"] = "tetrahedral interstitial"
    return atoms


def surface(face: str, adatoms: int = 0) -> Atoms:
    """A slab of six (100) or four (110) layers, 3 x 3 or 3 x 4 atoms each, periodic all round.

    adatoms: on so many of the upper surface's hollow sites, as far apart as they come
    """
    if face == "100":
        atoms = bcc100("Li", (3, 3, 6), a=LITHIUM_ANGSTROM, vacuum=VACUUM_ANGSTROM)
    else:
        atoms = bcc110("Li", (3, 4, 4), a=LITHIUM_ANGSTROM, vacuum=VACUUM_ANGSTROM, orthogonal=True)
    for offset in [(0, 0), (1, 1), (2, 2), (0, 1)][:adatoms]:
        add_adsorbate(atoms, "Li", ADATOM_HEIGHT_ANGSTROM, "hollow", offset=offset)
    atoms.pbc = True
    told = f"bcc Li({face}), a = {LITHIUM_ANGSTROM} Å (PBE), {adatoms} adatoms"
    made = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info={"slab": told})
    made.center(vacuum=VACUUM_ANGSTROM, axis=2)  # adatoms need theirs above them too
    return made
