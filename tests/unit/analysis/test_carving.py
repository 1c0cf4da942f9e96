"""Clusters of whole molecules out of periodic frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule

from sis_engine.analysis.carving import Chemistry, Cluster, Refused, carve, molecules_of
from sis_engine.analysis.species import bonds, molecules
from sis_engine.records import Frame
from sis_engine.structures import atoms_of, frame_of, read_structure

ELECTROLYTE = Path(__file__).parents[3] / "configs" / "structures" / "lifsi-2dol-bulk.extxyz"
SALT = Chemistry(charges={"Li": 1, "F2NO4S2": -1})


def clusters(frame: Frame, *centres: int, radius: float = 3.0, **given) -> list[Cluster]:
    found = list(carve(frame, centres, radius, SALT, **given))
    assert all(isinstance(one, Cluster) for one in found), found
    return found


def boxed_water(*, edge: float = 6.0, shift: float = 0.0) -> Frame:
    """One water, wrapped into its cell: shifted far enough, the faces cut through it."""
    atoms = molecule("H2O", cell=[edge] * 3, pbc=True)
    atoms.positions += shift
    atoms.wrap()
    return frame_of(atoms)


@pytest.mark.parametrize("shift", [0.0, 2.0, 5.9])
def test_a_molecule_across_the_boundary_comes_out_whole(shift: float):
    frame = boxed_water(shift=shift)
    (found,) = clusters(frame, 0, radius=2.0)
    assert found.frame.pbc == (False,) * 3
    assert found.frame.cell is None
    assert found.frame.positions[0] == pytest.approx(frame.positions[0])
    lengths = atoms_of(found.frame).get_all_distances()
    assert lengths[0, 1:] == pytest.approx([0.969, 0.969], abs=2e-3)


def test_no_bond_is_cut_and_every_atom_is_where_an_image_of_its_parent_is():
    frame = read_structure(ELECTROLYTE)
    lithium = [k for k, symbol in enumerate(frame.species) if symbol == "Li"]
    for found in clusters(frame, *lithium, 1, radius=4.0):
        assert set(molecules(found.frame)) <= set(molecules(frame))
        inverse = np.linalg.inv(np.asarray(frame.cell))
        apart = (found.frame.positions - frame.positions[list(found.parents)]) @ inverse
        assert apart == pytest.approx(np.round(apart), abs=1e-9)
        kept = {found.parents[i] for pair in bonds(found.frame) for i in pair}
        broken = [pair for pair in bonds(frame) if len(kept & set(pair)) == 1]
        assert broken == []


def test_every_molecule_with_an_atom_so_near_is_in_and_no_other():
    frame = read_structure(ELECTROLYTE)
    centre = frame.species.index("Li")
    (found,) = clusters(frame, centre, radius=3.0)
    distances = atoms_of(frame).get_distances(centre, range(frame.n_atoms), mic=True)
    near = {k for k in range(frame.n_atoms) if distances[k] <= 3.0}
    assert near <= set(found.parents)
    here = atoms_of(found.frame)
    first = found.parents.index(centre)
    assert first == 0
    of = molecules_of(found.frame, SALT).of
    for number in range(int(of.max()) + 1):
        members = np.flatnonzero(of == number)
        assert here.get_distances(0, members).min() <= 3.0


def test_charges_are_those_of_the_molecules_and_electrons_pair_up_where_they_can():
    frame = read_structure(ELECTROLYTE)
    centre = frame.species.index("Li")
    (alone,) = clusters(frame, centre, radius=0.6)
    assert (alone.charge, alone.multiplicity, alone.molecules) == (1, 1, ("Li",))
    (atom,) = carve(frame, [centre], 0.6, Chemistry())
    assert isinstance(atom, Cluster)
    assert (atom.charge, atom.multiplicity) == (0, 2)
    anion = frame.species.index("N")
    (other,) = clusters(frame, anion, radius=0.6)
    assert (other.charge, other.molecules) == (-1, ("F2NO4S2",))


def test_ions_that_touch_each_other_carry_what_each_of_them_does():
    frame = Frame(("Li", "Li"), np.array([[0.0, 0, 0], [2.8, 0, 0]]))
    (found,) = clusters(frame, 0, radius=1.0)
    assert (found.molecules, found.charge) == (("Li2",), 2)


def test_centres_with_the_same_cluster_give_it_once():
    frame = boxed_water()
    assert len(clusters(frame, 0, 1, 2, radius=2.0)) == 1


def test_a_neighbour_and_its_image_are_two_molecules():
    """In a cell of 4 Å a molecule's images lie within 4.5 Å of it: six of them, and itself."""
    (found,) = clusters(boxed_water(edge=4.0), 0, radius=4.05)
    assert len(found.molecules) >= 7
    assert found.frame.n_atoms == 3 * len(found.molecules)


@pytest.mark.parametrize(
    "frame",
    [
        frame_of(bulk("C", "diamond", a=3.57, cubic=True)),
        frame_of(bulk("Li", "bcc", a=3.44, cubic=True) * (2, 2, 2)),
        frame_of(bulk("Al", "fcc", a=4.05, cubic=True)),
    ],
    ids=["diamond", "lithium", "aluminium"],
)
def test_what_has_no_end_is_refused(frame: Frame):
    (found,) = carve(frame, [0], 3.0)
    assert isinstance(found, Refused)
    assert "no end" in found.reason


def test_a_crystal_is_in_nobodys_way_who_is_far_from_it():
    """A lithium slab below a water molecule: the water comes out, the slab does not."""
    slab = bulk("Li", "bcc", a=3.44, cubic=True) * (3, 3, 1)
    slab.set_cell([10.32, 10.32, 20.0])
    water = molecule("H2O")
    water.translate([5.0, 5.0, 10.0])
    frame = frame_of(slab + water)
    oxygen = frame.species.index("O")
    (found,) = clusters(frame, oxygen, radius=3.0)
    assert found.molecules == ("H2O",)
    (near,) = carve(frame, [oxygen], 9.0, SALT)
    assert isinstance(near, Refused)


def test_a_cluster_that_is_too_large_is_refused_with_its_size():
    (found,) = carve(boxed_water(), [0], 2.0, SALT, most_atoms=2)
    assert found == Refused(0, "3 atoms, more than 2")


def test_clusters_of_one_composition_have_their_atoms_in_one_order():
    frame = read_structure(ELECTROLYTE)
    ring = next(k for k, symbol in enumerate(frame.species) if symbol == "C")
    found = clusters(frame, frame.species.index("Li"), ring, radius=6.0)
    for one in found:
        assert list(one.molecules[1:]) == sorted(one.molecules[1:])
