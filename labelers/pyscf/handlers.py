"""Other paths to the same ground state, for a frame whose SCF fails. Never other physics."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MOST_CYCLES = 200


@dataclass(frozen=True)
class Solver:
    """How the SCF is solved.

    level_shift: hartree, of the empty orbitals;  damping: part of the last Fock matrix that is kept
    second_order: Newton's method on the orbitals, from the atoms' densities
    """

    max_cycles: int
    level_shift: float = 0.0
    damping: float = 0.0
    second_order: bool = False


@dataclass(frozen=True)
class Way:
    """One way to solve the SCF. changes: "what: from → to", against the configured one"""

    solver: Solver
    changes: tuple[str, ...] = ()


def ways(max_cycles: int) -> tuple[Way, ...]:
    """The configured way first, then what is tried in turn."""
    first = Solver(max_cycles)
    most = max(max_cycles, MOST_CYCLES)
    others = (
        Solver(most, level_shift=0.3, damping=0.3),
        Solver(most, second_order=True),
    )
    return (Way(first), *(Way(one, _differences(first, one)) for one in others))


def _differences(before: Solver, after: Solver) -> tuple[str, ...]:
    old = asdict(before)
    return tuple(
        f"{name}: {old[name]} → {value}"
        for name, value in asdict(after).items()
        if value != old[name]
    )
