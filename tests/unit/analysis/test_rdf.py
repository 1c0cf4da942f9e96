"""Radial distribution functions of gases and crystals that are known exactly."""

import numpy as np
import pytest

from sis_engine.analysis.rdf import integrated_difference, pair_distances, rdf
from sis_engine.records import Frame

PERIODIC = (True, True, True)


def gas(n, edge, seed):
    positions = np.random.default_rng(seed).uniform(0.0, edge, (n, 3))
    return Frame(("Li", "O") * (n // 2), positions, edge * np.eye(3), PERIODIC)


def test_an_ideal_gas_has_g_of_one_at_all_distances():
    frames = [gas(40, 8.0, seed) for seed in range(60)]
    g = rdf(frames, ("Li", "O"), r_max_angstrom=6.0, n_bins=12)
    assert g.values[2:] == pytest.approx(np.ones(10), abs=0.05)


def test_bcc_lithium_has_its_shells_where_and_as_full_as_the_lattice_says():
    a = 3.44
    basis = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]) * a
    frame = Frame(("Li", "Li"), basis, a * np.eye(3), PERIODIC)
    g = rdf([frame], ("Li", "Li"), r_max_angstrom=5.0, n_bins=500)
    edges = np.linspace(0, 5.0, 501)
    per_bin = g.values * (2 / a**3) * 4 / 3 * np.pi * np.diff(edges**3)
    shells = {np.sqrt(3) / 2 * a: 8, a: 6, np.sqrt(2) * a: 12}
    for radius, count in shells.items():
        near = np.abs(g.r_angstrom - radius) < 0.05
        assert per_bin[near].sum() == pytest.approx(count)
    assert per_bin.sum() == pytest.approx(26)


def test_an_oblique_cell_gives_what_its_supercell_gives():
    cell = np.array([[4.0, 0.0, 0.0], [1.5, 4.5, 0.0], [0.5, 1.0, 5.0]])
    positions = np.random.default_rng(0).uniform(0, 4, (6, 3))
    species = ("Li", "O", "O", "Li", "O", "O")
    one = Frame(species, positions, cell, PERIODIC)
    doubled = np.vstack([positions, positions + cell[0]])
    two = Frame(species * 2, doubled, cell * [[2], [1], [1]], PERIODIC)
    small = rdf([one], ("Li", "O"), n_bins=30)
    large = rdf([two], ("Li", "O"), n_bins=30)
    assert small.values == pytest.approx(large.values)


def test_wrapping_atoms_does_not_change_g():
    frame = gas(20, 7.0, 1)
    moved = Frame(frame.species, frame.positions + 7.0 * np.eye(20, 3), frame.cell, PERIODIC)
    assert rdf([frame], ("O", "O")).values == pytest.approx(rdf([moved], ("O", "O")).values)


def test_how_many_pairs_are_counted_at_once_does_not_change_g(monkeypatch):
    frame = gas(20, 7.0, 1)
    whole = rdf([frame], ("O", "O")).values
    for at_once in (1, 700):
        monkeypatch.setattr("sis_engine.analysis.rdf.PAIRS_AT_ONCE", at_once)
        assert rdf([frame], ("O", "O")).values == pytest.approx(whole)


def test_a_cluster_has_no_density_and_is_refused():
    with pytest.raises(ValueError, match="not periodic"):
        rdf([Frame(("H", "H"), np.zeros((2, 3)))], ("H", "H"))


def test_distances_of_a_cluster_are_a_probability_density():
    triangle = np.array([[0.0, 0.0, 0.0], [1.05, 0.0, 0.0], [0.0, 2.05, 0.0]])
    frame = Frame(("O", "H", "H"), triangle)
    d = pair_distances([frame], ("O", "H"), r_max_angstrom=3.0, n_bins=30)
    assert d.values.sum() * 0.1 == pytest.approx(1.0)
    assert d.r_angstrom[d.values > 0] == pytest.approx([1.05, 2.05])


def test_pairs_beyond_the_range_keep_their_share():
    line = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    d = pair_distances([Frame(("O", "H", "H"), line)], ("O", "H"), r_max_angstrom=3.0, n_bins=30)
    assert d.values.sum() * 0.1 == pytest.approx(0.5)


def test_a_slab_uses_the_nearest_image_in_its_plane_only():
    positions = np.array([[0.5, 0.0, 0.0], [9.5, 0.0, 9.0]])
    slab = Frame(("Li", "O"), positions, np.diag([10.0, 10.0, 10.0]), (True, True, False))
    d = pair_distances([slab], ("Li", "O"), r_max_angstrom=12.0, n_bins=120)
    assert d.r_angstrom[d.values > 0] == pytest.approx([np.sqrt(1.0 + 81.0)], abs=0.06)


def test_the_difference_of_two_curves_is_the_area_between_them():
    near = Frame(("O", "H"), np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    far = Frame(("O", "H"), np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    a, b = (pair_distances([f], ("O", "H"), n_bins=60) for f in (near, far))
    assert integrated_difference(a, a) == 0.0
    assert integrated_difference(a, b) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="different bins"):
        integrated_difference(a, pair_distances([far], ("O", "H"), n_bins=61))
