"""Every campaign and comparison file in configs/ is one that a person can run."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sis_engine.commands.quote import quote
from sis_engine.commands.validation import validate
from sis_engine.comparison.compare import check
from sis_engine.comparison.plan import is_comparison, read_comparison
from sis_engine.comparison.quote import quote as quote_comparison
from sis_engine.records import Ensemble, Purpose
from sis_engine.samplers.grid import widest_gap_angstrom
from sis_engine.setup.assembly import Parts, assemble
from sis_engine.stages.label import plans_at_start
from sis_engine.storage.gate import GateConfig, pass_gate
from sis_engine.units import RYDBERG_EV
from tests.integration.programs import programs
from tests.unit.storage.storage_samples import make_labelled

CONFIGS = Path(__file__).parents[2] / "configs"
ALL = sorted(CONFIGS.rglob("*.yaml"))
COMPARISONS = [file for file in ALL if is_comparison(file)]
FILES = [file for file in ALL if file not in COMPARISONS]
PAPER = sorted((CONFIGS / "paper").glob("*.yaml"))
PUBLISHED = CONFIGS / "paper" / "lifsi-dol-1m-published.yaml"
PHUTHI = CONFIGS / "paper" / "li-phuthi-espresso.yaml"


def _name(file: Path) -> str:
    return str(file.relative_to(CONFIGS))


def _segments(parts: Parts) -> list[int]:
    plans = [plan for plan in plans_at_start(parts) if plan.purpose is Purpose.INITIAL]
    return [plan.segment.n_steps for plan in plans if plan.segment is not None]


@pytest.mark.external
@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_campaign_file_is_valid(file):
    with programs():
        validate(assemble(file))


@pytest.mark.external
@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_campaign_file_says_what_its_first_round_costs(file):
    with programs():
        found = quote(file)
    assert found.generation == 0
    assert sum(plan.least for plan in found.plans) > 0
    assert all(plan.least <= plan.most for plan in found.plans)


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_campaign_is_called_as_its_file_and_says_how_to_start_it(file):
    text = file.read_text(encoding="utf-8")
    assert assemble(file).config.name == file.stem
    assert text.startswith("#")
    assert f"configs/{_name(file)}" in text


# --------------------------------------------------------------------------- comparisons


@pytest.mark.external
@pytest.mark.parametrize("file", COMPARISONS, ids=_name)
def test_a_comparison_file_is_valid_in_every_arm(file):
    with programs():
        check(read_comparison(file))


@pytest.mark.parametrize("file", COMPARISONS, ids=_name)
def test_a_comparison_says_what_is_left(file):
    comparison = read_comparison(file)
    found = quote_comparison(comparison, {})
    assert found.n_left == len(list(comparison.runs())) > 0
    assert found.reference > 0
    assert comparison.config.examiner.frames is None or comparison.config.examiner.frames >= 30


@pytest.mark.parametrize("file", COMPARISONS, ids=_name)
def test_a_comparison_is_called_as_its_file_and_says_how_to_start_it(file):
    text = file.read_text(encoding="utf-8")
    assert read_comparison(file).config.name == file.stem
    assert text.startswith("#")
    assert f"sis compare configs/{_name(file)}" in text


# --------------------------------------------------------------------------- the paper


def test_the_papers_systems_are_all_there():
    names = {file.stem for file in PAPER}
    bulk = {f"lifsi-dol-{m}m-{size}a" for m in (1, 4, 10) for size in (15, 20)}
    slabs = {f"li-lifsi-dol-{m}m-slab" for m in (1, 10)}
    others = {"li-bulk", "li-phuthi-espresso", "lifsi-dol-1m-published"}
    assert names == bulk | slabs | others


@pytest.mark.parametrize("file", [f for f in PAPER if "slab" in f.stem], ids=_name)
def test_a_slab_freezes_two_lithium_layers_and_brings_both_bulks(file):
    parts = assemble(file)
    slab = parts.system("slab")
    assert {slab.frame.species[atom] for atom in slab.frozen} == {"Li"}
    heights = {round(float(slab.frame.positions[atom, 2]), 2) for atom in slab.frozen}
    assert len(heights) == 2
    assert {system.name for system in parts.systems} == {"slab", "electrolyte", "lithium"}


def test_the_published_configuration_is_the_papers_rules():
    parts = assemble(PUBLISHED)
    config = parts.config
    assert config.sampler["published"]
    assert config.monitors[0]["published"]
    assert len(parts.monitors) == 1
    assert _segments(parts) == [2500]
    assert config.initial.segment is not None
    assert config.initial.segment.timestep_fs == 1.0
    windows = config.monitors[0]["windows"]
    assert [(w["lower_k"], w["upper_k"]) for w in windows] == [(0.0, 1000.0), (200.0, 500.0)]
    segment = config.sampler["segment"]
    assert (segment["length_fs"], segment["timestep_fs"], segment["stride"]) == (2500.0, 1.0, 1)
    assert (config.explore.condition.etol, config.explore.condition.ftol) == (1e-4, 1e-6)


def test_the_published_configuration_keeps_every_frame():
    items = list(make_labelled(30))
    for number, change in enumerate(({"energy": 900.0}, {"forces": np.full((6, 3), 300.0)})):
        label = dataclasses.replace(items[number].label, **change)
        items[number] = dataclasses.replace(items[number], label=label)
    frame = dataclasses.replace(items[2].frame, positions=np.zeros((6, 3)))
    items[2] = dataclasses.replace(items[2], frame=frame)
    assert len(pass_gate(items, GateConfig()).rejected) == 3
    assert pass_gate(items, assemble(PUBLISHED).config.gate).rejected == ()


@pytest.mark.parametrize("file", [f for f in PAPER if f not in {PUBLISHED, PHUTHI}], ids=_name)
def test_the_papers_systems_run_by_our_rules_unless_asked(file):
    parts = assemble(file)
    assert not parts.config.sampler["published"]
    assert len(parts.monitors) > 1
    assert parts.config.audit.max_relative_force_rmse <= 0.1
    assert parts.config.explore.replicas >= parts.sampler.config.required_survivors


def test_the_lithium_campaign_of_phuthi_has_their_level_of_theory_and_their_grid():
    """1360 eV is 100 Ry; 16 conditions; the pseudopotential that stands in is called so."""
    parts = assemble(PHUTHI)
    labeler = parts.config.labeler
    assert labeler["cutoff_rydberg"] * RYDBERG_EV == pytest.approx(1360.0, abs=1.0)
    assert labeler["k_spacing_per_angstrom"] == 0.02
    assert labeler["smearing"] == {"kind": "methfessel-paxton", "width_ev": 0.27}
    grid = parts.config.sampler["grid"]
    assert grid["temperatures_k"] == [50.0, 300.0, 450.0, 900.0]
    assert grid["pressures_gpa"] == [0.0, 0.1, 1.0, 10.0]
    header = PHUTHI.read_text(encoding="utf-8").split("\nname:")[0]
    assert labeler["pseudopotentials"]["Li"] in header
    assert "Li.pbe-s-kjpaw_psl.1.0.0.UPF" in header
    assert "PBEsol" in header
    assert "260 k-points" in header


# --------------------------------------------------------------------------- lithium by a committee


def test_the_lithium_committee_covers_the_published_grid_and_runs_slabs_at_constant_volume():
    parts = assemble(CONFIGS / "li-committee.yaml")
    seen: dict[str, set[tuple[float, float | None]]] = {item.name: set() for item in parts.systems}
    for generation in range(4):
        for system in parts.systems:
            conditions = parts.sampler.conditions(parts.base_condition, generation, system)
            assert all(
                (c.ensemble is Ensemble.NPT) is (c.pressure_gpa is not None) for c in conditions
            )
            seen[system.name] |= {(c.temperature_k, c.pressure_gpa) for c in conditions}
    temperatures, pressures = (50.0, 300.0, 450.0, 900.0), (0.0, 0.1, 1.0, 10.0)
    grid = {(t, p) for t in temperatures for p in pressures}
    for name in ("bulk", "vacancy", "interstitial"):
        assert seen[name] == grid, name
    for name in ("surface-100", "surface-110", "adatom-1", "adatom-4"):
        assert seen[name] == {(t, None) for t in temperatures}, name


def test_seed_structures_of_lithium_are_what_they_are_called():
    atoms = {item.name: item.frame for item in assemble(CONFIGS / "li-committee.yaml").systems}
    bulk, slab = atoms["bulk"].n_atoms, atoms["surface-100"].n_atoms
    assert atoms["vacancy"].n_atoms == bulk - 1
    assert atoms["interstitial"].n_atoms == bulk + 1
    for n in (1, 4):
        frame = atoms[f"adatom-{n}"]
        assert frame.n_atoms == slab + n
        heights = frame.positions[:, 2]
        assert (heights > heights[:slab].max() + 1.0).sum() == n
    assert all(widest_gap_angstrom(atoms[name]) < 3.0 for name in ("bulk", "vacancy"))
    assert all(frame.n_atoms <= 128 for frame in atoms.values())  # as published
