"""Other paths to the same ground state, for a frame whose SCF fails. Never other physics."""

from __future__ import annotations

from dataclasses import dataclass

from labelers.espresso.config import ScfSettings

MOST_ITERATIONS = 300


@dataclass(frozen=True)
class Way:
    """One way to solve the SCF. changes: "what: from → to", against the configured one."""

    scf: ScfSettings
    changes: tuple[str, ...] = ()


def ways(scf: ScfSettings) -> tuple[Way, ...]:
    """The configured way first; then careful mixing; then another diagonaliser as well."""
    careful: dict[str, object] = {
        "mixing_beta": min(scf.mixing_beta, 0.3),
        "mixing_history": max(scf.mixing_history, 12),
        "max_iterations": max(scf.max_iterations, MOST_ITERATIONS),
    }
    other = "cg" if scf.diagonalisation == "david" else "david"
    last = careful | {
        "mixing_beta": min(scf.mixing_beta, 0.1),
        "mixing_mode": "local-TF",
        "diagonalisation": other,
    }
    trees = [scf, scf.model_copy(update=careful), scf.model_copy(update=last)]
    return tuple(Way(tree, _differences(scf, tree)) for tree in trees)


def _differences(before: ScfSettings, after: ScfSettings) -> tuple[str, ...]:
    old, new = before.model_dump(), after.model_dump()
    return tuple(f"{key}: {old[key]} → {new[key]}" for key in old if old[key] != new[key])
