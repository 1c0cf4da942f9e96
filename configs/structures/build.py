"""Builds the structures of the campaigns: ``python configs/structures/build.py NAME OUT``.

``--list`` shows the names. Needs tblite (molecular geometries); liquids need Packmol too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ase import Atoms
from ase.io import write
from boxes import Mixture, bulk_lithium, electrolyte, mixture_of, slab
from clusters import lifsi_cluster, lithium_ring
from equilibrate import equilibrated
from hydrocarbons import liquid_ethane
from lithium import interstitial, surface, vacancy

SEED = 20231


def _paper_box(molarity: float, side: float) -> Callable[[], Atoms]:
    return lambda: electrolyte(mixture_of(molarity, side**3), side, seed=SEED)


def _small_bulk(n_dioxolane: int) -> Atoms:
    mixture = Mixture(n_salt=1, n_dioxolane=n_dioxolane)
    side = mixture.volume_angstrom3 ** (1.0 / 3.0)
    return equilibrated(electrolyte(mixture, side, seed=SEED, tolerance=1.7))


BUILDERS: dict[str, Callable[[], Atoms]] = {
    "lifsi-dol-cluster": lambda: lifsi_cluster(1),
    "lifsi-2dol-cluster": lambda: lifsi_cluster(2),
    "li-dol-cluster": lithium_ring,
    "lifsi-dol-bulk": lambda: _small_bulk(3),
    "lifsi-2dol-bulk": lambda: _small_bulk(2),
    **{
        f"lifsi-dol-{molarity}m-{side}a": _paper_box(float(molarity), float(side))
        for molarity in (1, 4, 10)
        for side in (15, 20)
    },
    "li-slab-1m": lambda: slab(Mixture(2, 29), seed=SEED),
    "li-slab-10m": lambda: slab(Mixture(10, 14), seed=SEED),
    "li-bulk-8": lambda: bulk_lithium(2, 2, 1),
    "li-bulk-16": lambda: bulk_lithium(2, 2, 2),
    "li-bulk-54": lambda: bulk_lithium(3, 3, 3),
    "vacancy": lambda: vacancy(3),
    "interstitial": lambda: interstitial(3),
    "surface-100": lambda: surface("100"),
    "surface-110": lambda: surface("110"),
    "adatom-1": lambda: surface("100", 1),
    "adatom-4": lambda: surface("100", 4),
    "ethane-liquid": lambda: liquid_ethane(4, seed=SEED),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(BUILDERS))
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--list", action="store_true", help="show what can be built")
    given = parser.parse_args()
    if given.list or given.name is None or given.out is None:
        sys.stdout.write("\n".join(sorted(BUILDERS)) + "\n")
        return
    atoms = BUILDERS[given.name]()
    atoms.info["built_by"] = f"configs/structures/build.py {given.name}"
    write(given.out, atoms, format="extxyz")
    sys.stdout.write(f"{given.out}: {len(atoms)} atoms, {atoms.symbols}\n")


if __name__ == "__main__":
    main()
