"""Other paths to the same ground state, for a frame whose SCF fails. Never other physics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
"""A section of CP2K's input, as cp2k-input-tools has it: keys in lower case."""

MOST_ITERATIONS = 300


@dataclass(frozen=True)
class Way:
    """One way to solve the SCF. changes: "what: from → to", against the configured one."""

    scf: Tree
    changes: tuple[str, ...] = ()


def ways(scf: Tree) -> tuple[Way, ...]:
    """The configured way first, then what is tried in turn."""
    trees = [scf, *(_after_ot(scf) if "ot" in scf else _after_diagonalisation(scf))]
    return tuple(Way(tree, tuple(_differences(scf, tree))) for tree in trees)


def _after_ot(scf: Tree) -> Iterator[Tree]:
    """A safer minimiser with the strongest preconditioner; then no orbital transformation."""
    careful = copy.deepcopy(scf)
    careful["ot"] |= {
        "minimizer": "CG",
        "linesearch": "3PNT",
        "preconditioner": "FULL_ALL",
        "energy_gap": 0.001,
    }
    careful["max_scf"] = max(60, scf.get("max_scf", 50))
    yield careful
    dense = {key: value for key, value in scf.items() if key not in {"ot", "outer_scf"}}
    yield copy.deepcopy(dense) | {
        "max_scf": MOST_ITERATIONS,
        "diagonalization": {"algorithm": "STANDARD"},
        "mixing": {"method": "BROYDEN_MIXING", "alpha": 0.1, "nbroyden": 8},
    }


def _after_diagonalisation(scf: Tree) -> Iterator[Tree]:
    """Smaller steps with a longer memory; then another mixing scheme."""
    mixing = scf.get("mixing", {})
    for change in (
        {"method": "BROYDEN_MIXING", "alpha": 0.05, "nbroyden": 12},
        {"method": "PULAY_MIXING", "alpha": 0.03, "nbuffer": 8},
    ):
        kept = {k: v for k, v in mixing.items() if k not in {"nbroyden", "nbuffer", "nmixing"}}
        yield copy.deepcopy(scf) | {"max_scf": MOST_ITERATIONS, "mixing": kept | change}


def _differences(before: Tree, after: Tree) -> Iterator[str]:
    old, new = dict(_flat(before)), dict(_flat(after))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield f"{key.upper()}: {old.get(key, 'default')} → {new.get(key, 'default')}"


def _flat(tree: Tree, prefix: str = "scf") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}/{key}"
        if isinstance(value, dict):
            yield name, "on"
            yield from _flat(value, name)
        else:
            yield name, value
