"""Small systems and labelers for the tests with the real CP2K."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelers.cp2k.labeler import Cp2kLabeler
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Frame, LabelFailure, Labelled, Origin, Purpose, System

PERIODIC = (True, True, True)
ORIGIN = Origin(Purpose.SEGMENT, 0, "s", "plan", 0, 0.0)
WATERS = (
    ("O", (0.0, 0.0, 0.1)),
    ("H", (0.8, 0.5, 0.05)),
    ("H", (-0.75, 0.62, 0.0)),
    ("O", (0.3, -2.7, 0.4)),
    ("H", (0.2, -1.8, 0.3)),
    ("H", (0.5, -3.0, 1.3)),
    ("O", (2.6, 1.2, 2.3)),
    ("H", (3.4, 0.8, 2.0)),
    ("H", (2.7, 2.1, 2.1)),
    ("O", (-1.8, -1.5, 2.9)),
    ("H", (-1.2, -1.0, 2.3)),
    ("H", (-2.6, -1.1, 2.8)),
)


def waters(n: int, cell: np.ndarray | None = None) -> Frame:
    """``n`` water molecules, in a cell or as a cluster."""
    species = tuple(symbol for symbol, _ in WATERS[: 3 * n])
    positions = np.array([place for _, place in WATERS[: 3 * n]])
    return Frame(species, positions, cell, (False,) * 3 if cell is None else PERIODIC)


def skewed(edge: float) -> np.ndarray:
    """A cell in which nothing vanishes by symmetry."""
    return edge * np.array([[1.0, 0.03, 0.0], [0.0, 1.06, 0.05], [0.02, 0.0, 1.03]])


def hydrogens(cell: np.ndarray) -> Frame:
    """Six H2 molecules in a cell: twelve atoms with a wide gap, the cheapest DFT there is."""
    rng = np.random.default_rng(1)
    ends = []
    for i in range(2):
        for j in range(3):
            middle = np.array([(i + 0.5) / 2, (j + 0.5) / 3, 0.1 + 0.4 * ((i + j) % 2)]) @ cell
            half = rng.normal(size=3)
            half *= 0.375 / np.linalg.norm(half)
            ends += [middle + half, middle - half]
    return Frame(("H",) * 12, np.array(ends), cell, PERIODIC)


def gfn1(**settings: object) -> Cp2kLabeler:
    return cp2k(method={"type": "gfn1-xtb"}, **{"scf": {"eps_scf": 1e-7}, **settings})


def pbe(**settings: object) -> Cp2kLabeler:
    """PBE-D3 in the smallest basis: forces are the energy's derivatives in any."""
    method = {
        "type": "dft",
        "basis": "SZV-MOLOPT-SR-GTH",
        "cutoff_rydberg": 200.0,
        "relative_cutoff_rydberg": 40.0,
    }
    return cp2k(
        method=method, **{"scf": {"eps_scf": 1e-6, "preconditioner": "FULL_ALL"}, **settings}
    )


def cp2k(**settings: object) -> Cp2kLabeler:
    return Cp2kLabeler(Cp2kLabeler.Config.model_validate({"ranks": 1, **settings}))


def label(given: Cp2kLabeler, frame: Frame, folder: Path, **system: object) -> Labelled:
    """The label of a frame that must have one."""
    result = labelled(given, frame, folder, **system)
    assert isinstance(result, Labelled), f"{result.reason}: {result.message} ({result.directory})"
    return result


def labelled(
    given: Cp2kLabeler, frame: Frame, folder: Path, **system: object
) -> Labelled | LabelFailure:
    task = SinglePoints(System("s", frame, **system), (frame,), (ORIGIN,))
    (result,) = given.label(task, Context(folder))
    return result
