"""Committee deviations against values worked by hand, and DeePMD-kit's own formula."""

import numpy as np
import pytest

from sis_engine.analysis.deviation import (
    deviations,
    energy_deviation,
    force_deviation,
    virial_deviation,
)
from sis_engine.records import Prediction


def test_the_force_deviation_is_the_largest_norm_of_an_atoms_standard_deviation():
    # Two members, one frame, two atoms. Atom 0: x is ±3 about its mean, y ±4: norm 5. Atom 1: 0.
    one = np.array([[[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]]])
    two = np.array([[[-3.0, -4.0, 0.0], [1.0, 1.0, 1.0]]])
    assert force_deviation(np.stack([one, two])).tolist() == [5.0]


def test_the_virial_deviation_is_per_atom_and_of_the_population():
    # one component differs by ±6 eV about its mean, four atoms: 1.5 eV/atom (not 6 sqrt(2) / 4)
    virials = np.zeros((2, 1, 3, 3))
    virials[0, 0, 0, 1], virials[1, 0, 0, 1] = 6.0, -6.0
    assert virial_deviation(virials, 4).tolist() == [1.5]


def test_the_energy_deviation_is_per_atom():
    assert energy_deviation(np.array([[1.0], [3.0]]), 10).tolist() == pytest.approx([0.1])


def test_they_are_deepmd_kits():
    model_devi = pytest.importorskip("deepmd.infer.model_devi")
    rng = np.random.default_rng(0)
    forces, virials = rng.normal(size=(4, 3, 5, 3)), rng.normal(size=(4, 3, 3, 3))
    energies = rng.normal(size=(4, 3))
    theirs = model_devi.calc_model_devi_f(forces)[0]
    np.testing.assert_allclose(force_deviation(forces), theirs, rtol=1e-12)
    theirs = model_devi.calc_model_devi_v(virials.reshape(4, 3, 9) / 5)[0]
    np.testing.assert_allclose(virial_deviation(virials, 5), theirs, rtol=1e-12)
    theirs = model_devi.calc_model_devi_e(energies[:, :, None] / 5)
    np.testing.assert_allclose(energy_deviation(energies, 5), theirs, rtol=1e-12)


def test_a_member_that_is_not_finite_makes_the_deviation_so():
    forces = np.zeros((2, 1, 2, 3))
    forces[1, 0, 1, 2] = np.nan
    assert np.isnan(force_deviation(forces)).all()


def test_without_a_cell_there_is_no_virial_deviation():
    said = [Prediction(np.array([e]), np.zeros((1, 2, 3))) for e in (1.0, 3.0)]
    (found,) = deviations(said)
    assert (found.force, found.virial, found.energy) == (0.0, None, 0.5)
    periodic = [
        Prediction(item.energies, item.forces, np.full((1, 3, 3), item.energies[0]))
        for item in said
    ]
    assert deviations(periodic)[0].virial == 0.5
