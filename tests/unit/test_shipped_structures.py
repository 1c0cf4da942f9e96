"""The structures that the campaigns need are what their table says they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.neighborlist import neighbor_list

FOLDER = Path(__file__).parents[2] / "configs" / "structures"
ROW = re.compile(r"^\| `(?P<file>[^`]+)` \| (?P<atoms>\d+) \| (?P<what>[^|]+) \|", re.MULTILINE)
ROWS = [match.groupdict() for match in ROW.finditer((FOLDER / "README.md").read_text())]
UNITS = {
    "LiFSI": {"Li": 1, "N": 1, "S": 2, "O": 4, "F": 2},
    "dioxolane": {"C": 3, "H": 6, "O": 2},
    "ethane": {"C": 2, "H": 6},
}


def _counted(atoms: Atoms) -> dict[str, int]:
    symbols = atoms.get_chemical_symbols()
    return {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}


def _expected(what: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for number, name in re.findall(r"(\d+) (LiFSI|dioxolane|ethane|Li)\b", what):
        for symbol, count in UNITS.get(name, {"Li": 1}).items():
            total[symbol] = total.get(symbol, 0) + int(number) * count
    return dict(sorted(total.items()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_a_shipped_structure_is_what_the_table_says(row: dict[str, str]) -> None:
    atoms = read(FOLDER / row["file"])
    assert len(atoms) == int(row["atoms"])
    if "bcc" not in row["what"]:
        assert _counted(atoms) == _expected(row["what"])
    assert atoms.pbc.all() == ("not periodic" not in row["what"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_no_atoms_of_a_shipped_structure_overlap(row: dict[str, str]) -> None:
    """The shortest bonds are C-H (1.09 Å); anything nearer is an overlap."""
    atoms = read(FOLDER / row["file"])
    distances = neighbor_list("d", atoms, 1.6)
    assert distances.min(initial=np.inf) > 0.95


@pytest.mark.parametrize("name", ["lifsi-dol-cluster.xyz", "lifsi-2dol-cluster.xyz"])
def test_lithium_is_held_by_the_anion_and_by_each_ring(name: str) -> None:
    atoms = read(FOLDER / name)
    symbols = atoms.get_chemical_symbols()
    lithium = symbols.index("Li")
    distances = atoms.get_all_distances()
    oxygens = [i for i, symbol in enumerate(symbols) if symbol == "O"]
    near = [i for i in oxygens if distances[lithium, i] < 2.4]
    on_sulfur = [
        i
        for i in near
        if any(distances[i, j] < 1.7 for j, symbol in enumerate(symbols) if symbol == "S")
    ]
    assert len(on_sulfur) >= 1
    assert len(near) - len(on_sulfur) == _counted(atoms)["C"] // 3


def test_the_table_names_every_structure_of_the_paper() -> None:
    listed = {row["file"] for row in ROWS}
    assert {f"paper/{path.name}" for path in (FOLDER / "paper").iterdir()} <= listed
