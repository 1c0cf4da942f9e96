from __future__ import annotations

import numpy as np
import pytest

from sis_engine.analysis.level_shift import Pair, level_shift
from sis_engine.records import Frame, Label
from sis_engine.report.level_page import level_page


def pairs(
    n: int, compositions: list[str], *, scale: float = 1.0, noise: float = 0.0, offset=None
) -> list[Pair]:
    """Old labels at random; new ones are ``scale`` times the forces, offsets added, and noise."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(n):
        species = tuple(compositions[k % len(compositions)])
        frame = Frame(species, rng.normal(size=(len(species), 3)))
        old = Label(float(rng.normal()), rng.normal(size=(len(species), 3)))
        shift = sum((offset or {}).get(s, 0.0) for s in species)
        energy = old.energy + shift + noise * float(rng.normal()) * len(species)
        found.append(Pair(frame, old, Label(energy, scale * old.forces)))
    return found


def test_the_constants_of_the_elements_are_found_and_taken_off() -> None:
    shift = level_shift(
        pairs(60, ["HHO", "HO", "HHHO", "OO"], offset={"H": -13.6, "O": -40.0}, noise=0.01)
    )
    assert shift.offsets_determined
    assert shift.offsets["H"] == pytest.approx(-13.6, abs=0.02)
    assert shift.offsets["O"] == pytest.approx(-40.0, abs=0.02)
    assert shift.energy_rmse > 20.0
    assert shift.energy_rmse_after_offsets == pytest.approx(0.01, rel=0.3)
    assert shift.energy_correlation == pytest.approx(1.0, abs=1e-3)


def test_one_composition_tells_only_the_sum_of_the_constants() -> None:
    shift = level_shift(pairs(20, ["HHO"], offset={"H": -1.0, "O": -10.0}))
    assert not shift.offsets_determined
    assert 2 * shift.offsets["H"] + shift.offsets["O"] == pytest.approx(-12.0)
    assert shift.energy_mean == pytest.approx(-4.0)
    assert shift.energy_rmse_after_offsets == pytest.approx(0.0, abs=1e-9)


def test_force_errors_by_hand() -> None:
    frame = Frame(("H", "O"), np.zeros((2, 3)))
    old = Label(0.0, [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    new = Label(0.0, [[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]])
    shift = level_shift([Pair(frame, old, new)])
    assert shift.force_rmse == pytest.approx(np.sqrt(9 / 6))
    assert shift.force_relative == pytest.approx(np.sqrt(9 / 5))
    hydrogen, oxygen = shift.elements
    assert (hydrogen.element, hydrogen.n_atoms) == ("H", 1)
    assert hydrogen.force_rmse == pytest.approx(np.sqrt(9 / 3))
    assert hydrogen.force_rms == pytest.approx(np.sqrt(1 / 3))
    assert oxygen.force_rmse == 0.0
    assert oxygen.correlation == pytest.approx(1.0)
    assert shift.energy_correlation is None  # one frame does not vary
    assert shift.virial_rmse is None


def test_forces_that_are_only_larger_correlate_wholly() -> None:
    shift = level_shift(pairs(30, ["HHO"], scale=1.2))
    assert shift.force_correlation == pytest.approx(1.0)
    assert shift.force_relative == pytest.approx(0.2)


def test_virials_are_compared_where_both_have_one() -> None:
    cell = 5.0 * np.eye(3)
    frame = Frame(("H",) * 2, np.zeros((2, 3)), cell, (True,) * 3)
    old = Label(0.0, np.zeros((2, 3)), np.eye(3))
    found = [Pair(frame, old, Label(0.0, np.zeros((2, 3)), 2.0 * np.eye(3)))]
    found.append(Pair(frame, old, Label(0.0, np.zeros((2, 3)))))
    shift = level_shift(found)
    assert shift.virial_rmse == pytest.approx(np.sqrt(3 / 9) / 2)
    assert shift.force_relative is None  # the old forces are all zero
    assert shift.force_correlation is None


def test_the_page_needs_nothing_else_and_shows_every_element() -> None:
    found = pairs(1000, ["HHO"], scale=1.1)
    shift = level_shift(found)
    page = level_page(found, shift, old="GFN1 <b>", new="GFN2 & more", title="a → b")
    assert "http://www.w3.org" in page
    assert page.count("http:") == page.count("http://www.w3.org/2000/svg")
    assert "https:" not in page
    assert "<b>" not in page
    assert "GFN1 &lt;b&gt;" in page
    assert page.count("<svg xmlns") == 3
    assert f"{shift.elements[0].force_rmse:.4f}" in page
    assert "their sum over each composition" in page
    assert len(page) < 2_000_000
