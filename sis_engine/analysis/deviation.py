"""How far the members of a committee are apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sis_engine.records import (
    Deviation,
    FloatArray,
    Foreseen,
    LabelPlan,
    PlanOutcome,
    Prediction,
)


def force_deviation(forces: FloatArray) -> FloatArray:
    """(n_frames,) largest over atoms of sqrt(<|F_i - <F_i>|^2>), eV/Å.

    forces: (n_members, n_frames, n_atoms, 3). <…> is the mean over members: the population's, not
    the sample's, as in DP-GEN (Zhang et al., Comput. Phys. Commun. 253 (2020) 107206, eq. 1) and in
    DeePMD-kit's ``md.out``. NaN where a member's force is not finite.
    """
    spread = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0))
    largest: FloatArray = spread.max(axis=-1)
    return largest


def virial_deviation(virials: FloatArray, n_atoms: int) -> FloatArray:
    """(n_frames,) largest over components of sqrt(<(W - <W>)^2>) / N, eV/atom.

    virials: (n_members, n_frames, 3, 3), eV (DeePMD-kit, documentation, "Calculate Model
    Deviation").
    """
    spread = np.sqrt(((virials - virials.mean(axis=0)) ** 2).mean(axis=0)) / n_atoms
    largest: FloatArray = spread.max(axis=(-2, -1))
    return largest


def energy_deviation(energies: FloatArray, n_atoms: int) -> FloatArray:
    """(n_frames,) sqrt(<(E - <E>)^2>) / N, eV/atom.  energies: (n_members, n_frames), eV."""
    spread: FloatArray = np.sqrt(((energies - energies.mean(axis=0)) ** 2).mean(axis=0)) / n_atoms
    return spread


def deviations(said: Sequence[Prediction]) -> tuple[Deviation, ...]:
    """One a frame, from what each member says of the same frames."""
    n_atoms = said[0].forces.shape[1]
    force = force_deviation(np.stack([item.forces for item in said]))
    energy = energy_deviation(np.stack([item.energies for item in said]), n_atoms)
    virials = [item.virials for item in said if item.virials is not None]
    if len(virials) < len(said):
        return tuple(
            Deviation(float(f), None, float(e)) for f, e in zip(force, energy, strict=True)
        )
    virial = virial_deviation(np.stack(virials), n_atoms)
    return tuple(
        Deviation(float(f), float(v), float(e))
        for f, v, e in zip(force, virial, energy, strict=True)
    )


def foreseen(plans: Sequence[LabelPlan], outcomes: Sequence[PlanOutcome]) -> tuple[Foreseen, ...]:
    """Deviation and true error of every labelled frame that a committee had looked at."""
    starts = {
        (plan.id, start.frame.key): start
        for plan in plans
        for start in plan.starts
        if start.deviation is not None and start.model_forces is not None
    }
    found = []
    for outcome in outcomes:
        for item in outcome.labelled:
            start = starts.get((outcome.plan_id, item.frame.key))
            if start is None or start.deviation is None or start.model_forces is None:
                continue
            errors = np.linalg.norm(start.model_forces - item.label.forces, axis=1)
            found.append(Foreseen(outcome.system, start.deviation.force, float(errors.max())))
    return tuple(found)
