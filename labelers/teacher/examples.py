"""A potential to begin with: one that LAMMPS ships for the elements, else GFN1-xTB through ASE."""

from __future__ import annotations

from typing import Any

EIM_ELEMENTS = frozenset({"Li", "Na", "K", "Rb", "Cs", "F", "Cl", "Br"})
"""Of ``ffield.eim``, where iodine has a name of its own."""


def example_potential(elements: tuple[str, ...]) -> dict[str, Any]:
    """``labeler.potential`` for these elements, in type order (alphabetical)."""
    if {"C"} <= set(elements) <= {"C", "H"}:
        return {
            "type": "lammps",
            "pair_style": "airebo 2.0 1 0",
            "pair_coeff": ["* * {file:CH.airebo} {elements}"],
            "shipped_files": ["CH.airebo"],
        }
    if EIM_ELEMENTS.issuperset(elements):
        return {
            "type": "lammps",
            "pair_style": "eim",
            "pair_coeff": [f"* * {' '.join(elements)} {{file:ffield.eim}} {{elements}}"],
            "shipped_files": ["ffield.eim"],
        }
    return {
        "type": "ase",
        "calculator": "tblite.ase.TBLite",
        "arguments": {"method": "GFN1-xTB", "verbosity": 0},
    }
